/**
 * The outbox: events in order of their arrival. Exporters skip what others are just leasing.
 *
 * @module
 */
import type { Names } from '../names.ts'
import { EVENT_COLUMNS, QUARANTINED_COLUMNS } from '../rows.ts'
import { definer, list } from './sql.ts'

export function outboxFunctions(names: Names): string[] {
  const box = names.table('tk_outbox')
  return [
    ...definer(
      names,
      'tk_outbox_add_v1',
      `
BEGIN
  INSERT INTO ${box} (id, kind, tenant_id, at_ms, payload, attempts, leased_until_ms)
    SELECT a.value->>'id', a.value->>'kind', a.value->>'tenantId', (a.value->>'atMs')::bigint,
      a.value->>'payload', 0, 0
    FROM jsonb_array_elements(args) WITH ORDINALITY a ORDER BY a.ordinality
    ON CONFLICT (id) DO NOTHING;
  RETURN NULL;
END`,
    ),
    ...definer(
      names,
      'tk_outbox_lease_v1',
      `
DECLARE
  now_ms bigint := ${names.fn('tk_now_v1')}(test_now);
  answer jsonb;
BEGIN
  WITH free AS MATERIALIZED (
    SELECT o.sequence FROM ${box} o
    WHERE o.leased_until_ms <= now_ms AND o.quarantined_at_ms IS NULL
    ORDER BY o.sequence LIMIT (args->>'limit')::bigint FOR UPDATE SKIP LOCKED
  ), leased AS (
    UPDATE ${box} o SET lease_id = args->>'leaseId', attempts = o.attempts + 1,
      leased_until_ms = now_ms + (args->>'leaseMs')::bigint
    FROM free WHERE o.sequence = free.sequence RETURNING o.*
  )
  SELECT coalesce(jsonb_agg(to_jsonb(r)), '[]'::jsonb) INTO answer
    FROM (SELECT ${EVENT_COLUMNS} FROM leased l ORDER BY l.sequence) r;
  RETURN answer;
END`,
    ),
    ...definer(
      names,
      'tk_outbox_ack_v1',
      `
DECLARE
  removed bigint;
BEGIN
  DELETE FROM ${box} o USING jsonb_array_elements_text(args->'ids') a (id)
    WHERE o.id = a.id AND o.lease_id = args->>'leaseId';
  GET DIAGNOSTICS removed = ROW_COUNT;
  RETURN to_jsonb(removed);
END`,
    ),
    ...definer(
      names,
      'tk_outbox_release_v1',
      `
DECLARE
  changed bigint;
  now_ms bigint := ${names.fn('tk_now_v1')}(test_now);
BEGIN
  UPDATE ${box} o SET lease_id = NULL, leased_until_ms = now_ms + (args->>'delayMs')::bigint
    FROM (SELECT DISTINCT a.id FROM jsonb_array_elements_text(args->'ids') a (id)) a
    WHERE o.id = a.id AND o.lease_id = args->>'leaseId';
  GET DIAGNOSTICS changed = ROW_COUNT;
  RETURN to_jsonb(changed);
END`,
    ),
    ...definer(
      names,
      'tk_outbox_quarantine_v1',
      `
DECLARE
  changed bigint;
  now_ms bigint := ${names.fn('tk_now_v1')}(test_now);
BEGIN
  UPDATE ${box} o SET lease_id = NULL, leased_until_ms = 0, quarantined_at_ms = now_ms,
      reason = a.value->>'reason'
    FROM jsonb_array_elements(args->'events') a
    WHERE o.id = a.value->>'id' AND o.lease_id = args->>'leaseId';
  GET DIAGNOSTICS changed = ROW_COUNT;
  RETURN to_jsonb(changed);
END`,
    ),
    ...definer(
      names,
      'tk_outbox_requeue_v1',
      `
DECLARE
  changed bigint;
BEGIN
  UPDATE ${box} o SET quarantined_at_ms = NULL, reason = NULL, attempts = 0
    FROM (SELECT DISTINCT a.id FROM jsonb_array_elements_text(args) a (id)) a
    WHERE o.id = a.id AND o.quarantined_at_ms IS NOT NULL;
  GET DIAGNOSTICS changed = ROW_COUNT;
  RETURN to_jsonb(changed);
END`,
    ),
    ...definer(
      names,
      'tk_outbox_quarantined_v1',
      `
BEGIN
  RETURN ${list(`SELECT ${QUARANTINED_COLUMNS} FROM ${box} o
    WHERE o.quarantined_at_ms IS NOT NULL AND o.id > args->>'after' COLLATE "C"
    ORDER BY o.id LIMIT (args->>'limit')::bigint`)};
END`,
    ),
    ...definer(
      names,
      'tk_outbox_backlog_v1',
      `
BEGIN
  RETURN jsonb_build_object(
    'waiting', (SELECT count(*)::text FROM (SELECT FROM ${box} o
      WHERE o.quarantined_at_ms IS NULL LIMIT (args->>'limit')::bigint) r),
    'quarantined', (SELECT count(*)::text FROM (SELECT FROM ${box} o
      WHERE o.quarantined_at_ms IS NOT NULL LIMIT (args->>'limit')::bigint) r),
    'oldest_at_ms', (SELECT o.at_ms::text FROM ${box} o
      WHERE o.quarantined_at_ms IS NULL ORDER BY o.sequence LIMIT 1));
END`,
    ),
  ]
}
