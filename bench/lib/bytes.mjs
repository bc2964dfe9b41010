/**
 * Bytes allocated by one call: how much the young generation and the memory of array buffers have
 * grown after a number of calls without a garbage collection in between. It needs a process whose
 * young generation is large enough for that ({@link LARGE_YOUNG_GENERATION}); a window in which a
 * collection ran all the same is thrown away.
 *
 * @module
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { getHeapSpaceStatistics } from 'node:v8'
import { sink } from './measure.mjs'

/** For the command line of node. */
export const LARGE_YOUNG_GENERATION = ['--min-semi-space-size=256', '--max-semi-space-size=256']

/** Code that is still being optimised allocates more. */
const WARM_UP_MS = 1500
const WINDOW_BYTES = 48 * 1024 * 1024
const MAX_CALLS = 200
const MAX_TRIES = 10

/**
 * @param {Record<string, () => Promise<unknown>>} alternatives - one operation each.
 * @param {{ rounds: number, quick: boolean }} settings
 * @returns {Promise<Record<string, number[]>>} bytes per operation: one figure per round.
 */
export async function compareBytes(alternatives, { rounds, quick }) {
  const collections = watchCollections()
  const names = Object.keys(alternatives)
  const figures = Object.fromEntries(names.map((name) => [name, []]))
  const counts = {}
  for (const name of names) {
    const endMs = performance.now() + (quick ? 1 : WARM_UP_MS)
    while (performance.now() < endMs) sink.value = await alternatives[name]()
    const once = await undisturbed(alternatives[name], 1, collections)
    counts[name] = Math.max(1, Math.min(MAX_CALLS, Math.floor(WINDOW_BYTES / once)))
  }
  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      figures[name].push(await undisturbed(alternatives[name], counts[name], collections))
    }
  }
  collections.stop()
  return figures
}

async function undisturbed(run, count, collections) {
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    // The second one waits for what the first has left to be swept.
    globalThis.gc()
    globalThis.gc()
    await collections.seen()
    const bytes = await grownBy(run, count)
    if ((await collections.seen()) === 0) return bytes / count
  }
  throw new Error('The garbage collector ran in every window: the young generation is too small')
}

async function grownBy(run, count) {
  const before = inUse()
  for (let i = 0; i < count; i++) sink.value = await run()
  return inUse() - before
}

/** The old generation is left out: it is still being swept when the calls begin, so it shrinks. */
function inUse() {
  let bytes = process.memoryUsage().arrayBuffers
  for (const { space_name: name, space_used_size: used } of getHeapSpaceStatistics()) {
    if (name.startsWith('new_')) bytes += used
  }
  return bytes
}

/** Counts collections; Node reports them a turn of the event loop later. */
function watchCollections() {
  let count = 0
  const observer = new PerformanceObserver((list) => {
    count += list.getEntries().length
  })
  observer.observe({ entryTypes: ['gc'] })
  return {
    seen: async () => {
      for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve))
      const seen = count
      count = 0
      return seen
    },
    stop: () => observer.disconnect(),
  }
}
