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
/** What 32 callers hold at once is about 1,600 in each tree, so that each level refuses: in the first
 * tree its root, and its sub-organisations, whose pool takes over a little; in the second one level
 * below each sub-organisation. */
const TIGHT: readonly (readonly [account: RegExp, limit: bigint])[] = [
  [/^tenant:org-0$/, 900n],
  [/^tenant:org-0-\d$/, 400n],
  [/^tenant:org-1-0$/, 250n],
  [/^tenant:org-1-1-\d$/, 90n],
]
const TIGHT_KEYS: readonly [tenant: RegExp, limit: bigint] = [/^org-1-2-\d$/, 60n]
const POOL_LIMIT = 200n
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

/** Each account with the one above it. */
export const EDGES: readonly (readonly [child: string, parent: string])[] = [
  ...new Map(
    LEAVES.flatMap(({ path }) =>
      path.slice(1).map((parent, i) => [path[i]!.id, parent.id] as const),
    ),
  ),
]

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
  const poolKey = keyId(999)
  await storage.keys.create(newKey(org(0), 999, { keyId: poolKey }), NONE)
  const pool: AccountRef = { id: `key:${poolKey}`, depth: 1 }
  const budget = { unit: 'usd', window: 'lifetime', zone: 'UTC', source: 'explicit' } as const
  await storage.ledger.setBudget(
    { ...budget, tenantId: org(0), account: pool, limit: POOL_LIMIT },
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
      const overflow = account.depth === 1 && leaf.path[3]!.id === `tenant:${org(0)}` ? pool : null
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

/** Walks with `walkers` callers at once, each by random numbers of its own. */
export async function walkForest(
  storage: Storage,
  order: { readonly seed: number; readonly walkers: number; readonly forMs: number },
): Promise<Walked> {
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
    while (performance.now() < until && walked.failures.length < 20) {
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
