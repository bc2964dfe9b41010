/**
 * The decision on a path that does not simply fit: `budgets/ledger-decide.ts`. Refusals are numbered
 * in the order in which they last: 1 too large, 2 exhausted, 3 rate limited, 4 contended.
 *
 * @module
 */
import type { Names } from '../names.ts'
import { bucketMs } from './rates.ts'

export const DECIDE_VARIABLES = `
  d_path integer[];
  d_asks bigint[];
  d_lines integer[];
  d_pool integer[];
  d_refusing integer[];
  d_refused bigint[];
  d_asked bigint;
  d_overflow integer[];
  d_code integer;
  d_line integer;
  d_own integer;
  d_shared integer;
  d_shared_line integer;
  d_contended boolean;
  d_moves boolean;
  d_counted boolean;
  d_fit bigint;
  d_room bigint;
  d_wide bigint;
  d_at bigint;
  d_latest bigint;
  d_q integer;
  d_x integer;`

/** Why counter `k` refuses `ask`; 0: it admits. What costs nothing is not stopped. */
const refusal = (k: string, ask: string): string => `CASE
        WHEN ${ask} = 0 OR ${ask} <= c_room[${k}] THEN 0
        WHEN c_kind[${k}] = 1 THEN 1
        WHEN c_kind[${k}] = 2 THEN 3
        WHEN ${ask} > c_limit[${k}] - c_posted[${k}] THEN 2
        ELSE 4 END`

/** The lines of the pool that counter `k` names: of its unit, and only if the pool does not lie on the
 * path and belongs to the counter's tenant or one above it (ST-3). */
const poolOf = (names: Names, k: string): string => `
      d_pool := '{}';
      IF d_moves AND c_pool[${k}] IS NOT NULL THEN
        FOR d_x IN 1..c_n LOOP
          IF c_acct[d_x] = c_pool[${k}] AND d_x = ANY (d_path) THEN
            d_pool := '{}';
            EXIT;
          END IF;
          CONTINUE WHEN c_acct[d_x] <> c_pool[${k}] OR c_unit[d_x] <> c_unit[${k}]
            OR NOT (c_all[d_x] OR d_counted);
          IF c_tenant[d_x] <> c_tenant[${k}] AND NOT EXISTS (
            SELECT 1 FROM ${names.table('tk_tenants')} t
            WHERE t.id = c_tenant[${k}] AND c_tenant[d_x] = ANY (t.path))
          THEN
            d_pool := '{}';
            EXIT;
          END IF;
          d_pool := d_pool || d_x;
        END LOOP;
      END IF;`

/**
 * Decides on the counters `d_path`, asked for `d_asks` (one of each line). Leaves the lines to charge
 * in `d_lines`, the lines that a pool took over in `d_overflow`; or a `d_code` with its `d_line`, and
 * in `d_fit` and `d_at` what would fit and when.
 */
export const decide = (names: Names): string => `
    d_lines := '{}';
    d_refusing := '{}';
    d_refused := '{}';
    d_overflow := '{}';
    d_code := 0;
    d_contended := false;
    FOR d_q IN 1..cardinality(d_path) LOOP
      k := d_path[d_q];
      d_own := ${refusal('k', 'd_asks[d_q]')};
      IF d_own = 0 THEN
        d_lines := d_lines || k;
        CONTINUE;
      END IF;${poolOf(names, 'k')}
      d_shared := 0;
      d_shared_line := 0;
      FOREACH d_x IN ARRAY d_pool LOOP
        d_room := ${refusal('d_x', 'd_asks[d_q]')};
        IF d_room > 0 AND (d_shared = 0 OR d_room < d_shared) THEN
          d_shared := d_room;
          d_shared_line := d_x;
        END IF;
      END LOOP;
      IF cardinality(d_pool) > 0 AND d_shared = 0 THEN
        d_contended := d_contended OR d_own = 4;
        d_overflow := d_overflow || k;
        FOREACH d_x IN ARRAY d_pool LOOP
          IF d_x <> ALL (d_lines) THEN
            d_lines := d_lines || d_x;
          END IF;
        END LOOP;
        CONTINUE;
      END IF;
      -- Either of the two would do, so the one that passes sooner is what stands in the way.
      IF d_shared > d_own THEN
        d_own := d_shared;
        k := d_shared_line;
      END IF;
      d_refusing := d_refusing || k;
      d_refused := d_refused || d_asks[d_q];
      IF d_code = 0 OR d_own < d_code THEN
        d_code := d_own;
        d_line := k;
        d_asked := d_asks[d_q];
      END IF;
    END LOOP;
    IF d_code = 0 THEN
      d_lines := ARRAY(SELECT l.k FROM unnest(d_lines) l (k) ORDER BY 1);
    ELSE
      d_contended := d_code = 4;
    END IF;`

/** What a denial says beside its line: the most that the whole path would admit, by each line itself or
 * by its pool, and for rates when the last of them has let enough go. */
export const describe = (names: Names): string => `
      d_fit := NULL;
      FOR d_q IN 1..cardinality(d_path) LOOP
        k := d_path[d_q];
        CONTINUE WHEN c_unit[k] <> c_unit[d_line];${poolOf(names, 'k')}
        d_wide := NULL;
        FOREACH d_x IN ARRAY d_pool LOOP
          d_wide := least(d_wide, c_room[d_x]);
        END LOOP;
        d_fit := least(d_fit, greatest(d_wide, c_room[k]));
      END LOOP;
      d_fit := greatest(d_fit, 0);
      d_at := NULL;
      IF d_code = 3 THEN
        d_at := now_ms;
        FOR d_q IN 1..cardinality(d_refusing) LOOP
          k := d_refusing[d_q];
          CONTINUE WHEN c_kind[k] <> 2;
          d_latest := ${names.fn('tk_fits_at_v1')}(s_bucket[s_at[k]:s_at[k] + 11],
            ${bucketMs('c_win[k]')}, d_refused[d_q], c_limit[k]);
          IF d_latest IS NULL THEN
            d_at := NULL;
            EXIT;
          END IF;
          d_at := greatest(d_at, d_latest);
        END LOOP;
      END IF;`
