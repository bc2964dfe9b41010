/**
 * The rows that the rules of `budgets/ledger.ts` work on, inside one transaction: read once, changed
 * in memory, written at the end. A batch that charges one counter sixty times reads and writes it
 * once.
 *
 * @module
 */

import { NO_BUCKETS } from '../../budgets/rate.ts'
import type { RepriceRows } from '../../budgets/reprice.ts'
import type { NewEvent } from '../../storage/also.ts'
import type { LedgerEntry } from '../../storage/ledger-entries.ts'
import type {
  AccountRef,
  CallIds,
  Counter,
  Hold,
  HoldLine,
  Overflow,
  PeriodHistory,
  RateBuckets,
  UsageRecord,
} from '../../storage/ledger-records.ts'
import { amountsText, isLines, listOf, textFields } from '../../storage/stored-json.ts'
import { WINDOWS } from '../../storage/vocabulary.ts'
import { addEvent } from './also.ts'
import type { SqliteClient, SqliteRow } from './client.ts'
import { SqliteRowReader } from './decode.ts'
import { addEntry, findEntry } from './entry-rows.ts'
import { findPath, historyOf } from './rows.ts'
import { addUsage, findUsage, repriceRow } from './usage-rows.ts'

/** What is known of a row in this transaction. */
interface Cached<T> {
  row: T
  /** As it was read; missing when it has to be inserted. */
  readonly read?: T
  /** False when it has to be inserted. */
  stored: boolean
  changed: boolean
}

const counterKey = (c: Pick<Counter, 'accountId' | 'unit' | 'window'>): string =>
  `${c.unit}\0${c.window}\0${c.accountId}`
const historyKey = (line: HoldLine): string => `${line.periodStartMs}\0${counterKey(line)}`

export class SqliteLedgerRows implements RepriceRows {
  readonly nowMs: number
  readonly #client: SqliteClient
  readonly #paths = new Map<string, readonly string[]>()
  readonly #counters = new Map<string, Map<string, Cached<Counter>>>()
  readonly #history = new Map<string, Cached<PeriodHistory> | null>()
  readonly #holds = new Map<string, Cached<Hold> | null>()
  readonly #usage: UsageRecord[] = []
  readonly #repriced: UsageRecord[] = []
  readonly #events: NewEvent[] = []
  readonly #entries: LedgerEntry[] = []

  constructor(client: SqliteClient, nowMs: number) {
    this.#client = client
    this.nowMs = nowMs
  }

  tenantPath(tenantId: string): readonly string[] {
    let path = this.#paths.get(tenantId)
    if (!path) {
      path = findPath(this.#client, tenantId) ?? []
      this.#paths.set(tenantId, path)
    }
    return path
  }

  countersOf(accountId: string): readonly Counter[] {
    return [...this.#account(accountId).values()].map((cached) => cached.row)
  }

  putCounter(counter: Counter): void {
    put(this.#account(counter.accountId), counterKey(counter), counter)
  }

  history(line: HoldLine): PeriodHistory | null {
    const key = historyKey(line)
    let cached = this.#history.get(key)
    if (cached === undefined) {
      const { accountId, unit, window, periodStartMs } = line
      const row = this.#client.get(GET_HISTORY, accountId, unit, window, periodStartMs)
      cached = row && { row: historyOf(row), stored: true, changed: false }
      this.#history.set(key, cached)
    }
    return cached?.row ?? null
  }

  putHistory(row: PeriodHistory): void {
    put(this.#history, historyKey(row), row)
  }

  hold(id: string): Hold | null {
    let cached = this.#holds.get(id)
    if (cached === undefined) {
      const row = this.#client.get(GET_HOLD, id)
      cached = row && { row: holdOf(row), stored: true, changed: false }
      this.#holds.set(id, cached)
    }
    return cached?.row ?? null
  }

  putHold(hold: Hold): void {
    put(this.#holds, hold.id, hold)
  }

  expiredHolds(limit: number): readonly Hold[] {
    // The file does not know yet which of them an earlier item of this batch has expired. A hold
    // made or extended by this batch is never among them: its time is still to come.
    return this.#client
      .all(DUE_HOLDS, this.nowMs, limit + this.#holds.size)
      .map((row) => this.hold(new SqliteRowReader('tk_holds', row).text('id'))!)
      .filter((hold) => hold.state === 'held')
      .slice(0, limit)
  }

  usageRow(tenantId: string, id: string): UsageRecord | null {
    return findUsage(this.#client, tenantId, id)
  }

  addUsage(row: UsageRecord): void {
    this.#usage.push(row)
  }

  setUsage(row: UsageRecord): void {
    this.#repriced.push(row)
  }

  addEvent(event: NewEvent): void {
    this.#events.push(event)
  }

  entry(tenantId: string, id: string): LedgerEntry | null {
    return findEntry(this.#client, tenantId, id)
  }

  addEntry(entry: LedgerEntry): void {
    this.#entries.push(entry)
  }

  /** Writes what has changed. A decision that is only a preview ends without it. */
  flush(): void {
    const client = this.#client
    for (const account of this.#counters.values()) {
      for (const cached of account.values()) if (cached.changed) writeCounter(client, cached)
    }
    for (const cached of this.#history.values())
      if (cached?.changed) writeHistory(client, cached.row)
    for (const cached of this.#holds.values()) if (cached?.changed) writeHold(client, cached)
    for (const row of this.#usage) addUsage(client, row)
    for (const row of this.#repriced) repriceRow(client, row)
    for (const event of this.#events) addEvent(client, event, this.nowMs)
    for (const entry of this.#entries) addEntry(client, entry)
  }

  #account(accountId: string): Map<string, Cached<Counter>> {
    let account = this.#counters.get(accountId)
    if (!account) {
      const rows = this.#client.all(COUNTERS, accountId).map(counterOf)
      account = new Map(
        rows.map((row) => [counterKey(row), { row, read: row, stored: true, changed: false }]),
      )
      this.#counters.set(accountId, account)
    }
    return account
  }
}

function put<T>(cache: Map<string, Cached<T> | null>, key: string, row: T): void {
  const cached = cache.get(key)
  if (cached) {
    cached.row = row
    cached.changed = true
  } else cache.set(key, { row, stored: false, changed: true })
}

const COUNTERS = 'SELECT * FROM tk_counters WHERE account_id = ?'
const ADD_COUNTER = `INSERT INTO tk_counters
  (depth, zone, limit_amount, period_start_ms, posted, held, held_until_ms, buckets, counts,
   overflow, alerts, alerted_percent, source, tenant_id, created_at_ms, account_id, unit, period)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
const SET_COUNTER = `UPDATE tk_counters
  SET depth = ?, zone = ?, limit_amount = ?, period_start_ms = ?, posted = ?, held = ?,
    held_until_ms = ?, buckets = ?, counts = ?, overflow = ?, alerts = ?, alerted_percent = ?,
    source = ?, tenant_id = ?, created_at_ms = ?
  WHERE account_id = ? AND unit = ? AND period = ?`

export function counterOf(columns: SqliteRow): Counter {
  const row = new SqliteRowReader('tk_counters', columns)
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
    buckets: bucketsOf(row),
    counts: row.oneOf('counts', ['all', 'platform']),
    overflow: row.isNull('overflow') ? null : row.json('overflow', isAccount),
    alerts: row.json('alerts', isPercents),
    alertedPercent: row.int('alerted_percent'),
    source: row.text('source'),
    createdAtMs: row.int('created_at_ms'),
  }
}

const isAccounts = listOf<AccountRef>({ id: 'text', depth: 'int' })

const isAccount = (value: unknown): value is AccountRef => isAccounts([value])

const isPercents = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.every((percent) => Number.isSafeInteger(percent))

/** Written as `<index of the newest>;<count>,<count>...`; empty for windows that do not slide. */
function bucketsOf(row: SqliteRowReader): RateBuckets {
  const text = row.text('buckets')
  if (text === '') return NO_BUCKETS
  const [newest = '', counts = ''] = text.split(';')
  return { newest: Number(newest), counts: counts.split(',').map(BigInt) }
}

/** What calls change; of the rest, writing `tenant_id` alone asks another table and an index. */
const SET_SUMS = `UPDATE tk_counters SET posted = ?, held = ?, held_until_ms = ?
  WHERE account_id = ? AND unit = ? AND period = ?`
const SUMS: ReadonlySet<string> = new Set(['posted', 'held', 'heldUntilMs'])

const changesSumsOnly = (row: Counter, read: Counter): boolean =>
  (Object.keys(row) as (keyof Counter)[]).every((key) => row[key] === read[key] || SUMS.has(key))

function writeCounter(client: SqliteClient, { row, read, stored }: Cached<Counter>): void {
  if (read && changesSumsOnly(row, read)) {
    const { posted, held, heldUntilMs, accountId, unit, window } = row
    client.run(SET_SUMS, posted, held, heldUntilMs, accountId, unit, window)
    return
  }
  client.run(
    stored ? SET_COUNTER : ADD_COUNTER,
    row.depth,
    row.zone,
    row.limit,
    row.periodStartMs,
    row.posted,
    row.held,
    row.heldUntilMs,
    row.buckets.counts.length === 0 ? '' : `${row.buckets.newest};${row.buckets.counts.join(',')}`,
    row.counts,
    row.overflow === null ? null : JSON.stringify(row.overflow),
    JSON.stringify(row.alerts),
    row.alertedPercent,
    row.source,
    row.tenantId,
    row.createdAtMs,
    row.accountId,
    row.unit,
    row.window,
  )
}

const GET_HISTORY = `SELECT * FROM tk_counter_history
  WHERE account_id = ? AND unit = ? AND period = ? AND period_start_ms = ?`
const PUT_HISTORY = `INSERT OR REPLACE INTO tk_counter_history
  (account_id, unit, period, period_start_ms, posted, held) VALUES (?, ?, ?, ?, ?, ?)`

function writeHistory(client: SqliteClient, row: PeriodHistory): void {
  const { accountId, unit, window, periodStartMs, posted, held } = row
  client.run(PUT_HISTORY, accountId, unit, window, periodStartMs, posted, held)
}

const GET_HOLD = 'SELECT * FROM tk_holds WHERE id = ?'
const DUE_HOLDS = `SELECT id FROM tk_holds
  WHERE state = 'held' AND expires_at_ms <= ? ORDER BY expires_at_ms, id LIMIT ?`
const ADD_HOLD = `INSERT INTO tk_holds
  (id, tenant_id, accounts, lines, overflows, paid_by, asked, created_at_ms, call,
   state, held, actual, extend_sequence, expires_at_ms)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
const SET_HOLD = `UPDATE tk_holds
  SET state = ?, held = ?, actual = ?, extend_sequence = ?, expires_at_ms = ? WHERE id = ?`

const isOverflows = (value: unknown): value is readonly Overflow[] =>
  Array.isArray(value) &&
  value.every((o: Partial<Overflow> | null) => typeof o?.to === 'string' && isLines([o.from]))

const CALL_FIELDS: (keyof CallIds)[] = ['callId', 'keyId', 'scope', 'provider', 'model', 'priceId']
const isCall = textFields<CallIds>(CALL_FIELDS, ['callId', 'provider', 'model'])

export function holdOf(columns: SqliteRow): Hold {
  const row = new SqliteRowReader('tk_holds', columns)
  return {
    id: row.text('id'),
    tenantId: row.text('tenant_id'),
    state: row.oneOf('state', ['held', 'posted', 'voided', 'expired', 'late_posted']),
    accounts: row.json('accounts', isAccounts),
    lines: row.json('lines', isLines),
    amounts: row.amounts('held'),
    asked: row.amounts('asked'),
    actual: row.amounts('actual'),
    overflows: row.json('overflows', isOverflows),
    paidBy: row.oneOf('paid_by', ['tenant', 'platform']),
    extendSequence: row.int('extend_sequence'),
    createdAtMs: row.int('created_at_ms'),
    expiresAtMs: row.int('expires_at_ms'),
    call: row.json('call', isCall),
  }
}

/** Named one by one: a list of names as the replacer costs each text a microsecond. */
function callText({ callId, keyId, scope, provider, model, priceId }: CallIds): string {
  return JSON.stringify({ callId, keyId, scope, provider, model, priceId })
}

function writeHold(client: SqliteClient, { row, stored }: Cached<Hold>): void {
  const changing = [
    row.state,
    amountsText(row.amounts),
    amountsText(row.actual),
    row.extendSequence,
    row.expiresAtMs,
  ] as const
  if (stored) {
    client.run(SET_HOLD, ...changing, row.id)
    return
  }
  client.run(
    ADD_HOLD,
    row.id,
    row.tenantId,
    JSON.stringify(row.accounts),
    JSON.stringify(row.lines),
    JSON.stringify(row.overflows),
    row.paidBy,
    amountsText(row.asked),
    row.createdAtMs,
    callText(row.call),
    ...changing,
  )
}
