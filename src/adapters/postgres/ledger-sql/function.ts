/**
 * How a function of the ledger is declared. Its plans are made once for each connection and kept: no
 * statement in it depends on the size of a batch. Sequential scans, hash and merge joins are taken
 * away from the planner, because a plan that was made while a table was small must stay good.
 *
 * @module
 */
import { internal, OUTER, restricted } from '../migrations/sql.ts'
import type { Names } from '../names.ts'

const PLANS = `SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off`

/** For the app role: `fn(args, test_now)`. @param body - from DECLARE to END. */
export function ledgerFunction(names: Names, name: string, body: string): string[] {
  const fn = names.fn(name)
  return [
    `CREATE OR REPLACE FUNCTION ${fn}(args jsonb, test_now bigint) RETURNS json
LANGUAGE plpgsql ${OUTER}
${PLANS}
AS $tk$
${body.trim()}
$tk$`,
    ...restricted(names, `${fn}(jsonb, bigint)`),
  ]
}

/** For our own functions only: it runs as whoever calls it, which is the owner role. */
export function innerFunction(
  names: Names,
  name: string,
  {
    args,
    returns,
    body,
  }: { readonly args: string; readonly returns: string; readonly body: string },
): string[] {
  const fn = names.fn(name)
  return [
    `CREATE OR REPLACE FUNCTION ${fn}(${args}) RETURNS ${returns}
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
${PLANS}
AS $tk$
${body.trim()}
$tk$`,
    ...internal(`${fn}(${args.replace(/\b\w+ (\w+(?:\[\])?)/g, '$1')})`),
  ]
}

/** What was decided by has changed since: everything is rolled back, and the call is made again. */
export const AGAIN = `RAISE EXCEPTION USING ERRCODE = 'TKTRY', MESSAGE = 'again'`
