/**
 * Who pays in the benches of the ledger: trees of four tenants, a budget for a lifetime on each.
 *
 * @module
 */
import { randomUUID } from 'node:crypto'

const ASK = 5n
export const ACTUAL = 4n
const TTL_MS = 600_000
const PLENTY = 10n ** 15n
const CALL = {
  callId: 'call',
  keyId: null,
  scope: 'support:chat',
  provider: 'openai',
  model: 'gpt-4o-mini',
  priceId: null,
}

/** @returns {Promise<{ tenantId: string, accounts: object[] }[]>} a path, leaf first, of each tree. */
export async function plantTrees(storage, count, limit = PLENTY) {
  const paths = []
  for (let tree = 0; tree < count; tree++) {
    const names = ['root', 'org', 'team', 'leaf'].map((level) => `${level}-${tree}`)
    for (const [depth, id] of names.entries()) {
      await storage.tenants.create(
        { id, parentId: names[depth - 1] ?? null, credentials: 'platform' },
        {},
      )
      const account = { id: `tenant:${id}`, depth }
      const budget = { tenantId: id, account, unit: 'usd', window: 'lifetime', zone: 'UTC' }
      await storage.ledger.setBudget({ ...budget, limit, source: 'explicit' }, {})
    }
    const accounts = names.map((id, depth) => ({ id: `tenant:${id}`, depth })).reverse()
    paths.push({ tenantId: names[3], accounts })
  }
  return paths
}

/** A UUIDv7, as the corridor makes them: what is written one after the other lies side by side. */
function newId() {
  const ms = Date.now().toString(16).padStart(12, '0')
  return `${ms.slice(0, 8)}-${ms.slice(8)}-7${randomUUID().slice(15)}`
}

export const reserveItem = ({ tenantId, accounts }, amount = ASK) => ({
  holdId: newId(),
  tenantId,
  accounts,
  amounts: { usd: amount },
  paidBy: 'platform',
  ttlMs: TTL_MS,
  call: CALL,
})

export const settleItem = ({ holdId, tenantId }) => ({
  holdId,
  tenantId,
  actual: { usd: ACTUAL },
  usage: {
    ...CALL,
    operation: 'chat',
    servedModel: 'gpt-4o-mini',
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
      reasoning: null,
      outputAudio: null,
    },
    counts: {},
    costNanoUsd: ACTUAL,
    providerCostNanoUsd: null,
    chargedNanoUsd: ACTUAL,
    paidBy: 'platform',
    billable: true,
    secretId: null,
    secretVersion: null,
    tags: {},
    durationMs: null,
    responseBytes: null,
  },
})

/** `count` requests, on the paths in turn. */
export const requests = (paths, count) =>
  Array.from({ length: count }, (_, i) => reserveItem(paths[i % paths.length]))

/** Reserves `count` holds and hands them out to be settled. */
export async function holdsOf(reserve, paths, count) {
  const items = requests(paths, count)
  for (let at = 0; at < count; at += 256) await reserve(items.slice(at, at + 256))
  return items
}

/** @throws Error when an operation was not admitted: a bench of refusals measures something else. */
export function admitted(answer) {
  if (!answer.ok) throw new Error(`refused: ${answer.code}`)
  return answer
}
