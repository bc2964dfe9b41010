/**
 * What administrative commands need beside the rows of their own tenant: locks and rolls, budgets as
 * they are now, the snapshot of a tree, and the end of old holds.
 *
 * @module
 */
import { definer } from '../migrations/sql.ts'
import type { Names } from '../names.ts'
import { COUNTER_VARIABLES, highMark, lockCounters, readTime, rollCounters } from './counters.ts'
import { ledgerFunction } from './function.ts'
import { LEDGER_PARTS } from './parts.ts'
import { bucketMs } from './rates.ts'

export const upkeepFunctions = (names: Names): string[] => [
  // Locks the counters of accounts of these tenants, in lock order, and rolls them to the present.
  ...ledgerFunction(
    names,
    'tk_lock_accounts_v1',
    `
DECLARE
  accts text[] := (args->>'accounts')::text[];
  tenants text[] := (args->>'tenants')::text[];${COUNTER_VARIABLES}
BEGIN${lockCounters(
      names,
      `
        SELECT t.id, max(e.depth) AS depth FROM unnest(accts) t (id)
        JOIN ${names.table('tk_counters')} e ON e.account_id = t.id
        WHERE e.tenant_id = ANY (tenants) GROUP BY t.id`,
      [
        'c_acct',
        'c_unit',
        'c_win',
        'c_tenant',
        'c_zone',
        'c_start',
        'c_end',
        'c_posted',
        'c_held',
        'c_until',
      ],
    )}
  high_ms := ${highMark(names)};${readTime(names)}${rollCounters(names)}
  RETURN to_json(now_ms);
END`,
  ),
  ...definer(
    names,
    'tk_budgets_v1',
    `
DECLARE
  now_ms bigint := ${names.fn('tk_time_v1')}(test_now);
BEGIN
  RETURN (SELECT coalesce(jsonb_agg(to_jsonb(r)), '[]'::jsonb) FROM (
    SELECT c.account_id, c.unit, c.period, c.limit_amount::text,
      (CASE WHEN ended.is_over THEN 0 ELSE c.posted + (
        SELECT coalesce(sum(b.n), 0) FROM unnest((${names.fn('tk_slide_v1')}(c.buckets,
          ${bucketMs('c.period')}, now_ms))[2:]) b (n)
        WHERE c.period IN ('rate_second', 'rate_minute')) END)::text AS posted,
      (CASE WHEN ended.is_over THEN 0 ELSE c.held END)::text AS held,
      (CASE WHEN ended.is_over THEN (SELECT p.end_ms
          FROM ${names.fn('tk_period_v1')}(c.period, c.zone, now_ms) p)
        ELSE c.period_end_ms END)::text AS ends
    FROM ${names.table('tk_counters')} c
    CROSS JOIN LATERAL (SELECT coalesce(c.period_end_ms <= now_ms, false) AS is_over) ended
    WHERE c.tenant_id = args->>'tenantId'
    ORDER BY c.account_id, c.unit, c.period
  ) r);
END`,
  ),
  // One page of one part of the books of a tenant and all below it.
  ...definer(
    names,
    'tk_ledger_part_v1',
    `
DECLARE
  tree text[];
BEGIN
  WITH RECURSIVE below (id) AS (
    SELECT t.id FROM ${names.table('tk_tenants')} t WHERE t.id = args->>'tenantId'
    UNION ALL SELECT t.id FROM ${names.table('tk_tenants')} t JOIN below ON t.parent_id = below.id)
  SELECT array_agg(b.id) INTO tree FROM below b;
  CASE args->>'part'
${Object.entries(LEDGER_PARTS)
  .map(
    ([part, { table, columns, order, tenant = 'r.tenant_id' }]) => `  WHEN '${part}' THEN
    RETURN (SELECT coalesce(jsonb_agg(to_jsonb(d)), '[]'::jsonb) FROM (
      SELECT ${columns}, ${order} AS cursor FROM ${names.table(table)} r
      WHERE ${tenant} = ANY (tree) AND ${order} > args->>'after'
      ORDER BY cursor LIMIT (args->>'limit')::bigint) d);`,
  )
  .join('\n')}
  END CASE;
END`,
  ),
  // As \`isOver\` of budgets/prune.ts says. Events of a hold are named after it: \`<hold>\` or
  // \`<hold>.<what>\`; \`/\` is the letter after the point.
  ...definer(
    names,
    'tk_prune_v1',
    `
DECLARE
  before_ms bigint := ${names.fn('tk_now_v1')}(test_now) - (args->>'olderThanMs')::bigint;
  pruned bigint;
BEGIN
  -- Picked once: as a subquery of a condition it may be run again for every row, past the limit.
  WITH over AS MATERIALIZED (
    SELECT h.id FROM ${names.table('tk_holds')} h
    LEFT JOIN ${names.table('api_key_usage_logs')} u ON u.tenant_id = h.tenant_id AND u.id = h.id
    WHERE h.expires_at_ms <= before_ms
      AND (h.state IN ('voided', 'expired')
        OR (h.state IN ('posted', 'late_posted') AND u.settled_at_ms <= before_ms))
      AND NOT EXISTS (SELECT 1 FROM ${names.table('tk_outbox')} o WHERE o.id = h.id)
      AND NOT EXISTS (SELECT 1 FROM ${names.table('tk_outbox')} o
        WHERE o.id > h.id || '.' AND o.id < h.id || '/')
    ORDER BY h.id LIMIT (args->>'limit')::bigint FOR UPDATE OF h SKIP LOCKED
  )
  DELETE FROM ${names.table('tk_holds')} d USING over WHERE d.id = over.id;
  GET DIAGNOSTICS pruned = ROW_COUNT;
  RETURN to_jsonb(pruned);
END`,
  ),
]
