/**
 * Periods inside the database: `budgets/windows.ts` over PostgreSQL's time zone data.
 *
 * @module
 */
import { restricted } from '../migrations/sql.ts'
import type { Names } from '../names.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000

/**
 * `tk_day_start_v1(zone, day)`: the first moment of a day. Where its midnight comes twice, the first
 * of the two; where the clocks skip it, the moment they do.
 *
 * `tk_period_v1(period, zone, at_ms)`: the period that contains a moment; 0 and NULL for windows that
 * have none. An unknown zone raises 22023.
 *
 * The app role may execute them: they touch no row.
 */
export function periodFunctions(names: Names): string[] {
  const dayStart = names.fn('tk_day_start_v1')
  const period = names.fn('tk_period_v1')
  const offset = names.fn('tk_offset_ms_v1')
  return [
    // How far the wall clock of a zone is ahead of UTC at a moment.
    `CREATE OR REPLACE FUNCTION ${offset}(zone text, at_ms bigint) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $tk$
  SELECT (extract(epoch FROM
    (timestamptz '1970-01-01 00:00:00+00' + at_ms * interval '1 millisecond') AT TIME ZONE zone
  ) * 1000)::bigint - at_ms
$tk$`,
    ...restricted(names, `${offset}(text, bigint)`),
    `CREATE OR REPLACE FUNCTION ${dayStart}(zone text, day date) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $tk$
DECLARE
  wanted bigint := (day - date '1970-01-01')::bigint * ${DAY_MS};
  before bigint := wanted - ${offset}(zone, wanted - ${DAY_MS});
  after bigint := wanted - ${offset}(zone, wanted + ${DAY_MS});
  is_before boolean := before + ${offset}(zone, before) = wanted;
  is_after boolean := after + ${offset}(zone, after) = wanted;
BEGIN
  IF is_before AND is_after THEN
    RETURN least(before, after);
  ELSIF is_after THEN
    RETURN after;
  END IF;
  RETURN before;
END
$tk$`,
    ...restricted(names, `${dayStart}(text, date)`),
    `CREATE OR REPLACE FUNCTION ${period}(period text, zone text, at_ms bigint,
  OUT start_ms bigint, OUT end_ms bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $tk$
DECLARE
  day date;
BEGIN
  start_ms := 0;
  IF period NOT IN ('minute', 'hour', 'day', 'week', 'month') THEN
    RETURN;
  END IF;
  day := ((timestamptz '1970-01-01 00:00:00+00' + at_ms * interval '1 millisecond')
    AT TIME ZONE zone)::date;
  IF period = 'minute' THEN
    -- Wall clocks differ from UTC by whole minutes.
    start_ms := at_ms - at_ms % 60000;
    end_ms := start_ms + 60000;
  ELSIF period = 'hour' THEN
    -- Counted from the start of the day; the last one of a day may be short.
    start_ms := ${dayStart}(zone, day);
    start_ms := start_ms + (at_ms - start_ms) / ${HOUR_MS} * ${HOUR_MS};
    end_ms := least(start_ms + ${HOUR_MS}, ${dayStart}(zone, day + 1));
  ELSIF period = 'day' THEN
    start_ms := ${dayStart}(zone, day);
    end_ms := ${dayStart}(zone, day + 1);
  ELSIF period = 'week' THEN
    day := day - (extract(isodow FROM day)::integer - 1);
    start_ms := ${dayStart}(zone, day);
    end_ms := ${dayStart}(zone, day + 7);
  ELSE
    start_ms := ${dayStart}(zone, date_trunc('month', day::timestamp)::date);
    end_ms := ${dayStart}(zone, (date_trunc('month', day::timestamp) + interval '1 month')::date);
  END IF;
END
$tk$`,
    ...restricted(names, `${period}(text, text, bigint)`),
  ]
}
