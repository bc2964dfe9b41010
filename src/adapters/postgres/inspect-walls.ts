/**
 * Are the walls between tenants as the migrations built them: row level security forced on every
 * table, no policy that shows the app role more than its tenant, functions that cannot be led astray,
 * an owner that nobody can log in as.
 *
 * @module
 */
import type { Finding } from '../../storage/inspection.ts'
import { okFinding } from '../../storage/leftovers.ts'
import type { PgExecutor, PgRow } from './executor.ts'
import { type Names, TENANT_SETTING } from './names.ts'

const SUBJECT = 'row level security'
const AGAIN = 'find out who changed it, and run the statements of tenantkeys migrate --sql again'

export async function inspectWalls(
  executor: PgExecutor,
  names: Names,
): Promise<readonly Finding[]> {
  if (names.roles === 'single') return []
  const { owner } = names.roles
  return [
    await tables(executor, names, owner),
    await policies(executor, names, owner),
    await functions(executor, names, owner),
    await ownerRole(executor, owner),
  ]
}

/** Ours by their prefix; others may live in the same schema. */
const OURS = `n.nspname = $1 AND starts_with(%name::text, $2)`
const ours = (name: string): string => OURS.replace('%name', name)
const where = ({ schemaName, prefix }: Names): string[] => [schemaName, prefix]

async function tables(executor: PgExecutor, names: Names, owner: string): Promise<Finding> {
  const rows = await executor.query(
    `SELECT c.relname::text AS name FROM pg_catalog.pg_class c
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE ${ours('c.relname')} AND c.relkind = 'r' AND c.relowner = $3::text::regrole
       AND NOT (c.relrowsecurity AND c.relforcerowsecurity) ORDER BY 1`,
    [...where(names), quoted(owner)],
  )
  if (rows.length === 0) return okFinding(SUBJECT, 'forced on every table')
  return broken(`not forced on ${list(rows)}`)
}

/** Beside the owner's own, a policy lets pass the tenants that the transaction names, or the version
 * of the schema, and nothing else. */
async function policies(executor: PgExecutor, names: Names, owner: string): Promise<Finding> {
  const rows = await executor.query(
    `SELECT c.relname::text AS name FROM pg_catalog.pg_policy p
     JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE ${ours('c.relname')} AND p.polroles <> ARRAY[$3::text::regrole::oid]
       AND c.relname <> $2 || 'tk_meta'
       AND (strpos(coalesce(pg_get_expr(p.polqual, p.polrelid), ''), $4) = 0
         OR strpos(coalesce(pg_get_expr(p.polwithcheck, p.polrelid), ''), $4) = 0)
     ORDER BY 1`,
    [...where(names), quoted(owner), TENANT_SETTING],
  )
  if (rows.length === 0) return okFinding('policies', 'each names the tenant of the transaction')
  return { ...broken(`a policy on ${list(rows)} names no tenant`), subject: 'policies' }
}

async function functions(executor: PgExecutor, names: Names, owner: string): Promise<Finding> {
  const subject = 'functions'
  const rows = await executor.query(
    `SELECT p.proname::text AS name FROM pg_catalog.pg_proc p
     JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
     WHERE ${ours('p.proname')} AND p.proowner = $3::text::regrole
       AND (p.prosecdef AND NOT coalesce(array_to_string(p.proconfig, ','), '') LIKE '%search_path=%'
         OR EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
           WHERE a.grantee = 0))
     ORDER BY 1`,
    [...where(names), quoted(owner)],
  )
  if (rows.length === 0) return okFinding(subject, 'closed to PUBLIC, each with its search_path')
  return { ...broken(`open to PUBLIC, or without a search_path: ${list(rows)}`), subject }
}

async function ownerRole(executor: PgExecutor, owner: string): Promise<Finding> {
  const subject = 'owner role'
  const [row] = await executor.query(
    `SELECT r.rolcanlogin::text AS login, r.rolsuper::text AS super,
       r.rolbypassrls::text AS bypasses FROM pg_catalog.pg_roles r WHERE r.rolname = $1`,
    [owner],
  )
  const wrong = [
    ...(row?.login === 'true' ? ['it can log in'] : []),
    ...(row?.super === 'true' ? ['it is a superuser'] : []),
    ...(row?.bypasses === 'true' ? ['it has BYPASSRLS'] : []),
  ]
  if (wrong.length === 0) return okFinding(subject, `${owner} cannot log in and is bound too`)
  const hint = `run ALTER ROLE ${owner} NOLOGIN NOSUPERUSER NOBYPASSRLS`
  return { subject, severity: 'error', message: `${owner}: ${wrong.join(', ')}`, hint }
}

const broken = (message: string): Finding => ({
  subject: SUBJECT,
  severity: 'error',
  message,
  hint: AGAIN,
})

const list = (rows: readonly PgRow[]): string => rows.map(({ name }) => String(name)).join(', ')

/** For a cast to regrole, which reads an identifier. */
const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
