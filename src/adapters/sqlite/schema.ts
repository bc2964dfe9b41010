/**
 * The tables. Every table is STRICT (wrong types are refused by SQLite itself), amounts are integers
 * with CHECK constraints, and keys carry the tenant. `tk_meta` has one row: the version of this
 * schema, the epoch, and the latest time the store has seen.
 *
 * @module
 */
import { TenantKeysError } from '../../kernel/errors.ts'
import type { MigrationFile } from '../../storage/inspection.ts'
import type { SqliteClient } from './client.ts'

export const SCHEMA_VERSION = 1

const TABLES: readonly string[] = [
  `CREATE TABLE tk_meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    schema_version INTEGER NOT NULL,
    epoch INTEGER NOT NULL CHECK (epoch > 0),
    clock_ms INTEGER NOT NULL
  ) STRICT`,
  `CREATE TABLE tk_pins (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
  ) STRICT, WITHOUT ROWID`,
  `CREATE TABLE tk_tenants (
    id TEXT PRIMARY KEY,
    parent_id TEXT REFERENCES tk_tenants (id),
    path TEXT NOT NULL,
    credentials TEXT NOT NULL CHECK (credentials IN ('tenant', 'platform')),
    plan TEXT,
    plan_version INTEGER CHECK (plan_version > 0),
    created_at_ms INTEGER NOT NULL,
    CHECK ((plan IS NULL) = (plan_version IS NULL))
  ) STRICT, WITHOUT ROWID`,
  'CREATE INDEX tk_tenants_plan ON tk_tenants (plan, id) WHERE plan IS NOT NULL',
  'CREATE INDEX tk_tenants_parent ON tk_tenants (parent_id, id)',
  `CREATE TABLE tenant_api_keys (
    tenant_id TEXT NOT NULL REFERENCES tk_tenants (id),
    key_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    brand TEXT NOT NULL,
    environment TEXT NOT NULL CHECK (environment IN ('live', 'test')),
    scopes TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'disabled', 'revoked')),
    expires_at_ms INTEGER,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    last4 TEXT NOT NULL,
    secret_version INTEGER NOT NULL CHECK (secret_version > 0),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    pepper_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, key_id)
  ) STRICT, WITHOUT ROWID`,
  `CREATE TABLE tk_data_keys (
    tenant_id TEXT NOT NULL REFERENCES tk_tenants (id),
    id TEXT NOT NULL UNIQUE,
    generation INTEGER NOT NULL CHECK (generation > 0),
    kek_id TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    seals INTEGER NOT NULL CHECK (seals >= 0),
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, generation)
  ) STRICT, WITHOUT ROWID`,
  `CREATE TABLE tenant_secrets (
    tenant_id TEXT NOT NULL REFERENCES tk_tenants (id),
    provider TEXT NOT NULL,
    name TEXT NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version > 0),
    origin TEXT,
    public_fields TEXT NOT NULL,
    masked TEXT NOT NULL,
    dek_id TEXT NOT NULL,
    envelope BLOB NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, provider, name),
    FOREIGN KEY (tenant_id, dek_id) REFERENCES tk_data_keys (tenant_id, id)
  ) STRICT, WITHOUT ROWID`,
  `CREATE TABLE tk_counters (
    account_id TEXT NOT NULL,
    unit TEXT NOT NULL,
    period TEXT NOT NULL,
    tenant_id TEXT NOT NULL REFERENCES tk_tenants (id),
    depth INTEGER NOT NULL CHECK (depth >= 0),
    zone TEXT NOT NULL,
    limit_amount INTEGER NOT NULL CHECK (limit_amount >= 0),
    period_start_ms INTEGER NOT NULL,
    posted INTEGER NOT NULL CHECK (posted >= 0),
    held INTEGER NOT NULL CHECK (held >= 0),
    held_until_ms INTEGER NOT NULL,
    buckets TEXT NOT NULL,
    counts TEXT NOT NULL CHECK (counts IN ('all', 'platform')),
    overflow TEXT,
    alerts TEXT NOT NULL,
    alerted_percent INTEGER NOT NULL CHECK (alerted_percent >= 0),
    source TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (account_id, unit, period)
  ) STRICT, WITHOUT ROWID`,
  'CREATE INDEX tk_counters_tenant ON tk_counters (tenant_id)',
  `CREATE TABLE tk_counter_history (
    account_id TEXT NOT NULL,
    unit TEXT NOT NULL,
    period TEXT NOT NULL,
    period_start_ms INTEGER NOT NULL,
    posted INTEGER NOT NULL CHECK (posted >= 0),
    held INTEGER NOT NULL,
    PRIMARY KEY (account_id, unit, period, period_start_ms)
  ) STRICT, WITHOUT ROWID`,
  `CREATE TABLE tk_holds (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    state TEXT NOT NULL
      CHECK (state IN ('held', 'posted', 'voided', 'expired', 'late_posted')),
    accounts TEXT NOT NULL,
    lines TEXT NOT NULL,
    held TEXT NOT NULL,
    asked TEXT NOT NULL,
    actual TEXT NOT NULL,
    overflows TEXT NOT NULL,
    paid_by TEXT NOT NULL CHECK (paid_by IN ('tenant', 'platform')),
    extend_sequence INTEGER NOT NULL CHECK (extend_sequence >= 0),
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    call TEXT NOT NULL
  ) STRICT, WITHOUT ROWID`,
  `CREATE INDEX tk_holds_due ON tk_holds (expires_at_ms, id) WHERE state = 'held'`,
  `CREATE TABLE api_key_usage_logs (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    call_id TEXT NOT NULL,
    key_id TEXT,
    scope TEXT,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    operation TEXT NOT NULL,
    served_model TEXT,
    price_id TEXT,
    outcome TEXT NOT NULL,
    quality TEXT NOT NULL,
    http_status INTEGER,
    input_tokens INTEGER NOT NULL CHECK (input_tokens >= 0),
    cache_read_tokens INTEGER,
    cache_write_tokens INTEGER,
    cache_write_1h_tokens INTEGER,
    input_audio_tokens INTEGER,
    output_tokens INTEGER NOT NULL CHECK (output_tokens >= 0),
    reasoning_tokens INTEGER,
    output_audio_tokens INTEGER,
    counts TEXT NOT NULL,
    cost_nano_usd INTEGER NOT NULL CHECK (cost_nano_usd >= 0),
    provider_cost_nano_usd INTEGER CHECK (provider_cost_nano_usd >= 0),
    charged_nano_usd INTEGER NOT NULL CHECK (charged_nano_usd >= 0),
    overage_nano_usd INTEGER NOT NULL CHECK (overage_nano_usd >= 0),
    paid_by TEXT NOT NULL CHECK (paid_by IN ('tenant', 'platform')),
    billable INTEGER NOT NULL CHECK (billable IN (0, 1)),
    secret_id TEXT,
    secret_version INTEGER,
    tags TEXT NOT NULL,
    duration_ms INTEGER CHECK (duration_ms >= 0),
    response_bytes INTEGER CHECK (response_bytes >= 0),
    state TEXT NOT NULL CHECK (state IN ('posted', 'late_posted')),
    lines TEXT NOT NULL,
    amounts TEXT NOT NULL,
    started_at_ms INTEGER NOT NULL,
    settled_at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
  ) STRICT, WITHOUT ROWID`,
  'CREATE INDEX api_key_usage_logs_settled ON api_key_usage_logs (tenant_id, settled_at_ms)',
  `CREATE TABLE tk_budget_entries (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    unit TEXT NOT NULL,
    period TEXT NOT NULL,
    period_start_ms INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('credit', 'adjust')),
    limit_change INTEGER NOT NULL CHECK (limit_change >= 0),
    posted_change INTEGER NOT NULL,
    paid INTEGER NOT NULL CHECK (paid >= 0),
    note TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id)
  ) STRICT, WITHOUT ROWID`,
  `CREATE TABLE tk_outbox (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    tenant_id TEXT,
    at_ms INTEGER NOT NULL,
    payload TEXT NOT NULL,
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    lease_id TEXT,
    leased_until_ms INTEGER NOT NULL,
    quarantined_at_ms INTEGER,
    reason TEXT,
    CHECK ((quarantined_at_ms IS NULL) = (reason IS NULL))
  ) STRICT`,
  `CREATE INDEX tk_outbox_quarantined ON tk_outbox (id)
    WHERE quarantined_at_ms IS NOT NULL`,
  `CREATE TABLE tk_audit (
    root_id TEXT NOT NULL,
    sequence INTEGER NOT NULL CHECK (sequence > 0),
    id TEXT NOT NULL,
    tenant_id TEXT,
    at_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT NOT NULL,
    previous_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (root_id, sequence)
  ) STRICT, WITHOUT ROWID`,
  `INSERT INTO tk_meta (id, schema_version, epoch, clock_ms) VALUES (1, ${SCHEMA_VERSION}, 1, 0)`,
]

/**
 * Makes the tables unless they are there; runs inside one transaction.
 *
 * @throws TenantKeysError TK_STORE_NOT_MIGRATED when the file is of a later version,
 *   TK_CONFIG_INVALID when one of our names is taken by a table that is not ours.
 */
export function createTables(client: SqliteClient): void {
  if (isThere(client, 'tk_meta')) {
    checkVersion(client.get('SELECT schema_version FROM tk_meta')?.schema_version)
    return
  }
  for (const statement of TABLES) {
    const name = /^CREATE TABLE (\w+)/.exec(statement)?.[1]
    if (name !== undefined && isThere(client, name)) {
      throw new TenantKeysError('TK_CONFIG_INVALID', {
        field: 'database',
        reason: `it has a table ${name} that tenantkeys did not make`,
      })
    }
    client.exec(statement)
  }
}

/** Names of our tables and indexes. */
export const SCHEMA_NAMES: readonly string[] = TABLES.flatMap(
  (statement) => /^CREATE (?:TABLE|INDEX) (\w+)/.exec(statement)?.[1] ?? [],
)

/** The tables as SQL for whoever runs their migrations by hand; `migrate()` takes them as they are. */
export const sqliteMigrations = (): readonly MigrationFile[] => [
  {
    name: '001_tenantkeys.sql',
    sql: `BEGIN IMMEDIATE;\n${TABLES.map((statement) => `${statement};\n`).join('')}COMMIT;\n`,
  },
]

/** @throws TenantKeysError TK_STORE_NOT_MIGRATED */
export function checkVersion(version: unknown): void {
  if (Number(version) !== SCHEMA_VERSION) throw new TenantKeysError('TK_STORE_NOT_MIGRATED')
}

const isThere = (client: SqliteClient, table: string): boolean =>
  client.get("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", table) !== null
