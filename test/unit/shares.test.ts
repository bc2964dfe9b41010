import '../support/same-draws.ts'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type RebalanceInput,
  rebalance,
  type Share,
  type SharesInput,
  shares,
} from '../../src/budgets/shares.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'

const member = (id: string, guaranteed: bigint, weight?: number | bigint): Share => ({
  id,
  guaranteed,
  ...(weight === undefined ? {} : { weight }),
})

const amounts = (input: SharesInput): bigint[] => [...shares(input).values()]

function refusalOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (!TenantKeysError.isInstance(error)) throw error
    return `${error.code} ${error.details.field}`
  }
  return 'taken'
}

describe('S0.24 shares', () => {
  test('everybody gets its guarantee and an equal part of the rest', () => {
    const members = [member('code', 5n), member('chat', 1n), member('hopper', 0n)]
    expect(shares({ totalNanoUsd: 15n, members })).toEqual(
      new Map([
        ['code', 8n],
        ['chat', 4n],
        ['hopper', 3n],
      ]),
    )
  })

  test('the rest goes by weight', () => {
    const members = [member('a', 10n, 3), member('b', 10n, 1n), member('c', 10n, 0)]
    expect(amounts({ totalNanoUsd: 70n, members })).toEqual([40n, 20n, 10n])
  })

  test('what cannot be divided goes to the largest remainders, equal ones by id', () => {
    const three = [member('b', 0n), member('c', 0n), member('a', 0n)]
    expect(amounts({ totalNanoUsd: 100n, members: three })).toEqual([33n, 33n, 34n])
    const members = [member('a', 0n, 1), member('b', 0n, 5), member('c', 0n, 3)]
    // 1.11, 5.55, 3.33
    expect(amounts({ totalNanoUsd: 10n, members })).toEqual([1n, 6n, 3n])
  })

  test('with nothing left over everybody has its guarantee', () => {
    const members = [member('a', 3n, 100), member('b', 4n, 0)]
    expect(amounts({ totalNanoUsd: 7n, members })).toEqual([3n, 4n])
  })

  test('no monopoly: above the most, the rest goes to the others', () => {
    const members = [member('a', 0n, 98), member('b', 0n, 1), member('c', 5n, 1)]
    expect(amounts({ totalNanoUsd: 100n, members, maxNanoUsd: 50n })).toEqual([50n, 23n, 27n])
    const idle = [member('a', 0n, 9), member('b', 0n, 0), member('c', 0n, 0)]
    expect(amounts({ totalNanoUsd: 100n, members: idle, maxNanoUsd: 60n })).toEqual([60n, 20n, 20n])
  })

  const two = [member('a', 5n), member('b', 5n)]
  test.each<[string, unknown, string]>([
    ['nothing', undefined, '(argument)'],
    ['a total in a float', { totalNanoUsd: 1.5, members: two }, 'totalNanoUsd'],
    ['a negative total', { totalNanoUsd: -1n, members: two }, 'totalNanoUsd'],
    ['no members', { totalNanoUsd: 10n, members: [] }, 'members'],
    [
      'a weight in a float',
      { totalNanoUsd: 10n, members: [member('a', 0n, 0.5)] },
      'members[0].weight',
    ],
    [
      'a negative weight',
      { totalNanoUsd: 10n, members: [member('a', 0n, -1n)] },
      'members[0].weight',
    ],
    [
      'a guarantee in a number',
      { totalNanoUsd: 10n, members: [{ id: 'a', guaranteed: 1 }] },
      'members[0].guaranteed',
    ],
    [
      'an unknown field',
      { totalNanoUsd: 10n, members: [{ ...two[0], cap: 1n }] },
      'members[0].cap',
    ],
    ['one of them twice', { totalNanoUsd: 10n, members: [two[0], two[0]] }, 'members[1].id'],
    ['more guaranteed than there is', { totalNanoUsd: 9n, members: two }, 'members'],
    [
      'a most below a guarantee',
      { totalNanoUsd: 10n, members: [member('a', 1n), member('b', 9n)], maxNanoUsd: 8n },
      'members[1].guaranteed',
    ],
    [
      'a most that leaves money over',
      { totalNanoUsd: 20n, members: two, maxNanoUsd: 9n },
      'maxNanoUsd',
    ],
  ])('refuses %s by its field', (_, input, field) => {
    expect(refusalOf(() => shares(input as SharesInput))).toBe(`TK_INPUT_INVALID ${field}`)
  })

  test('whatever the amounts: the sum is the total, none is below its guarantee or above the most', async () => {
    const one = fc.record({
      guaranteed: fc.bigInt({ min: 0n, max: 10n ** 12n }),
      weight: fc.oneof(fc.bigInt({ min: 0n, max: 10n ** 18n }), fc.nat(5)),
    })
    const asked = fc.record({
      all: fc.array(one, { minLength: 1, maxLength: 12 }),
      rest: fc.bigInt({ min: 0n, max: 10n ** 13n }),
      slack: fc.option(fc.bigInt({ min: 0n, max: 10n ** 12n })),
    })
    await fc.assert(
      fc.property(asked, ({ all, rest, slack }) => {
        const members = all.map((given, i) => ({ id: `m${i}`, ...given }))
        const totalNanoUsd = members.reduce((sum, m) => sum + m.guaranteed, rest)
        const count = BigInt(members.length)
        const fair = (totalNanoUsd + count - 1n) / count
        const floors = [fair, ...members.map((m) => m.guaranteed)]
        const largest = floors.sort((a, b) => (a < b ? -1 : 1)).at(-1)!
        const most = slack === null ? null : largest + slack
        const given = shares({
          totalNanoUsd,
          members,
          ...(most === null ? {} : { maxNanoUsd: most }),
        })
        expect([...given.values()].reduce((a, b) => a + b, 0n)).toBe(totalNanoUsd)
        for (const { id, guaranteed } of members) {
          expect(given.get(id)! >= guaranteed).toBe(true)
          expect(most === null || given.get(id)! <= most).toBe(true)
        }
        // Rounding aside, what is above the guarantee is in proportion to the weight.
        const weight = members.reduce((sum, m) => sum + BigInt(m.weight), 0n)
        for (const m of most === null && weight > 0n ? members : []) {
          const whole = (rest * BigInt(m.weight)) / weight
          expect([whole, whole + 1n]).toContain(given.get(m.id)! - m.guaranteed)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('S0.24 rebalance', () => {
  test('divides the rest in proportion to the observed value', () => {
    const members = [
      { id: 'solver', guaranteedNanoUsd: 1_000n, observedValue: 30 },
      { id: 'drafter', guaranteedNanoUsd: 1_000n, observedValue: 10n },
      { id: 'idler', guaranteedNanoUsd: 1_000n, observedValue: 0 },
    ]
    expect([...rebalance({ totalNanoUsd: 11_000n, members }).values()]).toEqual([
      7_000n,
      3_000n,
      1_000n,
    ])
    const capped = rebalance({ totalNanoUsd: 11_000n, members, maxNanoUsd: 5_000n })
    expect([...capped.values()]).toEqual([5_000n, 5_000n, 1_000n])
  })

  test('refuses a value that is none by its field', () => {
    const members = [{ id: 'a', guaranteedNanoUsd: 0n, observedValue: Number.NaN }]
    const work = (): unknown => rebalance({ totalNanoUsd: 1n, members } as RebalanceInput)
    expect(refusalOf(work)).toBe('TK_INPUT_INVALID members[0].observedValue')
  })
})
