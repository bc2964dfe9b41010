/**
 * `tk_reserve_v1`: a batch of reserves, decided one after the other in arrays and written once
 * (`reserve` of `budgets/ledger.ts`). `tk_preview_v1` makes the same decision and takes everything
 * back.
 *
 * @module
 */
import type { Names } from '../names.ts'
import {
  COUNTER_VARIABLES,
  highMark,
  lockCounters,
  readTime,
  rollCounters,
  writeCounters,
} from './counters.ts'
import { DECIDE_VARIABLES } from './decide.ts'
import { EVENT_VARIABLES, writeEvents } from './events.ts'
import { AGAIN, ledgerFunction } from './function.ts'
import { DUE_VARIABLES, expireDue, pickDue } from './give-way.ts'
import { accountsOfHold, holdOf } from './holds.ts'
import { SLIDE_VARIABLES, slideCounters, writeBuckets } from './rates.ts'
import { buildPath, CODES, replay, squeeze, take } from './reserve-items.ts'

export function reserveFunctions(names: Names): string[] {
  return [
    ...ledgerFunction(names, 'tk_reserve_v1', reserve(names)),
    ...ledgerFunction(names, 'tk_preview_v1', preview(names)),
  ]
}

/** The accounts of the batch and of the pools that their counters name; and those of holds that are
 * due or known already, when a call is made again because of them. */
const accounts = (names: Names): string => `
        SELECT t.id, t.depth FROM unnest(accts, depths) t (id, depth)
        UNION ALL
        SELECT more.id, max(more.depth) FROM (
          SELECT p.overflow_account, p.overflow_depth FROM unnest(accts) t (id)
            CROSS JOIN LATERAL (SELECT c.overflow_account, c.overflow_depth
              FROM ${names.table('tk_counters')} c WHERE c.account_id = t.id OFFSET 0) p
          UNION ALL SELECT w.id, w.depth FROM unnest(wide_accts, wide_depths) w (id, depth)
        ) more (id, depth) WHERE more.id <> ALL (accts) GROUP BY more.id`

const ARRAYS = [
  'c_ref',
  'c_acct',
  'c_unit',
  'c_win',
  'c_json',
  'c_tenant',
  'c_limit',
  'c_start',
  'c_end',
  'c_posted',
  'c_held',
  'c_until',
  'c_room',
  'c_kind',
  'c_all',
  'c_u',

  'c_pool',
] as const

const VARIABLES = `
  i_id text[] := (args->>'ids')::text[];
  n integer := cardinality(i_id);
  i_path integer[] := (args->>'paths')::integer[];
  i_amount bigint[] := (args->>'amounts')::bigint[];
  i_ttl bigint[] := (args->>'ttls')::bigint[];
  i_asked text[] := (args->>'asked')::text[];
  i_call text[] := (args->>'calls')::text[];
  accts text[] := (args->>'accounts')::text[];
  depths integer[] := (args->>'depths')::integer[];
  tenants text[] := (args->>'tenants')::text[];
  units text[] := (args->>'units')::text[];
  width integer := cardinality(units) + 1;
  p_tenant integer[] := (args->>'pathTenants')::integer[];
  p_platform boolean[] := (args->>'platform')::boolean[];
  p_first integer[] := (args->>'firsts')::integer[];
  p_account integer[] := (args->>'pathAccounts')::integer[];
  p_ids text[] := (args->>'pathIds')::text[];
  p_depths text[] := (args->>'pathDepths')::text[];
  dry boolean := coalesce(args->'dry' = 'true', false);
  wide_accts text[];
  wide_depths integer[];
  counted integer;
  head integer[];
  next integer[];
  t_paths text[];
  t_path text[];
  p_size integer := cardinality(p_tenant);
  p_n integer := 0;
  p_from integer[] := array_fill(0, ARRAY[p_size]);
  p_to integer[] := p_from;
  p_line integer[] := '{}';
  p_own boolean[] := array_fill(true, ARRAY[p_size]);
  p_used boolean[];
  p_text text[] := array_fill(NULL::text, ARRAY[p_size]);
  line_text text;
  any_known boolean;
  present integer;
  known record;
  tenant text;
  r_code integer[] := array_fill(0, ARRAY[n]);
  r_more text[] := array_fill(NULL::text, ARRAY[n]);
  r_value bigint[] := '{}';
  r_n integer := 0;
  m_values bigint[];
  m_lines integer[];
  m_pools text[];
  m_text text;
  o_lines text[];
  o_moves text[];
  o_pools text[];
  admitted integer;
  added integer;
  p integer;
  base integer;
  a bigint;
  expires bigint;
  fits boolean;
  is_there boolean;
  in_order boolean;${DUE_VARIABLES}`

const reserve = (names: Names): string => `
DECLARE${VARIABLES}${COUNTER_VARIABLES}${SLIDE_VARIABLES}${DECIDE_VARIABLES}${EVENT_VARIABLES}
BEGIN
  IF wide THEN${lookAround(names)}
  END IF;
  LOOP${lockCounters(names, accounts(names), ARRAYS)}
    IF c_n <> coalesce(counted, c_n) THEN
      ${AGAIN};
    END IF;
    counted := c_n;
    SELECT ${highMark(names)},
      ARRAY(SELECT (SELECT x.path::text FROM ${names.table('tk_tenants')} x WHERE x.id = t.id)
        FROM unnest(tenants) t (id)),
      EXISTS (SELECT 1 FROM unnest(i_id, i_path) t (id, path)
        WHERE (SELECT true FROM ${names.table('tk_holds')} h WHERE h.id = t.id)
          OR (SELECT true FROM ${names.table('api_key_usage_logs')} u
            WHERE u.tenant_id = tenants[p_tenant[t.path]] AND u.id = t.id)),
      (SELECT count(*) FROM ${names.table('tk_counters')} c
        WHERE c.account_id = ANY (accts || c_acct))
      INTO STRICT high_ms, t_paths, any_known, present;
    -- Who was waited for may have put others in the place of counters that were taken away.
    IF present <> c_n THEN
      ${AGAIN};
    END IF;
    IF now_ms IS NULL THEN${readTime(names)}
    END IF;${rollCounters(names, '\n      c_room[k] := c_limit[k];')}${slideCounters(names)}
    IF head IS NULL THEN
      -- The counters of each account, as lists in lock order.
      head := array_fill(0, ARRAY[cardinality(accts)]);
      next := array_fill(0, ARRAY[c_n]);
      FOR k IN REVERSE c_n..1 LOOP
        IF c_ref[k] > 0 THEN
          next[k] := head[c_ref[k]];
          head[c_ref[k]] := k;
        END IF;
      END LOOP;
    END IF;
    p_used := array_fill(false, ARRAY[p_size]);
    o_lines := NULL;
    o_moves := NULL;
    o_pools := NULL;
    admitted := 0;
    hi := n;
    FOR i IN lo..n LOOP
      p := i_path[i];
      IF p_from[p] = 0 THEN${buildPath}
      END IF;
      base := (i - 1) * width;
      IF i_ttl[i] < 1 OR i_ttl[i] > 86400000 THEN
        r_code[i] := ${CODES.invalid};
        CONTINUE;
      END IF;
      IF any_known AND NOT dry THEN${replay(names)}
      END IF;
      IF NOT p_own[p] THEN
        r_code[i] := ${CODES.invalid};
        CONTINUE;
      END IF;
      fits := true;
      FOR j IN p_from[p]..p_to[p] LOOP
        a := i_amount[base + c_u[p_line[j]]];
        IF (a > c_room[p_line[j]] AND a <> 0) OR a < 0 THEN
          fits := false;
          EXIT;
        END IF;
      END LOOP;
      expires := now_ms + i_ttl[i];
      IF fits THEN
        FOR j IN p_from[p]..p_to[p] LOOP
          k := p_line[j];
          r_n := r_n + 1;${take('r_value[r_n]')}
        END LOOP;
        admitted := admitted + 1;
        IF NOT p_used[p] THEN
          p_used[p] := true;
          FOR j IN p_from[p]..p_to[p] LOOP
            c_dirty[p_line[j]] := true;
          END LOOP;
        END IF;
        CONTINUE;
      END IF;${squeeze(names)}
    END LOOP;
    IF admitted > 0 AND NOT dry THEN${write(names)}
    END IF;
    EXIT WHEN hi = n;${expireDue(names)}
  END LOOP;
  RETURN json_build_object('now', now_ms, 'codes', r_code, 'more', r_more, 'values', r_value::text,
    'paths', i_path::text, 'from', p_from, 'to', p_to, 'lines', p_line, 'accounts', c_acct, 'units', c_unit,
    'windows', c_win, 'kinds', c_kind, 'limits', c_limit::text, 'posted', c_posted::text,
    'ends', c_end);
END`

/** Holds are picked without locks, so that the locks of their counters can be taken in order. */
const lookAround = (names: Names): string => `${pickDue(names)}
    SELECT array_agg(w.id), array_agg(w.depth) INTO wide_accts, wide_depths FROM (
      SELECT a.id, max(a.depth) AS depth FROM (
        SELECT d.id FROM unnest(due_ids) d (id)
        UNION ALL SELECT i.id FROM unnest(i_id) i (id)
      ) q CROSS JOIN ${holdOf(names, 'q.id')} h, ${accountsOfHold(names)} a GROUP BY a.id
    ) w;`

const write = (names: Names): string => `
      INSERT INTO ${names.table('tk_holds')}
          (id, tenant_id, state, accounts, depths, pools, lines, held, asked, actual, overflows,
           paid_by, extend_sequence, created_at_ms, expires_at_ms, call)
        SELECT t.id, tenants[p_tenant[t.path]], 'held', p_ids[t.path]::text[],
          p_depths[t.path]::integer[], coalesce(t.pools, '{}')::text[],
          coalesce(t.lines, p_text[t.path]), t.asked, t.asked, '{}', coalesce(t.moves, '[]'),
          CASE WHEN p_platform[t.path] THEN 'platform' ELSE 'tenant' END, 0, now_ms,
          now_ms + t.ttl, t.call
        FROM unnest(i_id, i_path, i_ttl, i_asked, i_call, r_code, o_lines, o_moves, o_pools)
          WITH ORDINALITY AS t (id, path, ttl, asked, call, code, lines, moves, pools, item)
        WHERE t.item BETWEEN lo AND hi AND t.code IN (${CODES.ok}, ${CODES.moved})
        ON CONFLICT (id) DO NOTHING;
      GET DIAGNOSTICS added = ROW_COUNT;
      -- Another batch has taken one of the ids meanwhile.
      IF added <> admitted THEN
        ${AGAIN};
      END IF;${writeBuckets(names)}${writeCounters(names, [
        ['held', 'c_held'],
        ['held_until_ms', 'c_until'],
      ])}${writeEvents(names)}`

/** Takes back, with everything it wrote, what was done to decide. */
const preview = (names: Names): string => `
DECLARE
  answer json;
BEGIN
  BEGIN
    answer := ${names.fn('tk_reserve_v1')}(args || '{"wide":true,"dry":true}', test_now);
    RAISE EXCEPTION USING ERRCODE = 'TKBCK', MESSAGE = 'back';
  EXCEPTION WHEN SQLSTATE 'TKBCK' THEN
    RETURN answer;
  END;
END`
