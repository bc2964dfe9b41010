import type { ChildProcess } from 'node:child_process'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { definePolicy } from '../../src/policy/define-policy.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import { createTenantKeys, type TenantKeys } from '../../src/tenant-keys.ts'
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts'
import { HOST_ROLE, migrated, type OpenStore, openStore } from '../support/open-store.ts'
import {
  POSTGRES_KINDS,
  postgresServer,
  skipsPostgres,
  type TestDatabase,
} from '../support/postgres-server.ts'
import { testKey } from '../support/test-key.ts'
import { workersOf } from '../support/workers.ts'
import type { RevocationArgs, RevocationOrder, Revoked, Watched } from './revocation-worker.ts'

const FULL = process.env.TENANTKEYS_FORCE === '1'
const PROCESSES = FULL ? 8 : 4
const PUSHED = FULL ? 500 : 40
/** Each of these takes up to 2 s. */
const UNPUSHED = FULL ? 30 : 4
/** As design.md has it: how long a revoked key may live without push, and without the store. */
const POLLED_MS = 2_000
const MAX_STALE_MS = 5_000

const { start, tell } = workersOf<RevocationOrder>('test/integration/revocation-worker.ts')

const now = (): number => Number(process.hrtime.bigint()) / 1e6

/** The value below which `share` of them lie. */
function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0)
}

interface IssuedKey {
  readonly key: string
  readonly keyId: string
}

/** What is said of one server holds for the others: these tests are about our own processes. */
const KINDS = FULL ? POSTGRES_KINDS : POSTGRES_KINDS.slice(0, 1)

describe.each(KINDS)(`${PROCESSES} instances on PostgreSQL %s`, (kind) => {
  describe.skipIf(skipsPostgres(kind))('', () => {
    let database: TestDatabase
    let proxy: FaultProxy | null = null

    let store: OpenStore
    let tk: TenantKeys

    beforeAll(async () => {
      database = await (await postgresServer(kind)).freshDatabase()
      store = openStore(await migrated(database))
      tk = await createTenantKeys({
        storage: store.storage,
        keyWrapper: localKeyWrapper([{ id: 'kek-1', key: testKey(1) }]),
        peppers: [{ id: 'pep-1', key: testKey(2) }],
        policy: definePolicy({
          scopes: { 'support:chat': { providers: ['openai'], models: ['gpt-4o-mini'] } },
        }),
      })
      await tk.tenants.create({ id: 'acme' })
    })
    afterAll(() => store?.close())
    afterEach(async () => {
      await proxy?.close()
      proxy = null
    })

    async function issue(count: number): Promise<IssuedKey[]> {
      const keys: IssuedKey[] = []
      for (let n = 0; n < count; n++) {
        const name = `key ${n}`
        const { key, info } = await tk.keys.issue({
          tenantId: 'acme',
          name,
          scopes: ['support:chat'],
        })
        keys.push({ key, keyId: info.keyId })
      }
      return keys
    }

    const startInstances = (args: RevocationArgs): Promise<ChildProcess[]> =>
      Promise.all(Array.from({ length: PROCESSES }, () => start([JSON.stringify(args)])))

    /** Revokes one key after the other while every instance uses it. @returns how long each went on. */
    async function revokeAll(
      instances: readonly ChildProcess[],
      keys: readonly IssuedKey[],
    ): Promise<{ refusedAfterMs: number[]; usedAfterMs: number[] }> {
      await Promise.all(
        instances.map((one) => tell(one, { do: 'learn', keys: keys.map(({ key }) => key) })),
      )
      const refusedAfterMs: number[] = []
      const usedAfterMs: number[] = []
      for (const [n, { key, keyId }] of keys.entries()) {
        const watching = instances.map((one) =>
          tell<Watched>(one, { do: 'watch', key, code: 'TK_KEY_REVOKED' }),
        )
        const { startMs, endMs } = await tell<Revoked>(instances[n % PROCESSES]!, {
          do: 'revoke',
          tenantId: 'acme',
          keyId,
        })
        for (const watched of await Promise.all(watching)) {
          refusedAfterMs.push(watched.endMs - startMs)
          usedAfterMs.push((watched.lastOkMs ?? 0) - endMs)
        }
      }
      return { refusedAfterMs, usedAfterMs }
    }

    const print = (how: string, keys: number, refusedAfterMs: readonly number[]): void => {
      const [p50, p99, max] = [0.5, 0.99, 1].map((share) => quantile(refusedAfterMs, share))
      console.table([
        {
          kind,
          how,
          instances: PROCESSES,
          revocations: keys,
          'p50 ms': p50,
          'p99 ms': p99,
          'max ms': max,
        },
      ])
    }

    it(`T-K4 a push alone tells every instance (${PUSHED} revocations, their clocks stand still)`, async () => {
      const url = database.url(HOST_ROLE)
      const store = { kind: 'postgres', url, connections: 2, listenUrl: url } as const
      const instances = await startInstances({ store, frozen: true })
      const keys = await issue(PUSHED)
      const { refusedAfterMs } = await revokeAll(instances, keys)
      print('pushed', PUSHED, refusedAfterMs)
      expect(refusedAfterMs).toHaveLength(PUSHED * PROCESSES)

      // Nothing but a push could have told them: an instance without one goes on and on.
      const deaf = await start([
        JSON.stringify({ store: { kind: 'postgres', url }, frozen: true } satisfies RevocationArgs),
      ])
      const [last] = await issue(1)
      await tell(deaf, { do: 'learn', keys: [last!.key] })
      await revokeAll(instances, [last!])
      expect(await tell(deaf, { do: 'verify', key: last!.key })).toBe('ok')
    }, 900_000)

    it(`T-K4 without push no use that begins ${POLLED_MS} ms after a revocation is told yes (${UNPUSHED} revocations)`, async () => {
      const store = { kind: 'postgres', url: database.url(HOST_ROLE), connections: 2 } as const
      const instances = await startInstances({ store })
      const keys = await issue(UNPUSHED)
      const { refusedAfterMs, usedAfterMs } = await revokeAll(instances, keys)
      print('push dropped', UNPUSHED, refusedAfterMs)
      expect(Math.max(...usedAfterMs)).toBeLessThanOrEqual(POLLED_MS)
    }, 600_000)

    it('T-K4 a listener whose connection was cut listens again by itself', async () => {
      proxy = await startFaultProxy(database.server.port, 1)
      const url = database.url(HOST_ROLE)
      const listenUrl = url.replace(`:${database.server.port}/`, `:${proxy.port}/`)
      const store = { kind: 'postgres', url, connections: 2, listenUrl } as const
      const instances = await startInstances({ store, frozen: true })
      const keys = await issue(2)
      await revokeAll(instances, keys.slice(0, 1))
      // The one that revoked it needed no push: its listener may still be on its way.
      while (proxy.open() < PROCESSES) await new Promise((next) => setTimeout(next, 20))
      expect(proxy.cut()).toBe(PROCESSES)
      await revokeAll(instances, keys.slice(1))
    })

    it.each([
      ['silent', { partitioned: true }],
      ['closed', { refusing: true }],
    ] as const)(
      `T-K5 with the database away (%s) nothing is good after ${MAX_STALE_MS} ms, and all is until then`,
      async (how, fault) => {
        proxy = await startFaultProxy(database.server.port, 1)
        const url = database.url(HOST_ROLE).replace(`:${database.server.port}/`, `:${proxy.port}/`)
        const store = { kind: 'postgres', url, connections: 2, listenUrl: url } as const
        const instances = await startInstances({ store })
        const [good, revoked] = await issue(2)
        const both = [good!.key, revoked!.key]
        await Promise.all(instances.map((one) => tell(one, { do: 'learn', keys: both })))

        const watching = both.flatMap((key) =>
          instances.map((one) => tell<Watched>(one, { do: 'watch', key, code: 'TK_KEY_STALE' })),
        )
        for (const key of both)
          await Promise.all(instances.map((one) => tell(one, { do: 'watched', key })))

        const awayMs = now()
        proxy.set(fault)
        if ('refusing' in fault) proxy.cut()
        await tk.keys.revoke({ tenantId: 'acme', keyId: revoked!.keyId })
        const seen = await Promise.all(watching)
        for (const { told, certainMs, lastOkMs, endMs } of seen) {
          expect(Object.keys(told).sort()).toEqual(['TK_KEY_STALE', 'ok'])
          expect(certainMs).toBeLessThanOrEqual(awayMs)
          expect(lastOkMs! - certainMs).toBeLessThanOrEqual(MAX_STALE_MS)
          expect(endMs - certainMs).toBeGreaterThanOrEqual(MAX_STALE_MS)
        }
        const closed = seen.map(({ endMs }) => Math.round(endMs - awayMs))
        console.table([
          {
            kind,
            away: how,
            instances: PROCESSES,
            'first closed, ms': Math.min(...closed),
            'last closed, ms': Math.max(...closed),
          },
        ])

        proxy.set({})
        const back = await Promise.all(
          instances.map((one) => tell<Watched>(one, { do: 'watch', key: good!.key, code: 'ok' })),
        )
        expect(back).toHaveLength(PROCESSES)
        const dead = await Promise.all(
          instances.map((one) =>
            tell<Watched>(one, { do: 'watch', key: revoked!.key, code: 'TK_KEY_REVOKED' }),
          ),
        )
        for (const { told } of dead) expect(told).not.toHaveProperty('ok')
      },
    )
  })
})
