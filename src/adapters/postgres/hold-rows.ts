/**
 * Holds as rows, for the commands that read and mend them one by one.
 *
 * @module
 */

import type { CallIds, Hold, Overflow } from '../../storage/ledger-records.ts'
import { amountsText, isLines, isTextList, textFields } from '../../storage/stored-json.ts'
import { numbersText, textsText } from './array-text.ts'
import { PgRowReader } from './decode.ts'
import type { PgQueries, PgRow } from './executor.ts'
import { HOLD_COLUMNS } from './ledger-sql/parts.ts'
import type { Names } from './names.ts'

const CALL_FIELDS: (keyof CallIds)[] = ['callId', 'keyId', 'scope', 'provider', 'model', 'priceId']
const isCall = textFields<CallIds>(CALL_FIELDS, ['callId', 'provider', 'model'])

const isOverflows = (value: unknown): value is readonly Overflow[] =>
  Array.isArray(value) &&
  value.every((o: Partial<Overflow> | null) => typeof o?.to === 'string' && isLines([o.from]))

const isDepths = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.every((depth) => Number.isSafeInteger(depth))

export function holdOf(columns: PgRow): Hold {
  const row = new PgRowReader('tk_holds', columns)
  const depths = row.json('depths', isDepths)
  const call = row.json('call', isCall)
  return {
    id: row.text('id'),
    tenantId: row.text('tenant_id'),
    state: row.oneOf('state', ['held', 'posted', 'voided', 'expired', 'late_posted']),
    accounts: row.json('accounts', isTextList).map((id, i) => ({ id, depth: depths[i] ?? 0 })),
    lines: row.json('lines', isLines),
    amounts: row.amounts('held'),
    asked: row.amounts('asked'),
    actual: row.amounts('actual'),
    overflows: row.json('overflows', isOverflows),
    paidBy: row.oneOf('paid_by', ['tenant', 'platform']),
    extendSequence: row.int('extend_sequence'),
    createdAtMs: row.int('created_at_ms'),
    expiresAtMs: row.int('expires_at_ms'),
    call,
  }
}

/** Of a tenant that the transaction was set to. @param lock - so that it stays as it is read. */
export async function findHold(
  tx: PgQueries,
  names: Names,
  at: { readonly tenantId: string; readonly holdId: string },
  lock = '',
): Promise<Hold | null> {
  const [row] = await tx.query(
    `SELECT ${HOLD_COLUMNS} FROM ${names.table('tk_holds')} r
     WHERE r.id = $1 AND r.tenant_id = $2 ${lock}`,
    [at.holdId, at.tenantId],
  )
  return row ? holdOf(row) : null
}

/** Mends a hold that is there, or writes one that is missing; an id that another tenant has is left
 * alone. */
export async function writeHold(
  tx: PgQueries,
  names: Names,
  hold: Hold,
  isThere: boolean,
): Promise<void> {
  if (isThere) {
    await tx.query(
      `UPDATE ${names.table('tk_holds')} SET state = $1, actual = $2
       WHERE id = $3 AND tenant_id = $4`,
      [hold.state, amountsText(hold.actual), hold.id, hold.tenantId],
    )
    return
  }
  await tx.query(
    `INSERT INTO ${names.table('tk_holds')} (id, tenant_id, state, accounts, depths, pools, lines,
       held, asked, actual, overflows, paid_by, extend_sequence, created_at_ms, expires_at_ms, call)
     VALUES ($1, $2, $3, $4::text[], $5::integer[], '{}', $6, $7, $8, $9, $10, $11, $12::bigint,
       $13::bigint, $14::bigint, $15)`,
    [
      hold.id,
      hold.tenantId,
      hold.state,
      textsText(hold.accounts.map((account) => account.id)),
      numbersText(hold.accounts.map((account) => account.depth)),
      JSON.stringify(hold.lines),
      amountsText(hold.amounts),
      amountsText(hold.asked),
      amountsText(hold.actual),
      JSON.stringify(hold.overflows),
      hold.paidBy,
      String(hold.extendSequence),
      String(hold.createdAtMs),
      String(hold.expiresAtMs),
      JSON.stringify(hold.call, CALL_FIELDS),
    ],
  )
}
