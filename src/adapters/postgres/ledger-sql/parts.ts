/**
 * Columns to select of the ledger's rows, as texts, and the parts of the snapshot that a
 * reconciliation compares. Rows are called `r`.
 *
 * @module
 */

export const COUNTER_COLUMNS = `r.account_id, r.depth::text, r.tenant_id, r.unit, r.period, r.zone,
  r.limit_amount::text, r.period_start_ms::text, r.posted::text, r.held::text,
  r.held_until_ms::text, array_to_json(r.buckets::text[])::text AS buckets, r.counts,
  r.overflow_account, r.overflow_depth::text, array_to_json(r.alerts)::text AS alerts,
  r.alerted_percent::text, r.source, r.created_at_ms::text`

export const HISTORY_COLUMNS = `r.account_id, r.unit, r.period, r.period_start_ms::text,
  r.posted::text, r.held::text`

export const HOLD_COLUMNS = `r.id, r.tenant_id, r.state, array_to_json(r.accounts)::text AS accounts,
  array_to_json(r.depths)::text AS depths, r.lines, r.held, r.asked, r.actual, r.overflows,
  r.paid_by, r.extend_sequence::text, r.created_at_ms::text, r.expires_at_ms::text, r.call`

export const ENTRY_COLUMNS = `r.id, r.tenant_id, r.account_id, r.unit, r.period,
  r.period_start_ms::text, r.kind, r.limit_change::text, r.posted_change::text, r.paid::text,
  r.note, r.at_ms::text`

interface Part {
  readonly table: string
  readonly columns: string
  /** Unique, and in the order of the bytes. */
  readonly order: string
  /** Default `r.tenant_id`. */
  readonly tenant?: string
}

export const LEDGER_PARTS: Readonly<
  Record<'tenants' | 'counters' | 'history' | 'holds' | 'usage' | 'entries', Part>
> = {
  tenants: { table: 'tk_tenants', columns: 'r.id, r.parent_id', order: 'r.id', tenant: 'r.id' },
  counters: {
    table: 'tk_counters',
    columns: COUNTER_COLUMNS,
    order: `(r.account_id || ' ' || r.unit || ' ' || r.period)`,
  },
  history: {
    table: 'tk_counter_history',
    columns: HISTORY_COLUMNS,
    order: `(r.account_id || ' ' || r.unit || ' ' || r.period || ' ' || r.period_start_ms)`,
  },
  holds: { table: 'tk_holds', columns: HOLD_COLUMNS, order: 'r.id' },
  usage: {
    table: 'api_key_usage_logs',
    columns: `r.id, r.tenant_id, r.state, r.lines, r.amounts, r.started_at_ms::text,
      r.settled_at_ms::text`,
    order: `(r.tenant_id || ' ' || r.id)`,
  },
  entries: {
    table: 'tk_budget_entries',
    columns: ENTRY_COLUMNS,
    order: `(r.tenant_id || ' ' || r.id)`,
  },
}
