/**
 * Amounts as people write them: one unit and a number. US dollars are decimal strings, credits
 * too, every other unit is a whole number.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import type { Unit } from '../storage/ledger-records.ts'
import { isUnit } from '../storage/vocabulary.ts'
import { formatCredits, parseCredits } from './credits.ts'
import { formatUsd, MAX_AMOUNT, parseUsd } from './money.ts'

/** Exactly one field, named after its unit: `{ usd: '20.00' }`, `{ tokens: 1_000_000 }`,
 * `{ requests: 10_000 }`, `{ calls: 5 }`, `{ bytes: 10_485_760 }`, `{ credits: '12.5' }`, or a unit of the host's own. */
export type Limit = Readonly<Record<Unit, string | number | bigint>>

export interface UnitAmount {
  readonly unit: Unit
  readonly amount: bigint
}

/** @throws TenantKeysError TK_INPUT_INVALID naming the field */
export function parseLimit(limit: unknown, field: string): UnitAmount {
  const entries = typeof limit === 'object' && limit !== null ? Object.entries(limit) : []
  const [entry] = entries
  if (entries.length !== 1 || !entry) {
    throw invalid(field, "expected one field, such as { usd: '20.00' } or { requests: 1000 }")
  }
  const [unit, value] = entry
  if (!isUnit(unit)) throw invalid(field, 'a unit is 1 to 32 of a-z, 0-9 and _')
  if (unit === 'usd') return { unit, amount: parseUsd(value, `${field}.usd`) }
  if (unit === 'credits') return { unit, amount: parseCredits(value, `${field}.credits`) }
  return { unit, amount: parseWhole(value, `${field}.${unit}`) }
}

/** As {@link parseLimit}, with a sign: `{ usd: '-1.25' }`, `{ tokens: -500 }`.
 * @throws TenantKeysError TK_INPUT_INVALID naming the field */
export function parseChange(change: unknown, field: string): UnitAmount {
  const entries = typeof change === 'object' && change !== null ? Object.entries(change) : []
  const sizes = entries.map(([unit, value]) => [unit, sizeOf(value)])
  const isNegative = entries.length === 1 && entries[0]![1] !== sizes[0]![1]
  const { unit, amount } = parseLimit(Object.fromEntries(sizes), field)
  return { unit, amount: isNegative ? -amount : amount }
}

/** Without its minus sign. */
function sizeOf(value: unknown): unknown {
  if (typeof value === 'string') return value.startsWith('-') ? value.slice(1) : value
  if (typeof value === 'bigint' || typeof value === 'number') return value < 0 ? -value : value
  return value
}

function parseWhole(value: unknown, field: string): bigint {
  const whole =
    typeof value === 'bigint'
      ? value
      : typeof value === 'number' && Number.isSafeInteger(value)
        ? BigInt(value)
        : typeof value === 'string' && /^\d{1,19}$/.test(value)
          ? BigInt(value)
          : -1n
  if (whole < 0n || whole > MAX_AMOUNT)
    throw invalid(field, 'expected a whole number of at least 0')
  return whole
}

/** Decimal text in the unit: dollars for `usd`, decimals for `credits`, whole numbers for the others. */
export function formatAmount(unit: Unit, amount: bigint): string {
  if (unit === 'usd') return formatUsd(amount)
  return unit === 'credits' ? formatCredits(amount) : String(amount)
}

const invalid = (field: string, reason: string): TenantKeysError =>
  new TenantKeysError('TK_INPUT_INVALID', { field, reason })
