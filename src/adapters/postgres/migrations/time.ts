/**
 * The installation's own rows and its time: the version of the schema, the epoch, the high-water mark
 * of the clock, and the functions that read and raise them.
 *
 * Time is the server's `clock_timestamp()`, never less than the mark, so it does not go back when the
 * server's clock does, or when another server takes over. The mark is a row of its own, written at
 * most once a second by whoever gets an advisory lock without waiting, so it is in nobody's way.
 *
 * @module
 */
import { literal, type Names } from '../names.ts'
import { closed, definer, internal, ONLY_ON_PRIMARY, OUTER, restricted } from './sql.ts'

/** The stored high-water mark may lag the clock by this much. */
const CLOCK_LAG_MS = 1000
/** First half of the keys of our advisory locks: `tkey`. */
const LOCK_SPACE = 0x746b6579

export function timeTables(names: Names): string[] {
  const meta = names.table('tk_meta')
  const epoch = names.table('tk_epoch')
  const clock = names.table('tk_clock')
  return [
    `CREATE TABLE ${meta} (
  id integer PRIMARY KEY CHECK (id = 1),
  schema_version integer NOT NULL CHECK (schema_version >= 0),
  compatible_from integer NOT NULL CHECK (compatible_from >= 0),
  test_clock boolean NOT NULL
)`,
    `INSERT INTO ${meta} (id, schema_version, compatible_from, test_clock) VALUES (1, 0, 0, false)`,
    `CREATE TABLE ${epoch} (
  id integer PRIMARY KEY CHECK (id = 1),
  epoch bigint NOT NULL CHECK (epoch > 0)
) WITH (fillfactor = 50)`,
    `INSERT INTO ${epoch} (id, epoch) VALUES (1, 1)`,
    `CREATE TABLE ${clock} (
  id integer PRIMARY KEY CHECK (id = 1),
  clock_ms bigint NOT NULL
) WITH (fillfactor = 50)`,
    `INSERT INTO ${clock} (id, clock_ms) VALUES (1, 0)`,
    ...closed(names, 'tk_epoch', null),
    ...closed(names, 'tk_clock', null),
    ...closedMeta(names),
  ]
}

/** Every process reads the version, and no tenant is named in it. */
function closedMeta(names: Names): string[] {
  const { app } = names
  const meta = names.table('tk_meta')
  const closing = closed(names, 'tk_meta', null)
  if (app === null) return closing
  return [
    ...closing,
    `CREATE POLICY tk_app_read ON ${meta} FOR SELECT TO ${app} USING (true)`,
    `GRANT SELECT ON ${meta} TO ${app}`,
  ]
}

export function timeFunctions(names: Names): string[] {
  const meta = names.table('tk_meta')
  const epoch = names.table('tk_epoch')
  const clock = names.table('tk_clock')
  const time = names.fn('tk_time_v1')
  const now = names.fn('tk_now_v1')
  return [
    // Reads only. Volatile, so that it sees the newest mark, whatever its caller's snapshot is.
    `CREATE OR REPLACE FUNCTION ${time}(test_now bigint) RETURNS bigint
LANGUAGE plpgsql ${OUTER}
AS $tk$
DECLARE
  high bigint;
  is_test boolean;
BEGIN
  SELECT c.clock_ms, m.test_clock INTO STRICT high, is_test FROM ${clock} c, ${meta} m;
  IF test_now IS NULL THEN
    RETURN greatest(high, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint);
  END IF;
  IF NOT is_test THEN
    RAISE EXCEPTION USING ERRCODE = 'TKERR', MESSAGE = 'TK_CONFIG_INVALID',
      DETAIL = 'clock';
  END IF;
  RETURN greatest(high, test_now);
END
$tk$`,
    ...restricted(names, `${time}(bigint)`),
    // The store's time in ms, for functions that decide by it: call it after taking the locks.
    `CREATE OR REPLACE FUNCTION ${now}(test_now bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $tk$
DECLARE
  now_ms bigint := ${time}(test_now);
  due boolean;
BEGIN
  SELECT c.clock_ms <= now_ms - ${CLOCK_LAG_MS} INTO due FROM ${clock} c;
  IF due AND current_setting('transaction_read_only') = 'off'
    AND pg_try_advisory_xact_lock(
      (${LOCK_SPACE}::bigint << 32) | ${literal(clock)}::regclass::oid::bigint)
  THEN
    UPDATE ${clock} SET clock_ms = now_ms WHERE clock_ms <= now_ms - ${CLOCK_LAG_MS};
  END IF;
  RETURN now_ms;
END
$tk$`,
    ...internal(`${now}(bigint)`),
    // One locked row: whoever commits first has the lower epoch.
    ...definer(
      names,
      'tk_raise_epoch_v1',
      `
DECLARE
  raised bigint;
BEGIN
  UPDATE ${epoch} SET epoch = epoch + 1 RETURNING epoch INTO STRICT raised;
  PERFORM pg_notify(${literal(names.channel)}, '');
  RETURN to_jsonb(raised);
END`,
    ),
    ...definer(
      names,
      'tk_epoch_v1',
      `
DECLARE
  seen bigint;
BEGIN
  ${ONLY_ON_PRIMARY}
  SELECT e.epoch INTO STRICT seen FROM ${epoch} e;
  RETURN jsonb_build_object('epoch', seen, 'nowMs', ${now}(test_now));
END`,
    ),
  ]
}
