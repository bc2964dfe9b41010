/**
 * The hash chain of audit rows: each row's hash covers all of its fields and the hash of the row
 * before it, so that an edit, a gap or another order shows (T-I11). One chain per root of the tenant
 * tree. Pure; the stores call it inside the transaction that writes the row.
 *
 * What a chain cannot show by itself is that its newest rows are missing: whoever needs that keeps
 * the last hash elsewhere.
 *
 * @module
 */
import { primitives } from '../kernel/crypto/primitives.ts'
import { concat, toHex, utf8 } from '../kernel/encoding.ts'
import type { NewAudit } from '../storage/also.ts'
import type { AuditRecord } from '../storage/records.ts'

/** Root id of acts that belong to no tenant; no tenant can have this id. */
export const NO_TENANT = '*'

/** What stands in `previousHash` of the first row. */
export const CHAIN_START: string = '0'.repeat(64)

const LABEL = 'tenantkeys.audit.v1'

/** Where and when a row is written. `rootId` is the first id of the tenant's path, `*` for none. */
export interface ChainPlace {
  readonly id: string
  readonly rootId: string
  readonly nowMs: number
}

/** @param previous - newest row of the same root; `null` when it has none yet. */
export function chainAudit(
  previous: Pick<AuditRecord, 'sequence' | 'hash'> | null,
  draft: NewAudit,
  at: ChainPlace,
): AuditRecord {
  const { tenantId, actor, action, target, detail } = draft
  const row = {
    id: at.id,
    rootId: at.rootId,
    sequence: previous ? previous.sequence + 1 : 1,
    tenantId,
    atMs: at.nowMs,
    actor,
    action,
    target,
    detail: { ...detail },
    previousHash: previous ? previous.hash : CHAIN_START,
  }
  return { ...row, hash: hashOf(row) }
}

/** `sequence` is the first number at which the chain does not hold. */
export type ChainVerdict = { readonly ok: true } | { readonly ok: false; readonly sequence: number }

/**
 * @param rows - consecutive rows of one root, in order.
 * @param after - the row before them, verified earlier; `null`: they start the chain.
 */
export function verifyChain(
  rows: readonly AuditRecord[],
  after: AuditRecord | null = null,
): ChainVerdict {
  let previous = after
  for (const row of rows) {
    const sequence = previous ? previous.sequence + 1 : 1
    const holds =
      row.sequence === sequence &&
      row.previousHash === (previous ? previous.hash : CHAIN_START) &&
      (previous === null || row.rootId === previous.rootId) &&
      row.hash === hashOf(row)
    if (!holds) return { ok: false, sequence }
    previous = row
  }
  return { ok: true }
}

/** SHA-256 over every field, each behind its length, so that no two rows encode alike. */
function hashOf(row: Omit<AuditRecord, 'hash'>): string {
  const detail = Object.entries(row.detail).sort(([a], [b]) => (a < b ? -1 : 1))
  const fields = [
    LABEL,
    row.previousHash,
    row.id,
    row.rootId,
    String(row.sequence),
    row.tenantId,
    String(row.atMs),
    row.actor,
    row.action,
    row.target,
    String(detail.length),
    ...detail.flat(),
  ]
  return toHex(primitives.sha256(concat(...fields.map(encode))))
}

/** Presence in one byte, the length in four (big endian), then UTF-8. */
function encode(field: string | null): Uint8Array {
  if (field === null) return Uint8Array.of(0)
  const text = utf8(field)
  const out = new Uint8Array(5 + text.length)
  out[0] = 1
  new DataView(out.buffer).setUint32(1, text.length)
  out.set(text, 5)
  return out
}
