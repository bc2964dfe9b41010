import { describe, expect, it } from 'vitest'
import { batched, MAX_BATCH, runApart } from '../../src/budgets/batches.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'

/** A store that fails over some items, and counts what it was asked. */
function store(isBad: (item: number) => boolean, error: unknown) {
  const asked: number[][] = []
  const run = async (items: readonly number[]): Promise<readonly string[]> => {
    asked.push([...items])
    if (items.some(isBad)) throw error
    return items.map((item) => `done ${item}`)
  }
  return { asked, run }
}

const corrupt = new TenantKeysError('TK_STORE_CORRUPT')
const batch = Array.from({ length: 64 }, (_, i) => i)

describe('a batch that fails over one item', () => {
  it.each([corrupt, new TenantKeysError('TK_INPUT_INVALID'), new TypeError('a getter')])(
    'is run in parts, until the one fails alone and 63 have their way: %s',
    async (error) => {
      const { asked, run } = store((item) => item === 40, error)
      const answers = await runApart(run, batch)
      expect(answers.map((answer) => answer.status === 'fulfilled')).toEqual(
        batch.map((item) => item !== 40),
      )
      expect(answers[40]).toEqual({ status: 'rejected', reason: error })
      expect(answers[63]).toEqual({ status: 'fulfilled', value: 'done 63' })
      // Two halves on each of six levels, and the whole.
      expect(asked).toHaveLength(13)
    },
  )

  it.each(['TK_STORE_UNAVAILABLE', 'TK_STORE_BUSY', 'TK_CLOSED'] as const)(
    'is not asked again where the store is the reason: %s',
    async (code) => {
      const { asked, run } = store(() => true, new TenantKeysError(code))
      const answers = await runApart(run, batch)
      expect(answers.every((answer) => answer.status === 'rejected')).toBe(true)
      expect(asked).toHaveLength(1)
    },
  )

  it('stays whole where it may have been written, and every caller is told that', async () => {
    const lost = new TenantKeysError('TK_INTERNAL', {}, { outcome: 'unknown' })
    let runs = 0
    const answers = await runApart<number, string>(async () => {
      throw ++runs === 1 ? lost : new TenantKeysError('TK_STORE_UNAVAILABLE')
    }, batch)
    expect(answers).toEqual(batch.map(() => ({ status: 'rejected', reason: lost })))
  })

  it('tells each caller what became of its own', async () => {
    const { asked, run } = store((item) => item === 3, corrupt)
    const command = batched(run)
    const results = await Promise.allSettled(batch.map((item) => command(item)))
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1)
    expect(results[3]).toMatchObject({ reason: { code: 'TK_STORE_CORRUPT' } })
    expect(asked[0]).toHaveLength(64)
    expect(batch.length).toBeLessThan(MAX_BATCH)
  })
})
