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

async function checkRoles(executor: PgExecutor, names: Names, owner: string): Promise<void> {
  // Of the session's role too: it could be gone back to.
  const rows = await executor.query(
    `SELECT r.rolsuper::text AS is_super, r.rolbypassrls::text AS bypasses,
       pg_has_role(r.oid, c.relowner, 'MEMBER')::text AS owns,
       has_table_privilege(r.oid, c.oid, 'SELECT')::text AS may_read,
       pg_get_userbyid(c.relowner)::text AS owner,
       (r.rolname = current_user)::text AS is_current
     FROM pg_catalog.pg_roles r, pg_catalog.pg_class c
     WHERE r.rolname IN (current_user, session_user) AND c.oid = (${metaOid(names)})`,
  )
  for (const row of rows) {
    if (row.is_super === 'true') throw refused('options.client', 'the role is a superuser', HINT)
    if (row.bypasses === 'true') throw refused('options.client', 'the role has BYPASSRLS', HINT)
    if (row.owner !== owner) {
      // Made by somebody who could write to the schema, to be taken for ours.
      throw refused('options.roles', 'the tables do not belong to the owner role')
    }
    if (row.owns === 'true') {
      throw refused('options.client', 'the role owns the tables, or may become their owner', HINT)
    }
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

const HINT =
  'connect as an ordinary login role that is a member of the app role, or say roles: "single"'

const refused = (field: string, reason: string, hint?: string): TenantKeysError =>
  new TenantKeysError('TK_CONFIG_INVALID', { field, reason, ...(hint !== undefined && { hint }) })
