import { execFile } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { isBusy, mapError } from '../../src/adapters/sqlite/map-error.ts'
import { bundle } from '../support/bundle.ts'
import { temporaryFiles } from '../support/sqlite.ts'

const run = promisify(execFile)
const fileOf = temporaryFiles()
let store = ''

beforeAll(async () => {
  store = await bundle('src/adapters/sqlite/index.ts', fileOf('built'), 'sqlite')
})

/** A package that says when it is loaded, and opens nothing. */
function fakePackage(folder: string, name: string, version: string): void {
  const home = join(folder, 'node_modules', name)
  mkdirSync(home, { recursive: true })
  writeFileSync(join(home, 'package.json'), JSON.stringify({ name, version, main: 'index.cjs' }))
  const body = `console.log('loaded ${name} ${version}'); module.exports = class {}`
  writeFileSync(join(home, 'index.cjs'), body)
}

/** Opens a file in a process that takes itself for Node `version`, with these packages installed. */
async function driverIn(
  version: string,
  builtin: boolean,
  packages: readonly (readonly [name: string, version: string])[],
): Promise<string> {
  const folder = fileOf(`host-${Math.random()}`)
  mkdirSync(folder)
  for (const [name, packageVersion] of packages) fakePackage(folder, name, packageVersion)
  const copy = join(folder, 'sqlite.mjs')
  copyFileSync(store, copy)
  const script = join(folder, 'open.mjs')
  writeFileSync(
    script,
    `Object.defineProperty(process, 'versions', { value: { node: '${version}' } })
    class DatabaseSync { constructor() { console.log('loaded node:sqlite') } }
    process.getBuiltinModule = (name) =>
      name === 'node:sqlite' && ${builtin} ? { DatabaseSync } : undefined
    const { sqlite } = await import('${pathToFileURL(copy)}')
    await sqlite({ file: 'x.db' }).migrate().catch((error) => console.log(error.code, error.message))`,
  )
  return (await run(process.execPath, [script], { cwd: folder })).stdout
}

const LIBSQL = ['libsql', '0.5.29'] as const
const BETTER_12 = ['better-sqlite3', '12.11.1'] as const
const BETTER_13 = ['better-sqlite3', '13.2.0'] as const

describe('which driver is loaded', () => {
  it('node:sqlite comes first, from Node 22.13 on', async () => {
    const loaded = await driverIn('22.13.0', true, [LIBSQL, BETTER_13])
    expect(loaded).toContain('loaded node:sqlite')
    expect(loaded).not.toMatch(/loaded (libsql|better)/)
    expect(await driverIn('22.12.0', true, [LIBSQL])).toContain('loaded libsql')
    expect(await driverIn('24.0.0', true, [])).toContain('loaded node:sqlite')
  })

  it('then libsql, then better-sqlite3', async () => {
    const both = await driverIn('20.19.0', false, [LIBSQL, BETTER_12])
    expect(both).toContain('loaded libsql')
    expect(both).not.toContain('better')
    expect(await driverIn('20.19.0', false, [BETTER_12])).toContain('loaded better-sqlite3 12')
    expect(await driverIn('22.5.0', false, [BETTER_13])).toContain('loaded better-sqlite3 13')
  })

  it('better-sqlite3 13 is never loaded on Node below 22: it would end the process', async () => {
    const said = await driverIn('20.19.0', false, [BETTER_13])
    expect(said).not.toContain('loaded')
    expect(said).toContain('TK_STORE_DRIVER_MISSING')
  })

  it('without any, the error says what to install', async () => {
    const said = await driverIn('20.19.0', false, [])
    expect(said).toContain('TK_STORE_DRIVER_MISSING')
    expect(said).toContain('npm install libsql')
  })
})

describe('errors of the drivers', () => {
  /** The same SQLite result as each driver throws it. */
  const dialects = (number: number, name: string): [string, Error][] => [
    ['node:sqlite', Object.assign(new Error('x'), { code: 'ERR_SQLITE_ERROR', errcode: number })],
    ['libsql', Object.assign(new Error('x'), { code: `SQLITE_${name}`, rawCode: number })],
    ['better-sqlite3', Object.assign(new Error('x'), { code: `SQLITE_${name}` })],
  ]

  it.each([
    [5, 'BUSY', 'TK_STORE_BUSY'],
    [261, 'BUSY_RECOVERY', 'TK_STORE_BUSY'],
    [517, 'BUSY_SNAPSHOT', 'TK_STORE_BUSY'],
    [6, 'LOCKED', 'TK_STORE_BUSY'],
    [11, 'CORRUPT', 'TK_STORE_CORRUPT'],
    [26, 'NOTADB', 'TK_STORE_CORRUPT'],
    [13, 'FULL', 'TK_STORE_UNAVAILABLE'],
    [8, 'READONLY', 'TK_STORE_UNAVAILABLE'],
    [778, 'IOERR_WRITE', 'TK_STORE_UNAVAILABLE'],
    [14, 'CANTOPEN', 'TK_STORE_UNAVAILABLE'],
    [275, 'CONSTRAINT_CHECK', 'TK_INPUT_INVALID'],
    [1555, 'CONSTRAINT_PRIMARYKEY', 'TK_STORE_CONFLICT'],
    [2067, 'CONSTRAINT_UNIQUE', 'TK_STORE_CONFLICT'],
    [1, 'ERROR', 'TK_INTERNAL'],
  ])('ST-2 SQLite result %i (%s) is %s, whoever reports it', (number, name, code) => {
    for (const [driver, error] of dialects(number, name)) {
      expect(mapError(error).code, driver).toBe(code)
      expect(isBusy(error), driver).toBe(code === 'TK_STORE_BUSY')
    }
  })

  it('ST-12 their texts are left behind', () => {
    const error = Object.assign(new Error('UNIQUE failed: row canary'), { code: 'SQLITE_CORRUPT' })
    const mapped = mapError(error)
    expect(JSON.stringify(mapped) + String((mapped.cause as Error).stack)).not.toContain('canary')
  })
})

describe('other drivers', () => {
  const cache = process.env.TENANTKEYS_CACHE ?? join(cacheHome(), 'tenantkeys')
  const drivers = join(cache, 'sqlite-drivers')
  const node = join(drivers, 'node_modules/node/bin/node')
  const present = existsSync(node) && existsSync(join(drivers, 'node_modules/better-sqlite3'))
  if (!present) {
    console.warn('SKIPPED: node:sqlite and better-sqlite3; run scripts/sqlite-drivers.sh first')
  }

  it.skipIf(!present && process.env.TENANTKEYS_REQUIRE_ALL !== '1')(
    present
      ? 'node:sqlite and better-sqlite3 13 walk every family of commands'
      : 'node:sqlite and better-sqlite3 13 (skipped: run scripts/sqlite-drivers.sh)',
    async () => {
      const smoke = join(import.meta.dirname, 'driver-smoke.mjs')
      expect(present, 'run scripts/sqlite-drivers.sh').toBe(true)
      const { stdout } = await run(node, [smoke, pathToFileURL(store).href, drivers], {
        cwd: dirname(store),
      })
      expect(stdout.trim().split('\n')).toEqual(['ok node:sqlite', 'ok better-sqlite3'])
    },
  )
})

function cacheHome(): string {
  return process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache')
}
