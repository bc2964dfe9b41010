/**
 * Whose is what: the schema, and the tables and functions in it. Whoever owns a schema may drop what
 * others have in it, whoever owns a table may take its walls away, and whoever may create something in
 * the schema may put a function beside ours.
 *
 * @module
 */
import type { Finding } from '../../storage/inspection.ts'
import { okFinding } from '../../storage/leftovers.ts'
import type { PgExecutor, PgRow } from './executor.ts'
import type { Names } from './names.ts'
import { mayBecome } from './start-check.ts'

/** @param ours - names of the tables and functions that the migrations make. */
export async function inspectOwners(
  executor: PgExecutor,
  names: Names,
  ours: readonly string[],
): Promise<readonly Finding[]> {
  if (names.roles === 'single') return []
  const { owner } = names.roles
  const schema = await schemaOf(executor, names, owner)
  return [
    schemaFinding(schema, names, owner),
    await objects(executor, { names, owner, ours, isOurs: schema.owner === owner }),
  ]
}

async function schemaOf(executor: PgExecutor, names: Names, owner: string): Promise<PgRow> {
  const [row] = await executor.query(
    `SELECT pg_get_userbyid(n.nspowner)::text AS owner, o.rolsuper::text AS is_super,
       (NOT r.rolsuper AND ${mayBecome('n.nspowner')})::text AS is_own,
       has_schema_privilege($2::text, n.oid, 'USAGE')::text AS is_open,
       (SELECT string_agg(CASE a.grantee WHEN 0 THEN 'PUBLIC'
           ELSE pg_get_userbyid(a.grantee)::text END, ', ' ORDER BY a.grantee)
         FROM aclexplode(n.nspacl) a WHERE a.privilege_type = 'CREATE'
           AND a.grantee <> n.nspowner AND pg_get_userbyid(a.grantee) <> $2) AS creators
     FROM pg_catalog.pg_namespace n
     JOIN pg_catalog.pg_roles o ON o.oid = n.nspowner
     JOIN pg_catalog.pg_roles r ON r.rolname = current_user
     WHERE n.nspname = $1`,
    [names.schemaName, owner],
  )
  return row ?? {}
}

function schemaFinding(schema: PgRow, names: Names, owner: string): Finding {
  const subject = 'owner of the schema'
  const message = `${names.schemaName} belongs to ${schema.owner}`
  const hint = `run ALTER SCHEMA ${names.schema} OWNER TO ${names.owner}, or leave it to the superuser`
  if (schema.is_own === 'true') {
    const own = `${message}, which the role that you connect as may become: it may drop every table`
    return { subject, severity: 'error', message: own, hint }
  }
  if (schema.is_open !== 'true') {
    // ALTER SCHEMA ... OWNER TO takes it away from the one before.
    const closed = `${message}, and ${owner} may not use it: no function of ours works`
    return { subject, severity: 'error', message: closed, hint }
  }
  if (schema.owner !== owner && schema.is_super !== 'true') {
    return { subject, severity: 'warning', message: `${message}, who may drop every table`, hint }
  }
  if (schema.creators === null) return okFinding(subject, message)
  return {
    subject,
    severity: 'warning',
    message: `${message}; others may create tables and functions in it: ${schema.creators}`,
    hint: `run REVOKE CREATE ON SCHEMA ${names.schema} FROM each`,
  }
}

interface Asked {
  readonly names: Names
  readonly owner: string
  readonly ours: readonly string[]
  /** The schema is the owner role's; else the host has its own tables there. */
  readonly isOurs: boolean
}

async function objects(executor: PgExecutor, asked: Asked): Promise<Finding> {
  const { names, owner, ours, isOurs } = asked
  const subject = 'owner of tables and functions'
  const rows = await executor.query(
    `SELECT o.name, pg_get_userbyid(o.owner)::text AS owner FROM (
       SELECT c.relname::text AS name, c.relowner AS owner, c.relnamespace AS schema
         FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
       UNION ALL SELECT p.proname::text, p.proowner, p.pronamespace FROM pg_catalog.pg_proc p
     ) o JOIN pg_catalog.pg_namespace n ON n.oid = o.schema
     WHERE n.nspname = $1 AND pg_get_userbyid(o.owner) <> $2 ORDER BY 1, 2`,
    [names.schemaName, owner],
  )
  const isOfUs = ({ name }: PgRow): boolean => ours.includes(String(name))
  const taken = rows.filter(isOfUs)
  const beside = rows.filter((row) => !isOfUs(row))
  if (taken.length > 0) {
    const hint = 'find out who made or changed it; what is not ours has to go'
    const message = `not of the owner role: ${list(taken)}`
    return { subject, severity: 'error', message, hint }
  }
  if (beside.length > 0 && isOurs) {
    const hint = 'move it to a schema of its own, and see who may create in this one'
    const message = `others have put something beside ours: ${list(beside)}`
    return { subject, severity: 'warning', message, hint }
  }
  return okFinding(subject, `all of ours belong to ${owner}`)
}

const MOST = 10

function list(rows: readonly PgRow[]): string {
  const named = rows.slice(0, MOST).map(({ name, owner }) => `${name} (${owner})`)
  return [...named, ...(rows.length > MOST ? [`${rows.length - MOST} more`] : [])].join(', ')
}
