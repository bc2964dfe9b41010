/**
 * The receipt of one attempt: whose credential paid and why, what was counted, what it cost, and what
 * is left. Every call yields one; nothing is ever silent (S1.19).
 *
 * @module
 */
import { formatAmount } from '../budgets/amounts.ts'
import { formatUsd } from '../budgets/money.ts'
import { withDecimalJson } from '../kernel/decimal-json.ts'
import { TenantKeysError } from '../kernel/errors.ts'
import type {
  CallOutcome,
  LineState,
  SettleResult,
  TokenUsage,
  UsageQuality,
} from '../storage/ledger-records.ts'
import type { CredentialSource } from '../storage/records.ts'
import type { Charge } from '../usage/charge.ts'
import type { HeldCall } from './parts.ts'

/** As JSON its amounts are decimal strings. */
export interface Receipt {
  /** Joins the attempts of one call. */
  readonly callId: string
  /** This attempt; also the id of its usage row. */
  readonly attemptId: string
  readonly tenantId: string
  /** `null`: the host vouched for the tenant. */
  readonly keyId: string | null
  readonly scope: string
  readonly provider: string
  /** `chat`, `responses`, `messages` ... */
  readonly operation: string
  readonly model: string
  /** As the provider names it; `null`: not said. Never picks the price. */
  readonly servedModel: string | null
  readonly paidBy: CredentialSource
  readonly credential: {
    /** Why this credential was used. */
    readonly reason: string
    /** `null` for the platform's own. */
    readonly secretId: string | null
    readonly secretVersion: number | null
    /** Mask of a tenant's own credential, for example `sk-...***...xyz9`. */
    readonly masked: string | null
    /** Where it was sent; `null`: in a callback, which says it to nobody. */
    readonly origin: string | null
  }
  /** `voided`: the provider refused or was never reached; nothing was charged. */
  readonly outcome: CallOutcome | 'voided'
  readonly quality: UsageQuality
  readonly httpStatus: number | null
  readonly tokens: TokenUsage
  /** What else was counted, such as `web_search_requests`; empty: nothing. */
  readonly counts: Readonly<Record<string, number>>
  /** Id of the price row, then what else decided: ` tier:flex`, ` web_search_requests?` for what had no
   * price, ` markup:standard@1`, ` capped` where the server claimed more than the call could use (the
   * claim is in `counts`, as `claimed_output_tokens`). `said`: whoever made the call
   * said what it cost. */
  readonly priceId: string
  readonly costNanoUsd: bigint
  /** The same as an exact decimal string. */
  readonly costUsd: string
  /** A gateway's own figure for the call; `null`: it gave none. */
  readonly providerCostNanoUsd: bigint | null
  /** It is another than ours, by more than rounding explains. */
  readonly providerCostDiffers: boolean
  /** What the tenant is billed, cost with its markup; 0 when it is not billable. */
  readonly chargedNanoUsd: bigint
  /** The same as an exact decimal string. */
  readonly chargedUsd: string
  /** False when the tenant's own credential paid. */
  readonly billable: boolean
  /** What the call cost above its hold; posted in full. */
  readonly overageNanoUsd: bigint
  /** Settled after its hold had expired. */
  readonly late: boolean
  /** False when the settle was not confirmed by the store (see the event `settle.delayed`). */
  readonly settled: boolean
  /** The limits that were charged, as they stand now. */
  readonly budgets: readonly BudgetLeft[]
}

export interface BudgetLeft {
  /** `tenant:<id>` or `key:<id>`. */
  readonly account: string
  readonly unit: LineState['unit']
  readonly window: LineState['window']
  /** In the unit: US dollars for `usd`, whole numbers for the others. */
  readonly limit: string
  readonly used: string
  /** Limit less used and held; negative after an overage. */
  readonly left: string
  /** ISO 8601; `null`: never. */
  readonly resetsAt: string | null
}

export const NO_TOKENS: TokenUsage = {
  input: 0,
  cacheRead: null,
  cacheWrite: null,
  cacheWrite1h: null,
  inputAudio: null,
  output: 0,
  reasoning: null,
  outputAudio: null,
}

/** What happened to a call, as far as its client could see. */
export interface CallEnd {
  readonly outcome: CallOutcome
  readonly quality: UsageQuality
  readonly httpStatus: number | null
  readonly tokens: TokenUsage
  readonly counts: Readonly<Record<string, number>>
  readonly providerCostNanoUsd: bigint | null
  readonly servedModel: string | null
  /** Said by whoever made the call, instead of a price. */
  readonly costNanoUsd?: bigint
  /** Bytes of the answer's body that the caller was given; default and `null`: not known. */
  readonly responseBytes?: number | null
  /** The class of service that it was served in; `null`: the standard one. */
  readonly serviceTier: string | null
}

export function makeReceipt(
  call: HeldCall,
  end: Omit<CallEnd, 'outcome'> & { readonly outcome: Receipt['outcome'] },
  settlement: {
    readonly charge: Pick<Charge, 'costNanoUsd' | 'chargedNanoUsd' | 'priceId' | 'differs'>
    /** What the ledger answered; `null`: nothing, or the hold was voided. */
    readonly result: (SettleResult & { ok: true }) | null
    /** False when the store has not confirmed it. */
    readonly settled: boolean
  },
): Receipt {
  const { credential, key, tenant } = call
  const { result, settled, charge } = settlement
  const { costNanoUsd, chargedNanoUsd } = charge
  const receipt = {
    callId: call.callId,
    attemptId: call.attemptId,
    tenantId: tenant.id,
    keyId: key?.keyId ?? null,
    scope: call.scope,
    provider: call.provider,
    operation: call.operation,
    model: call.model,
    servedModel: end.servedModel,
    paidBy: credential.source,
    credential: {
      reason: credential.reason,
      secretId: credential.secret?.id ?? null,
      secretVersion: credential.secret?.version ?? null,
      masked: credential.secret?.masked ?? null,
      origin: call.price === null ? null : new URL(credential.baseUrl).origin,
    },
    outcome: end.outcome,
    quality: end.quality,
    httpStatus: end.httpStatus,
    tokens: end.tokens,
    counts: end.counts,
    priceId: charge.priceId,
    costNanoUsd,
    costUsd: formatUsd(costNanoUsd),
    providerCostNanoUsd: end.providerCostNanoUsd,
    providerCostDiffers: charge.differs,
    chargedNanoUsd,
    chargedUsd: formatUsd(chargedNanoUsd),
    billable: credential.source === 'platform',
    overageNanoUsd: result?.overage.usd ?? 0n,
    late: result?.state === 'late_posted',
    settled,
    budgets: (result?.lines ?? []).map(budgetLeft),
  }
  return Object.freeze(withDecimalJson(receipt))
}

export function budgetLeft(line: LineState): BudgetLeft {
  return {
    account: line.accountId,
    unit: line.unit,
    window: line.window,
    limit: formatAmount(line.unit, line.limit),
    used: formatAmount(line.unit, line.posted),
    left: formatAmount(line.unit, line.limit - line.posted - line.held),
    resetsAt: line.resetsAtMs === null ? null : new Date(line.resetsAtMs).toISOString(),
  }
}

/**
 * Finds the receipt of something a client returned. Values are remembered weakly, by identity: the
 * Response, what its `json()` gave, and the abort signal that a stream object shares with its request.
 */
export interface ReceiptBook {
  /** Remembers that `value` belongs to the attempt whose receipt is coming. */
  note(value: object, receipt: Promise<Receipt>): void
  /** Remembers that what a client made of `response` belongs to the same attempt. */
  noteAnswer(answer: unknown, response: object): void
  /**
   * @returns the receipt once the attempt is settled; for a stream that is after its end.
   * @throws TenantKeysError TK_RECEIPT_UNKNOWN for a value no wrapped client returned.
   */
  of(value: unknown): Promise<Receipt>
}

export function createReceiptBook(): ReceiptBook {
  const known = new WeakMap<object, Promise<Receipt>>()
  const look = (value: unknown): Promise<Receipt> | undefined =>
    typeof value === 'object' && value !== null ? known.get(value) : undefined
  const find = (value: unknown): Promise<Receipt> | undefined => {
    const { usage, controller } = (value ?? {}) as {
      usage?: unknown
      controller?: AbortController
    }
    // parse() helpers return a copy that keeps the usage object; SDK streams carry a controller.
    return look(value) ?? look(usage) ?? look(controller?.signal)
  }
  const note: ReceiptBook['note'] = (value, receipt) => {
    known.set(value, receipt)
    const { usage } = value as { usage?: unknown }
    if (typeof usage === 'object' && usage !== null) known.set(usage, receipt)
  }
  return {
    note,
    noteAnswer: (answer, response) => {
      const receipt = known.get(response)
      if (receipt && typeof answer === 'object' && answer !== null) note(answer, receipt)
    },
    of: async (value) => {
      const found = attempt(() => find(value))
      if (!found) throw new TenantKeysError('TK_RECEIPT_UNKNOWN')
      return found
    },
  }
}

/** A foreign value may have getters that throw. */
function attempt<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch {
    return undefined
  }
}
