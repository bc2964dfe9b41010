/**
 * `tk_extend_v1`: raises live holds to absolute totals and moves their expiry (`extend` of
 * `budgets/ledger.ts`). It never moves a hold to a pool.
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
import { DECIDE_VARIABLES, decide, describe } from './decide.ts'
import { AGAIN, ledgerFunction } from './function.ts'
import { DUE_VARIABLES, expireDue, giveWay, pickDue } from './give-way.ts'
import {
  accountsOfHold,
  changeLine,
  HOLD_VARIABLES,
  holdOf,
  LINE_ARRAYS,
  MAP_LINES,
  readHolds,
  writeHolds,
} from './holds.ts'
import { SLIDE_VARIABLES, slideCounters, writeBuckets } from './rates.ts'

/** 1 to 4 are the refusals of decide.ts. */
export const EXTEND_CODES = { ok: 0, notFound: 5, mismatch: 6, lost: 7, invalid: 8 } as const

const { ok, notFound, mismatch, lost, invalid } = EXTEND_CODES

const VARIABLES = `
  h_id text[] := (args->>'ids')::text[];
  h_tenant text[] := (args->>'tenants')::text[];
  units text[] := '{}';
  width integer := 1;
  i_hold integer[] := (args->>'holds')::integer[];
  n integer := cardinality(i_hold);
  i_total text[] := (args->>'totals')::text[];
  i_sequence bigint[] := (args->>'sequences')::bigint[];
  i_ttl bigint[] := (args->>'ttls')::bigint[];
  counted integer;
  h_sequence bigint[];
  h_accounts text[];
  h_pools text[];
  h_paid text[];
  h_moves text[];
  r_code integer[] := array_fill(${notFound}, ARRAY[n]);
  r_expires bigint[] := array_fill(NULL::bigint, ARRAY[n]);
  r_more text[] := array_fill(NULL::text, ARRAY[n]);
  own text[];
  moves jsonb;
  more jsonb;
  expires bigint;
  is_there boolean;${DUE_VARIABLES}`

export const extendFunctions = (names: Names): string[] =>
  ledgerFunction(
    names,
    'tk_extend_v1',
    `
DECLARE${VARIABLES}${COUNTER_VARIABLES}${SLIDE_VARIABLES}${DECIDE_VARIABLES}${HOLD_VARIABLES}
BEGIN
  IF wide THEN${pickDue(names)}
  END IF;
  LOOP${lockCounters(
    names,
    `
        SELECT a.id, max(a.depth) AS depth FROM (
          SELECT b.id, b.tenant FROM unnest(h_id, h_tenant) b (id, tenant)
          UNION ALL SELECT d.id, NULL FROM unnest(due_ids) d (id)
        ) q CROSS JOIN ${holdOf(names, 'q.id AND o.tenant_id = coalesce(q.tenant, o.tenant_id)')} h,
        ${accountsOfHold(names)} a GROUP BY a.id`,
    [...LINE_ARRAYS, 'c_room', 'c_kind', 'c_all', 'c_pool'],
  )}
    IF c_n <> coalesce(counted, c_n) THEN
      ${AGAIN};
    END IF;
    counted := c_n;${readHolds(names, {
      h_sequence: 'h.extend_sequence',
      h_accounts: 'h.accounts::text',
      h_pools: 'h.pools::text',
      h_paid: 'h.paid_by',
      h_moves: 'h.overflows',
    })}
    IF now_ms IS NULL THEN${readTime(names)}
    END IF;${rollCounters(names, '\n      c_room[k] := c_limit[k];')}${slideCounters(names)}
    l_n := 0;
    l_seen := '{}';
    hi := n;
    FOR i IN lo..n LOOP
      x := i_hold[i];
      CONTINUE WHEN h_state[x] IS NULL;
      IF i_ttl[i] < 1 OR i_ttl[i] > 86400000 THEN
        r_code[i] := ${invalid};
        CONTINUE;
      END IF;
      IF i_sequence[i] = h_sequence[x]
        AND ${names.fn('tk_same_amounts_v1')}(i_total[i], h_held[x])
      THEN
        r_code[i] := ${ok};
        r_expires[i] := h_expires[x];
        CONTINUE;
      END IF;
      IF h_state[x] <> 'held' OR h_expires[x] <= now_ms THEN
        r_code[i] := ${lost};
        CONTINUE;
      END IF;
      more := ${names.fn('tk_more_v1')}(i_total[i], h_held[x]);
      IF i_sequence[i] <= h_sequence[x] OR more IS NULL THEN
        r_code[i] := ${mismatch};
        CONTINUE;
      END IF;${MAP_LINES}${CHARGED}
      d_moves := false;
      d_counted := true;${decide(names)}${giveWay(names)}
      IF d_code > 0 THEN${describe(names)}
        r_code[i] := d_code;
        r_more[i] := json_build_object('account', c_acct[d_line], 'unit', c_unit[d_line],
          'window', c_win[d_line], 'limit', c_limit[d_line]::text, 'end', c_end[d_line],
          'posted', (CASE c_kind[d_line] WHEN 1 THEN coalesce((held_json->>c_unit[d_line])::bigint, 0)
            ELSE c_posted[d_line] + c_used[d_line] END)::text,
          'held', c_held[d_line]::text, 'asked', d_asked::text, 'fit', d_fit::text,
          'until', CASE WHEN c_held[d_line] > 0 THEN c_until[d_line] END, 'at', d_at)::text;
        CONTINUE;
      END IF;${raise(names)}
    END LOOP;${writeBuckets(names)}${writeCounters(names, [
      ['held', 'c_held'],
      ['held_until_ms', 'c_until'],
    ])}${writeHolds(names, {
      held: 'h_held',
      extend_sequence: 'h_sequence',
      expires_at_ms: 'h_expires',
    })}
    EXIT WHEN hi = n;${expireDue(names)}
  END LOOP;
  RETURN json_build_object('codes', r_code, 'expires', r_expires, 'more', r_more);
END`,
  )

/** The counters that take what hold `x` asks for more: its lines whose period still runs, and the
 * sliding and per-call limits of its path. A limit of single calls knows what this one was given. */
const CHARGED = `
      own := h_accounts[x]::text[];
      moves := h_moves[x]::jsonb;
      d_path := '{}';
      d_asks := '{}';
      FOR k IN 1..c_n LOOP
        CONTINUE WHEN c_created[k] > h_created[x]
          OR (c_acct[k] <> ALL (own) AND c_acct[k] <> ALL (h_pools[x]::text[]));
        is_there := false;
        IF c_kind[k] = 0 THEN
          FOR j IN l_from[s]..l_to[s] LOOP
            is_there := is_there OR (l_k[j] = k AND l_start[j] = c_start[k]);
          END LOOP;
        ELSIF c_all[k] OR h_paid[x] = 'platform' THEN
          is_there := NOT EXISTS (SELECT 1 FROM jsonb_array_elements(moves) o
              WHERE o.value->'from'->>'accountId' = c_acct[k]
                AND o.value->'from'->>'unit' = c_unit[k]
                AND o.value->'from'->>'window' = c_win[k])
            AND (c_acct[k] = ANY (own) OR EXISTS (SELECT 1 FROM jsonb_array_elements(moves) o
              WHERE o.value->>'to' = c_acct[k] AND o.value->'from'->>'unit' = c_unit[k]));
        END IF;
        CONTINUE WHEN NOT is_there;
        d_path := d_path || k;
        d_asks := d_asks || coalesce((more->>c_unit[k])::bigint, 0);
        IF c_kind[k] = 1 THEN
          c_room[k] := c_limit[k] - coalesce((held_json->>c_unit[k])::bigint, 0);
        END IF;
      END LOOP;`

const raise = (names: Names): string => `
      expires := greatest(h_expires[x], now_ms + i_ttl[i]);
      FOREACH k IN ARRAY d_lines LOOP
        IF c_kind[k] = 2 THEN
          held_amount := coalesce((more->>c_unit[k])::bigint, 0);
          s_bucket[s_at[k] + 1] := s_bucket[s_at[k] + 1] + held_amount;
          c_used[k] := c_used[k] + held_amount;
          c_room[k] := c_room[k] - held_amount;
          c_dirty[k] := true;
        END IF;
      END LOOP;
      FOR j IN l_from[s]..l_to[s] LOOP
        held_amount := coalesce((more->>l_unit[j])::bigint, 0);${changeLine(names, {
          held: 'held_amount',
          until: 'expires',
          after: `
          c_room[k] := c_room[k] - held_amount;`,
        })}
      END LOOP;
      h_held[x] := i_total[i];
      h_sequence[x] := i_sequence[i];
      h_expires[x] := expires;
      h_changed[x] := true;
      r_code[i] := ${ok};
      r_expires[i] := expires;`
