/**
 * A reserve and a settle in PostgreSQL by hand: the same tables and writes as the store makes, in one
 * transaction of prepared statements, by a role that no policy is checked for.
 *
 * @module
 */

const PATH = "account_id = ANY ($1::text[]) AND unit = 'usd' AND period = 'lifetime'"

/** @param template - rows that the store itself wrote, so that both write the same bytes. */
export function postgresByHand(pool, schema, template) {
  const t = (name) => `"${schema}"."${name}"`
  const insert = (table, row) => {
    const names = Object.keys(row)
    return `INSERT INTO ${t(table)} (${names.join(', ')})
      VALUES (${names.map((_, i) => `$${i + 1}`).join(', ')})`
  }
  const SQL = {
    lock: `SELECT account_id, limit_amount, posted, held FROM ${t('tk_counters')} WHERE ${PATH}
      ORDER BY depth DESC, account_id FOR UPDATE`,
    take: `UPDATE ${t('tk_counters')} SET held = held + $2,
      held_until_ms = greatest(held_until_ms, $3) WHERE ${PATH}`,
    post: `UPDATE ${t('tk_counters')} SET posted = posted + $2, held = held - $3 WHERE ${PATH}`,
    hold: `SELECT state, lines, created_at_ms FROM ${t('tk_holds')}
      WHERE id = $1 AND tenant_id = $2 FOR UPDATE`,
    end: `UPDATE ${t('tk_holds')} SET state = 'posted', actual = $2 WHERE id = $1`,
    addHold: insert('tk_holds', template.hold),
    addUsage: insert('api_key_usage_logs', template.usage),
    addEvent: insert('tk_outbox', template.event),
    // All of a reserve in one statement, for one caller.
    once: `WITH c AS (
      SELECT account_id, limit_amount, posted, held FROM ${t('tk_counters')} WHERE ${PATH}
      ORDER BY depth DESC, account_id FOR UPDATE
    ), fits AS (
      SELECT count(*) = cardinality($1) AND bool_and(posted + held + $2 <= limit_amount) AS ok FROM c
    ), u AS (
      UPDATE ${t('tk_counters')} SET held = held + $2, held_until_ms = greatest(held_until_ms, $3)
      WHERE ${PATH} AND (SELECT ok FROM fits)
    ), h AS (
      INSERT INTO ${t('tk_holds')} (${Object.keys(template.hold).join(', ')})
      SELECT ${Object.keys(template.hold)
        .map((_, i) => `$${i + 4}`)
        .join(', ')} FROM fits WHERE ok
    ) SELECT ok FROM fits`,
  }
  const values = (row, changed) => Object.values({ ...row, ...changed })
  const holdOf = ({ holdId, tenantId, accounts, ttlMs }, nowMs) =>
    values(template.hold, {
      id: holdId,
      tenant_id: tenantId,
      accounts: accounts.map(({ id }) => id),
      depths: accounts.map(({ depth }) => depth),
      created_at_ms: nowMs,
      expires_at_ms: nowMs + ttlMs,
    })
  const idsOf = (accounts) => accounts.map(({ id }) => id)

  const transaction = async (work) => {
    const client = await pool.connect()
    const run = (name, params) => client.query({ name, text: SQL[name], values: params })
    try {
      await client.query('BEGIN')
      const result = await work(run)
      await client.query('COMMIT')
      return result
    } catch (error) {
      await client.query('ROLLBACK')
      throw error
    } finally {
      client.release()
    }
  }
  return {
    reserve: (item) =>
      transaction(async (run) => {
        const ids = idsOf(item.accounts)
        const { usd } = item.amounts
        const { rows } = await run('lock', [ids])
        const fits = rows.every(
          (r) => BigInt(r.posted) + BigInt(r.held) + usd <= BigInt(r.limit_amount),
        )
        if (!fits || rows.length !== ids.length) return { ok: false }
        const nowMs = Date.now()
        await run('take', [ids, usd, nowMs + item.ttlMs])
        await run('addHold', holdOf(item, nowMs))
        return { ok: true }
      }),
    reserveOnce: async (item) => {
      const nowMs = Date.now()
      const params = [idsOf(item.accounts), item.amounts.usd, nowMs + item.ttlMs]
      const { rows } = await pool.query({
        name: 'once',
        text: SQL.once,
        values: [...params, ...holdOf(item, nowMs)],
      })
      return rows[0]
    },
    settle: ({ holdId, tenantId, accounts, amounts: { usd }, actual }) =>
      transaction(async (run) => {
        await run('lock', [idsOf(accounts)])
        const { rows } = await run('hold', [holdId, tenantId])
        if (rows[0]?.state !== 'held') return { ok: false }
        const nowMs = Date.now()
        await run('post', [idsOf(accounts), actual, usd])
        await run('end', [holdId, template.actual])
        await run(
          'addUsage',
          values(template.usage, {
            id: holdId,
            tenant_id: tenantId,
            lines: rows[0].lines,
            started_at_ms: rows[0].created_at_ms,
            settled_at_ms: nowMs,
          }),
        )
        const payload = template.event.payload.replaceAll(template.usage.id, holdId)
        await run(
          'addEvent',
          values(template.event, { id: holdId, tenant_id: tenantId, at_ms: nowMs, payload }),
        )
        return { ok: true }
      }),
  }
}
