/**
 * Looks at an installation from outside: server and its settings, versions, roles and the walls
 * between tenants, missing or broken indexes, connections, leftovers. Asks the catalogue, which every
 * role may read, and changes nothing.
 *
 * @module
 */
import { MIN_HOLD_AGE_MS } from '../../budgets/prune.ts'
import { TenantKeysError } from '../../kernel/errors.ts'
import type { Finding, Inspection } from '../../storage/inspection.ts'
import { leftoverFindings, okFinding, SWEEP_GRACE_MS } from '../../storage/leftovers.ts'
import { PgRowReader } from './decode.ts'
import type { PgExecutor } from './executor.ts'
import { inspectOwners } from './inspect-owners.ts'
import { inspectWalls } from './inspect-walls.ts'
import { mapError, stateOf } from './map-error.ts'
import { MIGRATIONS, SCHEMA_VERSION } from './migrations/index.ts'
import type { Names } from './names.ts'
import { becomes, checkStart } from './start-check.ts'

export interface InspectOptions {
  /** How many connections all processes of the host may open together; `null`: not known. */
  readonly connections: number | null
}

const OLDEST_SERVER = 130_000

export async function inspect(
  executor: PgExecutor,
  names: Names,
  options: InspectOptions,
): Promise<Inspection> {
  try {
    const server = await serverOf(executor)
    const schemaVersion = await versionOf(executor, names)
    const findings = [...serverFindings(server), connections(server, options)]
    if (schemaVersion === SCHEMA_VERSION) {
      const ours = createdBy(names)
      findings.push(await completeness(executor, names, ours))
      findings.push(await roles(executor, names), ...(await writers(executor, names)))
      findings.push(...(await inspectOwners(executor, names, ours)))
      findings.push(...(await inspectWalls(executor, names)))
      findings.push(...(await leftovers(executor, names)))
    }
    return {
      server: `PostgreSQL ${server.text('version')}`,
      schemaVersion,
      expectedVersion: SCHEMA_VERSION,
      nowMs: server.int('now_ms'),
      findings,
    }
  } catch (error) {
    throw mapError(error, 'read')
  }
}

async function serverOf(executor: PgExecutor): Promise<PgRowReader> {
  const [row] = await executor.query(`SELECT current_setting('server_version') AS version,
    current_setting('server_version_num') AS number,
    floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint::text AS now_ms,
    pg_is_in_recovery()::text AS is_replica,
    current_setting('default_transaction_read_only') AS read_only,
    current_setting('fsync') AS fsync,
    current_setting('full_page_writes') AS full_pages,
    current_setting('synchronous_commit') AS commits,
    current_setting('max_connections') AS max_connections,
    current_setting('superuser_reserved_connections') AS reserved,
    (SELECT count(*) FROM pg_catalog.pg_stat_activity
      WHERE backend_type = 'client backend')::text AS in_use`)
  return new PgRowReader('server', row ?? {})
}

/** `null`: there is no schema of ours, or none that this role may see. */
async function versionOf(executor: PgExecutor, names: Names): Promise<number | null> {
  const [there] = await executor.query(
    `SELECT has_table_privilege(c.oid, 'SELECT')::text AS may_read FROM pg_catalog.pg_class c
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = $2`,
    [names.schemaName, `${names.prefix}tk_meta`],
  )
  if (!there) return null
  if (there.may_read !== 'true') {
    const app = names.app ?? ''
    const hint = `run GRANT ${app} TO <role>`
    throw new TenantKeysError('TK_STORE_UNAVAILABLE', { reason: 'the role may not read it', hint })
  }
  const [meta] = await executor.query(`SELECT schema_version::text FROM ${names.table('tk_meta')}`)
  return meta === undefined ? null : new PgRowReader('tk_meta', meta).int('schema_version')
}

function serverFindings(server: PgRowReader): Finding[] {
  return [versionFinding(server), writable(server), durability(server)]
}

function versionFinding(server: PgRowReader): Finding {
  const subject = 'server'
  const message = `PostgreSQL ${server.text('version')}`
  if (server.int('number') >= OLDEST_SERVER) return okFinding(subject, message)
  return { subject, severity: 'error', message, hint: 'PostgreSQL 13 or later is needed' }
}

function writable(server: PgRowReader): Finding {
  const subject = 'writable'
  if (server.text('is_replica') === 'true') {
    const hint = 'connect to the primary, for example with target_session_attrs=read-write'
    return { subject, severity: 'error', message: 'this server is a replica', hint }
  }
  if (server.text('read_only') === 'on') {
    const message = 'default_transaction_read_only is on'
    return { subject, severity: 'error', message, hint: 'set it off for this role or database' }
  }
  return okFinding(subject, 'this server takes writes')
}

function durability(server: PgRowReader): Finding {
  const subject = 'durability'
  const off = ['fsync', 'full_pages'].filter((name) => server.text(name) === 'off')
  if (off.length > 0) {
    const message = `${off.join(' and ').replace('full_pages', 'full_page_writes')} off`
    const hint = 'a power cut may destroy the whole cluster; set them on'
    return { subject, severity: 'error', message, hint }
  }
  const commits = server.text('commits')
  const message = `fsync on, synchronous_commit ${commits}`
  if (commits !== 'off') return okFinding(subject, message)
  const hint = 'a crash of the server may take back the last settles; set it on'
  return { subject, severity: 'warning', message, hint }
}

function connections(server: PgRowReader, { connections: asked }: InspectOptions): Finding {
  const subject = 'connections'
  const max = server.int('max_connections')
  const usable = max - server.int('reserved')
  const message = `${server.int('in_use')} of ${max} in use, ${usable} for ordinary roles`
  if (asked === null || asked <= usable) return okFinding(subject, message)
  return {
    subject,
    severity: 'warning',
    message: `${message}; your processes may open ${asked}`,
    hint: 'smaller pools, PgBouncer in transaction mode, or a higher max_connections',
  }
}

/** Every table, index and function that the migrations make is there, and no index is broken. */
async function completeness(
  executor: PgExecutor,
  names: Names,
  expected: readonly string[],
): Promise<Finding> {
  const subject = 'tables and indexes'
  const rows = await executor.query(
    `SELECT c.relname::text AS name, (i.indisvalid IS NOT FALSE)::text AS is_valid
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid WHERE n.nspname = $1
     UNION ALL SELECT p.proname::text, 'true' FROM pg_catalog.pg_proc p
     JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = $1`,
    [names.schemaName],
  )
  const there = new Map(rows.map((row) => [String(row.name), row.is_valid === 'true']))
  const missing = expected.filter((name) => !there.has(name))
  const broken = expected.filter((name) => there.get(name) === false)
  if (missing.length + broken.length === 0) {
    return okFinding(subject, `all ${expected.length} tables, indexes and functions are there`)
  }
  return {
    subject,
    severity: 'error',
    message: [
      ...(missing.length > 0 ? [`missing: ${missing.join(', ')}`] : []),
      ...(broken.length > 0 ? [`not valid: ${broken.join(', ')}`] : []),
    ].join('; '),
    hint: 'create them again with the statements of tenantkeys migrate --sql; REINDEX mends an index',
  }
}

const CREATES = /^CREATE (?:OR REPLACE )?(?:UNIQUE )?(?:TABLE|INDEX|FUNCTION) (?:"\w+"\.)?"(\w+)"/

/** The names of what the migrations make. */
const createdBy = (names: Names): readonly string[] =>
  MIGRATIONS.flatMap((migration) => migration.statements(names)).flatMap(
    (statement) => CREATES.exec(statement)?.[1] ?? [],
  )

/** The same look that the store takes before its first command. */
async function roles(executor: PgExecutor, names: Names): Promise<Finding> {
  const subject = 'role'
  if (names.roles === 'single') {
    const message = 'one role for everything, as asked: no policy stands between tenants'
    return { subject, severity: 'info', message, hint: null }
  }
  try {
    await checkStart(executor, names, { testClock: false })
    return okFinding(subject, `a member of ${names.roles.app} that the policies bind`)
  } catch (error) {
    if (!TenantKeysError.isInstance(error) || error.code !== 'TK_CONFIG_INVALID') throw error
    const { reason = '', hint = null } = error.details
    return { subject, severity: 'error', message: reason, hint }
  }
}

/** Policies bind it, what was granted does not. */
async function writers(executor: PgExecutor, names: Names): Promise<readonly Finding[]> {
  if (names.roles === 'single') return []
  const [row] = await executor.query(
    `SELECT r.rolsuper::text AS is_super, ${becomes("x.rolname = 'pg_write_all_data'")} AS writes
     FROM pg_catalog.pg_roles r WHERE r.rolname = session_user`,
  )
  if (!row || row.is_super === 'true' || row.writes === null) return []
  return [
    {
      subject: 'role',
      severity: 'warning',
      message:
        'the role has the rights of pg_write_all_data: it may write tables that were not granted',
      hint: `run REVOKE pg_write_all_data FROM the login role, or from the role that passes it on`,
    },
  ]
}

async function leftovers(executor: PgExecutor, names: Names): Promise<readonly Finding[]> {
  const args = JSON.stringify({ graceMs: SWEEP_GRACE_MS, keptMs: MIN_HOLD_AGE_MS })
  const sql = `SELECT ${names.fn('tk_leftovers_v1')}($1::text::jsonb, NULL::bigint)::text AS answer`
  try {
    const [row] = await executor.query(sql, [args])
    return leftoverFindings(JSON.parse(String(row?.answer)))
  } catch (error) {
    // Tables and functions that are missing, and rights that the owner role has lost, were said already.
    const wasSaid = mapError(error, 'read').code === 'TK_STORE_NOT_MIGRATED'
    if (wasSaid || stateOf(error) === '42501') return []
    throw error
  }
}
