import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isZone, periodOf, WINDOWS } from '../../src/budgets/windows.ts'

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

test('a lifetime begins at zero and never ends', () => {
  expect(periodOf('lifetime', 'Europe/Berlin', Date.UTC(2026, 0, 15))).toEqual({
    startMs: 0,
    endMs: null,
  })
  expect(WINDOWS).toEqual(['month', 'lifetime'])
})

test('zones are those the runtime knows', () => {
  for (const zone of ['UTC', 'Europe/Berlin', 'Asia/Kolkata']) expect(isZone(zone)).toBe(true)
  for (const zone of ['', 'Mars/Olympus', 'Europe/Berlin ', '../etc', 'constructor']) {
    expect(isZone(zone)).toBe(false)
  }
})
