/**
 * Batches of settles, extensions and voids as columns, and their answers as results. Items name their
 * holds by number: a hold that comes twice is looked at once and changed by one item after the other.
 *
 * @module
 */
import { isExtend, isSettle, isVoid } from '../../budgets/item-checks.ts'
import type {
  Amounts,
  ExtendItem,
  ExtendResult,
  LineState,
  SettleItem,
  SettleResult,
  VoidItem,
  VoidResult,
  Window,
} from '../../storage/ledger-records.ts'
import { amountsText } from '../../storage/stored-json.ts'
import { elementsOf, numbersText, textsText } from './array-text.ts'
import type { Connection } from './connection.ts'
import {
  type CounterColumns,
  type DenialColumns,
  denialOf,
  isAgain,
  linesIn,
  REFUSALS,
  stateOf,
  unreadable,
} from './ledger-answers.ts'
import { checked, Distinct, UnitColumns } from './ledger-columns.ts'
import { VOID_CODES } from './ledger-sql/expire.ts'
import { EXTEND_CODES } from './ledger-sql/extend.ts'
import { SETTLE_CODES } from './ledger-sql/settle.ts'
import { mapError } from './map-error.ts'
import { draftText, usageColumns } from './usage-rows.ts'

const NOT_FOUND = { ok: false, code: 'TK_BUDGET_HOLD_NOT_FOUND' } as const
const MISMATCH = { ok: false, code: 'TK_BUDGET_HOLD_MISMATCH' } as const
const INVALID = { ok: false, code: 'TK_INPUT_INVALID', denial: null } as const

/** An id under another tenant is another hold, which is not there. */
function holdColumns(items: readonly VoidItem[]): Record<string, string> {
  const keys = new Distinct()
  const ids: string[] = []
  const tenants: string[] = []
  const holds = items.map(({ holdId, tenantId }) => {
    const at = keys.indexOf(`${holdId}\0${tenantId}`)
    if (at > ids.length) {
      ids.push(holdId)
      tenants.push(tenantId)
    }
    return at
  })
  return { ids: textsText(ids), tenants: textsText(tenants), holds: numbersText(holds) }
}

export const settleBatch = (
  connection: Connection,
  items: readonly SettleItem[],
): Promise<readonly SettleResult[]> =>
  checked<SettleItem, SettleResult>(items, isSettle, INVALID, async (good) => {
    const answer = await connection.call('tk_settle_v1', settleColumns(good))
    return settledOf(answer as SettleAnswer, good)
  })

function settleColumns(items: readonly SettleItem[]): Record<string, unknown> {
  const units = new UnitColumns(items.map((item) => item.actual))
  try {
    return {
      ...holdColumns(items),
      amounts: units.matrix,
      units: textsText(units.names),
      actual: textsText(items.map((item) => amountsText(item.actual))),
      payloads: textsText(items.map(draftText)),
      usage: usageColumns(items.map((item) => item.usage)),
    }
  } catch (error) {
    // A draft that is no JSON; the text of the error quotes it.
    throw mapError(error, 'read')
  }
}

interface SettleAnswer extends CounterColumns {
  readonly codes: readonly number[]
  /** Of the lines of each item: `lines[from - 1]` to `lines[to - 1]` are numbers of counters. */
  readonly sets: readonly number[]
  readonly from: readonly number[]
  readonly to: readonly number[]
  readonly lines: readonly number[]
  readonly replayed: readonly boolean[]
  readonly held: readonly (string | null)[]
  readonly actual: readonly (string | null)[]
  /** Posted and held after each item, line by line. */
  readonly values: string
}

function settledOf(answer: SettleAnswer, items: readonly SettleItem[]): readonly SettleResult[] {
  const lines = linesIn(answer)
  const values = elementsOf(answer.values)
  let at = 0
  return answer.codes.map((code, i): SettleResult => {
    if (code === SETTLE_CODES.notFound) return NOT_FOUND
    if (code === SETTLE_CODES.mismatch) return MISMATCH
    if (code === SETTLE_CODES.invalid) return INVALID
    const set = answer.sets[i]! - 1
    const states: (readonly [number, LineState])[] = []
    for (const k of answer.lines.slice(answer.from[set]! - 1, answer.to[set])) {
      if (k === 0) continue
      const state = stateOf(lines[k - 1]!, BigInt(values[at]!), BigInt(values[at + 1]!))
      states.push([k, state])
      at += 2
    }
    const actual = answer.actual[i] ?? null
    return {
      ok: true,
      state: code === SETTLE_CODES.posted ? 'posted' : 'late_posted',
      lines: states.sort(([a], [b]) => a - b).map(([, state]) => state),
      overage: overageOf(actual === null ? items[i]!.actual : amountsIn(actual), answer.held[i]),
      replayed: answer.replayed[i]!,
    }
  })
}

const amountsIn = (text: string): Amounts =>
  Object.fromEntries(
    Object.entries(JSON.parse(text) as Record<string, string>).map(([unit, n]) => [
      unit,
      BigInt(n),
    ]),
  )

function overageOf(actual: Amounts, heldText: string | null | undefined): Amounts {
  if (typeof heldText !== 'string') throw unreadable()
  const held = amountsIn(heldText)
  return Object.fromEntries(
    Object.entries(actual).map(([unit, amount]) => {
      const over = amount - (held[unit] ?? 0n)
      return [unit, over > 0n ? over : 0n]
    }),
  )
}

export const voidBatch = (
  connection: Connection,
  items: readonly VoidItem[],
): Promise<readonly VoidResult[]> =>
  checked<VoidItem, VoidResult>(
    items,
    isVoid,
    { ok: false, code: 'TK_INPUT_INVALID' },
    async (good) => {
      const codes = (await connection.call('tk_void_v1', holdColumns(good))) as readonly number[]
      return codes.map((code): VoidResult => {
        if (code === VOID_CODES.notFound) return NOT_FOUND
        if (code === VOID_CODES.mismatch) return MISMATCH
        return { ok: true, replayed: code === VOID_CODES.replayed }
      })
    },
  )

export const extendBatch = (
  connection: Connection,
  items: readonly ExtendItem[],
): Promise<readonly ExtendResult[]> =>
  checked<ExtendItem, ExtendResult>(items, isExtend, INVALID, async (good) => {
    const columns = {
      ...holdColumns(good),
      totals: textsText(good.map((item) => amountsText(item.amounts))),
      sequences: numbersText(good.map((item) => item.sequence)),
      ttls: numbersText(good.map((item) => item.ttlMs)),
    }
    const first = await connection.call('tk_extend_v1', columns)
    const answer = isAgain(first)
      ? await connection.call('tk_extend_v1', { ...columns, wide: true })
      : first
    return extendedOf(answer as ExtendAnswer)
  })

interface ExtendAnswer {
  readonly codes: readonly number[]
  readonly expires: readonly (number | null)[]
  readonly more: readonly (string | null)[]
}

interface RefusedLine extends DenialColumns {
  readonly account: string
  readonly unit: string
  readonly window: Window
  readonly limit: string
  readonly end: number | null
  readonly posted: string
  readonly held: string
}

const extendedOf = ({ codes, expires, more }: ExtendAnswer): readonly ExtendResult[] =>
  codes.map((code, i): ExtendResult => {
    if (code === EXTEND_CODES.ok) return { ok: true, expiresAtMs: expires[i]! }
    if (code === EXTEND_CODES.notFound) return { ...NOT_FOUND, denial: null }
    if (code === EXTEND_CODES.mismatch) return { ...MISMATCH, denial: null }
    if (code === EXTEND_CODES.lost) return { ok: false, code: 'TK_BUDGET_HOLD_LOST', denial: null }
    if (code === EXTEND_CODES.invalid) return INVALID
    const refusal = REFUSALS[code]
    const text = more[i]
    if (!refusal || typeof text !== 'string') throw unreadable()
    const line = JSON.parse(text) as RefusedLine
    const { unit, window, end } = line
    const named = { accountId: line.account, unit, window, limit: BigInt(line.limit) }
    const state = stateOf({ ...named, resetsAtMs: end }, BigInt(line.posted), BigInt(line.held))
    return { ok: false, code: refusal, denial: denialOf(state, line) }
  })
