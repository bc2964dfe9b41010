/**
 * Budget windows: which period a moment belongs to. Pure; the moment is the store's.
 *
 * Fixed windows begin and end by the calendar of a named zone. The others have no periods: `lifetime`
 * never resets, `call` looks at each call alone, `concurrent` counts live holds, `rate_second` and
 * `rate_minute` slide (see `rate.ts`).
 *
 * @module
 */
import type { Window } from '../storage/ledger-records.ts'

export interface Period {
  /** First millisecond of the period; 0 for windows without periods. */
  readonly startMs: number
  /** First millisecond after it; `null` for windows without periods. */
  readonly endMs: number | null
}

const NO_PERIOD: Period = { startMs: 0, endMs: null }
const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000

/** The last period found for each window and zone: the next question is nearly always the same. */
const recent = new Map<string, { readonly startMs: number; readonly endMs: number }>()

/** The period of `window` in `zone` (IANA name) that contains `nowMs`. */
export function periodOf(window: Window, zone: string, nowMs: number): Period {
  if (!isFixed(window)) return NO_PERIOD
  const key = `${window} ${zone}`
  const known = recent.get(key)
  if (known && known.startMs <= nowMs && nowMs < known.endMs) return known
  const period = findPeriod(window, zone, nowMs)
  recent.set(key, period)
  return period
}

type FixedWindow = 'minute' | 'hour' | 'day' | 'week' | 'month'

const FIXED: ReadonlySet<Window> = new Set<Window>(['minute', 'hour', 'day', 'week', 'month'])

const isFixed = (window: Window): window is FixedWindow => FIXED.has(window)

function findPeriod(
  window: FixedWindow,
  zone: string,
  nowMs: number,
): { startMs: number; endMs: number } {
  if (window === 'minute') {
    // Wall clocks differ from UTC by whole minutes.
    const startMs = Math.floor(nowMs / MINUTE_MS) * MINUTE_MS
    return { startMs, endMs: startMs + MINUTE_MS }
  }
  const { year, month, day } = localDate(zone, nowMs)
  if (window === 'hour') {
    // Counted from the start of the day: hours of a day whose clocks move by half an hour (Lord Howe)
    // still follow one another without gap or overlap; its last one is short.
    const { startMs: dayMs, endMs } = span(zone, [year, month, day], [year, month, day + 1])
    const startMs = dayMs + Math.floor((nowMs - dayMs) / HOUR_MS) * HOUR_MS
    return { startMs, endMs: Math.min(startMs + HOUR_MS, endMs) }
  }
  if (window === 'month') return span(zone, [year, month, 1], [year, month + 1, 1])
  if (window === 'day') return span(zone, [year, month, day], [year, month, day + 1])
  // ISO 8601: weeks begin on Monday.
  const weekday = (new Date(Date.UTC(year, month - 1, day)).getUTCDay() + 6) % 7
  const monday = day - weekday
  return span(zone, [year, month, monday], [year, month, monday + 7])
}

type Day = readonly [year: number, month: number, day: number]

const span = (zone: string, from: Day, to: Day): { startMs: number; endMs: number } => ({
  startMs: startOfDay(zone, from),
  endMs: startOfDay(zone, to),
})

/** True when the runtime knows the zone. */
export function isZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: zone }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}

const formats = new Map<string, Intl.DateTimeFormat>()

function parts(zone: string, atMs: number): Record<string, number> {
  let format = formats.get(zone)
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      calendar: 'gregory',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
    formats.set(zone, format)
  }
  return Object.fromEntries(format.formatToParts(atMs).map((p) => [p.type, Number(p.value)]))
}

function localDate(zone: string, atMs: number): { year: number; month: number; day: number } {
  if (zone === 'UTC') {
    const date = new Date(atMs)
    return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() }
  }
  const { year = 0, month = 0, day = 0 } = parts(zone, atMs)
  return { year, month, day }
}

/** How far the wall clock of the zone is ahead of UTC at a moment of whole seconds. */
function offsetMs(zone: string, atMs: number): number {
  if (zone === 'UTC') return 0
  const p = parts(zone, atMs)
  return Date.UTC(p.year!, p.month! - 1, p.day!, p.hour!, p.minute!, p.second!) - atMs
}

/** The first moment of a day in the zone. Where its midnight comes twice, the first of the two;
 * where the clocks skip it, the moment they do. No zone changes its offset twice within two days. */
function startOfDay(zone: string, [year, month, day]: Day): number {
  const wanted = Date.UTC(year, month - 1, day)
  if (zone === 'UTC') return wanted
  const before = wanted - offsetMs(zone, wanted - DAY_MS)
  const after = wanted - offsetMs(zone, wanted + DAY_MS)
  const midnights = [before, after].filter((ms) => ms + offsetMs(zone, ms) === wanted)
  return midnights.length > 0 ? Math.min(...midnights) : before
}
