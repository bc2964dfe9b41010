/**
 * Rows to write. Values are obviously made up.
 *
 * @module
 */
import { uuidv7 } from '../../kernel/ids.ts'
import type { Also, NewAudit } from '../../storage/also.ts'
import type { NewEntry } from '../../storage/ledger-entries.ts'
import type { CallIds, UsageDraft } from '../../storage/ledger-records.ts'
import type { DekRecord } from '../../storage/records.ts'
import type { NewKey, NewSecret, Storage } from '../../storage/storage.ts'

export const NONE: Also = {}

/** A cursor from the start with room for all rows of a test. */
export const ALL = { after: null, limit: 1000 } as const

export const bytes = (length: number, fill: number): Uint8Array => new Uint8Array(length).fill(fill)

export const audit = (tenantId: string | null, action: string): NewAudit => ({
  tenantId,
  actor: 'system',
  action,
  target: 'sample:1',
  detail: { note: 'made up' },
})

/** Rows that can be written, recognisable by `name`. */
export const goodAlso = (tenantId: string | null, name: string): Also => ({
  audit: [audit(tenantId, name)],
  events: [{ id: `event-${name}`, kind: name, tenantId, payload: { name, amount: '12' } }],
})

/** Rows of which the last cannot be written: no JSON can hold its payload. */
export function badAlso(tenantId: string | null, name: string): Also {
  const good = goodAlso(tenantId, name)
  const circle: Record<string, unknown> = {}
  circle.circle = circle
  const bad = { id: `event-bad-${name}`, kind: name, tenantId, payload: circle }
  return { audit: good.audit ?? [], events: [...(good.events ?? []), bad] }
}

export const keyIdOf = (n: number): string => `key${String(n).padStart(13, '0')}`

export const newKey = (tenantId: string, n: number, over: Partial<NewKey> = {}): NewKey => ({
  keyId: keyIdOf(n),
  tenantId,
  name: `key number ${n}`,
  brand: 'tk',
  environment: 'live',
  scopes: ['support:chat'],
  expiresAtMs: null,
  last4: 'ab12',
  hash: bytes(32, n % 256),
  pepperId: 'pep-1',
  ...over,
})

export const newDek = (
  tenantId: string,
  generation: number,
  over: Partial<DekRecord> = {},
): Omit<DekRecord, 'createdAtMs' | 'seals'> => ({
  id: uuidv7(),
  tenantId,
  generation,
  kekId: 'kek-1',
  wrapped: bytes(60, generation % 256),
  ...over,
})

export const newSecret = (
  tenantId: string,
  dekId: string,
  over: Partial<NewSecret> = {},
): NewSecret => ({
  id: uuidv7(),
  tenantId,
  provider: 'openai',
  name: 'default',
  version: 1,
  origin: null,
  publicFields: { region: 'nowhere' },
  masked: 'sk-...***...xyz9',
  dekId,
  envelope: bytes(120, 7),
  ...over,
})

export const call = (over: Partial<CallIds> = {}): CallIds => ({
  callId: 'call-1',
  keyId: keyIdOf(1),
  scope: 'support:chat',
  provider: 'openai',
  model: 'model-a',
  priceId: 'price-1',
  ...over,
})

export const usage = (costNanoUsd: bigint, over: Partial<UsageDraft> = {}): UsageDraft => ({
  ...call(),
  operation: 'chat',
  servedModel: 'model-a-2026',
  outcome: 'completed',
  quality: 'measured',
  httpStatus: 200,
  tokens: {
    input: 11,
    cacheRead: 0,
    cacheWrite: null,
    cacheWrite1h: null,
    inputAudio: null,
    output: 7,
    reasoning: 2,
    outputAudio: null,
  },
  counts: {},
  costNanoUsd,
  providerCostNanoUsd: null,
  chargedNanoUsd: 0n,
  paidBy: 'tenant',
  billable: false,
  secretId: 'secret-1',
  secretVersion: 3,
  tags: {},
  durationMs: null,
  responseBytes: null,
  ...over,
})

/** A prepaid credit for the tenant's own account. */
export const newCredit = (
  tenantId: string,
  id: string,
  amount: bigint,
  over: Partial<NewEntry> = {},
): NewEntry => ({
  id,
  tenantId,
  account: { id: `tenant:${tenantId}`, depth: 0 },
  unit: 'usd',
  window: 'lifetime',
  zone: 'UTC',
  kind: 'credit',
  limitChange: amount,
  postedChange: 0n,
  paid: amount,
  note: '',
  ...over,
})

/** Tenants by id; `'child<parent'` makes a child. */
export async function tenants(storage: Storage, ...names: readonly string[]): Promise<void> {
  for (const name of names) {
    const [id = '', parentId = null] = name.split('<')
    await storage.tenants.create({ id, parentId, credentials: 'tenant' }, NONE)
  }
}

/** A tenant with a data key. */
export async function tenantWithDek(storage: Storage, tenantId: string): Promise<DekRecord> {
  await tenants(storage, tenantId)
  return storage.deks.create(newDek(tenantId, 1), NONE)
}
