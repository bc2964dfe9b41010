/**
 * `tk_settle_v1`: posts what calls really cost, releases their holds, and writes usage rows and
 * events, in one step (`settle` of `budgets/ledger.ts`).
 *
 * @module
 */
import type { Names } from '../names.ts'
import { USAGE_COLUMNS } from '../usage-columns.ts'
import { ALERT_VARIABLES, alert } from './alerts.ts'
import {
  COUNTER_VARIABLES,
  lockCounters,
  readTime,
  rollCounters,
  writeCounters,
} from './counters.ts'
import { addEvent, EVENT_VARIABLES, writeEvents } from './events.ts'
import { ledgerFunction } from './function.ts'
import {
  changeLine,
  HELD_OF_LINE,
  HOLD_VARIABLES,
  holdAccounts,
  LINE_ARRAYS,
  MAP_LINES,
  readHolds,
  writeHolds,
} from './holds.ts'

export const SETTLE_CODES = {
  posted: 0,
  late: 1,
  notFound: 2,
  mismatch: 3,
  invalid: 4,
} as const

const { posted, late, notFound, mismatch, invalid } = SETTLE_CODES

const VARIABLES = `
  h_id text[] := (args->>'ids')::text[];
  h_tenant text[] := (args->>'tenants')::text[];
  units text[] := (args->>'units')::text[];
  width integer := cardinality(units) + 1;
  usd integer := coalesce(array_position(units, 'usd'), width);
  i_hold integer[] := (args->>'holds')::integer[];
  n integer := cardinality(i_hold);
  i_amount bigint[] := (args->>'amounts')::bigint[];
  i_actual text[] := (args->>'actual')::text[];
  i_payload text[] := (args->>'payloads')::text[];
  u jsonb := args->'usage';
  r_code integer[] := array_fill(${notFound}, ARRAY[n]);
  r_set integer[] := array_fill(0, ARRAY[n]);
  r_replayed boolean[] := array_fill(false, ARRAY[n]);
  r_held text[] := array_fill(NULL::text, ARRAY[n]);
  r_actual text[] := r_held;
  r_state text[] := r_held;
  r_over bigint[] := array_fill(0::bigint, ARRAY[n]);
  r_value bigint[] := '{}';
  r_n integer := 0;
  settled integer := 0;
  base integer;
  a bigint;
  found_posted bigint;
  state text;
  fits boolean;`

export const settleFunctions = (names: Names): string[] =>
  ledgerFunction(
    names,
    'tk_settle_v1',
    `
DECLARE${VARIABLES}${COUNTER_VARIABLES}${HOLD_VARIABLES}${EVENT_VARIABLES}${ALERT_VARIABLES}
BEGIN${lockCounters(names, holdAccounts(names), [
      ...LINE_ARRAYS,
      'c_alerts',
      'c_alerted',
      'c_next',
    ])}${readHolds(names)}${readTime(names)}${rollCounters(
      names,
      `
      c_alerted[k] := 0;
      c_next[k] := 0;`,
    )}
  FOR i IN 1..n LOOP
    x := i_hold[i];
    state := h_state[x];
    CONTINUE WHEN state IS NULL;
    IF state = 'voided' THEN
      r_code[i] := ${mismatch};
      CONTINUE;
    END IF;
    base := (i - 1) * width;
    IF state = 'posted' OR state = 'late_posted' THEN
      IF NOT ${names.fn('tk_same_amounts_v1')}(h_actual[x], i_actual[i]) THEN
        r_code[i] := ${mismatch};
        CONTINUE;
      END IF;${MAP_LINES}
      r_replayed[i] := true;
      r_actual[i] := h_actual[x];
    ELSE${MAP_LINES}${canPost(names)}
      state := CASE WHEN state = 'expired' OR h_expires[x] <= now_ms THEN 'late_posted'
        ELSE 'posted' END;
      FOR j IN l_from[s]..l_to[s] LOOP${HELD_OF_LINE}
        a := i_amount[base + l_u[j]];${changeLine(names, {
          held: "(CASE WHEN h_state[x] = 'expired' THEN 0 ELSE -held_amount END)",
          posted: 'a',
          after: `
          IF a > 0 AND c_posted[k] >= c_next[k] THEN${alert}
          END IF;`,
        })}
      END LOOP;
      r_state[i] := state;
      r_over[i] := greatest(0, i_amount[base + usd] - coalesce((held_json->>'usd')::bigint, 0));
      h_state[x] := state;
      h_actual[x] := i_actual[i];
      h_changed[x] := true;
      settled := settled + 1;${addEvent({
        id: 'h_id[x]',
        kind: 'usage',
        tenant: 'h_tenant[x]',
        payload: `'{"id":' || to_json(h_id[x])::text || ',"tenantId":' || to_json(h_tenant[x])::text
            || ',"state":"' || state || '","lines":' || h_lines[x] || ',"overageNanoUsd":"'
            || r_over[i]::text || '","startedAtMs":' || h_created[x]::text || ',"settledAtMs":'
            || now_ms::text || ',' || i_payload[i] || '}'`,
      })}
    END IF;
    r_code[i] := CASE state WHEN 'posted' THEN ${posted} ELSE ${late} END;
    r_set[i] := s;
    r_held[i] := h_held[x];
    FOR j IN l_from[s]..l_to[s] LOOP
      k := l_k[j];
      IF k > 0 THEN
        r_value[r_n + 1] := c_posted[k];
        r_value[r_n + 2] := c_held[k];
        r_n := r_n + 2;
      END IF;
    END LOOP;
  END LOOP;
  IF settled > 0 THEN${writeCounters(names, [
    ['posted', 'c_posted'],
    ['held', 'c_held'],
    ['held_until_ms', 'c_until'],
    ['alerted_percent', 'c_alerted'],
  ])}${writeHolds(names, { actual: 'h_actual' })}${addUsage(names)}${writeEvents(names)}
  END IF;
  RETURN json_build_object('codes', r_code, 'sets', r_set, 'replayed', r_replayed, 'held', r_held,
    'actual', r_actual, 'values', r_value::text, 'from', l_from, 'to', l_to, 'lines', l_k,
    'accounts', c_acct, 'units', c_unit, 'windows', c_win, 'limits', c_limit::text, 'ends', c_end);
END`,
  )

/** No sum may leave 64 bits. */
const canPost = (names: Names): string => `
      fits := true;
      FOR j IN l_from[s]..l_to[s] LOOP
        a := i_amount[base + l_u[j]];
        CONTINUE WHEN a = 0;
        k := l_k[j];
        IF k > 0 AND c_start[k] = l_start[j] THEN
          found_posted := c_posted[k];
        ELSE
          found_posted := coalesce((SELECT p.posted FROM ${names.table('tk_counter_history')} p
            WHERE p.account_id = l_acct[j] AND p.unit = l_unit[j] AND p.period = l_win[j]
              AND p.period_start_ms = l_start[j]), 0);
        END IF;
        IF a < 0 OR a > 9223372036854775807 - found_posted THEN
          fits := false;
          EXIT;
        END IF;
      END LOOP;
      IF NOT fits THEN
        r_code[i] := ${invalid};
        CONTINUE;
      END IF;`

const addUsage = (names: Names): string => {
  const given = Object.entries(USAGE_COLUMNS)
  return `
    INSERT INTO ${names.table('api_key_usage_logs')}
        (tenant_id, id, state, lines, amounts, overage_nano_usd, started_at_ms, settled_at_ms,
         ${given.map(([column]) => column).join(', ')})
      SELECT h_tenant[t.hold], h_id[t.hold], t.state, h_lines[t.hold], t.actual, t.over,
        h_created[t.hold], now_ms, ${given.map(([column]) => `t.${column}`).join(', ')}
      FROM unnest(i_hold, r_state, i_actual, r_over,
        ${given.map(([column, type]) => `(u->>'${column}')::${type}[]`).join(',\n        ')})
        AS t (hold, state, actual, over, ${given.map(([column]) => column).join(', ')})
      WHERE t.state IS NOT NULL;`
}
