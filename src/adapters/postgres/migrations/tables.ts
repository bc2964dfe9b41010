/**
 * The tables of tenants, keys, secrets, pins and the audit trail. Names and columns are those of the
 * SQLite store; every key and every reference carries the tenant (S3.36).
 *
 * @module
 */
import type { Names } from '../names.ts'
import { closed, ID } from './sql.ts'

export function tables(names: Names): string[] {
  const tenants = names.table('tk_tenants')
  return [
    `CREATE TABLE ${names.table('tk_pins')} (
  name ${ID} PRIMARY KEY,
  value text NOT NULL
)`,
    ...closed(names, 'tk_pins', null),

    `CREATE TABLE ${tenants} (
  id ${ID} PRIMARY KEY,
  parent_id ${ID} REFERENCES ${tenants} (id),
  path text[] COLLATE "C" NOT NULL CHECK (path[cardinality(path)] = id),
  credentials text NOT NULL CHECK (credentials IN ('tenant', 'platform')),
  plan ${ID},
  plan_version bigint CHECK (plan_version > 0),
  created_at_ms bigint NOT NULL,
  CHECK ((plan IS NULL) = (plan_version IS NULL))
)`,
    `CREATE INDEX ${names.index('tk_tenants_parent')} ON ${tenants} (parent_id, id)`,
    `CREATE INDEX ${names.index('tk_tenants_plan')} ON ${tenants} (plan, id)
  WHERE plan IS NOT NULL`,
    ...closed(names, 'tk_tenants', 'id', ['SELECT', 'INSERT', 'UPDATE']),

    `CREATE TABLE ${names.table('tenant_api_keys')} (
  tenant_id ${ID} NOT NULL REFERENCES ${tenants} (id),
  key_id ${ID} NOT NULL UNIQUE,
  name text NOT NULL,
  brand text NOT NULL,
  environment text NOT NULL CHECK (environment IN ('live', 'test')),
  scopes text NOT NULL,
  state text NOT NULL CHECK (state IN ('active', 'disabled', 'revoked')),
  expires_at_ms bigint,
  created_at_ms bigint NOT NULL,
  updated_at_ms bigint NOT NULL,
  last4 text NOT NULL,
  secret_version bigint NOT NULL CHECK (secret_version > 0),
  hash bytea NOT NULL CHECK (octet_length(hash) = 32),
  pepper_id text NOT NULL,
  PRIMARY KEY (tenant_id, key_id)
)`,
    ...closed(names, 'tenant_api_keys', 'tenant_id', ['SELECT', 'INSERT', 'UPDATE']),

    `CREATE TABLE ${names.table('tk_data_keys')} (
  tenant_id ${ID} NOT NULL REFERENCES ${tenants} (id),
  id ${ID} NOT NULL UNIQUE,
  generation bigint NOT NULL CHECK (generation > 0),
  kek_id text NOT NULL,
  wrapped bytea NOT NULL,
  seals bigint NOT NULL CHECK (seals >= 0),
  created_at_ms bigint NOT NULL,
  PRIMARY KEY (tenant_id, id),
  UNIQUE (tenant_id, generation)
)`,
    ...closed(names, 'tk_data_keys', 'tenant_id', ['SELECT', 'INSERT', 'UPDATE']),

    `CREATE TABLE ${names.table('tenant_secrets')} (
  tenant_id ${ID} NOT NULL REFERENCES ${tenants} (id),
  provider ${ID} NOT NULL,
  name ${ID} NOT NULL,
  id text NOT NULL,
  version bigint NOT NULL CHECK (version > 0),
  origin text,
  public_fields text NOT NULL,
  masked text NOT NULL,
  dek_id ${ID} NOT NULL,
  envelope bytea NOT NULL,
  created_at_ms bigint NOT NULL,
  updated_at_ms bigint NOT NULL,
  PRIMARY KEY (tenant_id, provider, name),
  FOREIGN KEY (tenant_id, dek_id) REFERENCES ${names.table('tk_data_keys')} (tenant_id, id)
)`,
    ...closed(names, 'tenant_secrets', 'tenant_id', ['SELECT', 'INSERT', 'UPDATE', 'DELETE']),

    `CREATE TABLE ${names.table('tk_audit')} (
  root_id ${ID} NOT NULL,
  sequence bigint NOT NULL CHECK (sequence > 0),
  id text NOT NULL,
  tenant_id text,
  at_ms bigint NOT NULL,
  actor text NOT NULL,
  action text NOT NULL,
  target text NOT NULL,
  detail text NOT NULL,
  previous_hash text NOT NULL,
  hash text NOT NULL,
  PRIMARY KEY (root_id, sequence)
)`,
    ...closed(names, 'tk_audit', null),

    // The newest row of each chain; who appends to the chain holds its lock.
    `CREATE TABLE ${names.table('tk_audit_heads')} (
  root_id ${ID} PRIMARY KEY,
  sequence bigint NOT NULL CHECK (sequence >= 0),
  hash text NOT NULL
) WITH (fillfactor = 50)`,
    ...closed(names, 'tk_audit_heads', null),
  ]
}
