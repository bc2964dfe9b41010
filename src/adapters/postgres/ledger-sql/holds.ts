/**
 * The holds of a batch and their lines, for settle, void, extend and expiry. Counters come before
 * hold rows: the accounts of a hold never change, so they are read without a lock, then their
 * counters are locked in order, and only then is it read what has become of the hold. Who changes a
 * hold writes it only if it is still where it was read; of holds without counters nothing else is
 * locked.
 *
 * Hold `x` of the batch is element `x` of each array, and NULL in all of them when the tenant has no
 * such hold. Holds of one path have the same lines: each set of lines is looked at once, and set `s`
 * is what stands at `l_from[s]` to `l_to[s]`.
 *
 * @module
 */
import type { Names } from '../names.ts'
import { type CounterArray, highMark } from './counters.ts'
import { AGAIN } from './function.ts'

export const HOLD_VARIABLES = `
  h_tid tid[];
  h_state text[];
  h_lines text[];
  h_held text[];
  h_actual text[];
  h_created bigint[];
  h_expires bigint[];
  h_changed boolean[];
  x integer;
  s integer;
  l_n integer := 0;
  l_seen text[] := '{}';
  l_from integer[] := '{}';
  l_to integer[] := '{}';
  l_k integer[] := '{}';
  l_u integer[] := '{}';
  l_acct text[] := '{}';
  l_unit text[] := '{}';
  l_win text[] := '{}';
  l_start bigint[] := '{}';
  l_end bigint;
  l_json jsonb;
  held_json jsonb;
  held_unit text;
  held_amount bigint;`

/** What lines need of their counters. */
export const LINE_ARRAYS: readonly CounterArray[] = [
  'c_acct',
  'c_unit',
  'c_win',
  'c_key',
  'c_tenant',
  'c_zone',
  'c_limit',
  'c_start',
  'c_end',
  'c_created',
  'c_posted',
  'c_held',
  'c_until',
]

/** One hold by its id. A plain join may be made from the other side, over all holds, by a plan that was
 * made while there were few. */
export const holdOf = (names: Names, id: string): string =>
  `LATERAL (SELECT o.* FROM ${names.table('tk_holds')} o WHERE o.id = ${id} OFFSET 0)`

/** The accounts of hold `h`, and of the pools it moved to, which may lie anywhere above. */
export const HOLD_ACCOUNTS = `LATERAL (
          SELECT p.id, p.depth FROM unnest(h.accounts, h.depths) p (id, depth)
          UNION ALL SELECT m.id, 0 FROM unnest(h.pools) m (id))`

/** The accounts of the holds `h_id` of the tenants `h_tenant`. */
export const holdAccounts = (names: Names): string => `
        SELECT a.id, max(a.depth) AS depth FROM unnest(h_id, h_tenant) q (id, tenant)
        CROSS JOIN ${holdOf(names, 'q.id AND o.tenant_id = q.tenant')} h,
        ${HOLD_ACCOUNTS} a GROUP BY a.id`

/** @param more - further arrays and the expressions of hold `h` that fill them. */
export const readHolds = (names: Names, more: Readonly<Record<string, string>> = {}): string => {
  const arrays = {
    h_tid: 'h.tid',
    h_state: 'h.state',
    h_lines: 'h.lines',
    h_held: 'h.held',
    h_actual: 'h.actual',
    h_created: 'h.created_at_ms',
    h_expires: 'h.expires_at_ms',
    ...more,
  }
  const columns = Object.values(arrays).map((source) => `array_agg(${source})`)
  return `
  SELECT ${highMark(names)}, ${columns.join(', ')}
    INTO STRICT high_ms, ${Object.keys(arrays).join(', ')}
    FROM (
      SELECT o.* FROM unnest(h_id, h_tenant) WITH ORDINALITY q (id, tenant, item)
      LEFT JOIN LATERAL (SELECT e.ctid AS tid, e.* FROM ${names.table('tk_holds')} e
        WHERE e.id = q.id AND e.tenant_id = q.tenant OFFSET 0) o ON true
      ORDER BY q.item
    ) h;
  h_changed := array_fill(false, ARRAY[cardinality(h_id)]);`
}

/** Looks up the lines of hold `x`: leaves their set in `s`, and what the hold holds in `held_json`. */
export const MAP_LINES = `
      held_json := h_held[x]::jsonb;
      held_unit := NULL;
      s := array_position(l_seen, h_lines[x]);
      IF s IS NULL THEN
        s := cardinality(l_seen) + 1;
        l_seen[s] := h_lines[x];
        l_from[s] := l_n + 1;
        l_json := h_lines[x]::jsonb;
        FOR j IN 0..jsonb_array_length(l_json) - 1 LOOP
          l_n := l_n + 1;
          l_acct[l_n] := l_json->j->>'accountId';
          l_unit[l_n] := l_json->j->>'unit';
          l_win[l_n] := l_json->j->>'window';
          l_start[l_n] := (l_json->j->>'periodStartMs')::bigint;
          l_k[l_n] := coalesce(array_position(c_key,
            l_unit[l_n] || ' ' || l_win[l_n] || ' ' || l_acct[l_n]), 0);
          -- A live hold counts as one while it lives, and as nothing afterwards.
          l_u[l_n] := CASE WHEN l_win[l_n] = 'concurrent' THEN width
            ELSE coalesce(array_position(units, l_unit[l_n]), width) END;
        END LOOP;
        l_to[s] := l_n;
      END IF;`

/** Leaves what hold `x` holds on line `j` in `held_amount`. */
export const HELD_OF_LINE = `
        IF held_unit IS NULL OR held_unit <> l_unit[j] THEN
          held_unit := l_unit[j];
          held_amount := coalesce((held_json->>held_unit)::bigint, 0);
        END IF;`

/**
 * Changes line `j` of hold `x`: on its counter while its period runs, else in its history. A budget
 * that was removed meanwhile has neither; one that was removed and set again started at zero and never
 * held this. Part of a loop over `j`.
 */
export function changeLine(
  names: Names,
  change: {
    readonly held: string
    readonly until?: string
    readonly posted?: string
    /** After the counter `k` was charged. */
    readonly after?: string
  },
): string {
  const { held, until = '0', posted, after = '' } = change
  const post = posted === undefined ? '' : `\n          c_posted[k] := c_posted[k] + ${posted};`
  const postHistory = posted === undefined ? '' : `, posted = p.posted + ${posted}`
  return `
        k := l_k[j];
        IF k > 0 AND c_created[k] > h_created[x] THEN
          l_end := CASE WHEN c_start[k] = l_start[j] THEN c_end[k] ELSE (SELECT r.end_ms
            FROM ${names.fn('tk_period_v1')}(c_win[k], c_zone[k], l_start[j]) r) END;
          CONTINUE WHEN l_end IS NULL OR c_created[k] < l_end;
        END IF;
        IF k > 0 AND c_start[k] = l_start[j] THEN
          c_held[k] := greatest(0, c_held[k] + ${held});
          c_until[k] := CASE WHEN c_held[k] = 0 THEN 0 ELSE greatest(c_until[k], ${until}) END;
          c_dirty[k] := true;${post}${after}
        ELSE
          -- The hold was not there yet when the counters were locked.
          IF k = 0 AND EXISTS (SELECT 1 FROM ${names.table('tk_counters')} c
            WHERE c.account_id = l_acct[j] AND c.unit = l_unit[j] AND c.period = l_win[j])
          THEN
            ${AGAIN};
          END IF;
          UPDATE ${names.table('tk_counter_history')} p
            SET held = greatest(0, p.held + ${held})${postHistory}
            WHERE p.account_id = l_acct[j] AND p.unit = l_unit[j] AND p.period = l_win[j]
              AND p.period_start_ms = l_start[j];
        END IF;`
}

/** Writes the holds that were changed, each once, where they were read: one that was changed since is
 * not found there any more. The second comparison is what a server makes again after it has waited:
 * those of before November 2025 do not repeat the first, which they search by. */
export function writeHolds(names: Names, more: Readonly<Record<string, string>> = {}): string {
  const arrays = ['h_tid', 'h_changed', 'h_state', ...Object.values(more)]
  const sets = Object.entries({ state: 'h_state', ...more }).map(
    ([to, from]) => `${to} = t.${from}`,
  )
  return `
  UPDATE ${names.table('tk_holds')} h SET ${sets.join(', ')}
    FROM unnest(${arrays.join(', ')}) AS t (${arrays.join(', ')})
    WHERE t.h_changed AND h.ctid = t.h_tid AND (h.ctid = t.h_tid) IS TRUE;
  GET DIAGNOSTICS written = ROW_COUNT;
  IF written <> cardinality(array_positions(h_changed, true)) THEN
    ${AGAIN};
  END IF;`
}
