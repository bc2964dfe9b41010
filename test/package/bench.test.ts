import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT } from './packed.ts'

/** Rows of the list of targets that each bench holds. */
const ROWS = {
  verify: [1, 2, 3],
  reserve: [4, 5, 6, 7, 8],
  envelope: [12, 13, 14],
  settle: [15],
  wrap: [17, 18],
} as const

interface Ratio {
  readonly median: number
  readonly p10: number
  readonly p90: number
}

interface Row {
  readonly row: number
  readonly operation: string
  readonly baselineName: string
  readonly unit: 'ns' | 'B'
  readonly ours: number
  readonly baseline: number
  readonly ratioIs: 'cost' | 'times'
  readonly ratio: Ratio
  readonly gate: number | null
  readonly met: boolean | null
}

interface Bench {
  readonly name: string
  readonly rounds: number
  readonly machine: { readonly node: string; readonly cores: number }
  readonly rows: readonly Row[]
  readonly skipped: readonly { readonly row: number; readonly reason: string }[]
}

/** Standard output of a run. The package must have been built. */
function bench(...args: string[]): string {
  if (!existsSync(join(ROOT, 'dist/index.js'))) throw new Error('dist is missing: npm run build')
  return execFileSync('node', ['bench/run.mjs', '--no-build', ...args], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

test.each(Object.entries(ROWS))(
  'bench %s prints one JSON document with all its rows',
  (name, numbers) => {
    const { benches }: { benches: readonly Bench[] } = JSON.parse(
      bench(name, '--json', '--quick', '--rounds', '1'),
    )
    expect(benches.map((b) => [b.name, b.rounds, b.machine.node])).toEqual([
      [name, 1, process.version],
    ])
    const { rows, skipped } = benches[0]!
    expect(new Set([...rows, ...skipped].map((r) => r.row))).toEqual(new Set(numbers))
    for (const { reason } of skipped) expect(reason).toContain('--peers')
    for (const row of rows) {
      const { ours, baseline, ratio, gate, met } = row
      expect(row.operation.length * row.baselineName.length).toBeGreaterThan(0)
      for (const value of [ours, baseline, ratio.median, ratio.p10, ratio.p90]) {
        expect(value).toBeGreaterThan(0)
      }
      expect(['ns', 'B']).toContain(row.unit)
      expect(ratio.p10 <= ratio.median && ratio.median <= ratio.p90).toBe(true)
      const reached = row.ratioIs === 'cost' ? ratio.median <= gate! : ratio.median >= gate!
      expect(met).toBe(gate === null ? null : reached)
    }
  },
)

test('bench prints a table with its gates when no JSON is asked for', () => {
  const table = bench('envelope', '--quick', '--rounds', '1')
  expect(table).toMatch(/\| 12 +\| open 100 bytes.*\| <= 1\.15 x \| (met|MISSED)/)
})

test('bench refuses a name it does not know, and a number of rounds that is none', () => {
  expect(() => bench('speed')).toThrow(/no bench called speed/)
  expect(() => bench('verify', '--rounds', 'many')).toThrow(/whole number/)
})
