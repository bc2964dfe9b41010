/**
 * What waits in the store, counted for `inspectPostgres`: numbers only, so the app role may ask.
 *
 * @module
 */
import type { Names } from '../names.ts'
import { definer } from './sql.ts'

export const leftoverFunctions = (names: Names): string[] =>
  definer(
    names,
    'tk_leftovers_v1',
    `
DECLARE
  now_ms bigint := ${names.fn('tk_time_v1')}(test_now);
BEGIN
  RETURN jsonb_build_object(
    'nowMs', now_ms,
    'dueHolds', (SELECT count(*) FROM ${names.table('tk_holds')} h
      WHERE h.state = 'held' AND h.expires_at_ms < now_ms - (args->>'graceMs')::bigint),
    'finishedHolds', (SELECT count(*) FROM ${names.table('tk_holds')} h
      WHERE h.state <> 'held' AND h.expires_at_ms < now_ms - (args->>'keptMs')::bigint),
    'events', (SELECT count(*) FROM ${names.table('tk_outbox')}),
    'oldestEventMs', (SELECT coalesce(min(o.at_ms), 0) FROM ${names.table('tk_outbox')} o),
    'attempts', (SELECT coalesce(max(o.attempts), 0) FROM ${names.table('tk_outbox')} o));
END`,
  )
