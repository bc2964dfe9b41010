/**
 * A batch of reserves as columns, and its answer as results.
 *
 * @module
 */
import { isAsked, isReserve } from '../../budgets/item-checks.ts'
import type {
  LineState,
  Overflow,
  ReserveItem,
  ReserveResult,
} from '../../storage/ledger-records.ts'
import { amountsText } from '../../storage/stored-json.ts'
import { elementsOf, flagsText, numbersText, textsText } from './array-text.ts'
import type { Connection } from './connection.ts'
import {
  type CounterColumns,
  type DenialColumns,
  denialOf,
  isAgain,
  type Line,
  linesIn,
  REFUSALS,
  stateOf,
  unreadable,
} from './ledger-answers.ts'
import { checked, Distinct, UnitColumns, withoutRepeats } from './ledger-columns.ts'
import { CODES } from './ledger-sql/reserve-items.ts'

type Asked = Omit<ReserveItem, 'holdId' | 'call'> & Partial<Pick<ReserveItem, 'holdId' | 'call'>>

const INVALID = { ok: false, code: 'TK_INPUT_INVALID', denial: null } as const
const MISMATCH = { ok: false, code: 'TK_BUDGET_HOLD_MISMATCH', denial: null } as const

export const reserveBatch = (
  connection: Connection,
  items: readonly ReserveItem[],
): Promise<readonly ReserveResult[]> =>
  checked<ReserveItem, ReserveResult>(items, isReserve, INVALID, async (good) => {
    const slices = withoutRepeats(good, (item) => item.holdId)
    if (slices.length === 1) return decided((...args) => connection.call(...args), good)
    // All of a batch is written, or nothing is (ST-1).
    return connection.write(null, async (tx) => {
      const results = []
      for (const slice of slices) results.push(...(await decided(tx.call, slice)))
      return results
    })
  })

/** @param items - no id twice. */
async function decided(
  call: (fn: string, args: unknown) => Promise<unknown>,
  items: readonly ReserveItem[],
): Promise<readonly ReserveResult[]> {
  const columns = columnsOf(items)
  const first = await call('tk_reserve_v1', columns)
  const answer = isAgain(first) ? await call('tk_reserve_v1', { ...columns, wide: true }) : first
  return resultsOf(answer as ReserveAnswer, items)
}

export async function previewOne(
  connection: Connection,
  asked: Omit<Asked, 'ttlMs'>,
): Promise<ReserveResult> {
  if (!isAsked(asked)) return INVALID
  const { tenantId, accounts, amounts, paidBy } = asked
  const item: Asked = { tenantId, accounts, amounts, ttlMs: 1, ...(paidBy && { paidBy }) }
  const answer = await connection.call('tk_preview_v1', columnsOf([item]))
  const [result] = resultsOf(answer as ReserveAnswer, [item])
  return result!.ok ? { ...result!, expiresAtMs: result!.expiresAtMs - item.ttlMs } : result!
}

function columnsOf(items: readonly Asked[]): Record<string, unknown> {
  const accounts = new Distinct()
  const depths: number[] = []
  const tenants = new Distinct()
  const units = new UnitColumns(items.map((item) => item.amounts))
  const paths = new Distinct()
  const pathTenants: number[] = []
  const platform: boolean[] = []
  const firsts = [1]
  const pathAccounts: number[] = []
  const pathIds: string[] = []
  const pathDepths: string[] = []
  const path = items.map((item) => {
    const isPlatform = item.paidBy !== 'tenant'
    let key = `${item.tenantId}\0${isPlatform}`
    for (const account of item.accounts) key += `\0${account.id}\0${account.depth}`
    const before = paths.size
    const at = paths.indexOf(key)
    if (paths.size === before) return at
    pathTenants.push(tenants.indexOf(item.tenantId))
    platform.push(isPlatform)
    for (const account of item.accounts) {
      const known = accounts.indexOf(account.id)
      if (known > depths.length) depths.push(account.depth)
      pathAccounts.push(known)
    }
    firsts.push(pathAccounts.length + 1)
    pathIds.push(textsText(item.accounts.map((account) => account.id)))
    pathDepths.push(numbersText(item.accounts.map((account) => account.depth)))
    return at
  })
  return {
    ids: textsText(items.map((item) => item.holdId ?? '')),
    paths: numbersText(path),
    amounts: units.matrix,
    ttls: numbersText(items.map((item) => item.ttlMs)),
    asked: textsText(items.map((item) => amountsText(item.amounts))),
    calls: textsText(items.map((item) => JSON.stringify(item.call ?? {}))),
    accounts: textsText(accounts.values),
    depths: numbersText(depths),
    tenants: textsText(tenants.values),
    units: textsText(units.names),
    pathTenants: numbersText(pathTenants),
    platform: flagsText(platform),
    firsts: numbersText(firsts),
    pathAccounts: numbersText(pathAccounts),
    pathIds: textsText(pathIds),
    pathDepths: textsText(pathDepths),
  }
}

interface ReserveAnswer extends CounterColumns {
  readonly now: number
  readonly codes: readonly number[]
  /** JSON of what is not the same for all items of a path. */
  readonly more: readonly (string | null)[]
  /** Sums after each admitted item, line by line of its path. */
  readonly values: string
  /** Of the path of each item. */
  readonly from: readonly number[]
  readonly to: readonly number[]
  readonly lines: readonly number[]
  readonly paths: string
  readonly kinds: readonly number[] | null
  readonly posted: string | null
}

function resultsOf(answer: ReserveAnswer, items: readonly Asked[]): readonly ReserveResult[] {
  const lines = linesIn(answer)
  const posted = elementsOf(answer.posted).map(BigInt)
  const values = elementsOf(answer.values)
  const path = elementsOf(answer.paths)
  let at = 0
  /** What slides is counted as posted, everything else holds. */
  const state = (k: number, value: bigint): LineState => {
    const slides = answer.kinds![k - 1] === 2
    const line = lines[k - 1] as Line
    return stateOf(line, posted[k - 1]! + (slides ? value : 0n), slides ? 0n : value)
  }
  const states = (ks: readonly number[], texts: readonly string[]): LineState[] =>
    ks.map((k, i) => state(k, BigInt(texts[i]!)))
  const admitted = (i: number): ReserveResult => {
    const item = items[i]!
    const p = Number(path[i]) - 1
    const ks = answer.lines.slice(answer.from[p]! - 1, answer.to[p])
    const result = { lines: states(ks, values.slice(at, at + ks.length)), overflows: [] }
    at += ks.length
    return {
      ok: true,
      holdId: item.holdId ?? '',
      expiresAtMs: answer.now + item.ttlMs,
      ...result,
      replayed: false,
    }
  }
  return answer.codes.map((code, i): ReserveResult => {
    if (code === CODES.ok) return admitted(i)
    if (code === CODES.mismatch) return MISMATCH
    if (code === CODES.invalid) return INVALID
    const text = answer.more[i]
    if (typeof text !== 'string') throw unreadable()
    const holdId = items[i]!.holdId ?? ''
    if (code === CODES.replayed || code === CODES.moved) {
      const more = JSON.parse(text) as MovedColumns
      const replayed = code === CODES.replayed
      return {
        ok: true,
        holdId,
        expiresAtMs: replayed ? more.expires! : answer.now + items[i]!.ttlMs,
        lines: states(more.lines, elementsOf(more.values)),
        overflows: JSON.parse(more.overflows) as Overflow[],
        replayed,
      }
    }
    const refusal = REFUSALS[code]
    if (!refusal) throw unreadable()
    const more = JSON.parse(text) as RefusedColumns
    const line = lines[more.line - 1] as Line
    const charged = stateOf(line, posted[more.line - 1]! + BigInt(more.used), BigInt(more.held))
    return { ok: false, code: refusal, denial: denialOf(charged, more) }
  })
}

interface MovedColumns {
  readonly lines: readonly number[]
  readonly values: string
  readonly overflows: string
  readonly expires?: number
}

interface RefusedColumns extends DenialColumns {
  readonly line: number
  readonly held: string
  readonly used: string
}
