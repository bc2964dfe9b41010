/**
 * `npm run simulate`: many histories, or one again.
 *
 * - `--runs N`: how many seeds; default 1,000,000
 * - `--from S`: the first seed; default 1
 * - `--seed S`: this one only, with everything that happened
 * - `--storage memory|sqlite`; default memory
 *
 * @module
 */
import { parseArgs } from 'node:util'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { addReport, type MakeStorage, NO_HISTORIES, simulate } from './run.ts'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '1000000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    storage: { type: 'string', default: 'memory' },
  },
})
const make: MakeStorage = (clock) =>
  values.storage === 'sqlite' ? sqlite({ file: ':memory:', clock }) : memory({ clock })
const replay = (seed: number): string =>
  `npm run simulate -- --seed ${seed}${values.storage === 'memory' ? '' : ` --storage ${values.storage}`}`

const first = Number(values.seed ?? values.from)
const last = values.seed === undefined ? first + Number(values.runs) - 1 : first
let sums = NO_HISTORIES
const startedMs = performance.now()
for (let seed = first; seed <= last; seed++) {
  const report = await simulate(seed, make)
  sums = addReport(sums, report)
  if (values.seed !== undefined) console.log(report.trace.join('\n'))
  if (report.broken.length > 0) {
    console.log(`seed ${seed}: ${report.broken.join('; ')}\n  ${replay(seed)}`)
  }
  if (process.stdout.isTTY && seed % 1000 === 0) process.stdout.write(`\r${seed} of ${last}`)
}
console.log('')
console.table([{ ...sums, seconds: Math.round((performance.now() - startedMs) / 1000) }])
process.exitCode = sums.broken === 0 ? 0 : 1
