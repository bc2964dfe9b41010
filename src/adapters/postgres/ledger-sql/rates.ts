/**
 * Sliding rates inside the database: `budgets/rate.ts`. A counter's buckets are the index of the
 * newest and eleven counts, newest first.
 *
 * @module
 */

import type { Names } from '../names.ts'
import { innerFunction } from './function.ts'

/** Length of a sub-bucket in ms. */
export const bucketMs = (window: string): string =>
  `(CASE ${window} WHEN 'rate_second' THEN 100 ELSE 6000 END)::bigint`

export function rateFunctions(names: Names): string[] {
  return [
    // The buckets as they count at a moment. A clock that stepped backwards stays in the newest.
    ...innerFunction(names, 'tk_slide_v1', {
      args: 'buckets bigint[], length_ms bigint, at_ms bigint',
      returns: 'bigint[]',
      body: `
DECLARE
  newest bigint := at_ms / length_ms;
  passed bigint := newest - coalesce(buckets[1], 0);
BEGIN
  IF passed <= 0 THEN
    RETURN buckets;
  END IF;
  RETURN (ARRAY[newest] || array_fill(0::bigint, ARRAY[least(passed, 11)::integer])
    || buckets[2:greatest(1, 12 - least(passed, 11)::integer)] || array_fill(0::bigint, ARRAY[11]))[1:12];
END`,
    }),
    // When so much has slid out that an amount fits under a limit; NULL: never.
    ...innerFunction(names, 'tk_fits_at_v1', {
      args: 'buckets bigint[], length_ms bigint, amount bigint, most bigint',
      returns: 'bigint',
      body: `
DECLARE
  remaining numeric := (SELECT sum(b.n) FROM unnest(buckets[2:]) b (n));
BEGIN
  IF amount > most THEN
    RETURN NULL;
  END IF;
  -- The oldest bucket leaves when eleven newer ones have begun.
  FOR age IN REVERSE 10..0 LOOP
    EXIT WHEN remaining + amount <= most;
    remaining := remaining - buckets[age + 2];
    IF remaining + amount <= most THEN
      RETURN (buckets[1] - age + 11) * length_ms;
    END IF;
  END LOOP;
  RETURN buckets[1] * length_ms;
END`,
    }),
  ]
}

/** Slides the counters of the batch to the present. `s_at[k]` is where counter `k`'s buckets begin in
 * `s_bucket`; its sum is in `c_used[k]`. */
export const SLIDE_VARIABLES = `
  s_at integer[];
  s_bucket bigint[];
  s_row bigint[];
  c_used bigint[];`

export function slideCounters(names: Names): string {
  return `
  c_used := array_fill(0::bigint, ARRAY[c_n]);
  IF c_slides THEN
    s_at := array_fill(0, ARRAY[c_n]);
    s_bucket := '{}';
    FOR k IN 1..c_n LOOP
      CONTINUE WHEN c_kind[k] <> 2;
      s_row := (SELECT ${names.fn('tk_slide_v1')}(c.buckets, ${bucketMs('c.period')}, now_ms)
        FROM ${names.table('tk_counters')} c WHERE c.ctid = c_tid[k]);
      s_at[k] := cardinality(s_bucket) + 1;
      s_bucket := s_bucket || s_row;
      c_used[k] := (SELECT sum(b.n) FROM unnest(s_row[2:]) b (n));
      c_room[k] := greatest(-9000000000000000000, c_room[k]::numeric - c_used[k])::bigint;
    END LOOP;
  END IF;`
}

/** Writes the buckets of the counters that were charged. */
export const writeBuckets = (names: Names): string => `
  IF c_slides THEN
    FOR k IN 1..c_n LOOP
      IF c_kind[k] = 2 AND c_dirty[k] THEN
        UPDATE ${names.table('tk_counters')} c SET buckets = s_bucket[s_at[k]:s_at[k] + 11]
          WHERE c.ctid = c_tid[k];
        c_dirty[k] := false;
      END IF;
    END LOOP;
  END IF;`
