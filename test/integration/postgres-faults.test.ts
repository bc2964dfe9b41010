import { isDeepStrictEqual } from 'node:util'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { findDrifts } from '../../src/budgets/reconcile.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { ask, ledgerBench, settleOf } from '../../src/testing/storage-conformance/ledger-bench.ts'
import { tenants } from '../../src/testing/storage-conformance/samples.ts'
import { endure, newEndured } from '../support/endure.ts'
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts'
import { callAlong, makeCaller } from '../support/lossy-callers.ts'
import { HOST_ROLE, migrated, type OpenStore, openStore } from '../support/open-store.ts'
import {
  POSTGRES_KINDS,
  postgresServer,
  skipsPostgres,
  type TestDatabase,
} from '../support/postgres-server.ts'

const FULL = process.env.TENANTKEYS_FORCE === '1'
const OPERATIONS = FULL ? 100_000 : 2_000
const CALLERS = 16
/** How often the network changes in so many operations. */
const TURNS = FULL ? 50 : 10
const KINDS = FULL ? POSTGRES_KINDS : POSTGRES_KINDS.slice(0, 1)
const SEED = 5
/** How long the host's client waits for a statement; nothing of ours may wait much longer. */
const QUERY_MS = 1_500

describe.each(KINDS)('a bad network before PostgreSQL %s', (kind) => {
  describe.skipIf(skipsPostgres(kind))('', () => {
    let database: TestDatabase
    let proxy: FaultProxy
    let store: OpenStore
    let behind: Storage
    const closing: (() => Promise<void>)[] = []

    beforeAll(async () => {
      database = await (await postgresServer(kind)).freshDatabase()
      await migrated(database)
    })
    afterEach(async () => {
      for (const close of closing.splice(0)) await close()
    })

    /** A store whose connections go through a proxy, and one beside it whose do not. */
    async function open(): Promise<void> {
      proxy = await startFaultProxy(database.server.port, SEED)
      const url = database.url(HOST_ROLE)
      const through = url.replace(`:${database.server.port}/`, `:${proxy.port}/`)
      store = openStore({ kind: 'postgres', url: through, connections: CALLERS, queryMs: QUERY_MS })
      const direct = openStore({ kind: 'postgres', url })
      behind = direct.storage
      closing.push(() => proxy.close(), store.close, direct.close)
    }

    it(`T-B5 one reply in ten is lost, connections are cut, half open and slow: after ${OPERATIONS} operations the counters are what the model says`, async () => {
      await open()
      await tenants(behind, 'org')
      const callers = await Promise.all(
        Array.from({ length: CALLERS }, (_, n) => makeCaller(behind, `lossy-${n}`)),
      )
      const seen = newEndured()
      const always = { lostReplies: 100 }
      proxy.set(always)
      const broken = { cut: 0, halfOpen: 0 }
      // In turns, each as long as the others.
      const weather: readonly (() => void)[] = [
        () => {
          broken.halfOpen += proxy.halfOpen()
        },
        () => {
          broken.cut += proxy.cut()
        },
        () => proxy.set({ ...always, delayMs: 20 }),
        () => proxy.set({ ...always, lostCommands: 50 }),
        () => proxy.set(always),
      ]
      let begun = 0
      const before = (): void => {
        const turn = ++begun / (OPERATIONS / TURNS)
        if (Number.isInteger(turn)) weather[turn % weather.length]!()
      }
      const startedMs = performance.now()
      const operations = OPERATIONS / CALLERS
      await Promise.all(
        callers.map((caller, seed) =>
          callAlong(store.storage, caller, { operations, seed, seen, before }),
        ),
      )
      const seconds = (performance.now() - startedMs) / 1000
      const { replies, lostReplies, lostCommands } = proxy.counts
      const books = await Promise.all(
        callers.map(async ({ tenantId, posted, held, settled }) => {
          const query = { tenantId, fromMs: null, untilMs: null, by: [] }
          const [line, usage] = await Promise.all([
            behind.ledger.budgets(tenantId).then((lines) => lines[0]),
            behind.usage.totals(query).then((rows) => rows[0]),
          ])
          const stored = { posted: line?.posted, held: line?.held, settled: usage?.calls ?? 0 }
          return { stored, modelled: { posted, held, settled } }
        }),
      )
      const isOff = ({ stored, modelled }: (typeof books)[number]): boolean =>
        !isDeepStrictEqual(stored, modelled)
      const drifts = findDrifts((await behind.ledger.audit('org'))!, 0)
      console.table([
        {
          kind,
          operations: OPERATIONS,
          replies,
          'replies lost': lostReplies,
          'commands lost': lostCommands,
          'connections cut': broken.cut,
          'half-opened': broken.halfOpen,
          errors: JSON.stringify(seen.errors),
          'longest attempt, ms': Math.round(seen.longestMs),
          seconds: Math.round(seconds),
          settled: callers.reduce((sum, { settled }) => sum + settled, 0),
          'answers unlike the model': callers.flatMap((caller) => caller.wrong).length,
          'counters unlike the model': books.filter(isOff).length,
          drifts: drifts.length,
        },
      ])
      expect(callers.flatMap((caller) => caller.wrong)).toEqual([])
      expect(lostReplies).toBeGreaterThan(OPERATIONS / 20)
      expect(Math.min(broken.cut, broken.halfOpen, lostCommands)).toBeGreaterThan(0)
      expect(books.map(({ stored }) => stored)).toEqual(books.map(({ modelled }) => modelled))
      expect(drifts).toEqual([])
    }, 3_600_000)

    const faults: readonly (readonly [string, () => void])[] = [
      ['delay', () => proxy.set({ delayMs: 30 })],
      ['silence', () => proxy.set({ partitioned: true })],
      [
        'refusal',
        () => {
          proxy.set({ refusing: true })
          proxy.cut()
        },
      ],
      [
        'a cut',
        () => {
          proxy.cut()
        },
      ],
      [
        'half-open connections',
        () => {
          proxy.halfOpen()
        },
      ],
      ['lost commands', () => proxy.set({ lostCommands: 500 })],
      ['replies lost in silence', () => proxy.set({ lostReplies: 500, losing: 'silence' })],
    ]
    it.each(faults)(
      '%s: every command ends, with a typed error if it fails, and all is well again afterwards',
      async (name, fault) => {
        await open()
        const tenantId = `fault-${name.replaceAll(' ', '-')}`
        const bench = await ledgerBench(behind, { limit: 10n ** 12n, tenantId })
        const { ledger } = store.storage
        // Connections are open, and some are in use, when it happens.
        const items = Array.from({ length: CALLERS }, () =>
          ask(tenantId, 10n, { ttlMs: 3_600_000 }),
        )
        const seen = newEndured()
        await Promise.all(items.map((item) => endure(seen, () => ledger.reserve([item]))))
        const startedMs = performance.now()
        const commands: (() => Promise<unknown>)[] = [
          ...items.map((item) => () => ledger.settle([settleOf(tenantId, item.holdId, 1n)])),
          () => ledger.budgets(tenantId),
          () => store.storage.epoch(),
          () => store.storage.tenants.get(tenantId),
          () => store.storage.usage.totals({ tenantId, fromMs: null, untilMs: null, by: [] }),
          () => bench.setLimit(10n ** 12n + 1n),
          () => store.storage.outbox.lease({ limit: 1, leaseMs: 1 }),
        ]
        const running = commands.map((command) => command())
        fault()
        const outcomes = await Promise.allSettled([
          ...running,
          ...commands.map((command) => command()),
        ])
        const longestMs = performance.now() - startedMs
        const errors = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
        for (const error of errors) {
          expect(TenantKeysError.isInstance(error), String(error)).toBe(true)
          expect(['TK_STORE_UNAVAILABLE', 'TK_STORE_BUSY']).toContain(error.code)
        }
        console.table([
          {
            kind,
            fault: name,
            commands: outcomes.length,
            failed: errors.length,
            'until the last ended, ms': Math.round(longestMs),
          },
        ])

        proxy.set({})
        for (const item of items) {
          const [settled] = await endure(seen, () =>
            ledger.settle([settleOf(tenantId, item.holdId, 1n)]),
          )
          expect(settled?.ok).toBe(true)
        }
        await bench.expect(BigInt(items.length), 0n)
        expect(findDrifts((await behind.ledger.audit(tenantId))!, 0)).toEqual([])
      },
    )
  })
})
