/**
 * Shares of one amount among several: everybody gets what is guaranteed to it, and the rest goes by
 * weight. Integers only; nothing is lost to rounding and nothing is made by it (S0.24).
 *
 * @module
 */
import * as z from 'zod'
import { TenantKeysError } from '../kernel/errors.ts'
import { parse } from '../kernel/validate.ts'
import { isAmount } from './money.ts'

export interface Share {
  readonly id: string
  /** Nano-USD that this one gets in any case; 0 to 9e18. */
  readonly guaranteed: bigint
  /** How much of the rest, compared with the others': a whole number from 0. Default 1. With all
   * weights 0 the rest is divided evenly. */
  readonly weight?: number | bigint | undefined
}

export interface SharesInput {
  readonly totalNanoUsd: bigint
  /** 1 to 10,000, each id once. */
  readonly members: readonly Share[]
  /** The most that one may get, in nano-USD, so that nobody takes it all; default the total. */
  readonly maxNanoUsd?: bigint | undefined
}

export interface RebalanceInput {
  readonly totalNanoUsd: bigint
  readonly members: readonly {
    readonly id: string
    readonly guaranteedNanoUsd: bigint
    /** What this one's work was worth, in whatever whole numbers the host counts: tasks solved,
     * revenue in cents. The rest is divided in proportion to it. */
    readonly observedValue: number | bigint
  }[]
  readonly maxNanoUsd?: bigint | undefined
}

const amountSchema = z.custom<bigint>(isAmount, 'expected a bigint from 0 to 9e18')
const weightSchema = z
  .custom<number | bigint>(
    (value) => isAmount(value) || (Number.isSafeInteger(value) && Number(value) >= 0),
    'expected a whole number of at least 0',
  )
  .transform(BigInt)
const sharesSchema = z.strictObject({
  totalNanoUsd: amountSchema,
  members: z
    .array(
      z.strictObject({
        id: z.string().min(1).max(256),
        guaranteed: amountSchema,
        weight: weightSchema.default(1n),
      }),
    )
    .min(1)
    .max(10_000),
  maxNanoUsd: amountSchema.optional(),
})
const rebalanceSchema = z.strictObject({
  totalNanoUsd: amountSchema,
  members: z.array(
    z.strictObject({
      id: z.string(),
      guaranteedNanoUsd: amountSchema,
      observedValue: weightSchema,
    }),
  ),
  maxNanoUsd: amountSchema.optional(),
})

type Part = z.output<typeof sharesSchema>['members'][number]

/**
 * Divides by largest remainder (Hamilton's method); equal remainders go by id.
 *
 * @returns nano-USD by id, in the order of `members`: none below its guarantee, none above
 *   `maxNanoUsd`, their sum exactly `totalNanoUsd`.
 * @throws TenantKeysError TK_INPUT_INVALID naming the field: amounts and weights that are none, an id
 *   that comes twice, guarantees that are more than the total or the maximum, a maximum that leaves
 *   money over.
 */
export function shares(input: SharesInput): Map<string, bigint> {
  const { totalNanoUsd: total, members: parts, maxNanoUsd } = parse(sharesSchema, input)
  const most = maxNanoUsd ?? total
  const seen = new Set<string>()
  const twice = parts.findIndex(({ id }) => seen.size === seen.add(id).size)
  if (twice >= 0) throw invalid(`members[${twice}].id`, 'it is in the list already')
  if (sum(parts.map((part) => part.guaranteed)) > total) {
    throw invalid('members', 'their guarantees are more than the total')
  }
  const above = parts.findIndex((part) => part.guaranteed > most)
  if (above >= 0) throw invalid(`members[${above}].guaranteed`, 'must not be above maxNanoUsd')
  if (most * BigInt(parts.length) < total) {
    throw invalid('maxNanoUsd', 'so little for each does not use up the total')
  }

  const granted = new Map(parts.map((part) => [part.id, part.guaranteed]))
  let rest = total - sum(parts.map((part) => part.guaranteed))
  let open = parts
  // Whoever would get more than the most is given just that, and the others divide what is left;
  // each round closes at least one, so this ends.
  for (;;) {
    const weights = weightsOf(open)
    const all = sum([...weights.values()])
    const full = open.filter((p) => p.guaranteed * all + rest * weights.get(p.id)! > most * all)
    if (full.length === 0) {
      for (const [id, part] of divide(rest, weights)) granted.set(id, granted.get(id)! + part)
      return granted
    }
    for (const { id, guaranteed } of full) {
      granted.set(id, most)
      rest -= most - guaranteed
    }
    open = open.filter((p) => !full.includes(p))
  }
}

/** As `shares`, with the observed value of each member as its weight. */
export function rebalance(input: RebalanceInput): Map<string, bigint> {
  const { totalNanoUsd, members, maxNanoUsd } = parse(rebalanceSchema, input)
  return shares({
    totalNanoUsd,
    maxNanoUsd,
    members: members.map(({ id, guaranteedNanoUsd, observedValue }) => ({
      id,
      guaranteed: guaranteedNanoUsd,
      weight: observedValue,
    })),
  })
}

/** With nothing to tell them apart, all are equal. */
function weightsOf(open: readonly Part[]): Map<string, bigint> {
  const none = open.every((part) => part.weight === 0n)
  return new Map(open.map((part) => [part.id, none ? 1n : part.weight]))
}

function divide(rest: bigint, weights: ReadonlyMap<string, bigint>): Map<string, bigint> {
  const all = sum([...weights.values()])
  const whole = new Map([...weights].map(([id, weight]) => [id, (rest * weight) / all]))
  const remainders = [...weights]
    .map(([id, weight]) => ({ id, remainder: (rest * weight) % all }))
    .sort((a, b) => compare(b.remainder, a.remainder) || compare(a.id, b.id))
  const over = Number(rest - sum([...whole.values()]))
  for (const { id } of remainders.slice(0, over)) whole.set(id, whole.get(id)! + 1n)
  return whole
}

const compare = <T extends bigint | string>(a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0)

const sum = (amounts: readonly bigint[]): bigint => amounts.reduce((a, b) => a + b, 0n)

const invalid = (field: string, reason: string): TenantKeysError =>
  new TenantKeysError('TK_INPUT_INVALID', { field, reason })
