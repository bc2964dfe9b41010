import '../support/same-draws.ts'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isZone, periodOf } from '../../src/budgets/windows.ts'
import type { Window } from '../../src/storage/ledger-records.ts'
import { WINDOWS } from '../../src/storage/vocabulary.ts'

/** Year and month, counted in months, on the wall of a zone. */
function monthAt(zone: string, atMs: number): number {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    year: 'numeric',
    month: 'numeric',
  }).formatToParts(atMs)
  const value = (type: string): number => Number(parts.find((p) => p.type === type)?.value)
  return value('year') * 12 + value('month') - 1
}

const iso = (ms: number | null): string => (ms === null ? 'never' : new Date(ms).toISOString())

describe('months', () => {
  test.each([
    ['31 days', 'UTC', '2026-01-31T23:59:59.999Z', '2026-01-01T00:00:00.000Z', '2026-02-01'],
    [
      'its first moment',
      'UTC',
      '2026-02-01T00:00:00.000Z',
      '2026-02-01T00:00:00.000Z',
      '2026-03-01',
    ],
    ['a leap day', 'UTC', '2028-02-29T12:00:00.000Z', '2028-02-01T00:00:00.000Z', '2028-03-01'],
    ['no leap day', 'UTC', '2100-02-28T23:59:59.999Z', '2100-02-01T00:00:00.000Z', '2100-03-01'],
    ['December', 'UTC', '2026-12-31T23:59:59.999Z', '2026-12-01T00:00:00.000Z', '2027-01-01'],
  ])('T-B17 in UTC %s', (_, zone, at, start, end) => {
    const { startMs, endMs } = periodOf('month', zone, Date.parse(at))
    expect([iso(startMs), iso(endMs)]).toEqual([start, `${end}T00:00:00.000Z`])
  })

  // Offsets are those of the IANA time zone database.
  test.each([
    ['summer time begins in it', 'Europe/Berlin', '2026-03-15', '2026-02-28T23', '2026-03-31T22'],
    ['summer time ends in it', 'Europe/Berlin', '2026-10-15', '2026-09-30T22', '2026-10-31T23'],
    ['south of the equator', 'Australia/Sydney', '2026-04-15', '2026-03-31T13', '2026-04-30T14'],
    ['14 hours ahead', 'Pacific/Kiritimati', '2026-05-15', '2026-04-30T10', '2026-05-31T10'],
    ['11 hours behind', 'Pacific/Pago_Pago', '2026-05-15', '2026-05-01T11', '2026-06-01T11'],
    ['its midnight comes twice', 'America/Havana', '2026-11-15', '2026-11-01T04', '2026-12-01T05'],
    ['its midnight is skipped', 'America/Asuncion', '2017-10-15', '2017-10-01T04', '2017-11-01T03'],
    [
      'the next midnight is skipped',
      'America/Asuncion',
      '2017-09-15',
      '2017-09-01T04',
      '2017-10-01T04',
    ],
    ['a day is skipped in it', 'Pacific/Apia', '2011-12-15', '2011-12-01T10', '2011-12-31T10'],
  ])('T-B17 elsewhere: %s (%s)', (_, zone, day, start, end) => {
    const { startMs, endMs } = periodOf('month', zone, Date.parse(`${day}T00:00:00Z`))
    expect([iso(startMs), iso(endMs)]).toEqual([`${start}:00:00.000Z`, `${end}:00:00.000Z`])
  })

  test('T-B17 quarters of an hour and halves count', () => {
    const nepal = periodOf('month', 'Asia/Kathmandu', Date.UTC(2026, 4, 15))
    expect(iso(nepal.startMs)).toBe('2026-04-30T18:15:00.000Z')
    const chatham = periodOf('month', 'Pacific/Chatham', Date.UTC(2026, 0, 15))
    expect(iso(chatham.startMs)).toBe('2025-12-31T10:15:00.000Z')
  })

  test('T-B17 in every zone a month holds its moments, and the next one begins where it ends', () => {
    const zone = fc.constantFrom(...Intl.supportedValuesOf('timeZone'))
    const at = fc.integer({ min: Date.UTC(2012, 0, 1), max: Date.UTC(2045, 0, 1) })
    fc.assert(
      fc.property(zone, at, (timeZone, nowMs) => {
        const { startMs, endMs } = periodOf('month', timeZone, nowMs)
        const month = monthAt(timeZone, nowMs)
        expect(startMs <= nowMs && nowMs < endMs!).toBe(true)
        expect(monthAt(timeZone, startMs)).toBe(month)
        expect(monthAt(timeZone, startMs - 1)).toBe(month - 1)
        expect(monthAt(timeZone, endMs! - 1)).toBe(month)
        expect(periodOf('month', timeZone, endMs!).startMs).toBe(endMs)
      }),
      { numRuns: process.env.TENANTKEYS_FORCE === '1' ? 20_000 : 1000 },
    )
  })

  test('what was asked before changes no answer', () => {
    const january = periodOf('month', 'Europe/Berlin', Date.UTC(2026, 0, 15))
    periodOf('month', 'Europe/Berlin', Date.UTC(2026, 6, 15))
    periodOf('month', 'America/New_York', Date.UTC(2026, 0, 15))
    expect(periodOf('month', 'Europe/Berlin', Date.UTC(2026, 0, 15))).toEqual(january)
  })
})

describe('minutes, hours, days and weeks', () => {
  /** The wall of a zone at a moment: weekday, hour, minute. */
  const wall = (zone: string, atMs: number): string =>
    new Intl.DateTimeFormat('en-GB', {
      ...{ timeZone: zone, weekday: 'short', hour: '2-digit', minute: '2-digit' },
      hourCycle: 'h23',
    }).format(atMs)

  // Every kind of change: at midnight, before it, by half an hour, twice, none.
  const ZONES = [
    ...['UTC', 'Europe/Berlin', 'America/New_York', 'America/Havana', 'America/Santiago'],
    ...['America/Nuuk', 'Atlantic/Azores', 'Africa/Cairo', 'Africa/Casablanca', 'Asia/Beirut'],
    ...['Asia/Kolkata', 'Asia/Kathmandu', 'Australia/Lord_Howe', 'Pacific/Chatham'],
    ...['Pacific/Kiritimati', 'Pacific/Pago_Pago', 'Antarctica/Troll'],
  ]

  test.each(ZONES)(
    'T-B17 in %s they follow one another all year without gap or overlap',
    (zone) => {
      const endMs = Date.UTC(2027, 0, 1)
      const lengths = {
        hour: [0.5, 1],
        day: [22, 26],
        week: [166, 170],
        month: [670, 746],
      } as const
      for (const [window, [least, most]] of Object.entries(lengths)) {
        let from = periodOf(window as Window, zone, Date.UTC(2025, 11, 31))
        while (from.endMs! < endMs) {
          const next = periodOf(window as Window, zone, from.endMs!)
          expect(next.startMs).toBe(from.endMs)
          const hours = (next.endMs! - next.startMs) / 3_600_000
          expect(hours).toBeGreaterThanOrEqual(least)
          expect(hours).toBeLessThanOrEqual(most)
          from = next
        }
      }
    },
  )

  test.each(ZONES)('T-B17 in %s any moment finds its period, whatever was asked before', (zone) => {
    const at = fc.integer({ min: Date.UTC(2025, 0, 1), max: Date.UTC(2035, 0, 1) })
    const window = fc.constantFrom<Window>('minute', 'hour', 'day', 'week', 'month')
    fc.assert(
      fc.property(window, at, at, (kind, nowMs, otherMs) => {
        const { startMs, endMs } = periodOf(kind, zone, nowMs)
        expect(startMs <= nowMs && nowMs < endMs!).toBe(true)
        for (const ms of [startMs, endMs! - 1]) {
          periodOf(kind, zone, otherMs)
          expect(periodOf(kind, zone, ms)).toEqual({ startMs, endMs })
        }
      }),
      { numRuns: process.env.TENANTKEYS_FORCE === '1' ? 2000 : 60 },
    )
  })

  test('T-B17 days begin at midnight, weeks on Monday, hours on the hour', () => {
    const at = Date.UTC(2026, 6, 15, 10, 17, 31)
    for (const zone of ZONES) {
      expect(wall(zone, periodOf('week', zone, at).startMs)).toMatch(/^Mon,? 00:00$/)
      expect(wall(zone, periodOf('day', zone, at).startMs)).toMatch(/ 00:00$/)
      expect(wall(zone, periodOf('hour', zone, at).startMs)).toMatch(/:00$/)
      expect(periodOf('minute', zone, at).startMs).toBe(Date.UTC(2026, 6, 15, 10, 17))
    }
  })

  test('ISO 8601: the week of 1 January may have begun in December', () => {
    const { startMs, endMs } = periodOf('week', 'UTC', Date.UTC(2027, 0, 1))
    expect([iso(startMs), iso(endMs)]).toEqual([
      '2026-12-28T00:00:00.000Z',
      '2027-01-04T00:00:00.000Z',
    ])
  })

  test('T-B17 where the clocks move by half an hour, one hour of the day is half as long', () => {
    const hours: number[] = []
    let at = periodOf('day', 'Australia/Lord_Howe', Date.UTC(2027, 3, 4)).startMs
    const { endMs } = periodOf('day', 'Australia/Lord_Howe', at)
    while (at < endMs!) {
      const hour = periodOf('hour', 'Australia/Lord_Howe', at)
      hours.push((hour.endMs! - hour.startMs) / 3_600_000)
      at = hour.endMs!
    }
    expect(at).toBe(endMs)
    expect(hours.sort().slice(0, 2)).toEqual([0.5, 1])
    expect(hours).toHaveLength(25)
  })
})

test('windows without periods begin at zero and never end', () => {
  const none = ['lifetime', 'call', 'concurrent', 'rate_second', 'rate_minute']
  const found = WINDOWS.filter((w) => periodOf(w, 'Europe/Berlin', 1).endMs === null)
  expect(found).toEqual(none)
})

test('a lifetime begins at zero and never ends', () => {
  expect(periodOf('lifetime', 'Europe/Berlin', Date.UTC(2026, 0, 15))).toEqual({
    startMs: 0,
    endMs: null,
  })
})

test('zones are those the runtime knows', () => {
  for (const zone of ['UTC', 'Europe/Berlin', 'Asia/Kolkata']) expect(isZone(zone)).toBe(true)
  for (const zone of ['', 'Mars/Olympus', 'Europe/Berlin ', '../etc', 'constructor']) {
    expect(isZone(zone)).toBe(false)
  }
})
