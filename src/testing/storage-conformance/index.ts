/**
 * The conformance suite of the Storage port. Every case opens with the clause it holds a store to;
 * the clauses are in `storage/storage.ts` and docs/ports.md. The runner is passed in, so any test
 * framework with `describe`, `test` and `test.skip` will do.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { WallClock } from '../../kernel/clock.ts'
import type { Storage, StorageCapabilities } from '../../storage/storage.ts'
import { fakeClock } from '../fake-clock.ts'
import { atomicityCases } from './atomicity.ts'
import { auditCases } from './audit.ts'
import type { ConformanceCase } from './case.ts'
import { isolationCases } from './isolation.ts'
import { epochCases, keyCases } from './keys.ts'
import { alertCases } from './ledger-alerts.ts'
import { batchCases } from './ledger-batches.ts'
import { entryCases } from './ledger-entries.ts'
import { expiryCases } from './ledger-expiry.ts'
import { pathCases } from './ledger-paths.ts'
import { periodCases } from './ledger-periods.ts'
import { poisonCases } from './ledger-poison.ts'
import { poolCases } from './ledger-pools.ts'
import { rateCases } from './ledger-rates.ts'
import { repriceCases } from './ledger-reprice.ts'
import { holdCases } from './ledger-states.ts'
import { unitCases } from './ledger-units.ts'
import { windowCases } from './ledger-windows.ts'
import { factoryCases, lifecycleCases } from './lifecycle.ts'
import { outboxCases } from './outbox.ts'
import { pinCases } from './pins.ts'
import { planCases } from './plans.ts'
import { pushCases } from './push.ts'
import { secrecyCases } from './secrecy.ts'
import { secretCases } from './secrets.ts'
import { tenantCases } from './tenants.ts'
import { usageCases } from './usage.ts'
import { usageQueryCases } from './usage-queries.ts'

/** What the suite needs of a test framework: `{ describe, test }` of vitest, node:test or jest. */
export interface ConformanceRunner {
  describe(title: string, body: () => void): unknown
  readonly test: {
    (title: string, body: () => Promise<void>): unknown
    skip(title: string, body: () => Promise<void>): unknown
  }
}

/** One store of its own, with nothing in it. */
export interface StoreUnderTest {
  readonly storage: Storage
  /** Opens a second handle on the same data, as another process would. Needed when `durable`. */
  reopen?(): Promise<Storage>
  /** Makes the backend fail from now on, for example by overwriting its file. Needed when `durable`. */
  breakBackend?(): Promise<void>
  /** Removes everything; called once, after the store was closed. */
  dispose(): Promise<void>
}

export interface ConformanceOptions {
  /** What the store says of itself; decides which cases are left out. */
  readonly capabilities: StorageCapabilities
  /** A new, empty store that takes its time from `clock` and shares nothing with any other. */
  make(options: { readonly clock: WallClock }): Promise<StoreUnderTest>
}

const GROUPS: Readonly<Record<string, readonly ConformanceCase[]>> = {
  factory: factoryCases,
  lifecycle: lifecycleCases,
  pins: pinCases,
  atomicity: atomicityCases,
  isolation: isolationCases,
  secrecy: secrecyCases,
  tenants: tenantCases,
  plans: planCases,
  keys: keyCases,
  epoch: epochCases,
  push: pushCases,
  secrets: secretCases,
  'ledger: batches': batchCases,
  'ledger: poison': poisonCases,
  'ledger: holds': holdCases,
  'ledger: expiry': expiryCases,
  'ledger: paths': pathCases,
  'ledger: windows': windowCases,
  'ledger: periods': periodCases,
  'ledger: units': unitCases,
  'ledger: rates': rateCases,
  'ledger: pools': poolCases,
  'ledger: alerts': alertCases,
  'ledger: entries': entryCases,
  'ledger: prices': repriceCases,
  usage: usageCases,
  'usage: queries': usageQueryCases,
  outbox: outboxCases,
  audit: auditCases,
}

/** Declares the suite for one store. */
export function storageConformance(runner: ConformanceRunner, options: ConformanceOptions): void {
  const { capabilities } = options
  runner.describe(`Storage: ${capabilities.name}`, () => {
    runner.test('the store says of itself what the suite was told', () =>
      withStore(options, async ({ storage }) => {
        assert.equal(storage.contractVersion, 1)
        assert.deepEqual({ ...storage.capabilities }, { ...capabilities })
      }),
    )
    for (const [group, cases] of Object.entries(GROUPS)) {
      runner.describe(group, () => {
        for (const { title, needs, run } of cases) {
          const body = (): Promise<void> => withStore(options, run)
          if (needs === undefined || capabilities[needs]) runner.test(title, body)
          else runner.test.skip(`${title} (skipped: the store says ${needs}: false)`, body)
        }
      })
    }
  })
}

async function withStore(options: ConformanceOptions, run: ConformanceCase['run']): Promise<void> {
  const clock = fakeClock()
  const made: StoreUnderTest[] = []
  const open: Storage[] = []
  const make = async (): Promise<StoreUnderTest> => {
    const store = await options.make({ clock })
    made.push(store)
    open.push(store.storage)
    await store.storage.migrate()
    return store
  }
  try {
    const store = await make()
    await run({
      storage: store.storage,
      clock,
      another: async () => {
        assert.ok(store.reopen, 'a durable store needs reopen()')
        const storage = await store.reopen()
        open.push(storage)
        return storage
      },
      breakBackend: async () => {
        assert.ok(store.breakBackend, 'a durable store needs breakBackend()')
        await store.breakBackend()
      },
      separate: async () => (await make()).storage,
    })
  } finally {
    // A broken backend may refuse to close; what failed before says more.
    await Promise.allSettled(open.map((storage) => storage.close()))
    await Promise.all(made.map((store) => store.dispose()))
  }
}
