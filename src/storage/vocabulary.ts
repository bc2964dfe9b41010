/**
 * The words that rows of the ledger are made of: the windows there are, and how a unit may be called.
 *
 * @module
 */
import type { Window } from './ledger-records.ts'

export const WINDOWS: readonly Window[] = [
  'minute',
  'hour',
  'day',
  'week',
  'month',
  'lifetime',
  'call',
  'concurrent',
  'rate_second',
  'rate_minute',
]

/** Units are fields of plain objects, where `constructor` is always there (T-I7). */
const UNIT = /^(?!constructor$)[a-z][a-z0-9_]{0,31}$/

/** True for the name of a unit; not `constructor`, which every object has (T-I7). */
export const isUnit = (name: string): boolean => UNIT.test(name)
