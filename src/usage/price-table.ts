/**
 * The price table: the host's own rows first, then the bundled ones, then what the host says of all
 * other models. Nothing else is a price.
 *
 * @module
 */
import { LRUCache } from 'lru-cache'
import { parse } from '../kernel/validate.ts'
import { bundledPrice, GENAI_PRICES_DATE } from './genai-prices.ts'
import { type HostPrice, hostPricesSchema, hostRow } from './host-price.ts'
import type { PriceRow, PriceTable } from './price.ts'
import { type ReadUnpriced, unpricedRow } from './unpriced.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

/** Model ids come from requests, so what is remembered of them is bounded. */
const MAX_REMEMBERED = 1000

/** What a model id may be made of: blanks and control characters name no model. */
const MODEL_ID = /^[\x21-\x7e]{1,200}$/

/** A table older than this is reported: prices change every few weeks. */
export const STALE_AFTER_DAYS = 90

/** Whole days since the bundled table came out. */
export const bundledAgeDays = (nowMs: number): number =>
  Math.floor((nowMs - Date.parse(GENAI_PRICES_DATE)) / DAY_MS)

/**
 * @param options - `hostPrices` win over the bundled table; `unpriced` lets models without a price
 *   through; `now` is the time of asks without one, in ms; `onStale` is called once, when a bundled price
 *   is used first and the table is older than {@link STALE_AFTER_DAYS}.
 * @throws TenantKeysError TK_CONFIG_INVALID naming the field: bad rows, two rows for one model.
 */
export function priceTable(options: {
  readonly hostPrices?: readonly HostPrice[]
  readonly unpriced?: ReadUnpriced | null
  readonly now?: () => number
  readonly onStale?: (ageDays: number) => void
}): PriceTable {
  const { hostPrices = [], unpriced = null, now = Date.now } = options
  const host = hostRows(hostPrices)
  let { onStale } = options
  const checkAge = (): void => {
    const ageDays = bundledAgeDays(now())
    if (ageDays <= STALE_AFTER_DAYS) return
    onStale?.(ageDays)
    onStale = undefined
  }

  // Bundled prices change with the date and the time of day, in whole minutes, so an answer holds for
  // the minute it was given in.
  const recent = new LRUCache<string, { readonly minute: number; readonly row: PriceRow | null }>({
    max: MAX_REMEMBERED,
  })
  const bundled = async (key: string, ask: Parameters<typeof bundledPrice>[0]) => {
    const minute = Math.floor(ask.atMs / MINUTE_MS)
    const known = recent.get(key)
    if (known?.minute === minute) return known.row
    const row = await bundledPrice(ask)
    recent.set(key, { minute, row })
    return row
  }
  return {
    find: async ({ provider, model, atMs = now() }) => {
      const key = keyOf({ provider, model })
      const own = hostRowAt(host.get(key), atMs)
      if (own) return own
      if (!MODEL_ID.test(model)) return null
      const row = await bundled(key, { provider, model, atMs })
      if (row) {
        checkAge()
        return row
      }
      const other = hostRowAt(host.get(keyOf({ provider, model: '*' })), atMs)
      return other ?? (unpriced && unpricedRow(unpriced, { provider, model }))
    },
  }
}

/** Rows of one model, ascending by their first day; `-Infinity`: it has always held. */
type Dated = readonly { readonly fromMs: number; readonly row: PriceRow }[]

function hostRows(hostPrices: readonly HostPrice[]): ReadonlyMap<string, Dated> {
  const rows = new Map<string, { fromMs: number; row: PriceRow }[]>()
  const read = parse(hostPricesSchema, hostPrices, 'options.prices', 'TK_CONFIG_INVALID')
  for (const price of read) {
    const row = hostRow(price)
    const fromMs = price.from === undefined ? -Infinity : Date.parse(price.from)
    rows.set(keyOf(row), [...(rows.get(keyOf(row)) ?? []), { fromMs, row }])
  }
  for (const dated of rows.values()) dated.sort((a, b) => a.fromMs - b.fromMs)
  return rows
}

function hostRowAt(dated: Dated | undefined, atMs: number): PriceRow | null {
  const current = dated?.findLast(({ fromMs }) => fromMs <= atMs)
  if (!dated || !current) return null
  const next = dated.filter(({ fromMs }) => fromMs > atMs && fromMs <= atMs + DAY_MS)
  return next.length === 0 ? current.row : { ...current.row, next }
}

/** Provider ids hold no slash, so the pair is unambiguous. */
const keyOf = ({ provider, model }: { provider: string; model: string }): string =>
  `${provider}/${model}`
