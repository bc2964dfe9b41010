/**
 * Rows of a result: two alternatives put beside each other, with the gate that the row is held to.
 *
 * @module
 */
import { median, quantile } from './measure.mjs'

/**
 * @param {object} spec
 * @param {number} spec.row - number in the list of targets (bench/README.md).
 * @param {string} spec.operation
 * @param {string} spec.baselineName
 * @param {'cost' | 'times'} [spec.ratioIs] - `cost` (default): ours / baseline, the gate is a maximum;
 *   `times`: baseline / ours, the gate is a minimum.
 * @param {'ns' | 'B'} [spec.unit] - default `ns`.
 * @param {number | null} [spec.gate] - null: shown for information.
 * @param {number | null} [spec.moonshot]
 * @param {number[]} ours - one figure per round.
 * @param {number[]} baseline - of the same rounds.
 */
export function row(spec, ours, baseline) {
  const { ratioIs = 'cost', unit = 'ns', gate = null, moonshot = null, ...rest } = spec
  const ratios = ours.map((own, i) => (ratioIs === 'cost' ? own / baseline[i] : baseline[i] / own))
  const ratio = { median: median(ratios), p10: quantile(ratios, 0.1), p90: quantile(ratios, 0.9) }
  const reaches = (target) =>
    target === null ? null : ratioIs === 'cost' ? ratio.median <= target : ratio.median >= target
  return {
    ...rest,
    unit,
    ours: median(ours),
    baseline: median(baseline),
    ratioIs,
    ratio,
    gate,
    met: reaches(gate),
    moonshot,
    moonshotReached: reaches(moonshot),
  }
}
