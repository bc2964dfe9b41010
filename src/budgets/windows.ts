/**
 * Budget windows: which period a moment belongs to. Pure; the moment is the store's.
 *
 * @module
 */
import type { Window } from '../storage/ledger-records.ts'

export const WINDOWS: readonly Window[] = ['month', 'lifetime']

export interface Period {
  /** First millisecond of the period; 0 for `lifetime`. */
  readonly startMs: number
  /** First millisecond after it; `null` for `lifetime`. */
  readonly endMs: number | null
}

/** The period of `window` in `zone` (IANA name) that contains `nowMs`. */
export function periodOf(window: Window, zone: string, nowMs: number): Period {
  if (window === 'lifetime') return { startMs: 0, endMs: null }
  const { year, month } = localDate(zone, nowMs)
  return {
    startMs: startOfLocalDay(zone, year, month),
    endMs: startOfLocalDay(zone, year, month + 1),
  }
}

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

function localDate(zone: string, atMs: number): { year: number; month: number } {
  if (zone === 'UTC') {
    const date = new Date(atMs)
    return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1 }
  }
  const { year = 0, month = 0 } = parts(zone, atMs)
  return { year, month }
}

/** The moment at which the first day of that month begins in the zone, DST included: the wall clock
 * is read back until it agrees. Where midnight does not exist, the first moment after it. */
function startOfLocalDay(zone: string, year: number, month: number): number {
  const wanted = Date.UTC(year, month - 1, 1)
  if (zone === 'UTC') return wanted
  let guess = wanted
  for (let i = 0; i < 4; i++) {
    const p = parts(zone, guess)
    const shown = Date.UTC(p.year!, p.month! - 1, p.day!, p.hour!, p.minute!, p.second!)
    if (shown === wanted) break
    guess += wanted - shown
  }
  return guess
}
