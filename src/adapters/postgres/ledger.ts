/**
 * The ledger in PostgreSQL. Reserve, preview, extend, settle, void and sweep are functions of the
 * database, one round trip each (`ledger-sql/`); everything administrative runs the rules of
 * `budgets/` over rows that were locked and read first.
 *
 * @module
 */
import { checkOwner, periodsOf, setBudget, setLimit } from '../../budgets/counters.ts'
import { postEntry } from '../../budgets/entries.ts'
import { planRows } from '../../budgets/plan-rows.ts'
import { checkPrune } from '../../budgets/prune.ts'
import type { LineState } from '../../storage/ledger-records.ts'
import type { TenantRecord } from '../../storage/records.ts'
import type { BudgetKey, LedgerCommands, PlanChange } from '../../storage/storage.ts'
import { WINDOWS } from '../../storage/vocabulary.ts'
import { writeAlso } from './also.ts'
import { textsText } from './array-text.ts'
import type { Connection, ReadTx, Tx } from './connection.ts'
import { PgRowReader } from './decode.ts'
import { findEntry } from './entry-rows.ts'
import type { PgRow } from './executor.ts'
import { findHold } from './hold-rows.ts'
import { extendBatch, settleBatch, voidBatch } from './ledger-holds.ts'
import { previewOne, reserveBatch } from './ledger-reserve.ts'
import { counterOf, lockAccounts, PgLedgerRows, readCounters, readHistory } from './ledger-rows.ts'
import { COUNTER_COLUMNS } from './ledger-sql/parts.ts'
import { mend, snapshot } from './ledger-upkeep.ts'
import type { Names } from './names.ts'
import { reprice } from './reprice.ts'
import { needTenant, rowsIn } from './rows.ts'

export function ledgerCommands(connection: Connection): LedgerCommands {
  const { names } = connection
  const counters = names.table('tk_counters')
  const remove = `DELETE FROM ${counters}
    WHERE tenant_id = $1 AND account_id = $2 AND unit = $3 AND period = $4 RETURNING unit`
  // Whether its period is over is decided as it is rolled: by the time zones that the database knows.
  const own = `SELECT ${COUNTER_COLUMNS}, coalesce(r.period_end_ms <= $5::bigint
      AND p.start_ms > r.period_start_ms, false)::text AS is_over
    FROM ${counters} r, LATERAL ${names.fn('tk_period_v1')}(r.period, r.zone, $5::bigint) p
    WHERE r.tenant_id = $1 AND r.account_id = $2 AND r.unit = $3 AND r.period = $4`
  return {
    setBudget: (budget, also) =>
      connection.write(budget.tenantId, async (tx) => {
        await checkAccount(tx, names, budget)
        const rows = await lockAccounts(tx, names, accountOf(budget))
        const counter = setBudget(rows, budget)
        const written = await rows.flush(tx, names)
        await writeAlso(tx, also)
        return PgLedgerRows.written(written, counter)
      }),
    setLimits: (limits, also) => {
      const tenantIds = [...new Set(limits.map((limit) => limit.tenantId))]
      return connection.write(tenantIds, async (tx) => {
        const accountIds = limits.map((limit) => limit.account.id)
        const rows = await lockAccounts(tx, names, { tenantIds, accountIds })
        const changed = limits.map((limit) => setLimit(rows, limit))
        await rows.flush(tx, names)
        await writeAlso(tx, also)
        return changed
      })
    },
    removeBudget: (budget, also) =>
      connection.write(budget.tenantId, async (tx) => {
        if ((await tx.query(remove, keyOf(budget))).length === 0) return false
        await writeAlso(tx, also)
        return true
      }),
    budgets: async (tenantId) =>
      rowsIn(await connection.call('tk_budgets_v1', { tenantId }, 'read')).map(lineOf),
    periods: ({ limit, ...budget }) =>
      connection.read(budget.tenantId, async (tx) => {
        const [columns] = await tx.query(own, [...keyOf(budget), String(tx.nowMs)])
        if (columns === undefined) return null
        const counter = counterOf(columns)
        const history = await readHistory(tx, names, counter, { limit })
        return periodsOf(counter, history, { isOver: columns.is_over === 'true', limit })
      }),
    reserve: (items) => reserveBatch(connection, items),
    preview: (item) => previewOne(connection, item),
    extend: (items) => extendBatch(connection, items),
    settle: (items) => settleBatch(connection, items),
    void: (items) => voidBatch(connection, items),
    sweep: async (limit) => Number(await connection.call('tk_sweep_v1', { limit })),
    hold: (at) => connection.read(at.tenantId, (tx) => findHold(tx, names, at)),
    post: (entry, also) =>
      connection.write(entry.tenantId, async (tx) => {
        await checkAccount(tx, names, entry)
        const locked = await lockAccounts(tx, names, accountOf(entry))
        const known = await findEntry(tx, names, entry)
        const entries = known === null ? [] : [known]
        const rows = new PgLedgerRows(locked.nowMs, locked.countersOf(entry.account.id), {
          entries,
        })
        const posted = postEntry(rows, entry)
        await rows.flush(tx, names)
        if (!posted.replayed) await writeAlso(tx, also)
        return posted
      }),
    audit: (tenantId) => connection.read(tenantId, (tx) => snapshot(tx, tenantId)),
    repair: (repair, also) =>
      connection.write(repair.tenantId, (tx) => mend(tx, names, repair, also)),
    reprice: (item, also) => reprice(connection, item, also),
    prune: async (query) => {
      checkPrune(query)
      return Number(await connection.call('tk_prune_v1', query))
    },
  }
}

/** Makes the budgets of a plan, on the tenant's own account; part of a transaction of that tenant. */
export async function applyPlanBudgets(
  tx: Tx,
  names: Names,
  tenant: TenantRecord,
  change: PlanChange,
): Promise<void> {
  const accountId = `tenant:${tenant.id}`
  const counters = names.table('tk_counters')
  const lock = `SELECT 1 FROM ${counters} WHERE account_id = $1
    ORDER BY depth DESC, account_id, unit, period FOR UPDATE`
  await tx.query(lock, [accountId])
  const { remove, set } = planRows(tenant, change, await readCounters(tx, names, [accountId]))
  if (remove.length > 0) {
    await tx.query(
      `DELETE FROM ${counters} c USING unnest($2::text[], $3::text[]) AS t (unit, period)
       WHERE c.account_id = $1 AND c.unit = t.unit AND c.period = t.period`,
      [accountId, textsText(remove.map((c) => c.unit)), textsText(remove.map((c) => c.window))],
    )
  }
  if (set.length === 0) return
  const rows = await lockAccounts(tx, names, { tenantIds: [tenant.id], accountIds: [accountId] })
  for (const budget of set) setBudget(rows, budget)
  await rows.flush(tx, names)
}

const accountOf = ({ tenantId, account }: BudgetKey) => ({
  tenantIds: [tenantId],
  accountIds: [account.id],
})

const keyOf = ({ tenantId, account, unit, window }: BudgetKey): string[] => [
  tenantId,
  account.id,
  unit,
  window,
]

/** @throws TenantKeysError TK_TENANT_NOT_FOUND, TK_INPUT_INVALID */
async function checkAccount(tx: ReadTx, names: Names, budget: BudgetKey): Promise<void> {
  const { tenantId, account } = budget
  await needTenant(tx, names, tenantId)
  const keyId = account.id.startsWith('key:') ? account.id.slice(4) : null
  // The transaction sees keys of its own tenant only.
  const keys =
    keyId === null
      ? []
      : await tx.query(
          `SELECT tenant_id FROM ${names.table('tenant_api_keys')}
           WHERE key_id = $1 AND tenant_id = $2`,
          [keyId, tenantId],
        )
  checkOwner(budget, () => (keys.length > 0 ? tenantId : null))
}

function lineOf(columns: PgRow): LineState {
  const row = new PgRowReader('tk_counters', columns)
  return {
    accountId: row.text('account_id'),
    unit: row.unit('unit'),
    window: row.oneOf('period', WINDOWS),
    limit: row.money('limit_amount'),
    posted: row.money('posted'),
    held: row.money('held'),
    resetsAtMs: row.intOrNull('ends'),
  }
}
