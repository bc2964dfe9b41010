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
 * - ST-4 `now` is in whole milliseconds and never goes backwards within one store, also when the
 *   host's clock does.
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
import type { LedgerCommands, NewBudget } from './ledger-commands.ts'
import type { OutboxCommands } from './outbox-commands.ts'
import type { Page, PageQuery } from './page.ts'
import type {
  AuditRecord,
  CredentialSource,
  DekRecord,
  KeyRecord,
  KeyState,
  PlanRef,
  SecretRecord,
  TenantRecord,
} from './records.ts'
import type { UsageCommands } from './usage-commands.ts'

export type * from './ledger-commands.ts'
export type * from './outbox-commands.ts'
export type * from './page.ts'
export type * from './usage-commands.ts'

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

export interface AuditCommands {
  /** One root's chain from its start; the cursor is the sequence number. `*`: acts of no tenant. */
  list(query: PageQuery & { readonly rootId: string }): Promise<Page<AuditRecord>>
}
