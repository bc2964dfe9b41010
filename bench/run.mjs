/**
 * Runs benchmarks and prints one table each: `npm run bench -- <name...> [--rounds N] [--json]
 * [--peers] [--quick] [--no-build]`. Method, gates and the last figures: bench/README.md.
 *
 * Every part of a bench has a process of its own, so that none runs in a heap that another filled.
 *
 * @module
 */
import { execFileSync, fork } from 'node:child_process'
import os from 'node:os'
import { parseArgs } from 'node:util'
import { installPeers } from './lib/peers.mjs'
import { asText } from './lib/report.mjs'

const BENCHES = {
  verify: 'verify a platform key (rows 1 to 3)',
  envelope: 'open and seal secrets, make keys (rows 12 to 14)',
  reserve: 'reserve, SQLite and PostgreSQL (rows 4 to 8)',
  settle: 'settle with its usage row and event, SQLite and PostgreSQL (row 15)',
  wrap: 'wrap a call of the OpenAI client, in process (rows 17 and 18)',
}

const WORKER = new URL('./lib/worker.mjs', import.meta.url)
const ROOT = new URL('../', import.meta.url)
const DEFAULT_ROUNDS = 11

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: String(DEFAULT_ROUNDS) },
    peers: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    'no-build': { type: 'boolean', default: false },
  },
})
const rounds = Number(options.rounds)
const unknown = names.filter((name) => !Object.hasOwn(BENCHES, name))

if (names.length === 0 || unknown.length > 0 || !Number.isInteger(rounds) || rounds < 1) {
  if (unknown.length > 0) console.error(`There is no bench called ${unknown.join(', ')}.`)
  if (!(rounds >= 1)) console.error('--rounds takes a whole number from 1.')
  usage()
  process.exitCode = names.length === 0 && rounds >= 1 ? 0 : 1
} else {
  await runAll()
}

function usage() {
  console.error(
    'npm run bench -- <name...> [--rounds N] [--json] [--peers] [--quick] [--no-build]\n',
  )
  for (const [name, title] of Object.entries(BENCHES)) console.error(`  ${name.padEnd(10)}${title}`)
}

async function runAll() {
  if (!options['no-build']) {
    const stdio = ['ignore', process.stderr, process.stderr]
    execFileSync('npm', ['run', 'build:js', '--silent'], { cwd: ROOT, stdio })
  }
  if (options.peers) installPeers()
  const results = []
  for (const name of names) {
    const result = await runBench(name)
    results.push(result)
    if (!options.json) console.log(asText(result))
  }
  if (options.json) console.log(JSON.stringify({ benches: results }, null, 2))
}

async function runBench(name) {
  const settings = { rounds, quick: options.quick }
  const startedAt = new Date().toISOString()
  const loadBefore = os.loadavg()[0]
  const { parts } = await import(`./${name}.mjs`)
  const found = []
  const names = Object.keys(parts)
  for (const [i, part] of names.entries()) {
    console.error(`${name}: ${i + 1} of ${names.length}, ${part} ...`)
    found.push(await runPart({ name, part, settings }, parts[part].flags ?? []))
  }
  const load = [loadBefore, os.loadavg()[0]].map((value) => Number(value.toFixed(2)))
  const cpus = os.cpus()
  return {
    name,
    title: BENCHES[name],
    startedAt,
    machine: { node: process.version, cpu: cpus[0].model.trim(), cores: cpus.length, load },
    ...settings,
    rows: found.flatMap((f) => f.rows),
    skipped: found.flatMap((f) => f.skipped ?? []),
    notes: found.flatMap((f) => f.notes ?? []),
  }
}

/** @returns what the part reported. */
function runPart(task, flags) {
  return new Promise((resolve, reject) => {
    const child = fork(WORKER, [JSON.stringify(task)], {
      execArgv: ['--expose-gc', ...flags],
      stdio: ['ignore', process.stderr, process.stderr, 'ipc'],
    })
    let result = null
    child.on('message', (message) => {
      result = message
    })
    child.on('error', reject)
    child.on('exit', (code) => {
      if (code === 0 && result !== null) resolve(result)
      else reject(new Error(`${task.name}: ${task.part} ended with ${code}`))
    })
  })
}
