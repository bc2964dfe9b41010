/**
 * Results as a table for people. The same results go out whole with `--json`.
 *
 * @module
 */

const HEADS = ['#', 'operation', 'ours', 'baseline', 'ratio (p10 to p90)', 'gate', '', 'moonshot']

export function asText({ name, title, machine, rounds, rows, skipped, notes }) {
  const lines = rows.map((r) => [
    String(r.row),
    r.operation,
    amount(r.ours, r.unit),
    `${amount(r.baseline, r.unit)} ${r.baselineName}`,
    `${ratio(r.ratio.median)} (${ratio(r.ratio.p10)} to ${ratio(r.ratio.p90)})`,
    target(r, r.gate),
    r.met === null ? '' : r.met ? 'met' : 'MISSED',
    r.moonshot === null ? '' : `${target(r, r.moonshot)} ${r.moonshotReached ? 'reached' : 'no'}`,
  ])
  return [
    `${name}: ${title}`,
    `${machine.node}, ${machine.cores} x ${machine.cpu}, load ${machine.load.join(' -> ')}, ${rounds} rounds`,
    '',
    ...table([HEADS, ...lines]),
    ...skipped.map((s) => `\n!! SKIPPED row ${s.row}, ${s.operation}: ${s.reason}`),
    ...(notes.length > 0 ? ['', ...notes.map((note) => `- ${note}`)] : []),
    '',
  ].join('\n')
}

/** As a table in Markdown, so that it can be copied into the README. */
function table(rows) {
  const widths = HEADS.map((_, column) => Math.max(...rows.map((r) => r[column].length), 1))
  const line = (cells) => `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`
  return [line(rows[0]), rule, ...rows.slice(1).map(line)]
}

function amount(value, unit) {
  if (unit === 'B')
    return value < 10_000 ? `${value.toFixed(0)} B` : `${(value / 1000).toFixed(1)} kB`
  if (value < 1000) return `${value.toFixed(0)} ns`
  return value < 1e6 ? `${(value / 1000).toFixed(2)} us` : `${(value / 1e6).toFixed(2)} ms`
}

const ratio = (value) => (value >= 10 ? value.toFixed(1) : value.toFixed(2))

function target({ ratioIs }, value) {
  if (value === null) return 'shown only'
  return ratioIs === 'cost' ? `<= ${value} x` : `>= ${value} x`
}
