/**
 * A reserve and a settle in SQLite by hand: the same tables, the same statements and the same checks as
 * the store makes, without a library between.
 *
 * @module
 */

/** @param template - rows that the store itself wrote, so that both write the same bytes. */
export function sqliteByHand(database, template) {
  const statement = (sql) => database.prepare(sql).safeIntegers(true)
  const meta = statement('SELECT schema_version, epoch, clock_ms FROM tk_meta WHERE id = 1')
  const hold = statement('SELECT * FROM tk_holds WHERE id = ?')
  const usage = statement('SELECT * FROM api_key_usage_logs WHERE tenant_id = ? AND id = ?')
  const counters = statement('SELECT * FROM tk_counters WHERE account_id = ?')
  const tenant = statement('SELECT path FROM tk_tenants WHERE id = ?')
  const setCounter = statement(`UPDATE tk_counters SET posted = ?, held = ?, held_until_ms = ?
    WHERE account_id = ? AND unit = ? AND period = ?`)
  const setHold = statement('UPDATE tk_holds SET state = ?, actual = ? WHERE id = ?')
  const insert = (table, row) => {
    const names = Object.keys(row)
    return statement(
      `INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`,
    )
  }
  const addHold = insert('tk_holds', template.hold)
  const addUsage = insert('api_key_usage_logs', template.usage)
  const addEvent = insert('tk_outbox', template.event)
  const usageEvent = JSON.parse(template.event.payload)
  const values = (row, changed) => Object.values({ ...row, ...changed })

  const begin = database.prepare('BEGIN IMMEDIATE')
  const commit = database.prepare('COMMIT')
  const rollback = database.prepare('ROLLBACK')
  const transaction = (work) => {
    begin.run()
    try {
      const result = work()
      commit.run()
      return result
    } catch (error) {
      rollback.run()
      throw error
    }
  }
  const countersOf = (accounts) =>
    accounts.map(({ id }) => {
      const [row] = counters.all([id])
      if (!row) throw new Error('no such counter')
      return row
    })

  return {
    reserve: ({ holdId, tenantId, accounts, amounts: { usd }, ttlMs }) =>
      transaction(() => {
        const nowMs = BigInt(Date.now())
        if (meta.get().clock_ms > nowMs) throw new Error('the clock went back')
        if (hold.get([holdId]) || usage.get([tenantId, holdId])) throw new Error('id is taken')
        const rows = countersOf(accounts)
        const path = JSON.parse(tenant.get([tenantId]).path)
        if (path.length !== accounts.length) throw new Error('another path')
        if (rows.some((row) => row.posted + row.held + usd > row.limit_amount)) return { ok: false }
        const expiresAtMs = nowMs + BigInt(ttlMs)
        for (const row of rows) {
          const untilMs = row.held_until_ms > expiresAtMs ? row.held_until_ms : expiresAtMs
          setCounter.run([
            row.posted,
            row.held + usd,
            untilMs,
            row.account_id,
            row.unit,
            row.period,
          ])
        }
        const lines = JSON.stringify(
          rows.map((r) => [r.account_id, r.unit, r.period, Number(r.period_start_ms)]),
        )
        addHold.run(
          values(template.hold, {
            id: holdId,
            tenant_id: tenantId,
            accounts: JSON.stringify(accounts.map(({ id, depth }) => [id, depth])),
            lines,
            created_at_ms: nowMs,
            expires_at_ms: expiresAtMs,
          }),
        )
        return { ok: true }
      }),
    settle: ({ holdId, tenantId, accounts, amounts: { usd }, actual }) =>
      transaction(() => {
        const nowMs = BigInt(Date.now())
        if (meta.get().clock_ms > nowMs) throw new Error('the clock went back')
        const row = hold.get([holdId])
        if (row?.state !== 'held' || row.tenant_id !== tenantId) return { ok: false }
        for (const c of countersOf(accounts)) {
          setCounter.run([
            c.posted + actual,
            c.held - usd,
            c.held_until_ms,
            c.account_id,
            c.unit,
            c.period,
          ])
        }
        setHold.run(['posted', template.actual, holdId])
        addUsage.run(
          values(template.usage, {
            id: holdId,
            tenant_id: tenantId,
            lines: row.lines,
            started_at_ms: row.created_at_ms,
            settled_at_ms: nowMs,
          }),
        )
        const payload = JSON.stringify({
          ...usageEvent,
          id: holdId,
          startedAtMs: Number(row.created_at_ms),
          settledAtMs: Number(nowMs),
        })
        addEvent.run(
          values(template.event, { id: holdId, tenant_id: tenantId, at_ms: nowMs, payload }),
        )
        return { ok: true }
      }),
  }
}
