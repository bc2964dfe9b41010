/**
 * The tables of the ledger: counters and their ended periods, holds, usage rows, entries, and the
 * outbox that all of them write to.
 *
 * Counters are changed in place all the time: half of each page stays free and no index names a
 * column that changes, so that such an update touches no index (HOT). Holds, usage rows and events
 * are written in great numbers and name their tenant without a foreign key: each would lock the row
 * of the tenant, and the functions that write them have checked it. A table has one CHECK with all
 * its conditions: each costs every statement that writes a few microseconds.
 *
 * @module
 */
import type { Names } from '../names.ts'
import { closed, ID } from './sql.ts'

export function ledgerTables(names: Names): string[] {
  const t = (name: string): string => names.table(name)
  return [
    `CREATE TABLE ${t('tk_counters')} (
  account_id ${ID} NOT NULL,
  unit ${ID} NOT NULL,
  period ${ID} NOT NULL,
  tenant_id ${ID} NOT NULL REFERENCES ${t('tk_tenants')} (id),
  depth integer NOT NULL,
  zone text NOT NULL,
  limit_amount bigint NOT NULL,
  period_start_ms bigint NOT NULL,
  period_end_ms bigint,
  posted bigint NOT NULL,
  held bigint NOT NULL,
  held_until_ms bigint NOT NULL,
  buckets bigint[] NOT NULL,
  counts text NOT NULL,
  overflow_account ${ID},
  overflow_depth integer,
  alerts integer[] NOT NULL,
  alerted_percent integer NOT NULL,
  source text NOT NULL,
  created_at_ms bigint NOT NULL,
  PRIMARY KEY (account_id, unit, period),
  CHECK (limit_amount >= 0 AND posted >= 0 AND held >= 0)
) WITH (fillfactor = 50)`,
    `CREATE INDEX ${names.index('tk_counters_tenant')} ON ${t('tk_counters')} (tenant_id)`,
    `CREATE TABLE ${t('tk_counter_history')} (
  account_id ${ID} NOT NULL,
  unit ${ID} NOT NULL,
  period ${ID} NOT NULL,
  period_start_ms bigint NOT NULL,
  tenant_id ${ID} NOT NULL REFERENCES ${t('tk_tenants')} (id),
  posted bigint NOT NULL CHECK (posted >= 0),
  held bigint NOT NULL CHECK (held >= 0),
  PRIMARY KEY (account_id, unit, period, period_start_ms)
) WITH (fillfactor = 80)`,
    `CREATE TABLE ${t('tk_holds')} (
  id ${ID} PRIMARY KEY,
  tenant_id ${ID} NOT NULL,
  state text NOT NULL,
  accounts ${ID.replace('text', 'text[]')} NOT NULL,
  depths integer[] NOT NULL,
  pools ${ID.replace('text', 'text[]')} NOT NULL,
  lines text NOT NULL,
  held text NOT NULL,
  asked text NOT NULL,
  actual text NOT NULL,
  overflows text NOT NULL,
  paid_by text NOT NULL,
  extend_sequence bigint NOT NULL,
  created_at_ms bigint NOT NULL,
  expires_at_ms bigint NOT NULL,
  call text NOT NULL,
  CHECK (state IN ('held', 'posted', 'voided', 'expired', 'late_posted')
    AND paid_by IN ('tenant', 'platform') AND extend_sequence >= 0)
) WITH (fillfactor = 70)`,
    `CREATE INDEX ${names.index('tk_holds_due')} ON ${t('tk_holds')} (expires_at_ms, id)
  WHERE state = 'held'`,
    `CREATE TABLE ${t('api_key_usage_logs')} (
  tenant_id ${ID} NOT NULL,
  id ${ID} NOT NULL,
  call_id text NOT NULL,
  key_id text,
  scope text,
  operation text NOT NULL,
  provider text NOT NULL,
  model text NOT NULL,
  served_model text,
  price_id text,
  outcome text NOT NULL,
  quality text NOT NULL,
  http_status bigint,
  input_tokens bigint NOT NULL,
  cache_read_tokens bigint,
  cache_write_tokens bigint,
  cache_write_1h_tokens bigint,
  input_audio_tokens bigint,
  output_tokens bigint NOT NULL,
  reasoning_tokens bigint,
  output_audio_tokens bigint,
  counts text NOT NULL,
  cost_nano_usd bigint NOT NULL,
  provider_cost_nano_usd bigint,
  charged_nano_usd bigint NOT NULL,
  overage_nano_usd bigint NOT NULL,
  billable boolean NOT NULL,
  paid_by text NOT NULL,
  secret_id text,
  secret_version bigint,
  state text NOT NULL,
  tags text NOT NULL,
  duration_ms bigint,
  response_bytes bigint,
  lines text NOT NULL,
  amounts text NOT NULL,
  started_at_ms bigint NOT NULL,
  settled_at_ms bigint NOT NULL,
  PRIMARY KEY (tenant_id, id),
  CHECK (input_tokens >= 0 AND output_tokens >= 0 AND cost_nano_usd >= 0
    AND coalesce(provider_cost_nano_usd, 0) >= 0 AND charged_nano_usd >= 0
    AND overage_nano_usd >= 0 AND paid_by IN ('tenant', 'platform')
    AND state IN ('posted', 'late_posted'))
)`,
    `CREATE INDEX ${names.index('api_key_usage_logs_settled')}
  ON ${t('api_key_usage_logs')} (tenant_id, settled_at_ms, id)`,
    `CREATE TABLE ${t('tk_budget_entries')} (
  tenant_id ${ID} NOT NULL REFERENCES ${t('tk_tenants')} (id),
  id ${ID} NOT NULL,
  account_id ${ID} NOT NULL,
  unit ${ID} NOT NULL,
  period ${ID} NOT NULL,
  period_start_ms bigint NOT NULL,
  kind text NOT NULL CHECK (kind IN ('credit', 'adjust')),
  limit_change bigint NOT NULL CHECK (limit_change >= 0),
  posted_change bigint NOT NULL,
  paid bigint NOT NULL CHECK (paid >= 0),
  note text NOT NULL,
  at_ms bigint NOT NULL,
  PRIMARY KEY (tenant_id, id)
)`,
    `CREATE TABLE ${t('tk_outbox')} (
  sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id ${ID} NOT NULL UNIQUE,
  kind text NOT NULL,
  tenant_id ${ID},
  at_ms bigint NOT NULL,
  payload text NOT NULL,
  attempts integer NOT NULL CHECK (attempts >= 0),
  lease_id text,
  leased_until_ms bigint NOT NULL,
  quarantined_at_ms bigint,
  reason text,
  CHECK ((quarantined_at_ms IS NULL) = (reason IS NULL))
)`,
    `CREATE INDEX ${names.index('tk_outbox_quarantined')}
  ON ${t('tk_outbox')} (id) WHERE quarantined_at_ms IS NOT NULL`,
    ...closed(names, 'tk_counters', 'tenant_id', ['SELECT', 'INSERT', 'UPDATE', 'DELETE']),
    ...closed(names, 'tk_counter_history', 'tenant_id', ['SELECT', 'INSERT', 'UPDATE']),
    ...closed(names, 'tk_holds', 'tenant_id', ['SELECT', 'INSERT', 'UPDATE']),
    ...closed(names, 'api_key_usage_logs', 'tenant_id', ['SELECT', 'INSERT']),
    ...repriceable(names),
    ...closed(names, 'tk_budget_entries', 'tenant_id', ['SELECT', 'INSERT']),
    ...closed(names, 'tk_outbox', null),
  ]
}

/** Of a usage row only what a later price decides can be changed (ST-19). */
const repriceable = (names: Names): string[] =>
  names.app === null
    ? []
    : [
        `GRANT UPDATE (price_id, cost_nano_usd, charged_nano_usd, quality)
         ON ${names.table('api_key_usage_logs')} TO ${names.app}`,
      ]
