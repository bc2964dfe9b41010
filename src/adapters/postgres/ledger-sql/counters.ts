/**
 * The counters of a batch, in arrays: locked and read in one statement, in lock order (depth
 * descending, account id, unit, window), rolled, changed in memory, and written once. PL/pgSQL reads
 * and writes elements of arrays of scalars fast; rows and JSON it does not.
 *
 * Counter `k` of the batch is element `k` of each array. `c_room` is what it would admit, `c_kind` is
 * 0 for those that hold, 1 for limits of single calls, 2 for sliding rates.
 *
 * @module
 */
import type { Names } from '../names.ts'
import { AGAIN } from './function.ts'

const CALL = 1
const SLIDES = 2

export const COUNTER_VARIABLES = `
  now_ms bigint;
  high_ms bigint;
  c_n integer;
  c_tid tid[];
  written integer;
  c_first_end bigint;
  c_slides boolean;
  c_ref integer[];
  c_acct text[];
  c_unit text[];
  c_win text[];
  c_json text[];
  c_key text[];
  c_tenant text[];
  c_zone text[];
  c_limit bigint[];
  c_start bigint[];
  c_end bigint[];
  c_created bigint[];
  c_posted bigint[];
  c_held bigint[];
  c_until bigint[];
  c_room bigint[];
  c_kind integer[];
  c_all boolean[];
  c_u integer[];
  c_pool text[];
  c_alerts text[];
  c_alerted integer[];
  c_next bigint[];
  c_dirty boolean[];
  k integer;
  roll record;
  rolled tid;`

/** Each counter array, and the column or expression of counter `z` that fills it. */
const SOURCES = {
  // The place of its account in the accounts of the batch; 0 for those of pools and of other holds.
  c_ref: 'coalesce(array_position(accts, z.account_id), 0)',
  c_acct: 'z.account_id',
  c_unit: 'z.unit',
  c_win: 'z.period',
  c_json: `'{"accountId":' || to_json(z.account_id)::text || ',"unit":' || to_json(z.unit)::text
      || ',"window":"' || z.period || '","periodStartMs":'`,
  // Units and windows have no spaces in them.
  c_key: "z.unit || ' ' || z.period || ' ' || z.account_id",
  c_tenant: 'z.tenant_id',
  c_zone: 'z.zone',
  c_limit: 'z.limit_amount',
  c_start: 'z.period_start_ms',
  c_end: 'z.period_end_ms',
  c_created: 'z.created_at_ms',
  c_posted: 'z.posted',
  c_held: 'z.held',
  c_until: 'z.held_until_ms',
  // Sums of 63 bits: what is below -9e18 is as good as that.
  c_room: `CASE WHEN z.posted < 4000000000000000000 AND z.held < 4000000000000000000
      THEN z.limit_amount - z.posted - z.held
      ELSE greatest(-9000000000000000000, z.limit_amount::numeric - z.posted - z.held)::bigint END`,
  c_kind: `CASE z.period WHEN 'call' THEN ${CALL} WHEN 'rate_second' THEN ${SLIDES}
      WHEN 'rate_minute' THEN ${SLIDES} ELSE 0 END`,
  c_all: `z.counts = 'all'`,
  // The column of the unit in the amounts of the batch; the last one is zero for all items.
  c_u: 'coalesce(array_position(units, z.unit), width)',
  c_pool: 'z.overflow_account',
  c_alerts: 'z.alerts::text',
  c_alerted: 'z.alerted_percent',
  // What `posted` has to reach for the next alert.
  c_next: `CASE WHEN z.alerts = '{}' THEN 9223372036854775807 ELSE least(9223372036854775807,
      (SELECT min(ceil(z.limit_amount::numeric * a.percent / 100)) FROM unnest(z.alerts) a (percent)
        WHERE a.percent > z.alerted_percent))::bigint END`,
} as const

export type CounterArray = keyof typeof SOURCES

/**
 * Locks and reads, account by account. Each account is locked in a subquery that reads nothing but its
 * counters: when it has had to wait, the server looks again at the changed row alone, and in a join
 * with the list of accounts it may find no partner then.
 *
 * @param accounts - a select that gives `id` and `depth`, each account once.
 */
export function lockCounters(
  names: Names,
  accounts: string,
  arrays: readonly CounterArray[],
): string {
  return `
  SELECT count(*)::integer, min(z.period_end_ms), bool_or(z.period IN ('rate_second', 'rate_minute')),
    array_agg(z.tid), ${arrays.map((name) => `array_agg(${SOURCES[name]})`).join(',\n    ')}
  INTO c_n, c_first_end, c_slides,
    c_tid, ${arrays.join(', ')}
  FROM (
    SELECT l.* FROM (
      SELECT a.id FROM (${accounts}) a ORDER BY a.depth DESC, a.id COLLATE "C"
    ) b
    CROSS JOIN LATERAL (
      SELECT c.ctid AS tid, c.* FROM ${names.table('tk_counters')} c
      WHERE c.account_id = b.id ORDER BY c.unit, c.period FOR UPDATE
    ) l
    ORDER BY l.depth DESC, l.account_id, l.unit, l.period
  ) z;
  c_dirty := array_fill(false, ARRAY[c_n]);`
}

/** The store's time, read after the locks. The mark behind it is raised once a second. */
export function readTime(names: Names): string {
  const now = `${names.fn('tk_now_v1')}(test_now)`
  return `
  IF test_now IS NULL THEN
    now_ms := greatest(high_ms, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint);
    IF high_ms <= now_ms - 1000 THEN
      now_ms := ${now};
    END IF;
  ELSE
    now_ms := ${now};
  END IF;`
}

/** Where {@link readTime} starts from: a part of any select. */
export const highMark = (names: Names): string =>
  `(SELECT m.clock_ms FROM ${names.table('tk_clock')} m)`

/** Starts the next period of counters whose period has ended; the ended one becomes history. A
 * counter never rolls back. Needs c_tenant, c_start, c_end, c_posted, c_held, c_until, c_room, c_limit. */
export function rollCounters(names: Names, more = ''): string {
  return `
  IF c_first_end <= now_ms THEN
    FOR k IN 1..c_n LOOP
      CONTINUE WHEN c_end[k] IS NULL OR c_end[k] > now_ms;
      SELECT p.start_ms, p.end_ms INTO roll
        FROM ${names.table('tk_counters')} c,
          LATERAL ${names.fn('tk_period_v1')}(c.period, c.zone, now_ms) p
        WHERE c.account_id = c_acct[k] AND c.unit = c_unit[k] AND c.period = c_win[k];
      CONTINUE WHEN roll.start_ms <= c_start[k];
      INSERT INTO ${names.table('tk_counter_history')} AS h
          (account_id, unit, period, period_start_ms, tenant_id, posted, held)
        VALUES (c_acct[k], c_unit[k], c_win[k], c_start[k], c_tenant[k], c_posted[k], c_held[k])
        ON CONFLICT (account_id, unit, period, period_start_ms)
        DO UPDATE SET posted = excluded.posted, held = excluded.held;
      UPDATE ${names.table('tk_counters')} c
        SET period_start_ms = roll.start_ms, period_end_ms = roll.end_ms, posted = 0, held = 0,
          held_until_ms = 0, alerted_percent = 0
        WHERE c.ctid = c_tid[k] RETURNING c.ctid INTO STRICT rolled;
      c_tid[k] := rolled;
      c_start[k] := roll.start_ms;
      c_end[k] := roll.end_ms;
      c_posted[k] := 0;
      c_held[k] := 0;
      c_until[k] := 0;${more}
    END LOOP;
  END IF;`
}

/** Writes the counters that have changed, each once. They are locked, so they are where they were read
 * (ctid), and no index has to be asked. */
export function writeCounters(
  names: Names,
  columns: readonly (readonly [column: string, array: CounterArray])[],
): string {
  const arrays = ['c_tid', 'c_dirty', ...columns.map(([, array]) => array)]
  const sets = columns.map(([column, array]) => `${column} = t.${array}`)
  return `
  UPDATE ${names.table('tk_counters')} c SET ${sets.join(', ')}
    FROM unnest(${arrays.join(', ')}) AS t (${arrays.join(', ')})
    WHERE t.c_dirty AND c.ctid = t.c_tid;
  GET DIAGNOSTICS written = ROW_COUNT;
  IF written <> coalesce(cardinality(array_positions(c_dirty, true)), 0) THEN
    ${AGAIN};
  END IF;`
}
