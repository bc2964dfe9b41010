/**
 * Audit rows and events: what a command writes beside its own change, in the same transaction. The
 * newest row of each chain is locked before the next is made, roots in order, so that chains of one
 * root never fork and two commands never wait for each other in a ring.
 *
 * @module
 */
import { chainAudit } from '../../audit/chain.ts'
import { TenantKeysError } from '../../kernel/errors.ts'
import { uuidv7 } from '../../kernel/ids.ts'
import type { Also, NewAudit, NewEvent } from '../../storage/also.ts'
import type { AuditRecord } from '../../storage/records.ts'
import type { ReadTx } from './connection.ts'
import { PgRowReader } from './decode.ts'
import { rowsIn } from './rows.ts'

/** Call it last, when the rows of the command itself are locked. */
export async function writeAlso(tx: ReadTx, { audit = [], events = [] }: Also): Promise<void> {
  if (audit.length > 0) await tx.call('tk_audit_append_v1', await chained(tx, audit))
  await addEvents(tx, events)
}

/** A second event of the same id is ignored. */
export async function addEvents(tx: ReadTx, events: readonly NewEvent[]): Promise<void> {
  if (events.length === 0) return
  const rows = events.map(({ id, kind, tenantId, payload }) => {
    return { id, kind, tenantId, atMs: tx.nowMs, payload: JSON.stringify(payload) }
  })
  await tx.call('tk_outbox_add_v1', rows)
}

type Head = Pick<AuditRecord, 'rootId' | 'sequence' | 'hash'>

async function chained(tx: ReadTx, drafts: readonly NewAudit[]): Promise<AuditRecord[]> {
  const tenantIds = [...new Set(drafts.map((draft) => draft.tenantId))]
  const roots = new Map<string | null, string>()
  const heads = new Map<string, Head>()
  for (const columns of rowsIn(await tx.call('tk_audit_heads_v1', tenantIds))) {
    const row = new PgRowReader('tk_audit_heads', columns)
    const head = {
      rootId: row.text('root_id'),
      sequence: row.int('sequence'),
      hash: row.text('hash'),
    }
    roots.set(row.textOrNull('tenant_id'), head.rootId)
    heads.set(head.rootId, head)
  }
  return drafts.map((draft) => {
    const rootId = roots.get(draft.tenantId)
    if (rootId === undefined) {
      throw new TenantKeysError('TK_TENANT_NOT_FOUND', { tenantId: draft.tenantId ?? '' })
    }
    const place = { id: uuidv7(tx.nowMs), rootId, nowMs: tx.nowMs }
    const row = chainAudit(heads.get(rootId)!, draft, place)
    heads.set(rootId, row)
    return row
  })
}
