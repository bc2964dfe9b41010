import { mkdirSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { inspectPostgres, postgres } from '../../src/adapters/postgres/index.ts'
import type { Finding } from '../../src/storage/inspection.ts'
import { ledgerBench } from '../../src/testing/storage-conformance/ledger-bench.ts'
import { buildCli, type Cli, type CliOptions } from '../support/cli.ts'
import { type PostgresCluster, startPostgres } from '../support/postgres-cluster.ts'
import { skipsPostgres, type TestDatabase } from '../support/postgres-server.ts'
import { temporaryFiles } from '../support/sqlite.ts'

const KIND = 'embedded-18'
const APP = 'cli_app'
const ADMIN = 'cli_admin'
const OWNER = 'cli_tk_owner'
const MEMBERS = 'cli_tk_app'
const ROLES = ['--owner-role', OWNER, '--app-role', MEMBERS]
const PASSWORD = ['not', 'a', 'secret', Math.random().toString(36).slice(2)].join('-')

const fileOf = temporaryFiles()
/** Outside of any project. */
const elsewhere = temporaryFiles()
let cli: Cli

describe.skipIf(skipsPostgres(KIND))(`the command on PostgreSQL, ${KIND}`, () => {
  let server: PostgresCluster
  beforeAll(async () => {
    cli = await buildCli(fileOf('.'))
    // One of its own: the shared ones do not wait for the disk, and doctor says so.
    server = await startPostgres({ kind: KIND, fsync: true })
    await server.role(APP)
    await server.role('cli_other')
    await server.role(ADMIN, 'LOGIN CREATEROLE')
  })
  afterAll(() => server.close())

  /** A database that the administrator may make schemas in. */
  async function freshDatabase(): Promise<TestDatabase> {
    const database = await server.freshDatabase()
    await database.query(`GRANT CREATE ON DATABASE ${database.name} TO ${ADMIN}`)
    return database
  }

  const at = (database: TestDatabase): string[] => ['-s', database.url(APP), ...ROLES]
  const byAdmin = (database: TestDatabase): string[] => ['--admin', database.url(ADMIN)]

  async function migrated(): Promise<TestDatabase> {
    const database = await freshDatabase()
    const { code, stderr } = await cli.run(['migrate', ...at(database), ...byAdmin(database)])
    expect([code, stderr]).toEqual([0, expect.any(String)])
    return database
  }

  /** As a program leaves it: one call settled, one live. */
  async function used(): Promise<TestDatabase> {
    const database = await migrated()
    const pool = new pg.Pool({ connectionString: database.url(APP), max: 1 })
    const roles = { owner: OWNER, app: MEMBERS }
    const storage = postgres({ client: pool, roles })
    const bench = await ledgerBench(storage, { limit: 1_000_000n })
    await bench.settle(await bench.hold(400n), 300n)
    // Copied all along: a shorter life would end while later tests wait for their turn.
    await bench.hold(50n, { ttlMs: 3_600_000 })
    await storage.close()
    await pool.end()
    return database
  }

  /** One that is copied; nobody is connected to it. */
  let template: TestDatabase
  beforeAll(async () => {
    template = await used()
  })
  const copied = (): Promise<TestDatabase> => server.freshDatabase(template.name)

  const findingsOf = (doc: { readonly findings?: unknown }): readonly Finding[] =>
    doc.findings as readonly Finding[]
  const open = (doc: { readonly findings?: unknown }): readonly Finding[] =>
    findingsOf(doc).filter(({ severity }) => severity === 'error' || severity === 'warning')

  test('migrate makes roles and tables by the administrator, and its user a member', async () => {
    const database = await freshDatabase()
    const before = await cli.json(['migrate', '--status', ...at(database)])
    expect([before.code, before.doc.schemaVersion]).toEqual([1, null])
    for (let i = 0; i < 2; i++) {
      const done = await cli.json(['migrate', ...at(database), ...byAdmin(database)])
      expect([done.code, done.doc.current]).toEqual([0, true])
    }
    const after = await cli.json(['migrate', '--status', ...at(database)])
    expect([after.code, after.doc.schemaVersion]).toEqual([0, 1])
    expect(
      await database.query(`SELECT pg_has_role('${APP}', '${MEMBERS}', 'MEMBER') AS is_member`),
    ).toEqual([{ is_member: true }])
  })

  test('migrate --sql prints what psql can run, and connects to nothing', async () => {
    const database = await freshDatabase()
    const args = ['--sql', '-s', 'postgres:', ...ROLES, '--schema', 'mine', '--prefix', 'x_']
    const { code, stdout } = await cli.run(['migrate', ...args, '--member', APP])
    expect(code).toBe(0)
    await database.query(stdout)
    const status = ['migrate', '--status', ...at(database), '--schema', 'mine', '--prefix', 'x_']
    expect((await cli.run(status)).code).toBe(0)
  })

  test('migrate without the right to do it says what is needed', async () => {
    const database = await freshDatabase()
    const done = await cli.run(['migrate', ...at(database)])
    expect([done.code, done.stderr]).toEqual([2, expect.stringContaining('CREATEROLE')])
  })

  test('doctor finds nothing in a database that is well', async () => {
    const { code, doc } = await cli.json(['doctor', ...at(await copied()), '--connections', '20'])
    expect(open(doc)).toEqual([])
    expect([code, doc.ok, doc.server]).toEqual([0, true, expect.stringContaining('PostgreSQL 18')])
    expect(findingsOf(doc).map(({ subject }) => subject)).toEqual(
      expect.arrayContaining([
        ...['schema', 'clock', 'server', 'writable', 'durability', 'connections', 'role'],
        ...['tables and indexes', 'row level security', 'policies', 'functions', 'owner role'],
        ...['expired holds', 'outbox', 'ledger', 'audit trail'],
      ]),
    )
  })

  test('doctor --apply mends counters and lost usage rows, and leaves audit rows', async () => {
    const database = await copied()
    await database.query('UPDATE tenantkeys.tk_counters SET posted = 7, held = 9')
    await database.query('DELETE FROM tenantkeys.api_key_usage_logs')
    const found = await cli.run(['doctor', ...at(database)])
    expect([found.code, found.stdout]).toEqual([1, expect.stringContaining('used is 0.000000007')])
    const mended = await cli.json(['doctor', '--apply', '--actor', 'ops', ...at(database)])
    expect([mended.code, mended.doc.ok]).toEqual([0, true])
    expect(await database.query('SELECT posted, held FROM tenantkeys.tk_counters')).toEqual([
      { posted: '300', held: '50' },
    ])
    const audit = "SELECT DISTINCT actor FROM tenantkeys.tk_audit WHERE action = 'budget.repair'"
    expect(await database.query(audit)).toEqual([{ actor: 'ops' }])
  })

  const BROKEN = [
    ['a missing index', 'DROP INDEX tenantkeys.tk_holds_due', 'tables and indexes', 'tk_holds_due'],
    [
      'an index that was never finished',
      "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'tenantkeys.tk_holds_due'::regclass",
      'tables and indexes',
      'not valid',
    ],
    [
      'a table without its wall',
      'ALTER TABLE tenantkeys.tenant_secrets NO FORCE ROW LEVEL SECURITY',
      'row level security',
      'tenant_secrets',
    ],
    [
      'a policy that shows every tenant',
      `CREATE POLICY all_of_them ON tenantkeys.tenant_secrets TO ${MEMBERS} USING (true)`,
      'policies',
      'tenant_secrets',
    ],
    [
      'a function that anyone may call',
      'GRANT EXECUTE ON FUNCTION tenantkeys.tk_key_find_v1(jsonb, bigint) TO PUBLIC',
      'functions',
      'tk_key_find_v1',
    ],
    [
      'a function that looks where its caller says',
      'ALTER FUNCTION tenantkeys.tk_key_find_v1(jsonb, bigint) RESET search_path',
      'functions',
      'tk_key_find_v1',
    ],
    [
      'a schema that somebody else owns',
      `ALTER SCHEMA tenantkeys OWNER TO cli_other; GRANT USAGE ON SCHEMA tenantkeys TO ${OWNER}`,
      'owner of the schema',
      'belongs to cli_other, who may drop',
    ],
    [
      'a schema that the program itself may drop',
      `ALTER SCHEMA tenantkeys OWNER TO ${APP}; GRANT USAGE ON SCHEMA tenantkeys TO ${OWNER}`,
      'owner of the schema',
      'the role that you connect as may become',
    ],
    [
      'a schema that others may create in',
      'GRANT CREATE ON SCHEMA tenantkeys TO PUBLIC, cli_other',
      'owner of the schema',
      'PUBLIC, cli_other',
    ],
    [
      'a table of somebody else in the place of ours',
      'ALTER TABLE tenantkeys.tk_pins OWNER TO cli_other',
      'owner of tables and functions',
      'not of the owner role: tk_pins (cli_other)',
    ],
    [
      'a function of our name that somebody else has put beside ours',
      `GRANT CREATE, USAGE ON SCHEMA tenantkeys TO cli_other; SET ROLE cli_other;
       CREATE FUNCTION tenantkeys.tk_now_v1(text) RETURNS text LANGUAGE sql AS 'SELECT 1::text';
       RESET ROLE; REVOKE CREATE ON SCHEMA tenantkeys FROM cli_other`,
      'owner of tables and functions',
      'not of the owner role: tk_now_v1 (cli_other)',
    ],
    [
      'a table beside ours',
      'CREATE TABLE tenantkeys.anything ()',
      'owner of tables and functions',
      'beside ours: anything (postgres)',
    ],
    [
      'holds that nobody swept',
      "UPDATE tenantkeys.tk_holds SET expires_at_ms = 1000 WHERE state = 'held'",
      'expired holds',
      '1 wait',
    ],
  ] as const

  /** What `doctor` finds out about an installation from outside, asked in this process. */
  async function inspected(database: TestDatabase): Promise<readonly Finding[]> {
    const client = new pg.Pool({ connectionString: database.url(APP), max: 1 })
    const { findings } = await inspectPostgres({ client, roles: { owner: OWNER, app: MEMBERS } })
    await client.end()
    return open({ findings })
  }

  test.each(BROKEN)('doctor finds %s', async (_, statement, subject, text) => {
    const database = await copied()
    expect(await inspected(database)).toEqual([])
    await database.query(statement)
    const found = (await inspected(database)).filter((finding) => finding.subject === subject)
    expect(found.map(({ message }) => message)).toEqual([expect.stringContaining(text)])
  })

  test('doctor ends with 1 when an error or a warning is found', async () => {
    const database = await copied()
    await database.query(`ALTER TABLE tenantkeys.tk_pins OWNER TO cli_other;
      GRANT CREATE ON SCHEMA tenantkeys TO cli_other`)
    const { code, doc } = await cli.json(['doctor', ...at(database)])
    expect([code, doc.ok, open(doc).map(({ severity }) => severity)]).toEqual([
      ...[1, false],
      ['warning', 'error'],
    ])
  })

  test.each([
    ['of somebody', 'cli_other', /belongs to cli_other, and \S+ may not use it/],
    ['of a superuser', 'postgres', /belongs to postgres, and \S+ may not use it/],
  ])('doctor names a schema that was given to %s else, and ends with 1', async (_, to, text) => {
    const database = await copied()
    await database.query(`ALTER SCHEMA tenantkeys OWNER TO ${to}`)
    const { code, doc } = await cli.json(['doctor', ...at(database)])
    expect([code, doc.ok]).toEqual([1, false])
    expect(open(doc)).toContainEqual(
      expect.objectContaining({
        subject: 'owner of the schema',
        severity: 'error',
        message: expect.stringMatching(text),
        hint: expect.stringContaining('ALTER SCHEMA "tenantkeys" OWNER TO'),
      }),
    )
    expect(open(doc)).toContainEqual(expect.objectContaining({ subject: 'ledger' }))
  })

  test('T-I2 doctor warns of a role that may write tables that were not granted', async () => {
    const database = await copied()
    await database.query(`GRANT pg_write_all_data TO ${APP}`)
    try {
      const { code, doc } = await cli.json(['doctor', ...at(database)])
      expect(code).toBe(1)
      expect(open(doc)).toMatchObject([
        { subject: 'role', severity: 'warning', message: expect.stringContaining('pg_write_all') },
      ])
    } finally {
      await database.query(`REVOKE pg_write_all_data FROM ${APP}`)
    }
  })

  test('T-I2 doctor names a role that no wall holds back, and shows the rest all the same', async () => {
    const database = await copied()
    const url = database.url('postgres')
    const { code, doc } = await cli.json(['doctor', '-s', url, ...ROLES])
    expect(code).toBe(1)
    expect(open(doc)).toContainEqual(
      expect.objectContaining({ subject: 'role', message: 'the role is a superuser' }),
    )
    expect(findingsOf(doc)).toContainEqual(expect.objectContaining({ subject: 'owner role' }))
  })

  test("doctor has nothing against a superuser's schema in which the host has tables of its own", async () => {
    const database = await freshDatabase()
    await database.query(
      `CREATE SCHEMA app; CREATE TABLE app.users (); CREATE TABLE app.tk_mine ()`,
    )
    const args = [...at(database), '--schema', 'app']
    const made = await cli.run(['migrate', ...args, '--admin', database.url()])
    expect([made.code, made.stderr]).toEqual([0, expect.any(String)])
    const { doc } = await cli.json(['doctor', ...args])
    expect(open(doc)).toEqual([])
  })

  test('doctor names settings that a power cut would punish', async () => {
    const database = await copied()
    await database.query(`ALTER DATABASE ${database.name} SET synchronous_commit = off`)
    const { code, doc } = await cli.json(['doctor', ...at(database)])
    expect([code, open(doc).map(({ subject }) => subject)]).toEqual([1, ['durability']])
  })

  test('doctor says that connections will not suffice, and what one role gives up', async () => {
    const database = await server.freshDatabase()
    const single = ['-s', database.url('postgres'), '--single-role']
    expect((await cli.run(['migrate', ...single])).code).toBe(0)
    const { code, doc } = await cli.json(['doctor', ...single, '--connections', '100000'])
    expect(code).toBe(1)
    expect(open(doc).map(({ subject }) => subject)).toEqual(['connections'])
    expect(findingsOf(doc)).toContainEqual(
      expect.objectContaining({ subject: 'role', severity: 'info' }),
    )
  })

  const SMALL = ['--seconds', '5', '--processes', '2', '--callers', '6']
  const leftBehind = async (database: TestDatabase): Promise<unknown[]> => [
    ...(await database.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE '%crash%'")),
    ...(await database.query("SELECT rolname FROM pg_roles WHERE rolname LIKE '%crash%'")),
  ]

  test('T-B3 T-U3 crash-test finds all four figures zero behind the walls, and leaves nothing', async () => {
    const database = await freshDatabase()
    const { code, doc } = await cli.json([
      'crash-test',
      ...SMALL,
      ...at(database),
      ...byAdmin(database),
    ])
    expect(doc).toMatchObject({
      ok: true,
      overCapUsd: '0.00',
      eventsLost: 0,
      eventsDoubled: 0,
      drifts: 0,
    })
    expect(Number(doc.settled)).toBeGreaterThan(0)
    expect(code).toBe(0)
    expect(await leftBehind(database)).toEqual([])
  })

  /** Ctrl-C, when calls were made and `first` is done. */
  const interrupted =
    (first: () => Promise<unknown>): NonNullable<CliOptions['onStart']> =>
    (child) => {
      let isTold = false
      child.stderr?.on('data', (text: string) => {
        if (isTold || !/ of 600, [1-9]/.test(text)) return
        isTold = true
        void first().finally(() => child.kill('SIGINT'))
      })
    }

  test('crash-test is taken away on Ctrl-C too', async () => {
    const database = await server.freshDatabase()
    const args = ['crash-test', '--seconds', '600', '-s', database.url('postgres')]
    const { code, stderr } = await cli.run(args, { onStart: interrupted(async () => {}) })
    expect([code, stderr]).toEqual([130, expect.stringContaining('Interrupted; everything')])
    expect(await leftBehind(database)).toEqual([])
  })

  test('crash-test that cannot be taken away says what is left, after Ctrl-C too', async () => {
    const database = await freshDatabase()
    await database.query('CREATE TABLE public.mine ()')
    // A role that has rights elsewhere stays.
    const grant = async (): Promise<void> => {
      const [role] = await database.query(
        "SELECT rolname AS name FROM pg_roles WHERE rolname LIKE '%crash%_app'",
      )
      await database.query(`GRANT SELECT ON public.mine TO ${role?.name}`)
    }
    const args = ['crash-test', '--seconds', '600', ...at(database), ...byAdmin(database)]
    const { code, stderr } = await cli.run(args, { onStart: interrupted(grant) })
    const [schema] = (await leftBehind(database)) as { nspname: string }[]
    expect(stderr).toContain(`this is left: schema ${schema?.nspname}, roles `)
    expect(stderr).not.toContain('Interrupted')
    expect(code).toBe(2)
    for (const end of ['owner', 'app']) {
      await database.query(`DROP OWNED BY ${schema?.nspname}_${end} CASCADE`)
      await database.query(`DROP ROLE ${schema?.nspname}_${end}`)
    }
  })

  test('T-L4 passwords come from the environment, a file or standard input, and are never printed', async () => {
    const database = await migrated()
    const url = database.url(APP).replace(`${APP}@`, `${APP}:${PASSWORD}@`)
    const ways: [string[], CliOptions][] = [
      [['-s', 'env:MY_URL'], { env: { MY_URL: url } }],
      [['-s', '-'], { input: url }],
      [['-s', database.url(APP)], { env: { PGPASSWORD: PASSWORD } }],
    ]
    for (const [args, options] of ways) {
      for (const json of [[], ['--json']]) {
        const { code, stdout, stderr } = await cli.run(
          ['doctor', ...args, ...ROLES, ...json],
          options,
        )
        expect([code, stdout]).toEqual([0, expect.stringContaining(database.name)])
        expect(stdout + stderr).not.toContain(PASSWORD)
      }
    }
  })

  test('T-L4 a server that does not answer ends with 2, without the password', async () => {
    const gone = `postgres://${APP}:${PASSWORD}@127.0.0.1:1/none`
    for (const command of ['doctor', 'crash-test', 'migrate']) {
      const done = await cli.run([command, '-s', 'env:MY_URL'], { env: { MY_URL: gone } })
      expect([done.code, done.stderr]).toEqual([2, expect.stringContaining('TK_STORE_UNAVAILABLE')])
      expect(done.stdout + done.stderr).not.toContain(PASSWORD)
    }
  })
})

describe('the driver', () => {
  /** A project that has one of them, or none. */
  function projectWith(...names: readonly string[]): string {
    const folder = elsewhere(`with-${names.join('-') || 'none'}`)
    mkdirSync(join(folder, 'node_modules'), { recursive: true })
    for (const name of names) {
      symlinkSync(resolve('node_modules', name), join(folder, 'node_modules', name))
    }
    return folder
  }

  test('is the one of the project; with none the error names the commands that install one', async () => {
    const alone = await buildCli(elsewhere('alone'), 'src/cli/main.ts', { linked: false })
    const none = await alone.run(['doctor', '-s', 'postgres://127.0.0.1:1/x'], {
      cwd: projectWith(),
    })
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('npm install pg')])
    for (const name of ['pg', 'postgres']) {
      const found = await alone.run(['doctor', '-s', 'postgres://127.0.0.1:1/x'], {
        cwd: projectWith(name),
      })
      expect([found.code, found.stderr]).toEqual([
        2,
        expect.stringContaining('TK_STORE_UNAVAILABLE'),
      ])
    }
  })

  test('options of PostgreSQL are refused for a file', async () => {
    const done = await cli.run(['doctor', '-s', 'sqlite:a.db', '--schema', 'x'])
    expect([done.code, done.stderr]).toEqual([2, expect.stringContaining('--schema is for')])
  })
})
