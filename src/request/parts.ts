/**
 * What the corridor is made of, and what it hands from step to step.
 *
 * @module
 */
import type { BudgetGuard } from '../budgets/budget-guard.ts'
import type { CreditRates } from '../budgets/credits.ts'
import type { MonotonicClock, Timers, WallClock } from '../kernel/clock.ts'
import type { Reporter } from '../kernel/events.ts'
import type { Secret } from '../kernel/secret.ts'
import type { KeyInfo, KeyIssuer } from '../keys/key-issuer.ts'
import type { ScopePolicy } from '../policy/scope-policy.ts'
import type { Operation, PathValues, Provider, RequestReading } from '../providers/provider.ts'
import type { SecretInfo, SecretStore } from '../secrets/secret-store.ts'
import type { AccountRef, Amounts } from '../storage/ledger-records.ts'
import type { CredentialSource, TenantRecord } from '../storage/records.ts'
import type { AppliedMarkup, MarkupBook } from '../usage/markup.ts'
import type { PriceRow, PriceTable } from '../usage/price.ts'
import type { HoldMode } from './hold-amounts.ts'
import type { Receipt, ReceiptBook } from './receipt.ts'

/** The ports and settings that every call shares. */
export interface CorridorParts {
  readonly issuer: KeyIssuer
  /** For contexts without a key; `null` when there is no such tenant. */
  readonly findTenant: (tenantId: string) => Promise<TenantRecord | null>
  readonly policy: ScopePolicy
  readonly guard: BudgetGuard
  readonly secrets: SecretStore
  readonly prices: PriceTable
  /** What tenants are billed beyond the cost. */
  readonly markups: MarkupBook
  /** What calls cost in credits; `null`: credits are not counted. */
  readonly credits: CreditRates | null
  readonly providers: ReadonlyMap<string, ProviderSetting>
  /** Origins, besides the built-in ones, that a tenant's credential may be sent to. */
  readonly allowedOrigins: ReadonlySet<string>
  readonly reporter: Reporter
  readonly receipts: ReceiptBook
  readonly clock: MonotonicClock & WallClock
  readonly timers: Timers
  readonly fetch: typeof fetch
  /** Life of a hold in ms, unless it is extended. */
  readonly holdTtlMs: number
  /** For contexts that name none. */
  readonly waitMs: number
  readonly hold: HoldMode
  /** How long the end of a response waits for its settle, in ms. */
  readonly settleWaitMs: number
  readonly settle: 'durable' | 'background'
  /** Work that outlives the call it belongs to (settles being retried); `flush` awaits it. */
  readonly pending: Set<Promise<unknown>>
}

/** A provider as this installation uses it. */
export interface ProviderSetting {
  readonly provider: Provider
  /** The operator's base URL, else the built-in one; no trailing slash. */
  readonly baseUrl: string
  /** The operator's own credential, for tenants whose source is `platform`. */
  readonly platformFields: Readonly<Record<string, Secret>> | null
  /** Public fields of that credential. */
  readonly platformPublic: Readonly<Record<string, string>>
}

/** Settings of calls, whoever makes them. */
export interface CallSettings {
  /** Needed when the key has several scopes. */
  readonly scope?: string | undefined
  /** Default: the bound client's provider, else the one whose base URL the request names. */
  readonly provider?: string | undefined
  /** Which of the tenant's credentials for this provider; default `default`. */
  readonly credential?: string | undefined
  /** How long a call waits, in ms, while its budget is only held by others; 0 to 600,000; default the
   * option `waitMs`. */
  readonly waitMs?: number | undefined
  /** What a call holds: `bound`, the most it can cost; `grow`, as much as its stream comes to. Default
   * the option `hold`. */
  readonly hold?: HoldMode | undefined
  /** What the usage rows of the calls are marked with, for example `{ feature: 'summary' }`; at most 16,
   * names of 1 to 64 of `A-Z a-z 0-9 _ . -`, values of 1 to 256 characters on one line. No secrets. */
  readonly tags?: Readonly<Record<string, string>> | undefined
  /** Called once per attempt that held money, after it was settled or voided. */
  readonly onReceipt?: ((receipt: Receipt) => void) | undefined
}

/**
 * Who calls, and what for: the holder of a platform key, or, for work that the host starts itself, a
 * tenant that the host vouches for; then the scope has to be named. Given once, used for every call.
 */
export type CallContext = CallSettings &
  (
    | {
        /** The platform key that came in with the request. */
        readonly key: string | Secret
        readonly tenantId?: undefined
      }
    | {
        readonly key?: undefined
        /** In place of a key. Never take it from a request: whoever can choose it is any tenant. */
        readonly tenantId: string
        readonly scope: string
      }
  )

/** A request as it came out of the client, read once. */
export interface OutgoingRequest {
  readonly url: URL
  readonly method: string
  readonly headers: Headers
  readonly body: string
  readonly signal: AbortSignal | undefined
  /** Settings of the runtime's fetch that are not ours, such as undici's `dispatcher`. */
  readonly passthrough: Readonly<Record<string, unknown>>
  readonly callId: string
}

/** Which provider operation a request is. */
export interface Target {
  readonly setting: ProviderSetting
  readonly operation: Operation
  /** What stood in the places that the path of the operation leaves open. */
  readonly path: PathValues
}

export interface Caller {
  /** `null`: the host vouches for the tenant. */
  readonly key: KeyInfo | null
  readonly tenant: TenantRecord
}

/** Whose credential pays, chosen from metadata; still sealed. */
export interface CredentialChoice {
  readonly source: CredentialSource
  /** Why this one: shown on the receipt. */
  readonly reason: string
  /** `null` for the platform's own. */
  readonly secret: SecretInfo | null
  /** Where it may go; no trailing slash. */
  readonly baseUrl: string
  /** True where nobody is billed by what this server reports (docs/decisions/0034). */
  readonly capsUsage: boolean
  /** What the provider may need to route the request, such as a deployment. */
  readonly publicFields: Readonly<Record<string, string>>
}

/** One attempt of a call, however it is made: what is held for it, charged and told on the receipt. */
export interface HeldCall extends Caller {
  /** Joins the attempts of one call. */
  readonly callId: string
  /** UUIDv7: id of the attempt, of its hold and of its usage row. */
  readonly attemptId: string
  readonly provider: string
  /** As usage rows call it: `chat`, `responses` ... */
  readonly operation: string
  readonly model: string
  readonly scope: string
  readonly credential: CredentialChoice
  /** `null`: whoever makes the call says what it cost. */
  readonly price: PriceRow | null
  readonly markup: AppliedMarkup
  /** What reported usage is capped at, where its server is not believed; `null`: it is. */
  readonly cap: RequestReading['bound'] | null
  /** What it holds at first: the upper bound of the cost, or less where the hold grows. */
  readonly amounts: Amounts
  /** Tokens of output that these are for, and that the call can come to. */
  readonly firstOutput: number
  readonly mostOutput: number
  /** What it has to hold for so many tokens of output. */
  amountsFor(output: number): Amounts
  /** How long it may wait for them, in ms. */
  readonly waitMs: number
  /** Leaf first: key, tenant, its parents, root. */
  readonly accounts: readonly AccountRef[]
  readonly context: CallContext
  readonly signal: AbortSignal | undefined
  /** By the process's monotonic clock. */
  readonly startedMs: number
}

/** Everything that was decided about one attempt before anything was spent. */
export interface CallPlan extends HeldCall {
  readonly request: OutgoingRequest
  readonly target: Target
  readonly reading: RequestReading
  readonly price: PriceRow
}
