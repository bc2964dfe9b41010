/**
 * What `tk_reserve_v1` does with one item: its path, a replay, what it takes, and the slow way when
 * it does not simply fit.
 *
 * @module
 */
import type { Names } from '../names.ts'
import { decide, describe } from './decide.ts'
import { addEvent, lineJson } from './events.ts'
import { AGAIN } from './function.ts'
import { giveWay } from './give-way.ts'

/** What is said of an item; 1 to 4 are the refusals of decide.ts. */
export const CODES = { ok: 0, mismatch: 5, invalid: 6, replayed: 7, moved: 8 } as const

/** The counters that path `p` is charged on, in lock order, and whether all of its accounts are the
 * tenant's own or lie above it (ST-3). */
export const buildPath = `
        tenant := tenants[p_tenant[p]];
        t_path := coalesce(t_paths[p_tenant[p]], '{}');
        p_from[p] := p_n + 1;
        in_order := true;
        line_text := NULL;
        FOR j IN p_first[p]..p_first[p + 1] - 1 LOOP
          k := head[p_account[j]];
          WHILE k > 0 LOOP
            IF c_tenant[k] <> tenant AND c_tenant[k] <> ALL (t_path) THEN
              p_own[p] := false;
            END IF;
            IF c_all[k] OR p_platform[p] THEN
              in_order := in_order AND (p_n < p_from[p] OR p_line[p_n] < k);
              p_n := p_n + 1;
              p_line[p_n] := k;
            END IF;
            k := next[k];
          END LOOP;
        END LOOP;
        p_to[p] := p_n;
        IF NOT in_order THEN
          m_lines := ARRAY(SELECT l.k FROM unnest(p_line[p_from[p]:p_n]) l (k) ORDER BY 1);
          FOR j IN p_from[p]..p_n LOOP
            p_line[j] := m_lines[j - p_from[p] + 1];
          END LOOP;
        END IF;
        FOR j IN p_from[p]..p_n LOOP
          k := p_line[j];
          IF c_kind[k] = 0 THEN
            line_text := coalesce(line_text || ',', '') || ${lineJson('k')};
          END IF;
        END LOOP;
        p_text[p] := '[' || coalesce(line_text, '') || ']';`

/** What admitting item `i` does to counter `k`: a sliding one counts it at once and for good, one for
 * single calls remembers nothing, all others hold it. The sum is left in `value`. */
export const take = (value: string): string => `
          a := CASE WHEN dry THEN 0 ELSE i_amount[base + c_u[k]] END;
          IF c_kind[k] = 0 THEN
            c_room[k] := c_room[k] - a;
            c_held[k] := c_held[k] + a;
            IF c_held[k] > 0 AND c_until[k] < expires THEN
              c_until[k] := expires;
            END IF;
            ${value} := c_held[k];
          ELSIF c_kind[k] = 2 THEN
            c_room[k] := c_room[k] - a;
            c_used[k] := c_used[k] + a;
            s_bucket[s_at[k] + 1] := s_bucket[s_at[k] + 1] + a;
            ${value} := c_used[k];
          ELSE
            ${value} := 0;
          END IF;`

/** An id that is known: the same answer again, or a mismatch. One whose hold was pruned is known by
 * its usage row: that call was made and charged long ago. */
export const replay = (names: Names): string => `
        SELECT h.* INTO known FROM ${names.table('tk_holds')} h WHERE h.id = i_id[i];
        IF FOUND THEN
          IF known.tenant_id = tenants[p_tenant[p]]
            AND (known.paid_by = 'platform') = p_platform[p]
            AND ${names.fn('tk_same_amounts_v1')}(known.asked, i_asked[i])
            AND known.accounts = p_ids[p]::text[] AND known.depths = p_depths[p]::integer[]
          THEN
            IF known.pools <> '{}' AND NOT wide THEN
              RETURN json_build_object('again', true);
            END IF;${replayedLines(names)}
            r_code[i] := ${CODES.replayed};
            r_more[i] := json_build_object('lines', m_lines, 'values', m_values::text,
              'expires', known.expires_at_ms, 'overflows', known.overflows)::text;
          ELSE
            r_code[i] := ${CODES.mismatch};
          END IF;
          CONTINUE;
        END IF;
        PERFORM 1 FROM ${names.table('api_key_usage_logs')} u
          WHERE u.tenant_id = tenants[p_tenant[p]] AND u.id = i_id[i];
        IF FOUND THEN
          r_code[i] := ${CODES.mismatch};
          CONTINUE;
        END IF;`

/** The lines of a hold, and the sliding and per-call limits that it was charged on. */
const replayedLines = (names: Names): string => `
            m_lines := '{}';
            m_values := '{}';
            FOR k IN 1..c_n LOOP
              CONTINUE WHEN c_acct[k] <> ALL (known.accounts || known.pools);
              IF c_kind[k] = 0 THEN
                is_there := EXISTS (SELECT 1 FROM jsonb_array_elements(known.lines::jsonb) l
                  WHERE l.value->>'accountId' = c_acct[k] AND l.value->>'unit' = c_unit[k]
                    AND l.value->>'window' = c_win[k]);
              ELSE
                is_there := (c_all[k] OR known.paid_by = 'platform')
                  AND (SELECT c.created_at_ms <= known.created_at_ms
                    FROM ${names.table('tk_counters')} c WHERE c.account_id = c_acct[k]
                      AND c.unit = c_unit[k] AND c.period = c_win[k])
                  AND NOT EXISTS (SELECT 1 FROM jsonb_array_elements(known.overflows::jsonb) o
                    WHERE o.value->'from'->>'accountId' = c_acct[k]
                      AND o.value->'from'->>'unit' = c_unit[k]
                      AND o.value->'from'->>'window' = c_win[k])
                  AND (c_acct[k] = ANY (known.accounts)
                    OR EXISTS (SELECT 1 FROM jsonb_array_elements(known.overflows::jsonb) o
                      WHERE o.value->>'to' = c_acct[k]
                        AND o.value->'from'->>'unit' = c_unit[k]));
              END IF;
              IF is_there THEN
                m_lines := m_lines || k;
                m_values := m_values || CASE c_kind[k] WHEN 0 THEN c_held[k] ELSE c_used[k] END;
              END IF;
            END LOOP;`

/** Item `i` does not simply fit: a pool may take over, or holds whose time is up give way; else it is
 * refused, and takes nothing. */
export const squeeze = (names: Names): string => `
      d_path := p_line[p_from[p]:p_to[p]];
      d_asks := ARRAY(SELECT i_amount[base + c_u[l.k]] FROM unnest(d_path) WITH ORDINALITY l (k, o)
        ORDER BY l.o);
      IF 0 > ANY (d_asks) THEN
        r_code[i] := ${CODES.invalid};
        CONTINUE;
      END IF;
      d_moves := true;
      d_counted := p_platform[p];${poolsAreLocked(names)}${decide(names)}${giveWay(names)}
      IF d_code > 0 THEN${describe(names)}
        r_code[i] := d_code;
        r_more[i] := json_build_object('line', d_line, 'held', c_held[d_line]::text,
          'used', c_used[d_line]::text, 'asked', d_asked::text, 'fit', d_fit::text,
          'until', CASE WHEN c_held[d_line] > 0 THEN c_until[d_line] END, 'at', d_at)::text;
        CONTINUE;
      END IF;
      admitted := admitted + 1;
      m_values := '{}';
      m_pools := '{}';
      m_text := NULL;
      line_text := NULL;
      FOR j IN 1..cardinality(d_lines) LOOP
        k := d_lines[j];
        c_dirty[k] := true;${take('m_values[j]')}
        IF c_kind[k] = 0 THEN
          line_text := coalesce(line_text || ',', '') || ${lineJson('k')};
        END IF;
      END LOOP;
      FOREACH k IN ARRAY d_overflow LOOP
        m_text := coalesce(m_text || ',', '') || '{"from":' || ${lineJson('k')}
          || ',"to":' || to_json(c_pool[k])::text || '}';
        IF c_pool[k] <> ALL (m_pools) THEN
          m_pools := m_pools || c_pool[k];
        END IF;${addEvent({
          id: `i_id[i] || '.overflow.' || c_acct[k] || '.' || c_unit[k] || '.' || c_win[k]`,
          kind: 'budget.overflow',
          tenant: 'tenants[p_tenant[p]]',
          payload: `(json_build_object('holdId', i_id[i], 'accountId', c_acct[k],
            'unit', c_unit[k], 'window', c_win[k], 'periodStartMs', c_start[k],
            'pool', c_pool[k], 'amount', (i_amount[base + c_u[k]])::text))::text`,
        })}
      END LOOP;
      IF o_lines IS NULL THEN
        o_lines := array_fill(NULL::text, ARRAY[n]);
        o_moves := o_lines;
        o_pools := o_lines;
      END IF;
      o_lines[i] := '[' || coalesce(line_text, '') || ']';
      o_moves[i] := '[' || coalesce(m_text, '') || ']';
      o_pools[i] := m_pools::text;
      r_code[i] := ${CODES.moved};
      r_more[i] := json_build_object('lines', d_lines, 'values', m_values::text,
        'overflows', o_moves[i])::text;`

/** A pool that was named after this batch had looked for its accounts is not locked. */
const poolsAreLocked = (names: Names): string => `
      FOREACH k IN ARRAY d_path LOOP
        IF c_pool[k] IS NOT NULL AND c_pool[k] <> ALL (c_acct) THEN
          PERFORM 1 FROM ${names.table('tk_counters')} c WHERE c.account_id = c_pool[k];
          IF FOUND THEN
            ${AGAIN};
          END IF;
        END IF;
      END LOOP;`
