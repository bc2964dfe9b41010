/**
 * The two roles and the schema. The owner role owns every table and function and cannot log in; the
 * app role is what the host's own login role is a member of. Roles belong to the whole cluster, so
 * another installation may have made them.
 *
 * @module
 */
import { identifier, literal, type Names } from '../names.ts'

/** Settings of the transaction: the role it began as, and whether the membership in the owner role is
 * ours to take back. */
const ADMIN = 'tenantkeys.admin'
const GRANTED = 'tenantkeys.owner_granted'

export interface RoleOptions {
  /** Login roles of the host that become members of the app role. */
  readonly members: readonly string[]
}

/** Run by the administrator's role, which has to be superuser, or have CREATEROLE, or find the roles
 * made and be a member of the owner role. */
export function becomeOwner(names: Names, { members }: RoleOptions): string[] {
  const { owner, app, roles, schema, schemaName } = names
  if (roles === 'single' || owner === null || app === null) {
    return [
      block(`IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = ${literal(schemaName)}) THEN
    CREATE SCHEMA ${schema};
  END IF;`),
    ]
  }
  const ownerName = literal(roles.owner)
  return [
    createRole(roles.owner),
    createRole(roles.app),
    ...members.map((member) =>
      block(`IF NOT pg_has_role(${literal(member)}, ${literal(roles.app)}, 'MEMBER') THEN
    GRANT ${app} TO ${identifier(member)};
  END IF;`),
    ),
    // Since PostgreSQL 16 who creates a role may grant it, but is not yet able to become it.
    block(`IF current_setting('server_version_num')::int >= 160000 THEN
    IF NOT pg_has_role(current_user, ${ownerName}, 'SET') THEN
      EXECUTE format('GRANT ${owner} TO %I WITH SET TRUE, INHERIT FALSE', current_user);
      PERFORM set_config(${literal(GRANTED)}, current_user, true);
    END IF;
  ELSIF NOT pg_has_role(current_user, ${ownerName}, 'MEMBER') THEN
    EXECUTE format('GRANT ${owner} TO %I', current_user);
    PERFORM set_config(${literal(GRANTED)}, current_user, true);
  END IF;`),
    block(`IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = ${literal(schemaName)}) THEN
    CREATE SCHEMA ${schema} AUTHORIZATION ${owner};
  ELSIF NOT has_schema_privilege(${ownerName}, ${literal(schemaName)}, 'CREATE') THEN
    GRANT USAGE, CREATE ON SCHEMA ${schema} TO ${owner};
  END IF;
  IF NOT EXISTS (SELECT FROM pg_namespace
    WHERE nspname = ${literal(schemaName)} AND nspowner = ${ownerName}::regrole) THEN
    GRANT USAGE ON SCHEMA ${schema} TO ${app};
  END IF;`),
    `SELECT set_config(${literal(ADMIN)}, current_setting('role'), true)`,
    `SET LOCAL ROLE ${owner}`,
    block(`IF EXISTS (SELECT FROM pg_namespace
    WHERE nspname = ${literal(schemaName)} AND nspowner = ${ownerName}::regrole) THEN
    GRANT USAGE ON SCHEMA ${schema} TO ${app};
  END IF;`),
  ]
}

/** Gives back what {@link becomeOwner} took: the administrator is no member of the owner role then,
 * unless it was one before. */
export function beAdministratorAgain({ owner }: Names): string[] {
  if (owner === null) return []
  return [
    `SELECT set_config('role', current_setting(${literal(ADMIN)}), true)`,
    block(`IF current_setting(${literal(GRANTED)}, true) = current_user THEN
    EXECUTE format('REVOKE ${owner} FROM %I', current_user);
  END IF;`),
  ]
}

/** Two installations may come here at once, from two databases of one cluster. */
const createRole = (name: string): string =>
  block(`IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(name)}) THEN
    CREATE ROLE ${identifier(name)} NOLOGIN;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
  NULL;`)

const block = (body: string): string => `DO $tk$
BEGIN
  ${body}
END
$tk$`
