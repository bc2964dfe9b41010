import { describe, expect, it } from 'vitest'
import { CHAIN_START, chainAudit, verifyChain } from '../../src/audit/chain.ts'
import type { AuditRecord } from '../../src/storage/records.ts'

const draft = (n: number) => ({
  tenantId: 'acme',
  actor: 'system',
  action: 'key.issue',
  target: `key:${n}`,
  detail: { name: `n${n}`, scope: 'a' },
})

function chainOf(length: number): AuditRecord[] {
  const rows: AuditRecord[] = []
  for (let n = 1; n <= length; n++) {
    const place = { id: `id-${n}`, rootId: 'acme', nowMs: 1000 + n }
    rows.push(chainAudit(rows.at(-1) ?? null, draft(n), place))
  }
  return rows
}

const edited = (rows: AuditRecord[], at: number, change: Partial<AuditRecord>): AuditRecord[] =>
  rows.map((row, i) => (i === at ? { ...row, ...change } : row))

describe('audit chain', () => {
  it('T-I11 rows are numbered from 1 and each names the hash before it', () => {
    const rows = chainOf(3)
    expect(rows.map((r) => r.sequence)).toEqual([1, 2, 3])
    expect(rows[0]!.previousHash).toBe(CHAIN_START)
    expect(rows[2]!.previousHash).toBe(rows[1]!.hash)
    expect(rows[2]!.hash).toMatch(/^[0-9a-f]{64}$/)
    expect(verifyChain(rows)).toEqual({ ok: true })
  })

  it('T-I11 an edit of any field is named', () => {
    const rows = chainOf(4)
    const changes: Partial<AuditRecord>[] = [
      { id: 'id-x' },
      { rootId: 'other' },
      { tenantId: null },
      { tenantId: '' },
      { atMs: 7 },
      { actor: 'someone' },
      { action: 'key.revoke' },
      { target: 'key:9' },
      { detail: { name: 'n3', scope: 'b' } },
      { detail: { name: 'n3' } },
      { previousHash: CHAIN_START },
      { hash: rows[0]!.hash },
      { sequence: 9 },
    ]
    for (const change of changes) {
      expect(verifyChain(edited(rows, 2, change)), JSON.stringify(change)).toEqual({
        ok: false,
        sequence: 3,
      })
    }
  })

  it('T-I11 text moved from one field to the next is another row', () => {
    const [row] = chainOf(1)
    const moved = { ...row!, action: 'key.issuek', target: 'ey:1' }
    expect(verifyChain([moved])).toEqual({ ok: false, sequence: 1 })
  })

  it('T-I11 an edited row that was hashed again breaks at the row after it', () => {
    const rows = chainOf(4)
    const place = { id: 'id-2', rootId: 'acme', nowMs: 1002 }
    const forged = chainAudit(rows[0]!, { ...draft(2), actor: 'mallory' }, place)
    expect(verifyChain(edited(rows, 1, forged))).toEqual({ ok: false, sequence: 3 })
  })

  it('T-I11 a deleted row is named by its number', () => {
    const rows = chainOf(4)
    expect(verifyChain(rows.slice(1))).toEqual({ ok: false, sequence: 1 })
    expect(verifyChain(rows.filter((r) => r.sequence !== 3))).toEqual({ ok: false, sequence: 3 })
  })

  it('T-I11 reordered rows are named by the first place that is wrong', () => {
    const [a, b, c, d] = chainOf(4)
    expect(verifyChain([a!, c!, b!, d!])).toEqual({ ok: false, sequence: 2 })
  })

  it('T-I11 a later page is verified against the row before it', () => {
    const rows = chainOf(5)
    expect(verifyChain(rows.slice(3), rows[2])).toEqual({ ok: true })
    expect(verifyChain(rows.slice(3), rows[1])).toEqual({ ok: false, sequence: 3 })
  })

  it('the order in which details were given does not change the hash', () => {
    const at = { id: 'i', rootId: 'acme', nowMs: 1 }
    const one = chainAudit(null, { ...draft(1), detail: { a: '1', b: '2' } }, at)
    const two = chainAudit(null, { ...draft(1), detail: { b: '2', a: '1' } }, at)
    expect(one.hash).toBe(two.hash)
  })
})
