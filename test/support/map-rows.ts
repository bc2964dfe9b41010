/**
 * The rows of a ledger in plain Maps, for tests of the rules alone. Counts what is written.
 *
 * @module
 */
import type { LedgerRows } from '../../src/budgets/ledger.ts'
import type { NewEvent } from '../../src/storage/also.ts'
import type {
  Counter,
  Hold,
  HoldLine,
  PeriodHistory,
  UsageRecord,
} from '../../src/storage/ledger-records.ts'

const historyKey = (line: HoldLine | PeriodHistory): string =>
  `${line.accountId} ${line.unit} ${line.window} ${line.periodStartMs}`

export class MapRows implements LedgerRows {
  nowMs: number
  writes = 0
  readonly counters: Counter[] = []
  readonly histories = new Map<string, PeriodHistory>()
  readonly holds = new Map<string, Hold>()
  readonly usage: UsageRecord[] = []
  readonly events: NewEvent[] = []
  readonly paths = new Map<string, readonly string[]>()

  constructor(nowMs: number = Date.UTC(2026, 0, 15, 12)) {
    this.nowMs = nowMs
  }

  tenantPath(tenantId: string): readonly string[] {
    return this.paths.get(tenantId) ?? []
  }

  countersOf(accountId: string): readonly Counter[] {
    return this.counters.filter((c) => c.accountId === accountId)
  }

  putCounter(counter: Counter): void {
    this.writes++
    const { accountId, unit, window } = counter
    const at = this.counters.findIndex(
      (c) => c.accountId === accountId && c.unit === unit && c.window === window,
    )
    if (at < 0) this.counters.push(counter)
    else this.counters[at] = counter
  }

  history(line: HoldLine): PeriodHistory | null {
    return this.histories.get(historyKey(line)) ?? null
  }

  putHistory(row: PeriodHistory): void {
    this.writes++
    this.histories.set(historyKey(row), row)
  }

  hold(id: string): Hold | null {
    return this.holds.get(id) ?? null
  }

  putHold(hold: Hold): void {
    this.writes++
    this.holds.set(hold.id, hold)
  }

  expiredHolds(limit: number): readonly Hold[] {
    return [...this.holds.values()]
      .filter((h) => h.state === 'held' && h.expiresAtMs <= this.nowMs)
      .sort((a, b) => a.expiresAtMs - b.expiresAtMs)
      .slice(0, limit)
  }

  usageRow(tenantId: string, id: string): UsageRecord | null {
    return this.usage.find((row) => row.tenantId === tenantId && row.id === id) ?? null
  }

  addUsage(row: UsageRecord): void {
    this.writes++
    this.usage.push(row)
  }

  addEvent(event: NewEvent): void {
    this.writes++
    this.events.push(event)
  }
}
