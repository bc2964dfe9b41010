import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmdirSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { findDrifts } from '../../src/budgets/reconcile.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import { ask, ledgerBench, settleOf } from '../../src/testing/storage-conformance/ledger-bench.ts'
import { keyIdOf, NONE, newKey } from '../../src/testing/storage-conformance/samples.ts'
import { endure, newEndured } from '../support/endure.ts'
import { printFigures } from '../support/figures.ts'
import { migrated, openStore } from '../support/open-store.ts'
import { type PostgresCluster, startPostgres } from '../support/postgres-cluster.ts'
import { POSTGRES_KINDS, skipsPostgres } from '../support/postgres-server.ts'
import { temporaryFiles } from '../support/sqlite.ts'

const TENANT = 'acme'
const ROOM_LEFT_BYTES = 400_000
const LIMIT = 10n ** 15n

/** Root may, unless a container has taken the right away: tried out before the tests are declared. */
const CAN_MOUNT = mayMount()

function mayMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'tenantkeys-mount-'))
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', folder]).status === 0
  if (isMounted) execFileSync('umount', [folder])
  rmdirSync(folder)
  return isMounted
}

const fileOf = temporaryFiles()
let cluster: PostgresCluster | null = null
let mounted: string | null = null

afterEach(async () => {
  await cluster?.close()
  cluster = null
  if (mounted !== null) execFileSync('umount', [mounted])
  mounted = null
})

/** A file system of so many MB. @throws when this machine does not let us have one. */
function smallDisk(name: string, megabytes: number): string {
  const folder = fileOf(name)
  mkdirSync(folder)
  for (const path of [fileOf(''), folder]) chmodSync(path, 0o755)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder])
  mounted = folder
  chmodSync(folder, 0o777)
  return folder
}

describe.each(POSTGRES_KINDS)('PostgreSQL %s', (kind) => {
  it.skipIf(skipsPostgres(kind))(
    'T-U9 a database that has become read-only refuses every change, answers reads, and takes up again',
    async () => {
      cluster = await startPostgres({ kind })
      const database = await cluster.freshDatabase()
      const spec = { ...(await migrated(database)), queryMs: 20_000 }
      const { storage, close } = openStore(spec)
      const { ledger } = storage
      const bench = await ledgerBench(storage, { limit: LIMIT, tenantId: TENANT })
      await storage.keys.create(newKey(TENANT, 1), NONE)
      const held = await bench.hold(100n)

      // As a failover leaves the host's connections: on a standby, which is read-only for good.
      const signal = join(cluster.folder, 'standby.signal')
      await cluster.stop('fast')
      writeFileSync(signal, '')
      await cluster.start()
      const refused: readonly (readonly [string, () => Promise<unknown>])[] = [
        ['reserve', () => bench.reserve(1n)],
        ['extend', () => bench.extend(held, 1, 200n)],
        ['settle', () => bench.settle(held, 50n)],
        ['void', () => bench.void(held)],
        ['setBudget', () => bench.setLimit(1n)],
        ['lease', () => storage.outbox.lease({ limit: 1, leaseMs: 1 })],
        // A standby may lag behind a revocation (T-K17).
        ['find', () => storage.keys.find(keyIdOf(1))],
        ['create', () => storage.keys.create(newKey(TENANT, 2), NONE)],
      ]
      const told: string[] = []
      for (const [name, command] of refused) {
        const error = await command().then(
          () => 'it was done',
          (thrown: unknown) => thrown,
        )
        told.push(TenantKeysError.isInstance(error) ? error.code : String(error))
        expect(TenantKeysError.isInstance(error), `${name}: ${error}`).toBe(true)
        expect(error, name).toMatchObject({ code: 'TK_STORE_UNAVAILABLE', retryable: true })
      }
      expect((await ledger.hold({ tenantId: TENANT, holdId: held }))?.state).toBe('held')

      await cluster.stop('fast')
      rmSync(signal)
      await cluster.start()
      const seen = newEndured()
      const backMs = performance.now()
      await endure(seen, () => bench.settle(held, 50n))
      const snapshot = (await ledger.audit(TENANT))!
      printFigures({
        ...{ 'T-U9': 'read-only', kind, 'changes asked': refused.length },
        'answered by': [...new Set(told)].join(' '),
        'settled after, ms': Math.round(performance.now() - backMs),
        'errors until then': JSON.stringify(seen.errors),
        drifts: findDrifts(snapshot, 0).length,
      })
      await bench.expect(50n, 0n)
      expect(snapshot.counters.map((counter) => counter.limit)).toEqual([LIMIT])
      expect(findDrifts(snapshot, 0)).toEqual([])
      await close()
    },
  )

  const disk = CAN_MOUNT || process.env.TENANTKEYS_REQUIRE_ALL === '1'
  if (!disk) console.warn('SKIPPED: a full disk; it takes the right to mount a small one')
  it.skipIf(skipsPostgres(kind) || !disk)(
    'T-U9 a full disk refuses with a typed error, keeps all that was acknowledged, and takes up again when there is room',
    async () => {
      const folder = smallDisk(`disk-${kind}`, 160)
      cluster = await startPostgres({
        kind,
        fsync: true,
        dataIn: folder,
        settings: { max_wal_size: '48MB', min_wal_size: '32MB', shared_buffers: '16MB' },
      })
      const database = await cluster.freshDatabase()
      const spec = { ...(await migrated(database)), queryMs: 20_000 }
      const { storage, close } = openStore(spec)
      const { ledger } = storage
      const bench = await ledgerBench(storage, { limit: LIMIT, tenantId: TENANT })
      const acknowledged: string[] = []
      const reserve = async (): Promise<string> => {
        const item = ask(TENANT, 10n, { ttlMs: 3_600_000 })
        const [result] = await ledger.reserve([item])
        expect(result?.ok).toBe(true)
        return item.holdId
      }
      for (let n = 0; n < 20; n++) acknowledged.push(await reserve())

      const filler = join(folder, 'filler')
      const free = statfsSync(folder)
      writeFileSync(filler, Buffer.alloc(free.bfree * free.bsize - ROOM_LEFT_BYTES))
      let failure: unknown = null
      let before = 0
      for (; failure === null && before < 20_000; before++) {
        const batch = Array.from({ length: 50 }, () => ask(TENANT, 10n, { ttlMs: 3_600_000 }))
        await ledger.reserve(batch).then(
          () => acknowledged.push(...batch.map((item) => item.holdId)),
          (error: unknown) => {
            failure = error
          },
        )
      }
      expect(TenantKeysError.isInstance(failure), String(failure)).toBe(true)
      expect(failure).toMatchObject({ code: 'TK_STORE_UNAVAILABLE', retryable: true })
      expect(cluster.logs()).toMatch(/No space left on device|Check free disk space/)
      expect((await bench.line()).held).toBe(BigInt(acknowledged.length) * 10n)

      // Then the log of the server finds no room either, and it ends itself.
      for (let n = 0; n < 20 && !cluster.logs().includes('PANIC'); n++) {
        await cluster
          .query("SELECT pg_logical_emit_message(false, 'x', 'x'), pg_switch_wal()")
          .catch(() => {})
      }
      expect(cluster.logs()).toContain('PANIC')
      const lost = await ledger.reserve([ask(TENANT, 10n)]).catch((error: unknown) => error)
      expect(lost).toMatchObject({ code: 'TK_STORE_UNAVAILABLE' })

      rmSync(filler)
      await cluster.stop('immediate')
      await cluster.start()
      const seen = newEndured()
      for (const holdId of acknowledged) {
        const [settled] = await endure(seen, () => ledger.settle([settleOf(TENANT, holdId, 1n)]))
        expect(settled?.ok, holdId).toBe(true)
      }
      const snapshot = (await ledger.audit(TENANT))!
      const { posted, held } = await bench.line()
      console.table([
        {
          'T-U9': 'disk full',
          kind,
          acknowledged: acknowledged.length,
          'batches until it was full': before,
          refused: (failure as TenantKeysError).code,
          'holds in the books': snapshot.holds.length,
          'posted, of 1 each': posted,
          'left held': held,
          'errors after the restart': JSON.stringify(seen.errors),
          drifts: findDrifts(snapshot, 0).length,
        },
      ])
      expect(snapshot.holds.map((hold) => hold.id).sort()).toEqual([...acknowledged].sort())
      await bench.expect(BigInt(acknowledged.length), 0n)
      expect(findDrifts(snapshot, 0)).toEqual([])
      await close()
    },
  )
})
