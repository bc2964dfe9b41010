import '../support/same-draws.ts'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { symlinkSync } from 'node:fs'
import { resolve } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { ledgerBench } from '../../src/testing/storage-conformance/ledger-bench.ts'
import { bundle } from '../support/bundle.ts'
import { calm, type Line, line } from '../support/line.ts'
import { seeded } from '../support/seeded.ts'
import { temporaryFiles } from '../support/sqlite.ts'
import type { WaitOrder, WaitResult } from './waiting-worker.ts'

const FULL = process.env.TENANTKEYS_FORCE === '1'
const CALLERS = 64
const PROCESSES = 4
const ROUNDS = FULL ? 20 : 3

const fileOf = temporaryFiles()
let files = 0

const STORES = [
  { name: 'memory', storage: undefined },
  {
    name: 'sqlite',
    storage: () => sqlite({ file: fileOf(`line-${files++}.db`), synchronous: 'NORMAL' }),
  },
]

interface Amounts {
  readonly cap: number
  readonly hold: number
  readonly cost: number
}

/** What one caller at a time gets: it goes on while its hold fits, and each call posts its cost. */
function oneByOne({ cap, hold, cost }: Amounts): number {
  let calls = 0
  for (let posted = 0; posted + hold <= cap; posted += cost) calls++
  return calls
}

/** 64 callers at once, each making calls until it is told that the budget is spent. Which of the calls
 * in flight ends next is drawn. @returns how many were admitted. */
async function race(at: Line, { hold, cost }: Amounts, seed: number): Promise<number> {
  const draw = seeded(seed)
  let admitted = 0
  const ends: (() => void)[] = []
  const caller = async (): Promise<void> => {
    for (;;) {
      const call = at.reserve('caller', BigInt(hold), { waitMs: 600_000 })
      const result = await call.result
      if (!result.ok) {
        expect(result.code).toBe('TK_BUDGET_EXHAUSTED')
        return
      }
      admitted++
      await new Promise<void>((end) => ends.push(end))
      await at.settle(call, BigInt(cost))
    }
  }
  let running = true
  const all = Promise.all(Array.from({ length: CALLERS }, caller)).then(() => {
    running = false
  })
  while (running) {
    await calm()
    const [end] = ends.splice(draw(ends.length), 1)
    end?.()
  }
  await all
  return admitted
}

describe.each(STORES)(`${CALLERS} callers of one process over $name`, ({ storage }) => {
  const open = (cap: number): Promise<Line> => line(BigInt(cap), storage ? { storage } : {})

  test('BG-9 T-B1 cap 100, hold 10, cost 1: exactly 91 are admitted, without any time passing', async () => {
    for (let seed = 1; seed <= ROUNDS; seed++) {
      const at = await open(100)
      expect(await race(at, { cap: 100, hold: 10, cost: 1 }, seed)).toBe(91)
      await at.bench.expect(91n, 0n)
      expect(at.clock.elapsedMs()).toBe(0)
      await at.storage.close()
    }
  })

  test('BG-9 T-B1 for any equal amounts as many are admitted as one by one', async () => {
    const amounts = fc
      .record({ cap: fc.integer({ min: 0, max: 120 }), hold: fc.integer({ min: 1, max: 40 }) })
      .chain(({ cap, hold }) =>
        fc.record({
          cap: fc.constant(cap),
          hold: fc.constant(hold),
          cost: fc.integer({ min: 1, max: hold }),
        }),
      )
    await fc.assert(
      fc.asyncProperty(amounts, fc.integer(), async (given, seed) => {
        const at = await open(given.cap)
        expect(await race(at, given, seed)).toBe(oneByOne(given))
        await at.bench.expect(BigInt(oneByOne(given) * given.cost), 0n)
        await at.storage.close()
      }),
      { numRuns: FULL ? 200 : 15 },
    )
  })

  test('BG-9 at the moment of exhaustion the last amount is given out once, and nobody waits on', async () => {
    const at = await open(100)
    const last = at.reserve('last', 10n)
    const others = at.reserve('others', 90n)
    await calm()
    for (let n = 0; n < CALLERS; n++) at.reserve('waiter', 10n, { waitMs: 600_000 })
    await calm()
    await at.settle(others, 90n)
    await calm()
    expect(at.answers).toEqual(['last ok', 'others ok'])
    await at.settle(last, 0n)
    await calm()
    expect(at.answers.filter((a) => a === 'waiter ok')).toHaveLength(1)
    await at.bench.expect(90n, 10n)
    await at.storage.close()
  })
})

describe(`${CALLERS} callers in each of ${PROCESSES} processes on one SQLite file`, () => {
  const children: ChildProcess[] = []
  let script = ''

  beforeAll(async () => {
    script = await bundle('test/integration/waiting-worker.ts', fileOf('built'), 'worker')
    // The worker finds its driver as a host would: in the node_modules above it.
    symlinkSync(resolve('node_modules'), fileOf('node_modules'))
  })
  afterAll(() => {
    for (const child of children) child.kill('SIGKILL')
  })

  async function start(file: string): Promise<ChildProcess> {
    const child = fork(script, [file])
    children.push(child)
    await once(child, 'message')
    return child
  }

  async function tell(child: ChildProcess, order: WaitOrder): Promise<WaitResult> {
    const answer = once(child, 'message')
    child.send(order)
    const [said] = (await answer) as [WaitResult]
    return said
  }

  test(`BG-9 T-B1 with holds ten times the cost exactly 91 are admitted, all others told that the budget is spent (${ROUNDS} rounds)`, async () => {
    const file = fileOf('processes.db')
    const storage = sqlite({ file, synchronous: 'NORMAL', busyTimeoutMs: 60_000 })
    await storage.migrate()
    const workers = await Promise.all(Array.from({ length: PROCESSES }, () => start(file)))
    for (let round = 0; round < ROUNDS; round++) {
      const tenantId = `round-${round}`
      const bench = await ledgerBench(storage, { limit: 100n, tenantId })
      const order = { tenantId, callers: CALLERS, hold: '10', cost: '1' }
      const results = await Promise.all(workers.map((worker) => tell(worker, order)))
      const codes = results.flatMap((result) => result.codes)
      expect(codes).toHaveLength(PROCESSES * CALLERS)
      expect(codes.filter((code) => code === 'ok')).toHaveLength(91)
      expect(new Set(codes)).toEqual(new Set(['ok', 'TK_BUDGET_EXHAUSTED']))
      await bench.expect(91n, 0n)
    }
    await storage.close()
  }, 300_000)
})
