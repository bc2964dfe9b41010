/**
 * Audit rows and events: what a command writes beside its own change, in the same transaction.
 *
 * @module
 */
import { chainAudit, NO_TENANT } from '../../audit/chain.ts'
import { uuidv7 } from '../../kernel/ids.ts'
import type { Also, NewEvent } from '../../storage/also.ts'
import type { SqliteClient } from './client.ts'
import type { Tx } from './connection.ts'
import { auditOf, needTenant } from './rows.ts'

const HEAD = 'SELECT * FROM tk_audit WHERE root_id = ? ORDER BY sequence DESC LIMIT 1'
const ADD_AUDIT = `INSERT INTO tk_audit
  (root_id, sequence, id, tenant_id, at_ms, actor, action, target, detail, previous_hash, hash)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
const ADD_EVENT = `INSERT INTO tk_outbox
  (id, kind, tenant_id, at_ms, payload, attempts, leased_until_ms)
  VALUES (?, ?, ?, ?, ?, 0, 0) ON CONFLICT (id) DO NOTHING`

export function writeAlso(tx: Tx, also: Also): void {
  for (const draft of also.audit ?? []) {
    const rootId =
      draft.tenantId === null ? NO_TENANT : needTenant(tx.client, draft.tenantId).path[0]!
    const head = tx.client.get(HEAD, rootId)
    const place = { id: uuidv7(tx.nowMs), rootId, nowMs: tx.nowMs }
    const row = chainAudit(head && auditOf(head), draft, place)
    tx.client.run(
      ADD_AUDIT,
      row.rootId,
      row.sequence,
      row.id,
      row.tenantId,
      row.atMs,
      row.actor,
      row.action,
      row.target,
      JSON.stringify(row.detail),
      row.previousHash,
      row.hash,
    )
  }
  for (const event of also.events ?? []) addEvent(tx.client, event, tx.nowMs)
}

/** A second event of the same id is ignored. */
export function addEvent(client: SqliteClient, event: NewEvent, nowMs: number): void {
  const { id, kind, tenantId, payload } = event
  client.run(ADD_EVENT, id, kind, tenantId, nowMs, JSON.stringify(payload))
}
