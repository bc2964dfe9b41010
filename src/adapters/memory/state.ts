/**
 * What all commands of the memory store share: the tables, the clock, the epoch, and the one way to
 * run a command.
 *
 * @module
 */
import { chainAudit, NO_TENANT } from '../../audit/chain.ts'
import type { WallClock } from '../../kernel/clock.ts'
import { TenantKeysError } from '../../kernel/errors.ts'
import { uuidv7 } from '../../kernel/ids.ts'
import type { Also, NewEvent } from '../../storage/also.ts'
import type { LedgerEntry } from '../../storage/ledger-entries.ts'
import type { Counter, Hold, PeriodHistory, UsageRecord } from '../../storage/ledger-records.ts'
import type {
  AuditRecord,
  DekRecord,
  KeyRecord,
  OutboxRecord,
  SecretRecord,
  TenantRecord,
} from '../../storage/records.ts'
import type { EpochReading, Page, PageQuery } from '../../storage/storage.ts'
import { copy, keyOf, Table, type Undo } from './table.ts'

/** An event with its lease; free when `leasedUntilMs` is not in the future. */
export interface OutboxRow {
  readonly event: OutboxRecord
  readonly leaseId: string | null
  readonly leasedUntilMs: number
  /** `null`: in the queue. */
  readonly aside: { readonly quarantinedAtMs: number; readonly reason: string } | null
}

export class MemoryState {
  readonly #undo: Undo = []
  readonly #clock: WallClock
  #highWaterMs = 0
  #epoch = 1
  #closed = false

  readonly tenants: Table<TenantRecord> = new Table(this.#undo)
  readonly keys: Table<KeyRecord> = new Table(this.#undo)
  readonly secrets: Table<SecretRecord> = new Table(this.#undo)
  readonly deks: Table<DekRecord> = new Table(this.#undo)
  /** Counters by account id: a path is read account by account. */
  readonly counters: Table<readonly Counter[]> = new Table(this.#undo)
  readonly history: Table<PeriodHistory> = new Table(this.#undo)
  readonly holds: Table<Hold> = new Table(this.#undo)
  /** The ids of `holds` in state `held`: what a sweep looks through. */
  readonly live: Table<Hold> = new Table(this.#undo)
  readonly usage: Table<UsageRecord> = new Table(this.#undo)
  /** By tenant and id. */
  readonly entries: Table<LedgerEntry> = new Table(this.#undo)
  readonly outbox: Table<OutboxRow> = new Table(this.#undo)
  readonly pins: Table<string> = new Table(this.#undo)
  /** By root id and sequence. */
  readonly audit: Table<AuditRecord> = new Table(this.#undo)
  /** The newest row of each root's chain. */
  readonly auditHeads: Table<AuditRecord> = new Table(this.#undo)

  constructor(clock: WallClock) {
    this.#clock = clock
  }

  /**
   * Runs one command in one tick, all of it or nothing. What it returns is a copy.
   *
   * @throws TenantKeysError TK_CLOSED, TK_INTERNAL for whatever is not ours.
   */
  async run<T>(command: (nowMs: number) => T): Promise<T> {
    this.open()
    try {
      return copy(command(this.nowMs()))
    } catch (error) {
      this.#takeBack()
      if (TenantKeysError.isInstance(error)) throw error
      throw new TenantKeysError('TK_INTERNAL', {}, { cause: error })
    } finally {
      this.#undo.length = 0
    }
  }

  /** Runs a command for its answer only: whatever it wrote is taken back. */
  look<T>(command: (nowMs: number) => T): Promise<T> {
    return this.run((nowMs) => {
      const answer = command(nowMs)
      this.#takeBack()
      return answer
    })
  }

  #takeBack(): void {
    for (const step of this.#undo.reverse()) step()
  }

  /** @throws TenantKeysError TK_CLOSED */
  open(): void {
    if (this.#closed) throw new TenantKeysError('TK_CLOSED')
  }

  close(): void {
    this.#closed = true
  }

  /** Whole, and never backwards, also when the host's clock is (ST-4). */
  nowMs(): number {
    this.#highWaterMs = Math.max(this.#highWaterMs, Math.floor(this.#clock.nowMs()))
    return this.#highWaterMs
  }

  reading(): EpochReading {
    return { epoch: this.#epoch, nowMs: this.nowMs() }
  }

  /** Undone with the command that raised it. */
  raiseEpoch(): void {
    this.#epoch++
    this.#undo.push(() => {
      this.#epoch--
    })
  }

  /** @throws TenantKeysError TK_TENANT_NOT_FOUND */
  tenant(tenantId: string): TenantRecord {
    const tenant = this.tenants.get(tenantId)
    if (!tenant) throw new TenantKeysError('TK_TENANT_NOT_FOUND', { tenantId })
    return tenant
  }

  /** Writes what belongs to a change, in the same step as the change. */
  write(also: Also, nowMs: number): void {
    for (const draft of also.audit ?? []) {
      const rootId = draft.tenantId === null ? NO_TENANT : this.tenant(draft.tenantId).path[0]!
      const place = { id: uuidv7(nowMs), rootId, nowMs }
      const row = chainAudit(this.auditHeads.get(rootId) ?? null, draft, place)
      this.audit.set(keyOf(rootId, row.sequence), row)
      this.auditHeads.set(rootId, row)
    }
    for (const event of also.events ?? []) this.addEvent(event, nowMs)
  }

  addEvent({ id, kind, tenantId, payload }: NewEvent, nowMs: number): void {
    if (this.outbox.get(id)) return
    const event = { id, kind, tenantId, atMs: nowMs, payload: JSON.stringify(payload), attempts: 0 }
    this.outbox.set(id, { event, leaseId: null, leasedUntilMs: 0, aside: null })
  }
}

/** One page of `rows` in order of `idOf`. */
export function pageOf<T>(
  rows: readonly T[],
  idOf: (row: T) => string,
  { after, limit }: PageQuery,
): Page<T> {
  const rest = rows
    .map((row) => ({ row, id: idOf(row) }))
    .filter(({ id }) => after === null || id > after)
    .sort((a, b) => (a.id < b.id ? -1 : 1))
  const items = rest.slice(0, limit)
  return {
    items: items.map(({ row }) => row),
    next: rest.length > limit ? items.at(-1)!.id : null,
  }
}
