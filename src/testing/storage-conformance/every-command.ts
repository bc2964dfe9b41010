/**
 * Every command of the port with arguments that a store takes, for the clauses that speak of all of
 * them. The type makes a forgotten command a compile error.
 *
 * @module
 */
import { uuidv7 } from '../../kernel/ids.ts'
import type { Storage } from '../../storage/storage.ts'
import {
  ALL,
  call,
  goodAlso,
  keyIdOf,
  newCredit,
  newDek,
  newKey,
  newSecret,
  usage,
} from './samples.ts'

type Families = Pick<
  Storage,
  'tenants' | 'keys' | 'secrets' | 'deks' | 'ledger' | 'usage' | 'outbox' | 'audit'
>
type Calls<T> = { readonly [C in keyof T]-?: () => Promise<unknown> }
type CallsOfAll = { readonly [F in keyof Families]: Calls<Families[F]> }

export interface NamedCall {
  readonly name: string
  run(): Promise<unknown>
}

/** Commands about tenant `acme`, whether it exists or not. */
export function everyCommand(storage: Storage): readonly NamedCall[] {
  const tenantId = 'acme'
  const accounts = [{ id: `tenant:${tenantId}`, depth: 0 }]
  const also = goodAlso(null, 'every-command')
  const amounts = { usd: 1n }
  const holdId = uuidv7()
  const key = { tenantId, keyId: keyIdOf(1) }
  const secret = { tenantId, provider: 'openai', name: 'default' }
  const budget = { tenantId, account: accounts[0]!, unit: 'usd', window: 'month' } as const
  const families: CallsOfAll = {
    tenants: {
      create: () => {
        const tenant = { id: 'other', parentId: null, credentials: 'tenant' } as const
        return storage.tenants.create(tenant, also)
      },
      get: () => storage.tenants.get(tenantId),
      list: () => storage.tenants.list({ parentId: null, ...ALL }),
      setPlan: () => {
        const change = { plan: { name: 'pro', version: 1 }, budgets: [], credentials: null }
        return storage.tenants.setPlan({ tenantId, onlyIfOlder: false, ...change }, also)
      },
      listByPlan: () => storage.tenants.listByPlan({ plan: 'pro', ...ALL }),
    },
    keys: {
      create: () => storage.keys.create(newKey(tenantId, 1), also),
      find: () => storage.keys.find(key.keyId),
      get: () => storage.keys.get(key),
      list: () => storage.keys.list({ tenantId, ...ALL }),
      setState: () => storage.keys.setState({ ...key, state: 'disabled' }, also),
    },
    secrets: {
      put: () => storage.secrets.put(newSecret(tenantId, uuidv7()), also),
      get: () => storage.secrets.get(secret),
      list: () => storage.secrets.list({ tenantId, ...ALL }),
      delete: () => storage.secrets.delete(secret, also),
    },
    deks: {
      current: () => storage.deks.current(tenantId),
      get: () => storage.deks.get({ tenantId, dekId: uuidv7() }),
      create: () => storage.deks.create(newDek(tenantId, 1), also),
    },
    ledger: {
      setBudget: () =>
        storage.ledger.setBudget({ ...budget, zone: 'UTC', limit: 10n, source: 'explicit' }, also),
      setLimits: () => storage.ledger.setLimits([{ ...budget, limit: 10n }], also),
      removeBudget: () => storage.ledger.removeBudget(budget, also),
      budgets: () => storage.ledger.budgets(tenantId),
      periods: () => storage.ledger.periods({ ...budget, limit: 10 }),
      reserve: () =>
        storage.ledger.reserve([
          { holdId, tenantId, accounts, amounts, ttlMs: 60_000, call: call() },
        ]),
      preview: () => storage.ledger.preview({ tenantId, accounts, amounts }),
      extend: () =>
        storage.ledger.extend([{ holdId, tenantId, sequence: 1, amounts, ttlMs: 60_000 }]),
      settle: () =>
        storage.ledger.settle([{ holdId, tenantId, actual: amounts, usage: usage(1n) }]),
      void: () => storage.ledger.void([{ holdId, tenantId }]),
      sweep: () => storage.ledger.sweep(10),
      hold: () => storage.ledger.hold({ tenantId, holdId }),
      post: () => storage.ledger.post(newCredit(tenantId, 'credit-1', 10n), also),
      audit: () => storage.ledger.audit(tenantId),
      repair: () => storage.ledger.repair({ kind: 'usage', tenantId, holdId }, also),
      reprice: () =>
        storage.ledger.reprice(
          {
            tenantId,
            id: holdId,
            was: { priceId: 'price-1', costNanoUsd: 1n },
            becomes: {
              priceId: 'price-2',
              costNanoUsd: 2n,
              chargedNanoUsd: 0n,
              quality: 'measured',
            },
          },
          also,
        ),
      prune: () => storage.ledger.prune({ olderThanMs: 172_800_000, limit: 10 }),
    },
    usage: {
      totals: () => storage.usage.totals({ tenantId, fromMs: null, untilMs: null, by: [] }),
      list: () =>
        storage.usage.list({ tenantId, fromMs: null, untilMs: null, after: null, limit: 10 }),
      get: () => storage.usage.get({ tenantId, id: holdId }),
    },
    outbox: {
      lease: () => storage.outbox.lease({ limit: 10, leaseMs: 1000 }),
      ack: () => storage.outbox.ack({ leaseId: uuidv7(), ids: ['none'] }),
      release: () => storage.outbox.release({ leaseId: uuidv7(), ids: ['none'], delayMs: 0 }),
      quarantine: () =>
        storage.outbox.quarantine({ leaseId: uuidv7(), events: [{ id: 'none', reason: 'none' }] }),
      quarantined: () => storage.outbox.quarantined(ALL),
      requeue: () => storage.outbox.requeue(['none'], also),
      backlog: () => storage.outbox.backlog({ limit: 1000 }),
    },
    audit: { list: () => storage.audit.list({ rootId: tenantId, ...ALL }) },
  }
  const named = Object.entries(families).flatMap(([family, calls]) =>
    Object.entries(calls as Record<string, () => Promise<unknown>>).map(([name, run]) => ({
      name: `${family}.${name}`,
      run,
    })),
  )
  return [
    { name: 'migrate', run: () => storage.migrate() },
    { name: 'epoch', run: () => storage.epoch() },
    { name: 'pin', run: () => storage.pin('sample', 'made up') },
    ...named,
  ]
}
