import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'libsql'
import { beforeAll, describe, expect, test } from 'vitest'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { uuidv7 } from '../../src/kernel/ids.ts'
import type { Finding } from '../../src/storage/inspection.ts'
import { ledgerBench } from '../../src/testing/storage-conformance/ledger-bench.ts'
import { buildCli, type Cli } from '../support/cli.ts'
import { queryAll, tamper, temporaryFiles } from '../support/sqlite.ts'

const fileOf = temporaryFiles()
let cli: Cli
beforeAll(async () => {
  cli = await buildCli(fileOf('.'))
})

/** A file that a program has worked with: one call settled, one live, an audit trail. */
async function usedFile(): Promise<string> {
  const file = fileOf(`${uuidv7()}.db`)
  const storage = sqlite({ file, synchronous: 'NORMAL' })
  await storage.migrate()
  const bench = await ledgerBench(storage, { limit: 1_000_000n })
  await bench.settle(await bench.hold(400n), 300n)
  // Looked at by several commands, each of which takes its time to start.
  await bench.hold(50n, { ttlMs: 3_600_000 })
  const audit = { tenantId: 'acme', actor: 'test', action: 'a', target: 't', detail: {} }
  await storage.pin('a', 'b')
  await storage.tenants.create(
    { id: 'zeta', parentId: 'acme', credentials: 'tenant' },
    { audit: [audit, audit] },
  )
  await storage.close()
  return file
}

const findingsOf = (doc: Record<string, unknown>): readonly Finding[] =>
  doc.findings as readonly Finding[]

describe('tenantkeys migrate on SQLite', () => {
  test('makes the tables once, and --status tells before and after by its exit code', async () => {
    const url = `sqlite:${fileOf('migrate.db')}`
    expect((await cli.run(['migrate', '--status', '-s', url])).code).toBe(2)
    new Database(fileOf('migrate.db')).close()
    const before = await cli.json(['migrate', '--status', '-s', url])
    expect([before.code, before.doc.schemaVersion, before.doc.current]).toEqual([1, null, false])
    for (let i = 0; i < 2; i++) {
      const done = await cli.run(['migrate', '-s', url])
      expect([done.code, done.stdout]).toEqual([0, expect.stringContaining('Version 1')])
    }
    const after = await cli.json(['migrate', '--status', '-s', url])
    expect([after.code, after.doc.current]).toEqual([0, true])
  })

  test('--sql prints what makes the same tables, and touches no file', async () => {
    const { code, stdout } = await cli.run(['migrate', '--sql', '-s', 'sqlite:nowhere.db'])
    expect(code).toBe(0)
    expect(existsSync(fileOf('nowhere.db'))).toBe(false)
    const byHand = fileOf('by-hand.db')
    new Database(byHand).exec(stdout)
    expect((await cli.run(['migrate', '--status', '-s', `sqlite:${byHand}`])).code).toBe(0)
    const file = await usedFile()
    const schema = 'SELECT name, sql FROM sqlite_schema ORDER BY name'
    expect(queryAll(byHand, schema)).toEqual(queryAll(file, schema))
  })

  test('--out writes files, and leaves one alone that was changed', async () => {
    const out = fileOf('migrations')
    const args = ['migrate', '--sql', '--out', out, '-s', 'sqlite:nowhere.db']
    const { code, doc } = await cli.json(args)
    expect(code).toBe(0)
    const [first] = doc.files as { name: string; sql: string }[]
    const path = join(out, first!.name)
    expect(readFileSync(path, 'utf8')).toBe(first!.sql)
    expect((await cli.run(args)).code).toBe(0)
    writeFileSync(path, '-- mine')
    expect(await cli.run(args)).toMatchObject({ code: 2, stderr: expect.stringContaining(path) })
    expect(readFileSync(path, 'utf8')).toBe('-- mine')
  })

  test('a later schema is not touched', async () => {
    const file = await usedFile()
    tamper(file, 'UPDATE tk_meta SET schema_version = 99')
    expect(await cli.run(['migrate', '-s', `sqlite:${file}`])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('TK_STORE_NOT_MIGRATED'),
    })
  })
})

describe('tenantkeys doctor on SQLite', () => {
  test('finds nothing in a file that is well', async () => {
    const file = await usedFile()
    const { code, doc } = await cli.json(['doctor', '-s', `sqlite:${file}`])
    expect(findingsOf(doc).filter(({ severity }) => severity !== 'ok')).toEqual([])
    expect([code, doc.ok, doc.schemaVersion]).toEqual([0, true, 1])
    const subjects = ['schema', 'integrity', 'tables and indexes', 'journal', 'clock', 'ledger']
    expect(findingsOf(doc).map(({ subject }) => subject)).toEqual(
      expect.arrayContaining([...subjects, 'expired holds', 'outbox', 'audit trail']),
    )
  })

  test('--apply mends counters and lost usage rows, by audit rows of the actor, and only then', async () => {
    const file = await usedFile()
    const url = `sqlite:${file}`
    tamper(file, 'UPDATE tk_counters SET posted = 7, held = 9', 'DELETE FROM api_key_usage_logs')
    const found = await cli.run(['doctor', '-s', url])
    expect(found.code).toBe(1)
    expect(found.stdout).toMatch(/error +ledger +tenant:acme, usd per month: used is/)
    expect(found.stdout).toContain('is posted without a usage row')
    expect(queryAll(file, 'SELECT posted, held FROM tk_counters')).toEqual([
      { posted: 7n, held: 9n },
    ])

    const mended = await cli.json(['doctor', '--apply', '--actor', 'ops', '-s', url])
    expect([mended.code, mended.doc.ok]).toEqual([0, true])
    expect(queryAll(file, 'SELECT posted, held FROM tk_counters')).toEqual([
      { posted: 300n, held: 50n },
    ])
    expect(
      queryAll(file, "SELECT actor FROM tk_audit WHERE action = 'budget.repair'").length,
    ).toBeGreaterThan(1)
    expect(
      new Set(
        queryAll(file, "SELECT actor FROM tk_audit WHERE action = 'budget.repair'").map(
          ({ actor }) => actor,
        ),
      ),
    ).toEqual(new Set(['ops']))
    expect((await cli.run(['doctor', '-s', url])).code).toBe(0)
  })

  test('--apply expires holds that nobody swept', async () => {
    const file = await usedFile()
    tamper(file, "UPDATE tk_holds SET expires_at_ms = 1000 WHERE state = 'held'")
    const found = await cli.json(['doctor', '-s', `sqlite:${file}`])
    expect(found.code).toBe(1)
    expect(findingsOf(found.doc)).toContainEqual(
      expect.objectContaining({ subject: 'expired holds', severity: 'warning' }),
    )
    expect((await cli.run(['doctor', '--apply', '-s', `sqlite:${file}`])).code).toBe(0)
    expect(queryAll(file, 'SELECT held FROM tk_counters')).toEqual([{ held: 0n }])
  })

  test('--tenant looks at one tree, and an unknown tenant is an error', async () => {
    const file = await usedFile()
    tamper(file, 'UPDATE tk_counters SET posted = 7')
    expect((await cli.run(['doctor', '--tenant', 'zeta', '-s', `sqlite:${file}`])).code).toBe(0)
    expect((await cli.run(['doctor', '--tenant', 'acme', '-s', `sqlite:${file}`])).code).toBe(1)
    expect(await cli.run(['doctor', '--tenant', 'nobody', '-s', `sqlite:${file}`])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('TK_TENANT_NOT_FOUND'),
    })
  })

  const BROKEN = [
    ['a missing index', ['DROP INDEX tk_holds_due'], 'tables and indexes', /tk_holds_due/],
    [
      'a missing table',
      ['DROP TABLE tk_budget_entries'],
      'tables and indexes',
      /tk_budget_entries/,
    ],
    ['an edited audit row', ["UPDATE tk_audit SET actor = 'x'"], 'audit trail', /acme/],
    [
      'a clock that was wrong',
      [`UPDATE tk_meta SET clock_ms = ${Date.UTC(2099, 0, 1)}`],
      'clock',
      /s later/,
    ],
    [
      'rows without their tenant',
      ['PRAGMA foreign_keys = OFF', "DELETE FROM tk_tenants WHERE id = 'acme'"],
      'integrity',
      /refer/,
    ],
    ['tables of another version', ['UPDATE tk_meta SET schema_version = 99'], 'schema', /99/],
    ['a counter that is no number', ["UPDATE tk_holds SET lines = 'x'"], 'ledger', /unreadable/],
  ] as const

  test.each(BROKEN)('finds %s', async (_, statements, subject, text) => {
    const file = await usedFile()
    tamper(file, ...statements)
    const { code, doc } = await cli.json(['doctor', '-s', `sqlite:${file}`])
    expect(code).toBe(1)
    const found = findingsOf(doc).filter((f) => f.subject === subject && f.severity === 'error')
    expect(found.map(({ message }) => message)).toEqual([expect.stringMatching(text)])
  })

  test('tells an outbox that nobody reads from one that is stuck', async () => {
    const file = await usedFile()
    const outbox = async (): Promise<Finding | undefined> =>
      findingsOf((await cli.json(['doctor', '-s', `sqlite:${file}`])).doc).find(
        ({ subject }) => subject === 'outbox',
      )
    tamper(file, 'UPDATE tk_outbox SET at_ms = 1000')
    expect(await outbox()).toMatchObject({ severity: 'info' })
    tamper(file, 'UPDATE tk_outbox SET attempts = 5')
    expect(await outbox()).toMatchObject({ severity: 'warning' })
  })

  test('a file without tables is a finding; no file, and a file that is no database, are not', async () => {
    const empty = fileOf('empty.db')
    new Database(empty).close()
    writeFileSync(empty, '')
    expect(await cli.run(['doctor', '-s', `sqlite:${empty}`])).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('tenantkeys migrate'),
    })
    expect(await cli.run(['doctor', '-s', `sqlite:${fileOf('none.db')}`])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('There is no such file'),
    })
    expect(existsSync(fileOf('none.db'))).toBe(false)
    writeFileSync(fileOf('text.db'), 'no database '.repeat(500))
    expect(await cli.run(['doctor', '-s', `sqlite:${fileOf('text.db')}`])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('TK_STORE_CORRUPT'),
    })
  })
})

describe('how the command is called', () => {
  test('the storage comes from an argument, a variable, a file or standard input', async () => {
    const url = `sqlite:${await usedFile()}`
    writeFileSync(fileOf('storage.txt'), `${url}\n`)
    const ways: [string[], object][] = [
      [['--storage', url], {}],
      [['-s', 'env:MY_DATABASE'], { env: { MY_DATABASE: url } }],
      [['-s', `@${fileOf('storage.txt')}`], {}],
      [['-s', '-'], { input: url }],
      [[], { env: { TENANTKEYS_STORAGE: url } }],
    ]
    for (const [args, options] of ways) {
      expect((await cli.run(['migrate', '--status', ...args], options)).code, args.join(' ')).toBe(
        0,
      )
    }
  })

  test.each([
    [['doctor', '--aply'], 'Did you mean --apply?'],
    [['doctor', 'now'], 'too many arguments'],
    [['repair'], "unknown command 'repair'"],
    [['doctor', '-s', 'sqlite:'], 'needs the path'],
    [['doctor', '-s', 'mysql://x'], 'is not a storage URL'],
    [['doctor', '-s', 'env:NOT_SET_ANYWHERE'], 'is not set'],
    [['doctor', '-s', '@/not/there'], 'cannot be read'],
    [['doctor'], 'TENANTKEYS_STORAGE is not set'],
    [['migrate', '-s', 'sqlite:a.db', '--out', 'x'], '--out goes with --sql'],
    [['crash-test', '-s', 'sqlite:a.db', '--seconds', '0'], 'from 1 to 3600'],
    [['crash-test', '-s', 'sqlite:a.db', '--callers', '1e3'], 'from 1 to 1000'],
    [['crash-test', '-s', 'sqlite:a.db', '--calls', '0'], 'from 1 to 100000'],
    [['crash-test', '-s', 'sqlite:/not/there/a.db'], 'TK_STORE_UNAVAILABLE'],
  ])('%j ends with 2 and says why', async (args, why) => {
    const { code, stdout, stderr } = await cli.run(args)
    expect([code, stdout, stderr]).toEqual([2, '', expect.stringContaining(why)])
  })

  test('T-L4 a password in an argument is refused and not repeated, wherever it stands', async () => {
    const password = `pw-${uuidv7()}`
    for (const url of [
      `postgres://app:${password}@localhost/x`,
      `postgresql://localhost/x?user=app&password=${password}`,
      `mysql://app:${password}@localhost`,
      `postgres://app:${password}@local host/x`,
    ]) {
      const { code, stdout, stderr } = await cli.run(['doctor', '-s', url])
      expect(code).toBe(2)
      expect(stdout + stderr).not.toContain(password)
    }
  })

  test('in a pipe there are plain lines only, progress on standard error, and one document with --json', async () => {
    const url = `sqlite:${await usedFile()}`
    const plain = await cli.run(['doctor', '-s', url])
    const json = await cli.json(['doctor', '-s', url])
    expect(plain.stdout + plain.stderr + json.stdout + json.stderr).not.toContain('\u001b')
    for (const { stderr } of [plain, json]) expect(stderr).toContain('Looking at')
    expect(plain.stdout).toContain('Nothing to do.')
    expect(Object.keys(json.doc)).toContain('findings')
  })

  test('with --json an error is a document too, beside its text', async () => {
    for (const [args, code] of [
      [['doctor', '-s', `sqlite:${fileOf('none.db')}`], 'TK_STORE_UNAVAILABLE'],
      [['migrate', '-s', 'nowhere'], 'USAGE'],
    ] as const) {
      const failed = await cli.json(args)
      expect(failed.code).toBe(2)
      expect(failed.doc).toMatchObject({ command: args[0], ok: false, error: { code } })
      expect(failed.stderr).toContain((failed.doc.error as { message: string }).message)
    }
  })

  test('--help shows examples and the exit codes of every command', async () => {
    const { stdout, code } = await cli.run(['--help'])
    expect([code, stdout]).toEqual([0, expect.stringContaining('crash-test')])
    expect(stdout).not.toContain('worker')
    for (const name of ['migrate', 'doctor', 'crash-test']) {
      const help = await cli.run([name, '--help'])
      expect(help.code).toBe(0)
      expect(help.stdout).toMatch(/Examples:\n {2}tenantkeys/)
      expect(help.stdout).toContain('Exit code: 0')
    }
  })
})
