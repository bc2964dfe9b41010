/**
 * The parts that migrations are made of: functions that run as the owner role, and tables that are
 * closed to all but the tenants of the transaction.
 *
 * @module
 */
import { literal, type Names, TENANT_SETTING } from '../names.ts'

/** How long a statement of ours waits for a lock that somebody else holds; then TK_STORE_BUSY. */
export const LOCK_TIMEOUT_MS = 10_000

/** Of a function that the app role calls: no path of its caller, and no wait without an end. Inside
 * another function of ours it waits as that one does. */
export const OUTER = `SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET lock_timeout = ${LOCK_TIMEOUT_MS}`

/** Texts by which rows are found and put in order: by their bytes, whatever the database's locale. */
export const ID = 'text COLLATE "C"'

/** One row, or null; its columns as in the select list. */
export const one = (select: string): string => `(SELECT to_jsonb(r) FROM (${select}) r)`

/** The list of the rows; the select puts them in order. */
export const list = (select: string): string =>
  `(SELECT coalesce(jsonb_agg(to_jsonb(r)), '[]'::jsonb) FROM (${select}) r)`

/**
 * A function that {@link Connection.call} can call. It runs as the owner role, so its body must hold
 * every id that it is given to the tenant of the item.
 *
 * @param body - PL/pgSQL from DECLARE or BEGIN to END; sees `args jsonb` and `test_now bigint`.
 *   Every name in it has to be qualified: the search_path holds pg_catalog only.
 */
export function definer(names: Names, name: string, body: string): string[] {
  const fn = names.fn(name)
  return [
    `CREATE OR REPLACE FUNCTION ${fn}(args jsonb, test_now bigint) RETURNS jsonb
LANGUAGE plpgsql ${OUTER}
AS $tk$
${body.trim()}
$tk$`,
    ...restricted(names, `${fn}(jsonb, bigint)`),
  ]
}

/** A replica may lag behind a revocation, so what keys are judged by is read from the primary (T-K17). */
export const ONLY_ON_PRIMARY = `IF pg_is_in_recovery() THEN
    RAISE EXCEPTION USING ERRCODE = 'TKERR', MESSAGE = 'TK_STORE_UNAVAILABLE';
  END IF;`

/** The app role may execute it, nobody else but its owner. @param signature - qualified */
export function restricted({ app }: Names, signature: string): string[] {
  const revoke = `REVOKE ALL ON FUNCTION ${signature} FROM PUBLIC`
  return app === null ? [revoke] : [revoke, `GRANT EXECUTE ON FUNCTION ${signature} TO ${app}`]
}

/** Only the owner role may execute it: for functions that other functions call. */
export const internal = (signature: string): string[] => [
  `REVOKE ALL ON FUNCTION ${signature} FROM PUBLIC`,
]

/**
 * Closes a table: under FORCE ROW LEVEL SECURITY the owner sees every row and the app role only those
 * of the tenants that were set inside its transaction. A setting that is empty or missing is no row.
 *
 * @param tenantColumn - `null`: the app role gets no access of its own, only through functions.
 * @param grants - what the app role may do with the rows it sees.
 */
export function closed(
  names: Names,
  table: string,
  tenantColumn: string | null,
  grants: readonly ('SELECT' | 'INSERT' | 'UPDATE' | 'DELETE')[] = [],
): string[] {
  const { owner, app } = names
  if (owner === null || app === null) return []
  const name = names.table(table)
  const all = `${name} TO ${owner} USING (true) WITH CHECK (true)`
  const closing = [
    `ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY`,
    `ALTER TABLE ${name} FORCE ROW LEVEL SECURITY`,
    `CREATE POLICY tk_owner_all ON ${all}`,
  ]
  if (tenantColumn === null || grants.length === 0) return closing
  const setting = `current_setting(${literal(TENANT_SETTING)}, true)`
  const own = `${tenantColumn} = ANY (string_to_array(${setting}, ','))`
  return [
    ...closing,
    `CREATE POLICY tk_app_own ON ${name} TO ${app} USING (${own}) WITH CHECK (${own})`,
    `GRANT ${grants.join(', ')} ON ${name} TO ${app}`,
  ]
}
