/**
 * `tk_void_v1` releases holds of calls that cost nothing; `tk_sweep_v1` expires holds whose time is up,
 * wherever they stand (`voidHold` and `sweep` of `budgets/ledger.ts`).
 *
 * @module
 */
import type { Names } from '../names.ts'
import {
  COUNTER_VARIABLES,
  lockCounters,
  readTime,
  rollCounters,
  writeCounters,
} from './counters.ts'
import { addEvent, EVENT_VARIABLES, writeEvents } from './events.ts'
import { innerFunction, ledgerFunction } from './function.ts'
import {
  changeLine,
  HELD_OF_LINE,
  HOLD_ACCOUNTS,
  HOLD_VARIABLES,
  holdAccounts,
  holdOf,
  LINE_ARRAYS,
  MAP_LINES,
  readHolds,
  writeHolds,
} from './holds.ts'

export const VOID_CODES = { voided: 0, replayed: 1, notFound: 2, mismatch: 3 } as const

const { voided, replayed, notFound, mismatch } = VOID_CODES

/** Lines know their unit by its name here; no amounts come with the batch. */
const NO_UNITS = `
  units text[] := '{}';
  width integer := 1;`

const release = (names: Names): string => `${MAP_LINES}
      FOR j IN l_from[s]..l_to[s] LOOP${HELD_OF_LINE}${changeLine(names, { held: '-held_amount' })}
      END LOOP;`

const WRITE = [
  ['held', 'c_held'],
  ['held_until_ms', 'c_until'],
] as const

export const expiryFunctions = (names: Names): string[] => [
  ...ledgerFunction(
    names,
    'tk_void_v1',
    `
DECLARE
  h_id text[] := (args->>'ids')::text[];
  h_tenant text[] := (args->>'tenants')::text[];
  i_hold integer[] := (args->>'holds')::integer[];
  n integer := cardinality(i_hold);
  r_code integer[] := array_fill(${notFound}, ARRAY[n]);${NO_UNITS}${COUNTER_VARIABLES}${HOLD_VARIABLES}
BEGIN${lockCounters(names, holdAccounts(names), LINE_ARRAYS)}${readHolds(names)}${readTime(names)}${rollCounters(names)}
  FOR i IN 1..n LOOP
    x := i_hold[i];
    CONTINUE WHEN h_state[x] IS NULL;
    IF h_state[x] = 'voided' THEN
      r_code[i] := ${replayed};
    ELSIF h_state[x] = 'posted' OR h_state[x] = 'late_posted' THEN
      r_code[i] := ${mismatch};
    ELSE
      IF h_state[x] = 'held' THEN${release(names)}
      END IF;
      h_state[x] := 'voided';
      h_changed[x] := true;
      r_code[i] := ${voided};
    END IF;
  END LOOP;${writeCounters(names, WRITE)}${writeHolds(names)}
  RETURN to_json(r_code);
END`,
  ),
  ...innerFunction(names, 'tk_expire_v1', {
    args: 'h_id text[], at_ms bigint',
    returns: 'integer',
    body: `
DECLARE
  h_tenant text[];
  h_call text[];
  h_ids text[];${NO_UNITS}${COUNTER_VARIABLES}${HOLD_VARIABLES}${EVENT_VARIABLES}
BEGIN${lockCounters(
      names,
      `
        SELECT a.id, max(a.depth) AS depth FROM unnest(h_id) q (id)
        CROSS JOIN ${holdOf(names, 'q.id')} h, ${HOLD_ACCOUNTS} a GROUP BY a.id`,
      LINE_ARRAYS,
    )}
  now_ms := coalesce(at_ms, ${names.fn('tk_now_v1')}(NULL::bigint));${rollCounters(names)}
  -- Others may have expired or settled them since they were picked.
  SELECT coalesce(array_agg(d.id), '{}'), array_agg(d.tenant_id), array_agg(d.lines),
      array_agg(d.held), array_agg(d.created_at_ms), array_agg(d.call), array_agg(d.tid)
    INTO h_ids, h_tenant, h_lines, h_held, h_created, h_call, h_tid
    FROM (SELECT l.* FROM unnest(h_id) q (id)
      CROSS JOIN LATERAL (SELECT h.ctid AS tid, h.* FROM ${names.table('tk_holds')} h
        WHERE h.id = q.id AND h.state = 'held' AND h.expires_at_ms <= now_ms
        FOR UPDATE SKIP LOCKED) l
      ORDER BY l.expires_at_ms, l.id) d;
  FOR i IN 1..cardinality(h_ids) LOOP
    x := i;${release(names)}${addEvent({
      id: `h_ids[x] || '.expired'`,
      kind: 'unknown_spend',
      tenant: 'h_tenant[x]',
      // The call is an object that was never empty.
      payload: `'{"holdId":' || to_json(h_ids[x])::text || ',"heldNanoUsd":"'
            || coalesce(held_json->>'usd', '0') || '",' || substr(h_call[x], 2)`,
    })}
  END LOOP;${writeCounters(names, WRITE)}
  UPDATE ${names.table('tk_holds')} h SET state = 'expired'
    FROM unnest(h_tid) q (tid) WHERE h.ctid = q.tid;${writeEvents(names)}
  RETURN cardinality(h_ids);
END`,
  }),
  ...ledgerFunction(
    names,
    'tk_sweep_v1',
    `
DECLARE
  due text[];
BEGIN
  -- Without locks: those of their counters are taken in order first.
  SELECT coalesce(array_agg(d.id), '{}') INTO due FROM (
    SELECT h.id FROM ${names.table('tk_holds')} h
    WHERE h.state = 'held' AND h.expires_at_ms <= ${names.fn('tk_time_v1')}(test_now)
    ORDER BY h.expires_at_ms, h.id LIMIT (args->>'limit')::bigint
  ) d;
  IF due = '{}' THEN
    RETURN to_json(0);
  END IF;
  RETURN to_json(${names.fn('tk_expire_v1')}(due,
    CASE WHEN test_now IS NOT NULL THEN ${names.fn('tk_now_v1')}(test_now) END));
END`,
  ),
]
