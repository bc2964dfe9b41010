import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { systemMonotonicClock, systemTimers } from '../../src/kernel/clock.ts'
import { drainWithin, flushWithin } from '../../src/usage/flush.ts'

/** A call ends while the events of the first one are exported; each has one event. */
function busy() {
  const pending = new Set<Promise<unknown>>()
  const begin = (): void => {
    const settle: Promise<unknown> = setImmediate().then(() => pending.delete(settle))
    pending.add(settle)
  }
  let rounds = 0
  const exporter = {
    flush: async () => {
      if (++rounds === 1) begin()
      return { exported: 1, done: true }
    },
  }
  return { pending, exporter, clock: systemMonotonicClock, timers: systemTimers }
}

test('a flush does not wait for what is asked for after it; draining does, and counts all of it', async () => {
  const flushed = busy()
  expect(await flushWithin(60_000, flushed)).toEqual({ exported: 1, done: true, unsettled: 0 })
  expect(flushed.pending.size).toBe(1)
  const drained = busy()
  expect(await drainWithin(60_000, drained)).toEqual({ exported: 2, done: true, unsettled: 0 })
  expect(drained.pending.size).toBe(0)
})

test('what never ends is counted when the time is over', async () => {
  let nowMs = 0
  const clock = { elapsedMs: () => nowMs }
  const after = (ms: number, run: () => void) => {
    queueMicrotask(() => {
      nowMs += ms
      run()
    })
    return () => {}
  }
  const exporter = { flush: async () => ({ exported: 0, done: true }) }
  const pending = new Set<Promise<unknown>>([new Promise(() => {})])
  const parts = { pending, exporter, clock, timers: { after } }
  expect(await drainWithin(10_000, parts)).toEqual({ exported: 0, done: false, unsettled: 1 })
  expect(nowMs).toBe(10_000)
})
