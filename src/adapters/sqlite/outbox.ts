/**
 * The outbox in SQLite: events in order of their arrival.
 *
 * @module
 */

import { uuidv7 } from '../../kernel/ids.ts'
import type { OutboxCommands } from '../../storage/storage.ts'
import { pageOf } from '../../storage/stored-records.ts'
import { writeAlso } from './also.ts'
import type { Connection } from './connection.ts'
import { SqliteRowReader } from './decode.ts'
import { eventOf, quarantinedOf } from './rows.ts'

const ANY_FREE = `SELECT 1 FROM tk_outbox
  WHERE leased_until_ms <= ? AND quarantined_at_ms IS NULL LIMIT 1`
const FREE = `SELECT * FROM tk_outbox
  WHERE leased_until_ms <= ? AND quarantined_at_ms IS NULL ORDER BY sequence LIMIT ?`
const LEASE = `UPDATE tk_outbox
  SET lease_id = ?, leased_until_ms = ?, attempts = attempts + 1 WHERE id = ?`
const ACK = 'DELETE FROM tk_outbox WHERE id = ? AND lease_id = ?'
const RELEASE = `UPDATE tk_outbox SET lease_id = NULL, leased_until_ms = ?
  WHERE id = ? AND lease_id = ?`
const QUARANTINE = `UPDATE tk_outbox
  SET lease_id = NULL, leased_until_ms = 0, quarantined_at_ms = ?, reason = ?
  WHERE id = ? AND lease_id = ?`
const QUARANTINED = `SELECT * FROM tk_outbox
  WHERE quarantined_at_ms IS NOT NULL AND id > ? ORDER BY id LIMIT ?`
const REQUEUE = `UPDATE tk_outbox SET quarantined_at_ms = NULL, reason = NULL, attempts = 0
  WHERE id = ? AND quarantined_at_ms IS NOT NULL`
const BACKLOG = `SELECT
  (SELECT COUNT(*) FROM
    (SELECT 1 FROM tk_outbox WHERE quarantined_at_ms IS NULL LIMIT ?)) AS waiting,
  (SELECT COUNT(*) FROM
    (SELECT 1 FROM tk_outbox WHERE quarantined_at_ms IS NOT NULL LIMIT ?)) AS quarantined,
  (SELECT at_ms FROM tk_outbox WHERE quarantined_at_ms IS NULL
    ORDER BY sequence LIMIT 1) AS oldest_at_ms`

export function outboxCommands(connection: Connection): OutboxCommands {
  return {
    lease: async ({ limit, leaseMs }) => {
      // An idle exporter asks often; an empty outbox must not cost it the write lock.
      const free = await connection.read(({ client, nowMs }) => client.get(ANY_FREE, nowMs))
      if (!free) return { leaseId: uuidv7(), events: [] }
      return connection.write(({ client, nowMs }) => {
        const leaseId = uuidv7(nowMs)
        const events = client.all(FREE, nowMs, limit).map(eventOf)
        for (const { id } of events) client.run(LEASE, leaseId, nowMs + leaseMs, id)
        return { leaseId, events: events.map((e) => ({ ...e, attempts: e.attempts + 1 })) }
      })
    },
    ack: ({ leaseId, ids }) =>
      connection.write(({ client }) =>
        ids.reduce((sum, id) => sum + client.run(ACK, id, leaseId), 0),
      ),
    release: ({ leaseId, ids, delayMs }) =>
      connection.write(({ client, nowMs }) =>
        ids.reduce((sum, id) => sum + client.run(RELEASE, nowMs + delayMs, id, leaseId), 0),
      ),
    quarantine: ({ leaseId, events }) =>
      connection.write(({ client, nowMs }) =>
        events.reduce(
          (sum, { id, reason }) => sum + client.run(QUARANTINE, nowMs, reason, id, leaseId),
          0,
        ),
      ),
    quarantined: ({ after, limit }) =>
      connection.read(({ client }) => {
        const rows = client.all(QUARANTINED, after ?? '', limit + 1)
        return pageOf(rows, quarantinedOf, ({ id }) => id, limit)
      }),
    requeue: (ids, also) =>
      connection.write((tx) => {
        const count = ids.reduce((sum, id) => sum + tx.client.run(REQUEUE, id), 0)
        if (count > 0) writeAlso(tx, also)
        return count
      }),
    backlog: ({ limit }) =>
      connection.read(({ client }) => {
        const row = new SqliteRowReader('tk_outbox', client.get(BACKLOG, limit, limit)!)
        return {
          waiting: row.int('waiting'),
          quarantined: row.int('quarantined'),
          oldestAtMs: row.intOrNull('oldest_at_ms'),
        }
      }),
  }
}
