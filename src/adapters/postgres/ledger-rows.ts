/**
 * The rows that the rules of `budgets/` work on in administrative commands: locked and read first,
 * changed in memory, written at the end, inside one transaction. The hot commands are functions of
 * the database and come by another way.
 *
 * @module
 */

import { NO_BUCKETS } from '../../budgets/rate.ts'
import type { RepriceRows } from '../../budgets/reprice.ts'
import { TenantKeysError } from '../../kernel/errors.ts'
import type { NewEvent } from '../../storage/also.ts'
import type { LedgerEntry } from '../../storage/ledger-entries.ts'
import type {
  Counter,
  Hold,
  HoldLine,
  PeriodHistory,
  UsageRecord,
} from '../../storage/ledger-records.ts'
import { isTextList } from '../../storage/stored-json.ts'
import { WINDOWS } from '../../storage/vocabulary.ts'
import { addEvents } from './also.ts'
import { numbersText, textsText } from './array-text.ts'
import type { Tx } from './connection.ts'
import { PgRowReader } from './decode.ts'
import { addEntry } from './entry-rows.ts'
import type { PgParam, PgRow } from './executor.ts'
import { writeHold } from './hold-rows.ts'
import { COUNTER_COLUMNS, HISTORY_COLUMNS } from './ledger-sql/parts.ts'
import type { Names } from './names.ts'
import { historyOf } from './rows.ts'
import { addUsage, repriceRow } from './usage-rows.ts'

/** What has to be read before the rules run. */
export interface Needed {
  /** Of the accounts of these tenants. */
  readonly tenantIds: readonly string[]
  readonly accountIds: readonly string[]
  readonly history?: readonly PeriodHistory[]
  readonly holds?: readonly Hold[]
  readonly usage?: readonly UsageRecord[]
  readonly entries?: readonly LedgerEntry[]
}

const counterKey = (c: Pick<Counter, 'accountId' | 'unit' | 'window'>): string =>
  `${c.accountId}\0${c.unit}\0${c.window}`
const historyKey = (line: HoldLine): string => `${counterKey(line)}\0${line.periodStartMs}`

const LOCK = 'ORDER BY r.depth DESC, r.account_id, r.unit, r.period FOR UPDATE'

/** Locks the counters of these accounts, rolls them, and reads them. */
export async function lockAccounts(tx: Tx, names: Names, needed: Needed): Promise<PgLedgerRows> {
  const { tenantIds, accountIds } = needed
  const accounts = { tenants: textsText(tenantIds), accounts: textsText(accountIds) }
  const nowMs = Number(await tx.call('tk_lock_accounts_v1', accounts))
  // One that was made since is not locked yet.
  return new PgLedgerRows(nowMs, await readCounters(tx, names, accountIds, LOCK), needed)
}

export async function readCounters(
  tx: Pick<Tx, 'query'>,
  names: Names,
  accountIds: readonly string[],
  lock: '' | typeof LOCK = '',
): Promise<Counter[]> {
  const rows = await tx.query(
    `SELECT ${COUNTER_COLUMNS} FROM ${names.table('tk_counters')} r
     WHERE r.account_id = ANY ($1::text[]) ${lock}`,
    [textsText(accountIds)],
  )
  return rows.map(counterOf)
}

export class PgLedgerRows implements RepriceRows {
  readonly nowMs: number
  readonly #counters = new Map<string, Counter>()
  /** As they were read. */
  readonly #stored: ReadonlyMap<string, Counter>
  readonly #history: Map<string, PeriodHistory>
  readonly #holds: Map<string, Hold>
  readonly #usage: ReadonlyMap<string, UsageRecord>
  readonly #entries: ReadonlyMap<string, LedgerEntry>
  readonly #changed = new Set<string>()
  readonly #changedHistory = new Set<string>()
  readonly #changedHolds = new Set<string>()
  readonly #knownHolds: ReadonlySet<string>
  readonly #newUsage: UsageRecord[] = []
  readonly #repriced: UsageRecord[] = []
  readonly #newEntries: LedgerEntry[] = []
  readonly #events: NewEvent[] = []

  constructor(nowMs: number, counters: readonly Counter[], needed: Partial<Needed>) {
    const { history = [], holds = [], usage = [], entries = [] } = needed
    this.nowMs = nowMs
    for (const counter of counters) this.#counters.set(counterKey(counter), counter)
    this.#stored = new Map(this.#counters)
    this.#history = new Map(history.map((row) => [historyKey(row), row]))
    this.#holds = new Map(holds.map((hold) => [hold.id, hold]))
    this.#knownHolds = new Set(this.#holds.keys())
    this.#usage = new Map(usage.map((row) => [row.id, row]))
    this.#entries = new Map(entries.map((entry) => [entry.id, entry]))
  }

  /** Only paths and pools ask for it, which are decided in the database. */
  tenantPath(): readonly string[] {
    return []
  }

  countersOf(accountId: string): readonly Counter[] {
    return [...this.#counters.values()].filter((counter) => counter.accountId === accountId)
  }

  putCounter(counter: Counter): void {
    this.#counters.set(counterKey(counter), counter)
    this.#changed.add(counterKey(counter))
  }

  history(line: HoldLine): PeriodHistory | null {
    return this.#history.get(historyKey(line)) ?? null
  }

  putHistory(row: PeriodHistory): void {
    this.#history.set(historyKey(row), row)
    this.#changedHistory.add(historyKey(row))
  }

  hold(id: string): Hold | null {
    return this.#holds.get(id) ?? null
  }

  putHold(hold: Hold): void {
    this.#holds.set(hold.id, hold)
    this.#changedHolds.add(hold.id)
  }

  /** Sweeps are functions of the database. */
  expiredHolds(): readonly Hold[] {
    return []
  }

  usageRow(_tenantId: string, id: string): UsageRecord | null {
    return this.#usage.get(id) ?? null
  }

  addUsage(row: UsageRecord): void {
    this.#newUsage.push(row)
  }

  setUsage(row: UsageRecord): void {
    this.#repriced.push(row)
  }

  addEvent(event: NewEvent): void {
    this.#events.push(event)
  }

  entry(_tenantId: string, id: string): LedgerEntry | null {
    return this.#entries.get(id) ?? null
  }

  addEntry(entry: LedgerEntry): void {
    this.#newEntries.push(entry)
  }

  /**
   * Writes what has changed.
   *
   * @returns counters as they now are: where a new one's period begins is what the database says.
   */
  async flush(tx: Tx, names: Names): Promise<ReadonlyMap<string, Counter>> {
    const written = new Map<string, Counter>()
    for (const key of this.#changed) {
      const counter = this.#counters.get(key)!
      const before = this.#stored.get(key)
      const { periodStartMs } = before ?? { periodStartMs: await insertCounter(tx, names, counter) }
      if (before) await setCounter(tx, names, before, counter)
      written.set(key, { ...counter, periodStartMs })
    }
    for (const key of this.#changedHistory) {
      await setHistory(tx, names, this.#history.get(key)!)
    }
    for (const id of this.#changedHolds) {
      await writeHold(tx, names, this.#holds.get(id)!, this.#knownHolds.has(id))
    }
    for (const row of this.#newUsage) await addUsage(tx, names, row)
    for (const row of this.#repriced) await repriceRow(tx, names, row)
    for (const entry of this.#newEntries) await addEntry(tx, names, entry)
    await addEvents({ ...tx, nowMs: this.nowMs }, this.#events)
    return written
  }

  /** The counter that {@link flush} wrote. */
  static written(counters: ReadonlyMap<string, Counter>, counter: Counter): Counter {
    return counters.get(counterKey(counter)) ?? counter
  }
}

export function counterOf(columns: PgRow): Counter {
  const row = new PgRowReader('tk_counters', columns)
  const [newest = '0', ...counts] = row.json('buckets', isTextList)
  return {
    accountId: row.text('account_id'),
    depth: row.int('depth'),
    tenantId: row.text('tenant_id'),
    unit: row.unit('unit'),
    window: row.oneOf('period', WINDOWS),
    zone: row.text('zone'),
    limit: row.money('limit_amount'),
    periodStartMs: row.int('period_start_ms'),
    posted: row.money('posted'),
    held: row.money('held'),
    heldUntilMs: row.int('held_until_ms'),
    buckets:
      counts.length === 0 ? NO_BUCKETS : { newest: Number(newest), counts: counts.map(BigInt) },
    counts: row.oneOf('counts', ['all', 'platform']),
    overflow: row.isNull('overflow_account')
      ? null
      : { id: row.text('overflow_account'), depth: row.int('overflow_depth') },
    alerts: row.json('alerts', isPercents),
    alertedPercent: row.int('alerted_percent'),
    source: row.text('source'),
    createdAtMs: row.int('created_at_ms'),
  }
}

const isPercents = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.every((percent) => Number.isSafeInteger(percent))

function valuesOf(counter: Counter): PgParam[] {
  const { newest, counts } = counter.buckets
  return [
    counter.accountId,
    counter.unit,
    counter.window,
    String(counter.depth),
    String(counter.limit),
    String(counter.posted),
    String(counter.held),
    String(counter.heldUntilMs),
    counts.length === 0 ? '{}' : numbersText([newest, ...counts]),
    counter.counts,
    counter.overflow?.id ?? null,
    counter.overflow === null ? null : String(counter.overflow.depth),
    numbersText(counter.alerts),
    String(counter.alertedPercent),
    counter.source,
  ]
}

async function setCounter(tx: Tx, names: Names, before: Counter, counter: Counter): Promise<void> {
  // The database has rolled it. Rules that roll it again know other rules of its zone, and would let
  // go of what it has counted.
  if (counter.periodStartMs !== before.periodStartMs) {
    const reason = 'database and runtime do not agree on when a period of this zone begins'
    throw new TenantKeysError('TK_STORE_CONFLICT', { tenantId: counter.tenantId, reason })
  }
  await tx.query(
    `UPDATE ${names.table('tk_counters')} SET depth = $4::integer, limit_amount = $5::bigint,
       posted = $6::bigint, held = $7::bigint, held_until_ms = $8::bigint, buckets = $9::bigint[],
       counts = $10, overflow_account = $11, overflow_depth = $12::integer,
       alerts = $13::integer[], alerted_percent = $14::integer, source = $15
     WHERE account_id = $1 AND unit = $2 AND period = $3`,
    valuesOf(counter),
  )
}

/** @returns where its period begins. */
async function insertCounter(tx: Tx, names: Names, counter: Counter): Promise<number> {
  try {
    const [row] = await tx.query(
      `INSERT INTO ${names.table('tk_counters')} (account_id, unit, period, depth, limit_amount,
         posted, held, held_until_ms, buckets, counts, overflow_account, overflow_depth, alerts,
         alerted_percent, source, tenant_id, zone, created_at_ms, period_start_ms, period_end_ms)
       SELECT $1, $2, $3, $4::integer, $5::bigint, $6::bigint, $7::bigint, $8::bigint,
         $9::bigint[], $10, $11, $12::integer, $13::integer[], $14::integer, $15, $16, $17,
         $18::bigint, p.start_ms, p.end_ms
       FROM ${names.fn('tk_period_v1')}($3::text, $17::text, $18::bigint) p
       ON CONFLICT DO NOTHING RETURNING period_start_ms::text`,
      [...valuesOf(counter), counter.tenantId, counter.zone, String(counter.createdAtMs)],
    )
    // Another caller has made it since the account was locked, when there was nothing to lock.
    if (row === undefined) throw new Again()
    return new PgRowReader('tk_counters', row).int('period_start_ms')
  } catch (error) {
    if ((error as { code?: unknown }).code !== '22023') throw error
    const reason = 'the database does not know this zone'
    throw new TenantKeysError('TK_INPUT_INVALID', { field: 'zone', reason }, { cause: error })
  }
}

/** What was read has changed before it was locked: the command runs once more. */
class Again extends Error {
  /** The SQLSTATE of our own functions when they say so. */
  readonly code = 'TKTRY'
}

async function setHistory(tx: Tx, names: Names, row: PeriodHistory): Promise<void> {
  const { accountId, unit, window, periodStartMs, posted, held } = row
  await tx.query(
    `UPDATE ${names.table('tk_counter_history')} SET posted = $5::bigint, held = $6::bigint
     WHERE account_id = $1 AND unit = $2 AND period = $3 AND period_start_ms = $4::bigint`,
    [accountId, unit, window, String(periodStartMs), String(posted), String(held)],
  )
}

/** Of a counter, newest first. */
export async function readHistory(
  tx: Pick<Tx, 'query'>,
  names: Names,
  of: Pick<HoldLine, 'accountId' | 'unit' | 'window'>,
  { limit, startMs }: { readonly limit: number; readonly startMs?: number },
): Promise<PeriodHistory[]> {
  const rows = await tx.query(
    `SELECT ${HISTORY_COLUMNS} FROM ${names.table('tk_counter_history')} r
     WHERE r.account_id = $1 AND r.unit = $2 AND r.period = $3
       AND ($4::bigint IS NULL OR r.period_start_ms = $4::bigint)
     ORDER BY r.period_start_ms DESC LIMIT $5::bigint`,
    [
      of.accountId,
      of.unit,
      of.window,
      startMs === undefined ? null : String(startMs),
      String(limit),
    ],
  )
  return rows.map(historyOf)
}
