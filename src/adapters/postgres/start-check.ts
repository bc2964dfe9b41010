/**
 * What is looked at once, before the first command: is the schema there and of a version this code
 * knows, and is the role that we run as one that the walls between tenants hold back (T-I2)?
 *
 * @module
 */
import { TenantKeysError } from '../../kernel/errors.ts'
import type { PgExecutor, PgRow } from './executor.ts'
import { SCHEMA_VERSION } from './migrations/index.ts'
import { literal, type Names } from './names.ts'

export interface StartOptions {
  readonly testClock: boolean
}

/**
 * @throws TenantKeysError TK_STORE_NOT_MIGRATED, or TK_CONFIG_INVALID when the role is one that row
 *   level security does not bind.
 */
export async function checkStart(
  executor: PgExecutor,
  names: Names,
  { testClock }: StartOptions,
): Promise<void> {
  const [there] = await executor.query(`SELECT (${metaOid(names)})::text AS meta`)
  if (there?.meta === null) throw new TenantKeysError('TK_STORE_NOT_MIGRATED')
  if (names.roles !== 'single') await checkRoles(executor, names, names.roles.owner)
  const [meta] = await executor.query(
    `SELECT schema_version::text, compatible_from::text, test_clock::text
     FROM ${names.table('tk_meta')}`,
  )
  checkVersion(meta)
  if (testClock && meta?.test_clock !== 'true') {
    throw refused('options.clock', 'the schema was not migrated with a test clock')
  }
}

/** Asked of the catalogue, so that a role without rights gets an answer too. */
const metaOid = ({ schemaName, prefix }: Names): string =>
  `SELECT c.oid FROM pg_catalog.pg_class c
   JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname = ${literal(schemaName)} AND c.relname = ${literal(`${prefix}tk_meta`)}`

/** @throws TenantKeysError TK_STORE_NOT_MIGRATED: an older schema, or one that is too new for us. */
function checkVersion(meta: PgRow | undefined): void {
  const version = Number(meta?.schema_version)
  const compatibleFrom = Number(meta?.compatible_from)
  if (version >= SCHEMA_VERSION && compatibleFrom <= SCHEMA_VERSION) return
  throw new TenantKeysError('TK_STORE_NOT_MIGRATED')
}

/** Of role `r`: membership in `role` by SET ROLE, by inheritance, or by granting it to oneself. Since PostgreSQL 16
 * a membership may be without the first two. */
export const mayBecome = (role: string): string =>
  `(pg_has_role(r.oid, ${role}, 'USAGE') OR pg_has_role(r.oid, ${role}, ${SET_ROLE})
    OR pg_has_role(r.oid, ${role}, 'MEMBER WITH ADMIN OPTION'))`

const VERSION = `current_setting('server_version_num')::integer`
const SET_ROLE = `CASE WHEN ${VERSION} >= 160000 THEN 'SET' ELSE 'MEMBER' END`

/** Roles of the server whose rights no policy binds: with files and programs everything can be read and
 * changed; of all data the statistics are a part, which keep values of every table, and the passwords. */
const UNBOUND = [
  'pg_execute_server_program',
  'pg_read_all_data',
  'pg_read_server_files',
  'pg_write_server_files',
]

/** The first role beside `r` that it may become, of those with an attribute. */
export const becomes = (attribute: string): string =>
  `(SELECT min(x.rolname::text COLLATE "C") FROM pg_catalog.pg_roles x
    WHERE ${attribute} AND x.oid <> r.oid AND ${mayBecome('x.oid')})`

async function checkRoles(executor: PgExecutor, names: Names, owner: string): Promise<void> {
  // Of the session's role too: it could be gone back to.
  const rows = await executor.query(
    `SELECT r.rolsuper::text AS is_super, r.rolbypassrls::text AS bypasses,
       ${becomes('x.rolsuper')} AS super_role, ${becomes('x.rolbypassrls')} AS bypass_role,
       ${becomes(`x.rolname IN (${UNBOUND.map(literal).join(', ')})`)} AS unbound_role,
       r.rolreplication::text AS replicates,
       ${becomes('x.rolreplication')} AS replication_role,
       ${mayBecome('c.relowner')}::text AS owns,
       (${VERSION} < 160000 AND (r.rolcreaterole OR ${becomes('x.rolcreaterole')} IS NOT NULL))::text
         AS grants,
       has_table_privilege(r.oid, c.oid, 'SELECT')::text AS may_read,
       pg_get_userbyid(c.relowner)::text AS owner,
       (r.rolname = current_user)::text AS is_current
     FROM pg_catalog.pg_roles r, pg_catalog.pg_class c
     WHERE r.rolname IN (current_user, session_user) AND c.oid = (${metaOid(names)})`,
  )
  for (const row of rows) {
    if (row.owner !== owner) {
      // Made by somebody who could write to the schema, to be taken for ours.
      throw refused('options.roles', 'the tables do not belong to the owner role')
    }
    const unbound = unboundBy(row)
    if (unbound !== null) throw refused('options.client', unbound, HINT)
    if (row.is_current === 'true' && row.may_read !== 'true') {
      const app = names.app ?? ''
      throw refused(
        'options.client',
        'the role is no member of the app role',
        `run GRANT ${app} TO <role>`,
      )
    }
  }
}

/** Why row level security does not bind a role; `null`: it does. */
function unboundBy(row: PgRow): string | null {
  if (row.is_super === 'true') return 'the role is a superuser'
  if (row.bypasses === 'true') return 'the role has BYPASSRLS'
  if (row.owns === 'true') return 'the role owns the tables, or may become their owner'
  if (row.super_role !== null) return `the role may become the superuser ${row.super_role}`
  if (row.bypass_role !== null) return `the role may become ${row.bypass_role}, which has BYPASSRLS`
  if (row.unbound_role !== null) {
    return `the role has the rights of ${row.unbound_role}, which no policy binds`
  }
  // What is replicated passes no policy.
  if (row.replicates === 'true') return 'the role has REPLICATION'
  if (row.replication_role !== null) {
    return `the role may become ${row.replication_role}, which has REPLICATION`
  }
  // Before PostgreSQL 16 such a role grants itself every role but superusers.
  return row.grants === 'true' ? 'the role has CREATEROLE, or may become one that has' : null
}

const HINT =
  'connect as an ordinary login role that is a member of the app role, or say roles: "single"'

const refused = (field: string, reason: string, hint?: string): TenantKeysError =>
  new TenantKeysError('TK_CONFIG_INVALID', { field, reason, ...(hint !== undefined && { hint }) })
