import '../support/same-draws.ts'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { forecastExhaustion } from '../../src/budgets/alerts.ts'
import { NO_BUCKETS } from '../../src/budgets/rate.ts'
import type { Counter, Window } from '../../src/storage/ledger-records.ts'

const DAY_MS = 86_400_000
const startMs = Date.UTC(2026, 1, 1)

const counter = (over: Partial<Counter>): Counter => ({
  ...{ accountId: 'tenant:acme', depth: 0, tenantId: 'acme', unit: 'usd', window: 'month' },
  ...{ zone: 'UTC', limit: 100n, periodStartMs: startMs, posted: 0n, held: 0n, heldUntilMs: 0 },
  ...{ buckets: NO_BUCKETS, counts: 'all', overflow: null, alerts: [], alertedPercent: 0 },
  ...{ source: 'explicit', createdAtMs: 0 },
  ...over,
})

describe('forecast of exhaustion (S0.11)', () => {
  test.each([
    ['half in 7 days: 7 more', { posted: 50n }, 7, 14],
    ['a third in 9 days: 18 more', { posted: 33n, limit: 99n }, 9, 27],
    ['a rate that the month outlives: never', { posted: 10n }, 7, null],
    ['to the very end of the month: never', { posted: 50n }, 14, null],
    ['nothing spent: never', { posted: 0n }, 7, null],
    ['spent: now', { posted: 100n }, 7, 7],
    ['overspent: now', { posted: 130n }, 7, 7],
    [
      'a budget of the third day is not two days older',
      { posted: 50n, createdAtMs: startMs + 2 * DAY_MS },
      7,
      12,
    ],
    ['a clock that has not moved tells nothing', { posted: 50n }, 0, null],
  ])('%s', (_, over, days, expected) => {
    const atMs = forecastExhaustion(counter(over), startMs + days * DAY_MS)
    expect(atMs).toBe(expected === null ? null : startMs + expected * DAY_MS)
  })

  test('a lifetime has no end, and began when its budget was made', () => {
    const prepaid = counter({
      ...{ window: 'lifetime', periodStartMs: 0, posted: 10n },
      createdAtMs: startMs,
    })
    expect(forecastExhaustion(prepaid, startMs + DAY_MS)).toBe(startMs + 10 * DAY_MS)
  })

  test('a time that no clock can show is none', () => {
    const prepaid = counter({
      window: 'lifetime',
      periodStartMs: 0,
      posted: 1n,
      limit: 9n * 10n ** 18n,
    })
    expect(forecastExhaustion(prepaid, startMs)).toBeNull()
  })

  test('it is never in the past, and never beyond the period', () => {
    const windows = fc.constantFrom<Window>('minute', 'hour', 'day', 'week', 'month', 'lifetime')
    const sums = fc.bigInt({ min: 0n, max: 10n ** 12n })
    fc.assert(
      fc.property(windows, sums, sums, fc.nat({ max: DAY_MS }), (window, posted, limit, passed) => {
        const periodStartMs = window === 'lifetime' ? 0 : Date.UTC(2026, 1, 2)
        const nowMs = Date.UTC(2026, 1, 2) + passed
        const atMs = forecastExhaustion(counter({ window, posted, limit, periodStartMs }), nowMs)
        if (atMs !== null) expect(atMs).toBeGreaterThanOrEqual(nowMs)
        if (atMs !== null && window === 'month') expect(atMs).toBeLessThan(Date.UTC(2026, 2, 1))
      }),
    )
  })
})
