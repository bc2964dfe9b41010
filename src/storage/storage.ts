/**
 * The Storage port: what a database must do for the five domain ports. One implementation per
 * database. Commands are coarse and atomic; there is no general transaction.
 *
 * Rules for every implementation (clause ids reappear as titles of the conformance suite):
 *
 * - ST-1 Each command is atomic: its change and all of `also` are written, or nothing is.
 * - ST-2 Absence is `null` (or an empty page); a store that cannot answer throws
 *   TK_STORE_UNAVAILABLE, TK_STORE_BUSY or TK_STORE_CORRUPT. The two are never confused.
 * - ST-3 Every read and write that names a tenant touches rows of that tenant only; an id of another
 *   tenant answers exactly as an id that never existed.
 * - ST-4 `now` never goes backwards within one store, also when the host's clock does.
 * - ST-5 Every change of a key or a tenant raises the epoch in the same step.
 * - ST-6 A revoked key stays revoked, whatever is asked later.
 * - ST-7 Of N callers racing for the same guarded change, exactly one wins.
 * - ST-8 Ledger commands take batches and answer item by item, in order; one bad item never fails
 *   the others. Items are decided one after the other by the rules of `budgets/ledger.ts`.
 * - ST-9 settle writes money, usage row and outbox event in one step, once per hold.
 * - ST-10 Audit rows of one root form a gapless hash chain in commit order.
 * - ST-11 The outbox hands an event to one lease at a time; it stays until it is acknowledged.
 * - ST-12 No error or log holds a value that was stored.
 * - ST-13 `close` is idempotent; afterwards every command throws TK_CLOSED.
 * - ST-14 Of the values pinned under one name the first stays for good, and every caller is given it.
 * - ST-15 An entry and its change of a counter are written in one step, once per tenant and id.
 * - ST-16 `audit` reads one moment; a repair changes nothing when what it is based on has changed.
 * - ST-17 An event leaves the queue by its lease only: acknowledged, or set aside with a reason; one
 *   that was set aside is kept, listed, and handed out again after it was put back.
 * - ST-18 A store that pushes tells every listener of `onEpoch` soon after a change of a key or a
 *   tenant, whichever handle made it. A call tells nothing else and may come without a change.
 * - ST-19 A usage row is repriced once from what it said: row, entries, sums, event and `also` in one
 *   step, or nothing.
 *
 * Inputs are checked and defaults filled before a store sees them; records come back frozen or fresh,
 * never shared with the store's own state.
 *
 * @module
 */
import type { Also } from './also.ts'
import type {
  LedgerSnapshot,
  NewEntry,
  PostedEntry,
  PruneQuery,
  Repair,
  Repricing,
} from './ledger-entries.ts'
import type {
  AccountRef,
  Amounts,
  Counter,
  ExtendItem,
  ExtendResult,
  Hold,
  LineState,
  PeriodHistory,
  ReserveItem,
  ReserveResult,
  SettleItem,
  SettleResult,
  Unit,
  UsageRecord,
  VoidItem,
  VoidResult,
  Window,
} from './ledger-records.ts'
import type {
  AuditRecord,
  CredentialSource,
  DekRecord,
  KeyRecord,
  KeyState,
  OutboxRecord,
  PlanRef,
  QuarantinedEvent,
  SecretRecord,
  TenantRecord,
} from './records.ts'

export interface Storage {
  readonly contractVersion: 1
  readonly capabilities: StorageCapabilities
  /** Creates or updates the tables; idempotent, safe from several processes at once. */
  migrate(): Promise<void>
  close(): Promise<void>
  /** The store's clock, and the number that every change of a key or tenant raises. */
  epoch(): Promise<EpochReading>
  /** The same without waiting, for stores that live in this process: the epoch at most 100 ms old,
   * the time exact. */
  epochNow?(): EpochReading
  /**
   * Calls `listener` when the epoch may have been raised, and each time listening begins or begins
   * again: changes before that may have gone by unheard. Calls may be lost with a connection, so
   * nobody may rely on them alone.
   *
   * @returns ends the calls.
   */
  onEpoch?(listener: () => void): () => void
  /**
   * Remembers `value` under `name` the first time; with the name taken it changes nothing. For what
   * must stay true of an installation, such as the check values of its keys.
   *
   * @returns what is stored.
   */
  pin(name: string, value: string): Promise<string>
  readonly tenants: TenantCommands
  readonly keys: KeyCommands
  readonly secrets: SecretCommands
  readonly deks: DekCommands
  readonly ledger: LedgerCommands
  readonly usage: UsageCommands
  readonly outbox: OutboxCommands
  readonly audit: AuditCommands
}

export interface StorageCapabilities {
  readonly name: string
  /** Survives the process. */
  readonly durable: boolean
  /** Several processes may share it. */
  readonly multiProcess: boolean
  /** Several hosts may share it. */
  readonly multiHost: boolean
  /** False: createTenantKeys leaves making the tables to `migrate()`; default true. */
  readonly migratesOnStart?: boolean
  /** Has `onEpoch`; default false. */
  readonly pushes?: boolean
}

export interface EpochReading {
  readonly epoch: number
  readonly nowMs: number
}

/** A page in id order. `next` is the cursor of the page after it; `null`: this was the last. */
export interface Page<T> {
  readonly items: readonly T[]
  readonly next: string | null
}

export interface PageQuery {
  /** Cursor of an earlier page; `null`: from the start. */
  readonly after: string | null
  /** 1 to 1000. */
  readonly limit: number
}

/** What being on a plan means for a tenant. Of no plan: `plan` is `null` and there are no budgets. */
export interface PlanChange {
  readonly plan: PlanRef | null
  /** On the tenant's own account; no unit twice in one window. */
  readonly budgets: readonly PlanBudget[]
  /** `null`: the tenant's stays as it is. */
  readonly credentials: CredentialSource | null
}

export type PlanBudget = Omit<NewBudget, 'tenantId' | 'account' | 'overflow' | 'source'>

export interface NewTenant extends Pick<TenantRecord, 'id' | 'parentId' | 'credentials'> {
  /** Plan to start with, written in the same step; default `null`: none. */
  readonly plan?: PlanChange | null
}

export interface TenantCommands {
  /** @throws TK_TENANT_EXISTS; TK_TENANT_NOT_FOUND when `parentId` names none. */
  create(tenant: NewTenant, also: Also): Promise<TenantRecord>
  get(tenantId: string): Promise<TenantRecord | null>
  /**
   * Puts a tenant on a plan and makes its budgets in the same step: those that stay keep their sums,
   * those of the plan before that this one lacks are removed, and one that was set by itself
   * (`source: 'explicit'`) is left alone.
   *
   * @param change - `onlyIfOlder`: for a tenant that is on the plan of this name at a lower version.
   * @returns `null` when `onlyIfOlder` is asked and not so; nothing is written then.
   * @throws TK_TENANT_NOT_FOUND; TK_INPUT_INVALID when the zone of a budget that stays would change.
   */
  setPlan(
    change: PlanChange & { readonly tenantId: string; readonly onlyIfOlder: boolean },
    also: Also,
  ): Promise<TenantRecord | null>
  /** Tenants on a plan of this name, of whatever version. */
  listByPlan(query: PageQuery & { readonly plan: string }): Promise<Page<TenantRecord>>
  /** Children of `parentId`; of every tenant when it is `null`. */
  list(query: PageQuery & { readonly parentId: string | null }): Promise<Page<TenantRecord>>
}

export type NewKey = Omit<KeyRecord, 'state' | 'createdAtMs' | 'updatedAtMs' | 'secretVersion'>

/** A key with its tenant, and the epoch that was current before either was read. */
export interface KeyLookup extends EpochReading {
  readonly found: { readonly key: KeyRecord; readonly tenant: TenantRecord } | null
}

export interface KeyCommands {
  /** @throws TK_TENANT_NOT_FOUND; TK_STORE_CONFLICT when the key id is taken. */
  create(key: NewKey, also: Also): Promise<KeyRecord>
  /** By the handle in the key text: the one lookup that knows no tenant yet. */
  find(keyId: string): Promise<KeyLookup>
  get(at: { readonly tenantId: string; readonly keyId: string }): Promise<KeyRecord | null>
  /** In order of key id. */
  list(query: PageQuery & { readonly tenantId: string }): Promise<Page<KeyRecord>>
  /**
   * Moves a key to another state. The same state again changes nothing and writes no `also`.
   * @returns the key as it now is; `null` when the tenant has no such key.
   * @throws TK_KEY_REVOKED when the key is revoked and another state is asked.
   */
  setState(
    at: { readonly tenantId: string; readonly keyId: string; readonly state: KeyState },
    also: Also,
  ): Promise<KeyRecord | null>
}

export type NewSecret = Omit<SecretRecord, 'createdAtMs' | 'updatedAtMs'>

export interface SecretRef {
  readonly tenantId: string
  readonly provider: string
  readonly name: string
}

export interface SecretCommands {
  /**
   * Stores version `secret.version`, which must be one above the stored one (1 when there is none),
   * and counts one seal on its data key in the same step.
   * @throws TK_STORE_CONFLICT when the stored version is another; TK_TENANT_NOT_FOUND;
   *   TK_DEK_EXHAUSTED when the data key has no seals left.
   */
  put(secret: NewSecret, also: Also): Promise<SecretRecord>
  get(ref: SecretRef): Promise<SecretRecord | null>
  /** In order of `provider/name`. */
  list(query: PageQuery & { readonly tenantId: string }): Promise<Page<SecretRecord>>
  /** @returns false when there was none. */
  delete(ref: SecretRef, also: Also): Promise<boolean>
}

export interface DekCommands {
  /** The newest generation of a tenant. */
  current(tenantId: string): Promise<DekRecord | null>
  get(at: { readonly tenantId: string; readonly dekId: string }): Promise<DekRecord | null>
  /** Adds a generation; when another caller added it first, theirs is returned and ours dropped. */
  create(dek: Omit<DekRecord, 'createdAtMs' | 'seals'>, also: Also): Promise<DekRecord>
}

/** Seals one data key may make in its life: 2^32 of SP 800-38D section 8.3, less 10 %. */
export const MAX_SEALS_PER_DEK = 3_865_470_566

export interface BudgetKey {
  readonly tenantId: string
  readonly account: AccountRef
  readonly unit: Unit
  readonly window: Window
}

export interface NewBudget extends BudgetKey {
  readonly zone: string
  readonly limit: bigint
  /** Default `all`. */
  readonly counts?: 'all' | 'platform'
  /** Pool that takes over what this budget refuses; its tenant must lie on this account's path.
   * Default `null`: none. */
  readonly overflow?: AccountRef | null
  /** Ascending percentages of the limit, 1 to 1000; default none. */
  readonly alerts?: readonly number[]
  readonly source: string
}

export interface NewLimit extends BudgetKey {
  readonly limit: bigint
}

export interface BudgetPeriods {
  readonly limit: bigint
  readonly ended: readonly PeriodHistory[]
}

export interface LedgerCommands {
  /** Creates a counter at zero, or changes the limit of the one that is there and keeps its sums.
   * @throws TK_TENANT_NOT_FOUND; TK_INPUT_INVALID when the account is neither the tenant's own nor
   *   that of a key of its, or when the zone of an existing one would change. */
  setBudget(budget: NewBudget, also: Also): Promise<Counter>
  /**
   * Changes the limits of budgets that are there, all of them or none, and nothing else of them but
   * that they are `explicit` from now on.
   * @throws TK_BUDGET_NOT_FOUND when a tenant has no such budget; TK_STORE_CONFLICT when a limit would
   *   be below what is posted and held.
   */
  setLimits(limits: readonly NewLimit[], also: Also): Promise<readonly Counter[]>
  /** @returns false when there was none. Holds in flight settle without it. */
  removeBudget(budget: BudgetKey, also: Also): Promise<boolean>
  /** Counters of one tenant's accounts, rolled to the present, by account id, unit, window. */
  budgets(tenantId: string): Promise<readonly LineState[]>
  /** The limit of a budget and its ended periods, newest first, at most `limit` of them; periods that
   * no call touched are left out. `null`: the tenant has no such budget. */
  periods(query: BudgetKey & { readonly limit: number }): Promise<BudgetPeriods | null>
  reserve(items: readonly ReserveItem[]): Promise<readonly ReserveResult[]>
  /** As reserve decides, but holds nothing. */
  preview(item: {
    readonly tenantId: string
    readonly accounts: readonly AccountRef[]
    readonly amounts: Amounts
    readonly paidBy?: 'tenant' | 'platform'
  }): Promise<ReserveResult>
  extend(items: readonly ExtendItem[]): Promise<readonly ExtendResult[]>
  settle(items: readonly SettleItem[]): Promise<readonly SettleResult[]>
  void(items: readonly VoidItem[]): Promise<readonly VoidResult[]>
  /** Expires at most `limit` holds whose time is up. @returns how many. */
  sweep(limit: number): Promise<number>
  hold(at: { readonly tenantId: string; readonly holdId: string }): Promise<Hold | null>
  /** Changes a counter by an entry; `also` is written when it is new. The account is checked as by
   * setBudget. @throws TK_TENANT_NOT_FOUND, TK_BUDGET_NOT_FOUND, TK_BUDGET_ENTRY_MISMATCH,
   *   TK_INPUT_INVALID */
  post(entry: NewEntry, also: Also): Promise<PostedEntry>
  /** Everything a reconciliation compares, of a tenant and all below it; `null`: no such tenant. It
   * reads every usage row of theirs. */
  audit(tenantId: string): Promise<LedgerSnapshot | null>
  /** @returns false when there was nothing to mend any more; then `also` is not written. */
  repair(repair: Repair, also: Also): Promise<boolean>
  /**
   * Gives a usage row its price: writes the row, an entry for each budget in US dollars that it was
   * charged to, their counters or history, an event `usage.repriced` and `also` in one step.
   * @returns the row as it now is; `null` when the tenant has no such row or it says something else by
   *   now, and nothing was written.
   * @throws TK_INPUT_INVALID when what is used would fall below zero or leave 64 bits;
   *   TK_BUDGET_ENTRY_MISMATCH
   */
  reprice(item: Repricing, also: Also): Promise<UsageRecord | null>
  /** Forgets finished holds, none of whose events waits in the outbox, oldest id first; usage rows
   * stay. A pruned hold that was settled refuses its id for good, by its usage row.
   * @returns how many. @throws TK_INPUT_INVALID */
  prune(query: PruneQuery): Promise<number>
}

/** What usage rows are told apart by. `billable` is `true` or `false` as text; `tag:team` is the tag
 * `team`. */
export type UsageAttribute =
  | 'key'
  | 'scope'
  | 'provider'
  | 'model'
  | 'operation'
  | 'billable'
  | `tag:${string}`

/** What usage can be grouped by. */
export type UsageDimension = 'tenant' | 'day' | UsageAttribute

/** Which usage rows are meant. */
export interface UsageFilter {
  /** Settled at or after; `null`: from the start. */
  readonly fromMs: number | null
  /** Settled before; `null`: until now. */
  readonly untilMs: number | null
  /** Only rows with these values; `null`: that have none. Default: all. */
  readonly where?: Readonly<Partial<Record<UsageAttribute, string | null>>>
}

export interface UsageDay {
  /** For example `2026-01-15`. */
  readonly day: string
  readonly fromMs: number
  readonly untilMs: number
}

export interface UsageQuery extends UsageFilter {
  /** `null`: all tenants. */
  readonly tenantId: string | null
  readonly by: readonly UsageDimension[]
  /** With `day` among `by`: the days, ascending, that do not overlap; rows of no such day are left out. */
  readonly days?: readonly UsageDay[]
  /** Groups behind this one: its values, in the order of `by`. Default: from the first. */
  readonly after?: readonly (string | null)[] | null
  /** At most so many groups; default all. */
  readonly limit?: number
}

/** One group; the dimensions not asked for are `null`. */
export interface UsageTotal {
  readonly tenant: string | null
  readonly key: string | null
  readonly scope: string | null
  readonly provider: string | null
  readonly model: string | null
  readonly operation: string | null
  readonly billable: string | null
  readonly day: string | null
  /** Of the tags asked for, without `tag:`. */
  readonly tags: Readonly<Record<string, string | null>>
  /** Attempts that were charged, also with nothing. */
  readonly calls: number
  /** Of these: answered to the end. */
  readonly completedCalls: number
  readonly estimatedCalls: number
  readonly unknownCalls: number
  readonly billableCalls: number
  /** Of these: part of the input came from the provider's cache. */
  readonly cacheHitCalls: number
  readonly inputTokens: number
  readonly cacheReadTokens: number
  readonly cacheWriteTokens: number
  readonly cacheWrite1hTokens: number
  readonly inputAudioTokens: number
  readonly outputTokens: number
  readonly reasoningTokens: number
  readonly outputAudioTokens: number
  readonly costNanoUsd: bigint
  /** The part of the cost that billable calls made. */
  readonly billableCostNanoUsd: bigint
  readonly chargedNanoUsd: bigint
  /** Units of the host's own, as budgets of the unit `credits` count them. */
  readonly credits: bigint
  /** Calls whose duration was measured, and the sum of their durations. */
  readonly timedCalls: number
  readonly durationMs: number
  readonly responseBytes: number
}

export interface UsageListQuery extends UsageFilter {
  readonly tenantId: string
  /** Rows behind this one; `null`: from the first. */
  readonly after: { readonly settledAtMs: number; readonly id: string } | null
  readonly limit: number
}

export interface UsageCommands {
  /** In order of the dimensions asked for, absent values first. Summed by the store: at most `limit`
   * groups are in memory. */
  totals(query: UsageQuery): Promise<readonly UsageTotal[]>
  /** In order of settlement, then of id. */
  list(query: UsageListQuery): Promise<readonly UsageRecord[]>
  get(at: { readonly tenantId: string; readonly id: string }): Promise<UsageRecord | null>
}

export interface Backlog {
  /** Events to be exported, leased ones too. */
  readonly waiting: number
  readonly quarantined: number
  /** When the oldest that waits was written; `null`: none waits. */
  readonly oldestAtMs: number | null
}

export interface OutboxCommands {
  /** Takes up to `limit` events nobody else has leased, oldest first, for `leaseMs`. */
  lease(query: { readonly limit: number; readonly leaseMs: number }): Promise<{
    readonly leaseId: string
    readonly events: readonly OutboxRecord[]
  }>
  /** Removes events that this lease still holds. @returns how many. */
  ack(at: { readonly leaseId: string; readonly ids: readonly string[] }): Promise<number>
  /** Gives back events that this lease still holds; no lease is handed them for `delayMs` more, 0 to
   * 86,400,000. @returns how many. */
  release(at: {
    readonly leaseId: string
    readonly ids: readonly string[]
    readonly delayMs: number
  }): Promise<number>
  /** Sets aside events that this lease still holds: they stay, and no lease is handed them until they
   * are requeued. @returns how many. */
  quarantine(at: {
    readonly leaseId: string
    readonly events: readonly { readonly id: string; readonly reason: string }[]
  }): Promise<number>
  /** What was set aside, in order of id. */
  quarantined(query: PageQuery): Promise<Page<QuarantinedEvent>>
  /** Puts events that were set aside back into the queue, with no attempts; `also` is written unless
   * none of them was. @returns how many. */
  requeue(ids: readonly string[], also: Also): Promise<number>
  /** How much waits. Counts up to `limit` of each, so that a large queue costs no more than that. */
  backlog(query: { readonly limit: number }): Promise<Backlog>
}

export interface AuditCommands {
  /** One root's chain from its start; the cursor is the sequence number. `*`: acts of no tenant. */
  list(query: PageQuery & { readonly rootId: string }): Promise<Page<AuditRecord>>
}
