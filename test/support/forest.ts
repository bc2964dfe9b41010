/**
 * Trees of accounts four levels deep, walked by many callers whose paths overlap: what must hold of
 * the counters whatever they do.
 *
 * @module
 */
import type { AccountRef, Hold, ReserveItem } from '../../src/storage/ledger-records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { ask, settleOf, TTL_MS, usd } from '../../src/testing/storage-conformance/ledger-bench.ts'
import { NONE, newKey, tenants } from '../../src/testing/storage-conformance/samples.ts'
import { seeded } from './seeded.ts'

const ORGS = 2
const SUBS = 3
const TEAMS = 3
const KEYS = 2
const LOOSE = 1_000_000n
/** Each level refuses: in the first tree its root, and its sub-organisations, whose pool takes over a
 * little; in the second one level below each sub-organisation. */
const TIGHT: readonly (readonly [account: RegExp, limit: bigint])[] = [
  [/^tenant:org-0$/, 250n],
  [/^tenant:org-0-\d$/, 120n],
  [/^tenant:org-1-0$/, 75n],
  [/^tenant:org-1-1-\d$/, 60n],
]
const TIGHT_KEYS: readonly [tenant: RegExp, limit: bigint] = [/^org-1-2-\d$/, 40n]
const POOL_LIMIT = 60n
const MAX_AMOUNT = 80
/** Holds that nobody finishes are swept soon. */
const SHORT_TTL_MS = 400

export interface Leaf {
  readonly tenantId: string
  /** Key, team, sub-organisation, organisation. */
  readonly path: readonly AccountRef[]
}

const org = (o: number): string => `org-${o}`
const sub = (o: number, s: number): string => `org-${o}-${s}`
const team = (o: number, s: number, t: number): string => `org-${o}-${s}-${t}`
const keyId = (n: number): string => `key${String(n).padStart(13, '0')}`
const tenantAt = (tenantId: string, depth: number): AccountRef => ({
  id: `tenant:${tenantId}`,
  depth,
})
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

/** The tree whose sub-organisations have a pool, and the pool. */
const POOLED = 'tenant:org-0'
const POOL_KEY = keyId(999)
const POOL: AccountRef = { id: `key:${POOL_KEY}`, depth: 1 }

export const ROOTS: readonly string[] = upTo(ORGS).map(org)

export const LEAVES: readonly Leaf[] = upTo(ORGS * SUBS * TEAMS * KEYS).map((n) => {
  const [t, s, o] = [
    Math.floor(n / KEYS) % TEAMS,
    Math.floor(n / KEYS / TEAMS) % SUBS,
    Math.floor(n / KEYS / TEAMS / SUBS),
  ]
  return {
    tenantId: team(o, s, t),
    path: [
      { id: `key:${keyId(n + 1)}`, depth: 3 },
      tenantAt(team(o, s, t), 2),
      tenantAt(sub(o, s), 1),
      tenantAt(org(o), 0),
    ],
  }
})

/** Together, the accounts `above` hold at least what the accounts `below` do. */
export interface Shelf {
  readonly above: readonly string[]
  readonly below: readonly string[]
}

/** A parent and its children; where a pool may stand in for any of the parents, all of these and the
 * pool together. */
export const SHELVES: readonly Shelf[] = shelves()

function shelves(): Shelf[] {
  const below = new Map<string, Set<string>>()
  for (const { path } of LEAVES) {
    for (const [i, parent] of path.slice(1).entries()) {
      const pooled = parent.depth === 1 && path[3]!.id === POOLED
      const key = pooled ? 'pooled' : parent.id
      below.set(key, (below.get(key) ?? new Set()).add(path[i]!.id))
    }
  }
  below.get(POOLED)!.add(POOL.id)
  return [...below].map(([parent, children]) => ({
    above: parent === 'pooled' ? [...below.get(POOLED)!] : [parent],
    below: [...children],
  }))
}

/** Makes the tenants, keys and budgets. What a sub-organisation of the first tree refuses is taken over
 * by a pool beside it. */
export async function plantForest(storage: Storage): Promise<void> {
  for (const o of upTo(ORGS)) {
    await tenants(storage, org(o))
    for (const s of upTo(SUBS)) {
      await tenants(storage, `${sub(o, s)}<${org(o)}`)
      for (const t of upTo(TEAMS)) await tenants(storage, `${team(o, s, t)}<${sub(o, s)}`)
    }
  }
  await storage.keys.create(newKey(org(0), 999, { keyId: POOL_KEY }), NONE)
  const budget = { unit: 'usd', window: 'lifetime', zone: 'UTC', source: 'explicit' } as const
  await storage.ledger.setBudget(
    { ...budget, tenantId: org(0), account: POOL, limit: POOL_LIMIT },
    NONE,
  )
  const made = new Set<string>()
  for (const [n, leaf] of LEAVES.entries()) {
    await storage.keys.create(newKey(leaf.tenantId, n + 1, { keyId: keyId(n + 1) }), NONE)
    for (const account of leaf.path) {
      if (made.has(account.id)) continue
      made.add(account.id)
      const [, name = ''] = account.id.split(':')
      const tenantId = account.id.startsWith('key:') ? leaf.tenantId : name
      const overflow = account.depth === 1 && leaf.path[3]!.id === POOLED ? POOL : null
      const limit = limitOf(tenantId, account)
      await storage.ledger.setBudget({ ...budget, tenantId, account, limit, overflow }, NONE)
    }
  }
}

function limitOf(tenantId: string, account: AccountRef): bigint {
  const [tenant, limit] = TIGHT_KEYS
  if (account.id.startsWith('key:')) return tenant.test(tenantId) ? limit : LOOSE
  return TIGHT.find(([pattern]) => pattern.test(account.id))?.[1] ?? LOOSE
}

export interface Walked {
  operations: number
  admitted: number
  /** Refusals by the depth of the account that refused. */
  readonly refusedAt: [number, number, number, number]
  overflowed: number
  swept: number
  readonly failures: string[]
}

export interface WalkOrder {
  readonly seed: number
  readonly walkers: number
  /** Every walker ends after this many steps, or after this time in ms, whichever comes first. */
  readonly steps: number
  readonly forMs: number
}

/** Walks with `walkers` callers at once, each by random numbers of its own. */
export async function walkForest(storage: Storage, order: WalkOrder): Promise<Walked> {
  const walked: Walked = {
    operations: 0,
    admitted: 0,
    refusedAt: [0, 0, 0, 0],
    overflowed: 0,
    swept: 0,
    failures: [],
  }
  const until = performance.now() + order.forMs
  const walk = async (n: number): Promise<void> => {
    const random = seeded(order.seed * 1000 + n)
    for (let steps = 0; steps < order.steps && performance.now() < until; steps++) {
      if (walked.failures.length > 20) return
      await step(storage, random, walked).catch((error: unknown) => {
        const { code, stack } = error as { code?: string; stack?: string }
        walked.failures.push(`${code} ${stack ?? error}`)
      })
    }
  }
  await Promise.all(upTo(order.walkers).map(walk))
  return walked
}

async function step(
  storage: Storage,
  random: (below: number) => number,
  walked: Walked,
): Promise<void> {
  const { ledger } = storage
  const dice = random(100)
  walked.operations++
  if (dice < 3) {
    walked.swept += await ledger.sweep(16)
    return
  }
  if (dice < 6) {
    const leaf = LEAVES[random(LEAVES.length)]!
    await ledger.budgets(leaf.tenantId)
    return
  }
  const items = upTo(1 + random(4)).map((): ReserveItem => {
    const leaf = LEAVES[random(LEAVES.length)]!
    // A call of a key, or of the tenant itself.
    const accounts = leaf.path.slice(random(2))
    const ttlMs = random(20) === 0 ? SHORT_TTL_MS : TTL_MS
    return ask(leaf.tenantId, BigInt(1 + random(MAX_AMOUNT)), { accounts, ttlMs })
  })
  const results = await ledger.reserve(items)
  const held: ReserveItem[] = []
  for (const [i, result] of results.entries()) {
    if (result.ok) {
      walked.admitted++
      walked.overflowed += result.overflows.length
      held.push(items[i]!)
      continue
    }
    if (result.denial === null) throw new Error(`refused: ${result.code}`)
    const refuser = items[i]!.accounts.find(({ id }) => id === result.denial.accountId)
    walked.refusedAt[(refuser?.depth ?? 1) as 0 | 1 | 2 | 3]++
  }
  const finish = held.filter(({ ttlMs }) => ttlMs !== SHORT_TTL_MS)
  const voided = finish.filter(() => random(2) === 0)
  const settled = finish.filter((item) => !voided.includes(item))
  for (const { holdId, tenantId, amounts } of settled.filter(() => random(4) === 0)) {
    const more = usd((amounts.usd ?? 0n) + BigInt(random(20)))
    await ledger.extend([{ holdId, tenantId, sequence: 1, amounts: more, ttlMs: TTL_MS }])
  }
  // Mostly for nothing, or the trees would be full at once.
  const cost = (): bigint => BigInt(random(50) === 0 ? 1 : 0)
  if (settled.length > 0) {
    await ledger.settle(settled.map((item) => settleOf(item.tenantId, item.holdId, cost())))
  }
  if (voided.length > 0) {
    await ledger.void(voided.map(({ holdId, tenantId }) => ({ holdId, tenantId })))
  }
}

/** @returns holds that lie on a part of their path only: every account has one budget. */
export function partialHolds(holds: readonly Hold[]): string[] {
  return holds
    .filter((hold) => hold.lines.length !== hold.accounts.length)
    .map((hold) => `${hold.id}: ${hold.lines.length} of ${hold.accounts.length}`)
}
