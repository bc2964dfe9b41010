/**
 * The tree that a crash test runs on: four levels of tenants, a budget on each, some so narrow that
 * callers stand at the limit all the time. A narrow budget is credited again and again, so that money
 * keeps moving there.
 *
 * @module
 */
import type { AccountRef } from '../../storage/ledger-records.ts'
import type { Storage } from '../../storage/storage.ts'

export interface SceneAccount {
  readonly tenantId: string
  readonly account: AccountRef
  /** What is left is raised to this when less than half of it is, in nano-USD. */
  readonly roomNanoUsd: bigint
}

/** A leaf, and the path from it to the root. */
export interface SceneLeaf {
  readonly tenantId: string
  readonly path: readonly AccountRef[]
}

export const MAX_ASK_NANO_USD = 2_000_000
const WIDE = BigInt(MAX_ASK_NANO_USD) * 1_000_000_000n
const NARROW_TEAM = BigInt(MAX_ASK_NANO_USD) * 4n
const NARROW_LEAF = BigInt(MAX_ASK_NANO_USD) * 2n

export const ROOT = 'root'
const ORGS = ['org-1', 'org-2']
const TEAMS = ORGS.flatMap((org) => [1, 2].map((n) => ({ id: `${org}-team-${n}`, org })))
const LEAVES = TEAMS.flatMap((team) =>
  [1, 2].map((n) => ({ ...team, leaf: `${team.id}-leaf-${n}` })),
)

const refOf = (tenantId: string, depth: number): AccountRef => ({ id: `tenant:${tenantId}`, depth })

const ACCOUNTS: readonly SceneAccount[] = [
  { tenantId: ROOT, account: refOf(ROOT, 0), roomNanoUsd: WIDE },
  ...ORGS.map((id) => ({ tenantId: id, account: refOf(id, 1), roomNanoUsd: WIDE })),
  ...TEAMS.map(({ id }, i) => ({
    tenantId: id,
    account: refOf(id, 2),
    roomNanoUsd: i === 0 ? NARROW_TEAM : WIDE,
  })),
  ...LEAVES.map(({ leaf }, i) => ({
    tenantId: leaf,
    account: refOf(leaf, 3),
    roomNanoUsd: i % 2 === 1 ? NARROW_LEAF : WIDE,
  })),
]

export const PATHS: readonly SceneLeaf[] = LEAVES.map(({ leaf, id, org }) => ({
  tenantId: leaf,
  path: [refOf(leaf, 3), refOf(id, 2), refOf(org, 1), refOf(ROOT, 0)],
}))

export async function setScene(storage: Storage): Promise<void> {
  const parents = new Map(
    LEAVES.flatMap(({ leaf, id, org }) => [
      [leaf, id],
      [id, org],
      [org, ROOT],
    ]),
  )
  for (const { tenantId, account, roomNanoUsd } of ACCOUNTS) {
    const parentId = parents.get(tenantId) ?? null
    await storage.tenants.create({ id: tenantId, parentId, credentials: 'tenant' }, {})
    const budget = { tenantId, account, unit: 'usd', window: 'lifetime', zone: 'UTC' } as const
    await storage.ledger.setBudget({ ...budget, limit: roomNanoUsd, source: 'explicit' }, {})
  }
}

/** Credits every narrow budget of which less than half is left. One that was passed is left as it is:
 * a credit would hide it. */
export async function topUp(storage: Storage, round: number): Promise<void> {
  for (const { tenantId, account, roomNanoUsd } of ACCOUNTS) {
    if (roomNanoUsd === WIDE) continue
    const [line] = await storage.ledger.budgets(tenantId)
    if (!line || line.posted + line.held > line.limit) continue
    if (line.limit - line.posted > roomNanoUsd / 2n) continue
    const credit = { kind: 'credit', limitChange: roomNanoUsd, paid: roomNanoUsd } as const
    const budget = { tenantId, account, unit: 'usd', window: 'lifetime', zone: 'UTC' } as const
    await storage.ledger.post(
      { ...budget, ...credit, id: `round-${round}`, postedChange: 0n, note: '' },
      {},
    )
  }
}
