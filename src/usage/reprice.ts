/**
 * `tk.usage.reprice`: gives a usage row the price that was missing when it was written.
 *
 * @module
 */
import * as z from 'zod'
import { formatUsd } from '../budgets/money.ts'
import { withDecimalJson } from '../kernel/decimal-json.ts'
import { actorSchema, idSchema, parse } from '../kernel/validate.ts'
import type { UsageRecord } from '../storage/ledger-records.ts'
import type { Storage } from '../storage/storage.ts'
import { type Charge, cappedId, chargeFor, type OpenPrice, openPrice } from './charge.ts'
import type { MarkupBook } from './markup.ts'
import type { PriceTable } from './price.ts'

export interface RepriceInput {
  readonly tenantId: string
  /** Of the usage row: the attempt id of the receipt. */
  readonly id: string
  readonly actor?: string | undefined
}

export type RepriceResult =
  | {
      readonly repriced: true
      readonly usage: RepricedUsage
      /** Change of the cost in US dollars, as a decimal string: `'-0.4999'` was given back. */
      readonly changeUsd: string
    }
  | {
      /** `priced`: it has a price already, also from an earlier call like this. `no_price`: there is none
       * yet, or not for all of it. */
      readonly repriced: false
      readonly reason: 'priced' | 'no_price'
      readonly usage: RepricedUsage
    }

/** What a price decides of a usage row. As JSON its amounts are decimal strings. */
export type RepricedUsage = Pick<
  UsageRecord,
  'id' | 'tenantId' | 'priceId' | 'quality' | 'costNanoUsd' | 'chargedNanoUsd'
> & { readonly costUsd: string; readonly chargedUsd: string }

export interface RepriceApi {
  /**
   * For rows of calls that were let through without a price (`options.unpriced`), or of which a part had
   * none (a class of service, a web search). Takes the price of the time of the call and the markup of
   * today, corrects the row and every budget that it was charged to, and writes an audit row; all of it
   * in one step, once. Every other row keeps the price that it was charged at. One that was capped
   * (docs/decisions/0034) is charged no more than before, and stays marked.
   *
   * @returns `null`: the tenant has no such row.
   * @throws TenantKeysError TK_INPUT_INVALID, also when what a budget has used would fall below zero;
   *   TK_STORE_CONFLICT when the row is changed by somebody else at the same time.
   */
  reprice(input: RepriceInput): Promise<RepriceResult | null>
}

const schema = z.strictObject({ tenantId: idSchema, id: idSchema, actor: actorSchema })

export function repriceApi(parts: {
  readonly storage: Storage
  readonly prices: PriceTable
  readonly markups: MarkupBook
}): RepriceApi {
  return {
    reprice: async (input) => {
      const { tenantId, id, actor } = parse(schema, input)
      const usage = await parts.storage.usage.get({ tenantId, id })
      if (usage === null) return null
      const open = usage.priceId === null ? null : openPrice(usage.priceId)
      if (open === null) return { repriced: false, reason: 'priced', usage: shown(usage) }
      const charge = await newCharge(parts, usage, open)
      if (charge === null) return { repriced: false, reason: 'no_price', usage: shown(usage) }

      const { priceId, costNanoUsd, chargedNanoUsd, quality } = charge
      const changeUsd = formatUsd(costNanoUsd - usage.costNanoUsd)
      const detail = { from: usage.priceId ?? '', to: priceId, changeUsd }
      const audit = [{ tenantId, actor, action: 'usage.reprice', target: id, detail }]
      const repriced = await parts.storage.ledger.reprice(
        {
          tenantId,
          id,
          was: { priceId: usage.priceId, costNanoUsd: usage.costNanoUsd },
          becomes: { priceId, costNanoUsd, chargedNanoUsd, quality },
        },
        { audit },
      )
      if (repriced !== null) return { repriced: true, usage: shown(repriced), changeUsd }
      // Somebody else was first: what the row says now is the answer.
      const now = await parts.storage.usage.get({ tenantId, id })
      return now && { repriced: false, reason: 'priced', usage: shown(now) }
    },
  }
}

function shown(usage: UsageRecord): RepricedUsage {
  const { id, tenantId, priceId, quality, costNanoUsd, chargedNanoUsd } = usage
  return withDecimalJson({
    id,
    tenantId,
    priceId,
    quality,
    costNanoUsd,
    chargedNanoUsd,
    costUsd: formatUsd(costNanoUsd),
    chargedUsd: formatUsd(chargedNanoUsd),
  })
}

/** `null`: there is no price for it, or not for all of it. */
async function newCharge(
  { storage, prices, markups }: Parameters<typeof repriceApi>[0],
  usage: UsageRecord,
  { serviceTier, wasCounted, isCapped }: OpenPrice,
): Promise<Charge | null> {
  const { tenantId, provider, model } = usage
  const row = await prices.find({ provider, model, atMs: usage.startedAtMs })
  if (!row?.known) return null
  const tenant = await storage.tenants.get(tenantId)
  const charge = chargeFor({
    row,
    tokens: usage.tokens,
    quality: wasCounted ? 'measured' : usage.quality,
    counts: usage.counts,
    serviceTier,
    providerCostNanoUsd: isCapped ? null : usage.providerCostNanoUsd,
    markup: markups.of({ id: tenantId, plan: tenant?.plan?.name ?? null }),
    billable: usage.billable,
    endMs: usage.settledAtMs,
  })
  if (openPrice(charge.priceId) !== null) return null
  if (!isCapped) return charge
  // What it held is not known here any more: it is charged no more than it was.
  const { costNanoUsd, chargedNanoUsd } = charge.costNanoUsd > usage.costNanoUsd ? usage : charge
  return { ...charge, costNanoUsd, chargedNanoUsd, priceId: cappedId(charge.priceId) }
}
