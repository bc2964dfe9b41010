/**
 * Interleaved comparison of what waits for a disk or a server: closed loops of callers. In every round
 * each alternative takes one slice, in rotating order; a slice is a fixed number of operations, whose
 * inputs were made before the clock was started.
 *
 * @module
 */
import { quantile, rotated, sink } from './measure.mjs'

const FULL = { sliceMs: 400, maxCount: 20_000 }
const QUICK = { sliceMs: 1, maxCount: 200 }

/**
 * @typedef {object} Load
 * @property {(count: number) => Promise<unknown[]>} prepare - inputs, one for each operation.
 * @property {(input: unknown) => unknown} run - one operation; awaited when it is a promise.
 *
 * @param {Record<string, Load>} alternatives
 * @param {{ rounds: number, quick: boolean, callers: number }} settings
 * @returns {Promise<Record<string, { ns: number[], p99: number[] }>>} per operation: wall time by
 *   number of operations, and the 99th percentile of what a caller waits; one figure per round.
 */
export async function compareLoads(alternatives, { rounds, quick, callers }) {
  const { sliceMs, maxCount } = quick ? QUICK : FULL
  const names = Object.keys(alternatives)
  const counts = {}
  for (const name of names)
    counts[name] = await countWithin(alternatives[name], { sliceMs, maxCount, callers })
  const figures = Object.fromEntries(names.map((name) => [name, { ns: [], p99: [] }]))
  for (let round = 0; round < rounds; round++) {
    for (const name of rotated(names, round)) {
      const slice = await runSlice(alternatives[name], counts[name], callers)
      figures[name].ns.push(slice.ns)
      figures[name].p99.push(slice.p99)
    }
  }
  return figures
}

/** Warms up on the way. */
async function countWithin(load, { sliceMs, maxCount, callers }) {
  let count = callers
  for (;;) {
    const { ns } = await runSlice(load, count, callers)
    if (ns * count >= sliceMs * 1e6 || count >= maxCount) break
    count *= 2
  }
  return Math.min(count, maxCount)
}

async function runSlice({ prepare, run }, count, callers) {
  const inputs = await prepare(count)
  const waited = []
  globalThis.gc?.()
  let at = 0
  const call = async () => {
    while (at < count) {
      const input = inputs[at++]
      const startMs = performance.now()
      sink.value = await run(input)
      waited.push((performance.now() - startMs) * 1e6)
    }
  }
  const startMs = performance.now()
  await Promise.all(Array.from({ length: callers }, call))
  return { ns: ((performance.now() - startMs) * 1e6) / count, p99: quantile(waited, 0.99) }
}
