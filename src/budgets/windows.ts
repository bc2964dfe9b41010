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

/** The period last asked for in each zone: nearly every question is about the running month, and
 * asking Intl takes several times as long as a decision of the ledger. */
const recent = new Map<string, { startMs: number; endMs: number }>()

/** The period of `window` in `zone` (IANA name) that contains `nowMs`. */
export function periodOf(window: Window, zone: string, nowMs: number): Period {
  if (window === 'lifetime') return { startMs: 0, endMs: null }
  const known = recent.get(zone)
  if (known && known.startMs <= nowMs && nowMs < known.endMs) return known
  const { year, month } = localDate(zone, nowMs)
  const period = {
    startMs: startOfMonth(zone, year, month),
    endMs: startOfMonth(zone, year, month + 1),
  }
  recent.set(zone, period)
  return period
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

const DAY_MS = 86_400_000

/** How far the wall clock of the zone is ahead of UTC at a moment of whole seconds. */
function offsetMs(zone: string, atMs: number): number {
  const p = parts(zone, atMs)
  return Date.UTC(p.year!, p.month! - 1, p.day!, p.hour!, p.minute!, p.second!) - atMs
}

/** The first moment of a month in the zone. Where its midnight comes twice, the first of the two;
 * where the clocks skip it, the moment they do. No zone changes its offset twice within two days. */
function startOfMonth(zone: string, year: number, month: number): number {
  const wanted = Date.UTC(year, month - 1, 1)
  if (zone === 'UTC') return wanted
  const before = wanted - offsetMs(zone, wanted - DAY_MS)
  const after = wanted - offsetMs(zone, wanted + DAY_MS)
  const midnights = [before, after].filter((ms) => ms + offsetMs(zone, ms) === wanted)
  return midnights.length > 0 ? Math.min(...midnights) : before
}
