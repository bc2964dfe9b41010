/**
 * Interleaved comparison. A machine that others use too drifts by tens of percent, so nothing is
 * compared across time: in every round each alternative is run in many short slices, in turns and in
 * rotating order; a round yields one figure per alternative (the median of its slices), and ratios
 * are taken inside a round.
 *
 * @module
 */

/** What every measured call returns goes here, so that no call can be optimised away. */
export const sink = { value: undefined }

const FULL = { slices: 40, sliceMs: 2, warmUpMs: 300 }
/** For calls that allocate much: a slice holds its share of the collections, and little of others'. */
export const LONG = { slices: 8, sliceMs: 25, warmUpMs: 2000 }
const QUICK = { slices: 1, sliceMs: 1, warmUpMs: 1 }

/**
 * @typedef {object} Alternative
 * @property {() => unknown} run - one operation; its inputs must differ from call to call.
 * @property {boolean} [waits] - true: every call is awaited before the next one.
 *
 * @param {Record<string, Alternative>} alternatives
 * @param {{ rounds: number, quick: boolean, slicing?: typeof FULL }} settings
 * @returns {Promise<Record<string, number[]>>} ns per operation: one figure per round.
 */
export async function compare(alternatives, { rounds, quick, slicing = FULL }) {
  const { slices, sliceMs, warmUpMs } = quick ? QUICK : slicing
  const names = Object.keys(alternatives)
  const counts = {}
  for (const name of names) {
    counts[name] = await callsWithin(alternatives[name], warmUpMs, sliceMs)
  }
  const figures = Object.fromEntries(names.map((name) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    const taken = Object.fromEntries(names.map((name) => [name, []]))
    globalThis.gc?.()
    for (let slice = 0; slice < slices; slice++) {
      for (const name of rotated(names, round + slice)) {
        taken[name].push(await timed(alternatives[name], counts[name]))
      }
    }
    for (const name of names) figures[name].push(median(taken[name]))
  }
  return figures
}

/** Runs for `warmUpMs` at least, then counts how many calls fill a slice. */
async function callsWithin(alternative, warmUpMs, sliceMs) {
  const endMs = performance.now() + warmUpMs
  let count = 1
  let ns = 0
  do {
    ns = await timed(alternative, count)
    if (ns * count < sliceMs * 1e6) count *= 2
  } while (performance.now() < endMs)
  return Math.max(1, Math.round((sliceMs * 1e6) / ns))
}

/** @returns ns per call. */
async function timed({ run, waits = false }, count) {
  const startMs = performance.now()
  if (waits) for (let i = 0; i < count; i++) sink.value = await run()
  else for (let i = 0; i < count; i++) sink.value = run()
  return ((performance.now() - startMs) * 1e6) / count
}

/** Every second time backwards, so that no alternative always follows the same other one. */
export function rotated(names, by) {
  const turned = names.map((_, i) => names[(i + by) % names.length])
  return by % 2 === 0 ? turned : turned.reverse()
}

export function median(values) {
  return quantile(values, 0.5)
}

/** Linear between the two nearest values. */
export function quantile(values, at) {
  const sorted = [...values].sort((a, b) => a - b)
  const place = (sorted.length - 1) * at
  const below = Math.floor(place)
  const above = sorted[Math.min(below + 1, sorted.length - 1)]
  return sorted[below] + (above - sorted[below]) * (place - below)
}

/** Hands out the items one after the other, for ever. */
export function inTurn(items) {
  let at = 0
  return () => {
    at = at + 1 === items.length ? 0 : at + 1
    return items[at]
  }
}

/** A text as a parser of HTTP hands it over: flat, not the rope that concatenation leaves. */
export function flat(text) {
  return Buffer.from(text, 'latin1').toString('latin1')
}
