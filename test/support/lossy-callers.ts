/**
 * Callers whose replies get lost, each with a model beside it: a budget is simple arithmetic when one
 * caller at a time uses it.
 *
 * @module
 */
import type { AccountRef } from '../../src/storage/ledger-records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import {
  ask,
  codeOf,
  settleOf,
  tenantAccount,
  usd,
} from '../../src/testing/storage-conformance/ledger-bench.ts'
import { NONE, tenants } from '../../src/testing/storage-conformance/samples.ts'
import { type Endured, endure } from './endure.ts'
import { seeded } from './seeded.ts'

const LIMIT = 20_000n
/** Longer than any run. */
const TTL_MS = 86_400_000

/** What the caller's counter must say. */
export interface ModelledCaller {
  readonly tenantId: string
  posted: bigint
  held: bigint
  settled: number
  /** Answers that were not as the model has them. */
  readonly wrong: string[]
}

export async function makeCaller(storage: Storage, tenantId: string): Promise<ModelledCaller> {
  await tenants(storage, `${tenantId}<org`)
  const account = tenantAccount(tenantId, 1)
  const budget = { unit: 'usd', window: 'lifetime', zone: 'UTC', source: 'explicit' } as const
  await storage.ledger.setBudget({ ...budget, tenantId, account, limit: LIMIT }, NONE)
  return { tenantId, posted: 0n, held: 0n, settled: 0, wrong: [] }
}

interface Live {
  readonly holdId: string
  held: bigint
  sequence: number
}

/** Makes `operations` commands one after the other, each repeated by its id until it is answered.
 * @param options.before - is told of each command before it is made. */
export async function callAlong(
  storage: Storage,
  caller: ModelledCaller,
  options: { operations: number; seed: number; seen: Endured; before(): void },
): Promise<void> {
  const { operations, seed, seen, before } = options
  const { tenantId } = caller
  const { ledger } = storage
  const random = seeded(seed)
  const accounts: AccountRef[] = [tenantAccount(tenantId, 1), tenantAccount('org', 0)]
  const live: Live[] = []
  const check = (what: string, got: string, wanted: string): void => {
    if (got !== wanted) caller.wrong.push(`${what}: ${got}, not ${wanted}`)
  }
  const fits = (more: bigint): string => {
    if (more <= LIMIT - caller.posted - caller.held) return 'ok'
    return more > LIMIT - caller.posted ? 'TK_BUDGET_EXHAUSTED' : 'TK_BUDGET_CONTENDED'
  }
  for (let n = 0; n < operations; n++) {
    before()
    const one = live.length > 4 || random(3) === 0 ? live[random(live.length)] : undefined
    if (one === undefined) {
      const amount = BigInt(random(3_000))
      const item = ask(tenantId, amount, { accounts, ttlMs: TTL_MS })
      const wanted = fits(amount)
      const [result] = await endure(seen, () => ledger.reserve([item]))
      check('reserve', codeOf(result!), wanted)
      if (!result?.ok) continue
      caller.held += amount
      live.push({ holdId: item.holdId, held: amount, sequence: 0 })
      continue
    }
    const { holdId } = one
    const dice = random(3)
    if (dice === 0) {
      const total = one.held + BigInt(random(500))
      const wanted = fits(total - one.held)
      const extend = {
        holdId,
        tenantId,
        sequence: ++one.sequence,
        amounts: usd(total),
        ttlMs: TTL_MS,
      }
      const [result] = await endure(seen, () => ledger.extend([extend]))
      check('extend', codeOf(result!), wanted)
      if (!result?.ok) {
        one.sequence--
        continue
      }
      caller.held += total - one.held
      one.held = total
      continue
    }
    live.splice(live.indexOf(one), 1)
    caller.held -= one.held
    if (dice === 1) {
      const [result] = await endure(seen, () => ledger.void([{ holdId, tenantId }]))
      check('void', codeOf(result!), 'ok')
    } else {
      // Nearly nothing, so that the budget lasts; now and then more than was held.
      const actual = random(50) === 0 ? one.held + 5n : BigInt(random(3))
      const [result] = await endure(seen, () => ledger.settle([settleOf(tenantId, holdId, actual)]))
      check('settle', codeOf(result!), 'ok')
      caller.posted += actual
      caller.settled++
    }
  }
}
