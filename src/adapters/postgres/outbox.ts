/**
 * The outbox in PostgreSQL: events in order of their arrival.
 *
 * @module
 */

import { TenantKeysError } from '../../kernel/errors.ts'
import { uuidv7 } from '../../kernel/ids.ts'
import type { OutboxCommands } from '../../storage/storage.ts'
import { pageOf } from '../../storage/stored-records.ts'
import { writeAlso } from './also.ts'
import type { Connection } from './connection.ts'
import { PgRowReader } from './decode.ts'
import { eventOf, quarantinedOf, rowIn, rowsIn } from './rows.ts'

export function outboxCommands(connection: Connection): OutboxCommands {
  const counted = async (fn: string, args: unknown): Promise<number> =>
    countIn(await connection.call(fn, args))
  return {
    lease: async ({ limit, leaseMs }) => {
      const leaseId = uuidv7()
      const answer = await connection.call('tk_outbox_lease_v1', { leaseId, limit, leaseMs })
      return { leaseId, events: rowsIn(answer).map(eventOf) }
    },
    ack: (at) => counted('tk_outbox_ack_v1', at),
    release: (at) => counted('tk_outbox_release_v1', at),
    quarantine: (at) => counted('tk_outbox_quarantine_v1', at),
    quarantined: async ({ after, limit }) => {
      const query = { after: after ?? '', limit: limit + 1 }
      const rows = rowsIn(await connection.call('tk_outbox_quarantined_v1', query, 'read'))
      return pageOf(rows, quarantinedOf, ({ id }) => id, limit)
    },
    requeue: (ids, also) =>
      connection.write(null, async (tx) => {
        const count = countIn(await tx.call('tk_outbox_requeue_v1', ids))
        if (count > 0) await writeAlso(tx, also)
        return count
      }),
    backlog: async (query) => {
      const answer = await connection.call('tk_outbox_backlog_v1', query, 'read')
      const row = new PgRowReader('tk_outbox', rowIn(answer))
      return {
        waiting: row.int('waiting'),
        quarantined: row.int('quarantined'),
        oldestAtMs: row.intOrNull('oldest_at_ms'),
      }
    },
  }
}

function countIn(answer: unknown): number {
  if (typeof answer === 'number') return answer
  throw new TenantKeysError('TK_STORE_CORRUPT', { reason: 'a count cannot be read' })
}
