/**
 * Brings the schema to the present version, in one transaction under an advisory lock: any number of
 * processes may start at once, the first does the work. The same statements can be had as files.
 *
 * A migration takes the locks of the tables it changes, so it must not queue for long in front of
 * processes that run: it waits a fifth of a second for a lock, gives up everything, and tries again.
 *
 * @module
 */
import { systemMonotonicClock } from '../../kernel/clock.ts'
import { TenantKeysError } from '../../kernel/errors.ts'
import type { PgExecutor, PgQueries, PgRow } from './executor.ts'
import { mapError, stateOf } from './map-error.ts'
import { MIGRATIONS, type Migration, SCHEMA_VERSION } from './migrations/index.ts'
import { beAdministratorAgain, becomeOwner } from './migrations/roles.ts'
import { literal, type Names } from './names.ts'

/** One lock for all installations of a database, because they may share roles: `tkmigrat`. */
const MIGRATION_LOCK = '8389209319006068084'
const WAIT_FOR_OTHERS_MS = 60_000
const WAIT_FOR_LOCK_MS = 200
const PATIENCE_MS = 60_000
const PAUSE_MS = 250
/** Lost to a running process, or to another installation that changed the same role. */
const AGAIN = ['55P03', '40001', '40P01', '42710', '23505', 'XX000']

export interface MigrateOptions {
  /** Login roles of the host that become members of the app role. */
  readonly members: readonly string[]
  /** Commands may bring a clock of their own: for tests. */
  readonly testClock: boolean
}

/** @throws TenantKeysError TK_STORE_NOT_MIGRATED when the schema is of a later version that ours
 *   cannot use; TK_CONFIG_INVALID when the role may not do it (`hint` says what to run), or when one
 *   of our names is taken. */
export async function migrate(
  executor: PgExecutor,
  names: Names,
  options: MigrateOptions,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<void> {
  const startedMs = systemMonotonicClock.elapsedMs()
  for (;;) {
    try {
      return await executor.transaction('write', (tx) => migrateIn(tx, names, options, migrations))
    } catch (error) {
      const state = stateOf(error)
      if (state === '42501') throw notAllowed(names, error)
      if (state === '42704') {
        const reason = 'a role that it names does not exist'
        throw new TenantKeysError('TK_CONFIG_INVALID', { field: 'options.roles', reason })
      }
      const waitedMs = systemMonotonicClock.elapsedMs() - startedMs
      if (waitedMs > PATIENCE_MS || !AGAIN.includes(state ?? '')) throw mapError(error, 'write')
    }
    await new Promise((resolve) => setTimeout(resolve, Math.random() * PAUSE_MS))
  }
}

async function migrateIn(
  tx: PgQueries,
  names: Names,
  options: MigrateOptions,
  migrations: readonly Migration[],
): Promise<void> {
  await setTimeouts(tx, WAIT_FOR_OTHERS_MS)
  await tx.query(`SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})::text`)
  await setTimeouts(tx, WAIT_FOR_LOCK_MS)
  // Roles without any right to migrate may ask as long as there is nothing to do.
  if (await isDone(tx, names, options, migrations.length)) return
  for (const statement of becomeOwner(names, options)) await tx.query(statement)
  const before = await presentVersion(tx, names)
  if (before === 0) await checkNamesAreFree(tx, names)
  for (const migration of migrations.filter(({ version }) => version > before)) {
    for (const statement of [...migration.statements(names), versionStatement(names, migration)]) {
      await tx.query(statement)
    }
  }
  if (before === 0 && options.testClock) await tx.query(testClockStatement(names))
  for (const statement of beAdministratorAgain(names)) await tx.query(statement)
}

async function isDone(
  tx: PgQueries,
  names: Names,
  { members }: MigrateOptions,
  version: number,
): Promise<boolean> {
  const [meta] = await tx.query(
    `SELECT has_table_privilege(c.oid, 'SELECT')::text AS may_read FROM pg_catalog.pg_class c
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = $2`,
    [names.schemaName, `${names.prefix}tk_meta`],
  )
  if (meta?.may_read !== 'true' || (await presentVersion(tx, names)) < version) return false
  if (names.roles === 'single') return true
  const outside = await tx.query(
    `SELECT m.value FROM jsonb_array_elements_text($1::text::jsonb) m
     WHERE NOT pg_has_role(m.value, $2::text, 'MEMBER')`,
    [JSON.stringify(members), names.roles.app],
  )
  return outside.length === 0
}

const setTimeouts = (tx: PgQueries, lockMs: number): Promise<unknown> =>
  tx.query(`SELECT set_config('lock_timeout', '${lockMs}', true),
    set_config('statement_timeout', '0', true)`)

const versionStatement = (names: Names, { version, compatibleFrom }: Migration): string =>
  `UPDATE ${names.table('tk_meta')}
  SET schema_version = ${version}, compatible_from = greatest(compatible_from, ${compatibleFrom})`

const testClockStatement = (names: Names): string =>
  `UPDATE ${names.table('tk_meta')} SET test_clock = true`

/** 0: there is no schema of ours yet. */
async function presentVersion(tx: PgQueries, names: Names): Promise<number> {
  const tables = await tablesIn(tx, names)
  if (!tables.has(`${names.prefix}tk_meta`)) return 0
  const [meta] = await tx.query(
    `SELECT schema_version::text, compatible_from::text FROM ${names.table('tk_meta')}`,
  )
  if (Number(meta?.compatible_from) > SCHEMA_VERSION) {
    throw new TenantKeysError('TK_STORE_NOT_MIGRATED')
  }
  return Number(meta?.schema_version)
}

async function checkNamesAreFree(tx: PgQueries, names: Names): Promise<void> {
  const taken = await tablesIn(tx, names)
  const ours = MIGRATIONS.flatMap((migration) => migration.statements(names))
    .map((statement) => /^CREATE TABLE \S+\."(\w+)"/.exec(statement)?.[1])
    .find((table) => table !== undefined && taken.has(table))
  if (ours === undefined) return
  const reason = `it has a table ${ours} that tenantkeys did not make`
  throw new TenantKeysError('TK_CONFIG_INVALID', { field: 'options.schema', reason })
}

async function tablesIn(tx: PgQueries, { schemaName }: Names): Promise<ReadonlySet<unknown>> {
  const rows = await tx.query(
    `SELECT c.relname::text AS name FROM pg_catalog.pg_class c
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1`,
    [schemaName],
  )
  return new Set(rows.map((row: PgRow) => row.name))
}

function notAllowed(names: Names, cause: unknown): TenantKeysError {
  const hint =
    names.roles === 'single'
      ? 'the role needs CREATE on the database, or on the schema'
      : `let a role with CREATEROLE and CREATE on the database run migrate(), through options.admin, or have a superuser run: CREATE ROLE ${names.owner} NOLOGIN; CREATE ROLE ${names.app} NOLOGIN; GRANT ${names.owner} TO <the role of options.admin>; CREATE SCHEMA ${names.schema} AUTHORIZATION ${names.owner}`
  return new TenantKeysError(
    'TK_CONFIG_INVALID',
    { field: 'options.admin', reason: 'the role may not create roles, schema or tables', hint },
    { cause },
  )
}

/** One migration as SQL, for those who run theirs with a tool or psql. */
export interface MigrationFile {
  /** For example `001_tenantkeys.sql`. */
  readonly name: string
  readonly sql: string
}

export function migrationFiles(names: Names, options: MigrateOptions): MigrationFile[] {
  return MIGRATIONS.map((migration) => {
    const { version, title } = migration
    const statements = [
      'BEGIN',
      `SELECT pg_advisory_xact_lock(${MIGRATION_LOCK})`,
      `SET LOCAL lock_timeout = ${WAIT_FOR_LOCK_MS}`,
      ...becomeOwner(names, options),
      ...(version > 1 ? [precondition(names, version)] : []),
      ...migration.statements(names),
      versionStatement(names, migration),
      ...(version === 1 && options.testClock ? [testClockStatement(names)] : []),
      ...beAdministratorAgain(names),
      'COMMIT',
    ]
    const name = `${String(version).padStart(3, '0')}_${title}.sql`
    return { name, sql: `${statements.join(';\n\n')};\n` }
  })
}

/** Files are applied in order, each once. The first finds its tables taken when it runs again. */
const precondition = (names: Names, version: number): string => `DO $tk$
BEGIN
  IF (SELECT schema_version FROM ${names.table('tk_meta')}) <> ${version - 1} THEN
    RAISE EXCEPTION ${literal(`tenantkeys: the schema is not of version ${version - 1}`)};
  END IF;
END
$tk$`
