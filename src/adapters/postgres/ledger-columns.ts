/**
 * Batches as columns: each text once, items point to it by its number.
 *
 * @module
 */
import type { Amounts } from '../../storage/ledger-records.ts'

/** Texts in the order in which they came, without repetitions; numbers start at 1. */
export class Distinct {
  readonly values: string[] = []
  readonly #numbers = new Map<string, number>()

  get size(): number {
    return this.values.length
  }

  indexOf(value: string): number {
    const known = this.#numbers.get(value)
    if (known !== undefined) return known
    this.values.push(value)
    this.#numbers.set(value, this.values.length)
    return this.values.length
  }
}

/** The amounts of a batch as one matrix: a row for each item, a column for each unit, and a last
 * column of zeros for the units that no item names. */
export class UnitColumns {
  readonly names: readonly string[]
  readonly matrix: string

  constructor(amounts: readonly Amounts[]) {
    const units = new Distinct()
    for (const each of amounts) for (const unit of Object.keys(each)) units.indexOf(unit)
    this.names = units.values
    const rows = amounts.map((each) => {
      let row = ''
      for (const unit of units.values) row += `${Object.hasOwn(each, unit) ? each[unit] : 0},`
      return `${row}0`
    })
    this.matrix = `{${rows.join(',')}}`
  }
}

/** Slices of a batch in which no id comes twice: a repeated id is answered by what became of the one
 * before it. */
export function withoutRepeats<T>(items: readonly T[], idOf: (item: T) => string): T[][] {
  const slices: T[][] = []
  let ids = new Set<string>()
  for (const item of items) {
    const id = idOf(item)
    if (slices.length === 0 || ids.has(id)) {
      slices.push([])
      ids = new Set()
    }
    ids.add(id)
    slices.at(-1)!.push(item)
  }
  return slices
}

/** Answers for those that pass the check, in order, among those that do not. */
export async function checked<I, R>(
  items: readonly I[],
  isGood: (item: I) => boolean,
  bad: R,
  run: (good: readonly I[]) => Promise<readonly R[]>,
): Promise<R[]> {
  const are = items.map(isGood)
  const good = items.filter((_, i) => are[i])
  const results = good.length === 0 ? [] : await run(good)
  let next = 0
  return are.map((is) => (is ? results[next++]! : bad))
}
