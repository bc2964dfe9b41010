import { describe, expect, it } from 'vitest'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import { EpochWatch } from '../../src/keys/epoch-watch.ts'
import type { EpochReading } from '../../src/storage/storage.ts'
import { fakeClock } from '../../src/testing/index.ts'
import { idle, manualSleep } from '../support/key-issuer.ts'

/** A watch whose store says what the test tells it to. */
function watching(kind: 'local' | 'remote') {
  const clock = fakeClock(1_000_000)
  const { sleep, waits } = manualSleep()
  const store = { epoch: 5, nowMs: clock.nowMs, failing: null as TenantKeysError | null, asked: 0 }
  const read = (): EpochReading => {
    if (store.failing) throw store.failing
    return { epoch: store.epoch, nowMs: store.nowMs() }
  }
  const storage = {
    epoch: async () => {
      store.asked++
      return read()
    },
    ...(kind === 'local' ? { epochNow: read } : {}),
  }
  const watch = new EpochWatch({ storage, clock, sleep, waitMs: 250, maxStaleMs: 5_000 })
  return { watch, store, clock, waits }
}

const reading = (epoch: number, nowMs: number): EpochReading => ({ epoch, nowMs })

describe('EpochWatch', () => {
  it('knows nothing before the first answer', () => {
    const { watch } = watching('remote')
    expect([watch.epoch, watch.certainAtMs(0)]).toEqual([0, Number.NEGATIVE_INFINITY])
    expect(watch.glance()).toBe(false)
  })

  it('keeps the newest epoch, and the latest time at which it was certain', () => {
    const { watch, clock } = watching('remote')
    const seen: [number, number][] = []
    for (const [epoch, sentAtMs] of [
      [5, 0],
      [5, 30],
      [5, 20],
      [4, 40],
      [6, 25],
      [6, 10],
      [5, 50],
    ] as const) {
      clock.advance(10)
      watch.observe(reading(epoch, clock.nowMs()), sentAtMs)
      seen.push([watch.epoch, watch.certainAtMs(watch.epoch)])
    }
    expect(seen).toEqual([
      [5, 0],
      [5, 30],
      [5, 30],
      [5, 30],
      [6, 25],
      [6, 25],
      [6, 25],
    ])
  })

  it('remembers when earlier epochs were last certain; one it never saw counts as the one before', () => {
    const { watch, clock } = watching('remote')
    for (const [epoch, ms] of [
      [5, 10],
      [5, 20],
      [7, 30],
      [9, 40],
    ] as const) {
      clock.advance(10)
      watch.observe(reading(epoch, clock.nowMs()), ms)
    }
    const times = [4, 5, 6, 7, 8, 9].map((epoch) => watch.certainAtMs(epoch))
    expect(times).toEqual([Number.NEGATIVE_INFINITY, 20, 20, 30, 30, 40])
  })

  it('forgets epochs that are long gone, and then vouches for none of them', () => {
    const { watch, clock } = watching('remote')
    for (let epoch = 1; epoch <= 1_000; epoch++) watch.observe(reading(epoch, clock.nowMs()), epoch)
    expect(watch.certainAtMs(999)).toBe(999)
    expect(watch.certainAtMs(900)).toBe(Number.NEGATIVE_INFINITY)
  })

  it('does not rely on a store in this process whose epoch went back, nor lower its own', async () => {
    const { watch, store, clock } = watching('local')
    watch.observe(reading(5, clock.nowMs()), 0)
    expect(watch.glance()).toBe(true)
    store.epoch = 4
    clock.advance(5_000)
    expect(watch.glance()).toBe(false)
    await watch.refresh()
    expect([watch.glance(), watch.epoch]).toEqual([false, 5])
    store.epoch = 6
    expect([watch.glance(), watch.epoch]).toEqual([true, 6])
  })

  it('does not count an older epoch as a fresh answer', async () => {
    const { watch, store, clock } = watching('remote')
    watch.observe(reading(5, clock.nowMs()), 0)
    store.epoch = 4
    clock.advance(2_001)
    await watch.refresh()
    expect([watch.glance(), watch.epoch, watch.certainAtMs(5)]).toEqual([false, 5, 0])
  })

  it('notes a store in this process as heard from at least every 100 ms of use', () => {
    const { watch, store, clock } = watching('local')
    for (let i = 0; i < 50; i++) {
      clock.advance(37)
      expect(watch.glance()).toBe(true)
      // The contract lets the epoch itself be 100 ms old.
      expect(clock.elapsedMs() - watch.certainAtMs(5)).toBeLessThanOrEqual(200)
      expect(clock.elapsedMs() - watch.certainAtMs(5)).toBeGreaterThanOrEqual(100)
    }
    expect(store.asked).toBe(0)
  })

  it('T-K8 takes the time of a store in this process as it is, and never goes back', () => {
    const { watch, store, clock } = watching('local')
    let offsetMs = 0
    store.nowMs = () => clock.nowMs() + offsetMs
    const seen: number[] = []
    const look = (): void => {
      watch.glance()
      seen.push(watch.storeNowMs - 1_000_000)
    }
    look()
    clock.advance(7)
    look()
    offsetMs = 3_600_000
    look()
    offsetMs = 0
    look()
    store.failing = new TenantKeysError('TK_STORE_BUSY')
    look()
    clock.advance(10)
    look()
    expect(seen.slice(0, 4)).toEqual([0, 7, 3_600_007, 3_600_007])
    expect(seen[4]).toBeGreaterThanOrEqual(3_600_007)
    expect(seen[5]).toBeGreaterThanOrEqual(seen[4]!)
  })

  it('one question serves all who wait, and none is left over', async () => {
    const { watch, store, clock, waits } = watching('remote')
    watch.observe(reading(5, clock.nowMs()), 0)
    clock.advance(3_000)
    await Promise.all([watch.refresh(), watch.refresh(), watch.refresh()])
    await idle()
    expect([store.asked, waits.length, watch.glance()]).toEqual([1, 0, true])
  })

  describe('a store that pushes', () => {
    /** A watch of a store that answers when the test says so, and tells it of changes. */
    function pushed() {
      const clock = fakeClock(1_000_000)
      const questions: { answer(epoch: number): void; fail(): void }[] = []
      let push = (): void => {}
      const storage = {
        epoch: () =>
          new Promise<EpochReading>((resolve, reject) => {
            questions.push({
              answer: (epoch) => resolve(reading(epoch, clock.nowMs())),
              fail: () => reject(new TenantKeysError('TK_STORE_UNAVAILABLE')),
            })
          }),
        onEpoch: (listener: () => void) => {
          push = listener
          return () => {}
        },
      }
      const { sleep } = manualSleep()
      const watch = new EpochWatch({ storage, clock, sleep, waitMs: 250, maxStaleMs: 5_000 })
      watch.observe(reading(5, clock.nowMs()), 0)
      return { watch, clock, questions, push: () => push() }
    }

    it('T-K4 is asked at once, however young the last answer is', async () => {
      const { watch, questions, push } = pushed()
      expect([watch.glance(), questions.length]).toEqual([true, 0])
      push()
      questions[0]!.answer(6)
      await idle()
      expect(watch.epoch).toBe(6)
    })

    it('T-K4 is asked anew also while a question is under way that was sent before', async () => {
      const { watch, clock, questions, push } = pushed()
      clock.advance(1_500)
      watch.glance()
      push()
      expect(questions).toHaveLength(2)
      questions[0]!.answer(5)
      questions[1]!.answer(6)
      await idle()
      expect(watch.epoch).toBe(6)
    })

    it('many pushes lead to one question under way and one after it', async () => {
      const { watch, questions, push } = pushed()
      for (let n = 0; n < 100; n++) push()
      expect(questions).toHaveLength(1)
      questions[0]!.answer(6)
      await idle()
      expect(questions).toHaveLength(2)
      questions[1]!.answer(7)
      await idle()
      expect([questions.length, watch.epoch]).toEqual([2, 7])
    })

    it('a question that failed or has no answer does not make later pushes go unheard', async () => {
      const { watch, clock, questions, push } = pushed()
      push()
      questions[0]!.fail()
      await idle()
      push()
      expect(questions).toHaveLength(2)
      clock.advance(1_000)
      push()
      questions[2]!.answer(6)
      await idle()
      expect(watch.epoch).toBe(6)
    })

    it('a push alone makes no key stale and lifts no epoch: anybody could have sent it', async () => {
      const { watch, clock, questions, push } = pushed()
      push()
      questions[0]!.answer(5)
      await idle()
      expect([watch.epoch, watch.glance()]).toEqual([5, true])
      clock.advance(2_001)
      push()
      expect(watch.glance()).toBe(false)
    })
  })
})
