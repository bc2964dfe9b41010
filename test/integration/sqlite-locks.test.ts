import Database from 'libsql'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { fakeClock } from '../../src/testing/fake-clock.ts'
import {
  ask,
  codeOf,
  drain,
  ledgerBench,
  settleOf,
  TTL_MS,
} from '../../src/testing/storage-conformance/ledger-bench.ts'
import { NONE, newKey, tenants } from '../../src/testing/storage-conformance/samples.ts'
import { lockedError, temporaryFiles, watchedDatabase } from '../support/sqlite.ts'

const fileOf = temporaryFiles()

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

describe('a locked file', () => {
  it('is waited for without stopping the event loop', async () => {
    const file = fileOf('wait.db')
    const storage = sqlite({ file })
    await storage.migrate()
    const other = new Database(file)
    other.exec('BEGIN IMMEDIATE')
    let answered = false
    const waiting = tenants(storage, 'acme').then(() => {
      answered = true
    })
    // Twenty turns of the event loop pass while the command waits.
    for (let turn = 0; turn < 20; turn++) await new Promise((next) => setImmediate(next))
    expect(answered).toBe(false)
    other.exec('COMMIT')
    await waiting
    expect(await storage.tenants.get('acme')).toMatchObject({ id: 'acme' })
    other.close()
    await storage.close()
  })

  it('that stays locked is TK_STORE_BUSY, and nothing was changed', async () => {
    const file = fileOf('busy.db')
    const storage = sqlite({ file, busyTimeoutMs: 30 })
    await storage.migrate()
    const other = new Database(file)
    other.exec('BEGIN IMMEDIATE')
    await expect(tenants(storage, 'acme')).rejects.toMatchObject({
      code: 'TK_STORE_BUSY',
      retryable: true,
      outcome: 'none',
    })
    other.exec('ROLLBACK')
    expect(await storage.tenants.get('acme')).toBeNull()
    other.close()
    await storage.close()
  })

  it('is tried by one command at a time; the others queue behind it', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] })
    // The pauses are random; a fake one below 1 ms would end within the moment that started it.
    vi.spyOn(Math, 'random').mockReturnValue(0.9)
    let locked = false
    let tries = 0
    const database = watchedDatabase(fileOf('queue.db'), (sql) => {
      if (sql !== 'BEGIN IMMEDIATE') return
      tries++
      if (locked) throw lockedError()
    })
    const storage = sqlite({ database, synchronous: 'NORMAL' })
    await storage.migrate()
    tries = 0
    locked = true
    const names = Array.from({ length: 20 }, (_, n) => `tenant-${n}`)
    const waiting = Promise.all(names.map((name) => tenants(storage, name)))
    for (let pauses = 0; pauses < 5; pauses++) {
      expect(tries).toBe(1 + pauses)
      await vi.advanceTimersToNextTimerAsync()
    }
    locked = false
    await vi.advanceTimersToNextTimerAsync()
    await waiting
    expect(tries).toBe(6 + 20)
    database.close()
  })

  it('readers do not wait for a writer', async () => {
    const file = fileOf('readers.db')
    const storage = sqlite({ file, busyTimeoutMs: 0 })
    await storage.migrate()
    await tenants(storage, 'acme')
    const other = new Database(file)
    other.exec("BEGIN IMMEDIATE; UPDATE tk_tenants SET credentials = 'platform'")
    expect(await storage.tenants.get('acme')).toMatchObject({ credentials: 'tenant' })
    expect(await storage.ledger.budgets('acme')).toEqual([])
    other.exec('ROLLBACK')
    other.close()
    await storage.close()
  })
})

describe('a database of the host', () => {
  it('is used in place, and left open by close()', async () => {
    const database = new Database(fileOf('own.db'))
    const storage = sqlite({ database })
    await storage.migrate()
    await tenants(storage, 'acme')
    await storage.close()
    await storage.close()
    await expect(storage.tenants.get('acme')).rejects.toMatchObject({ code: 'TK_CLOSED' })
    expect(database.prepare('SELECT id FROM tk_tenants').all()).toHaveLength(1)
    database.close()
  })

  it('that was closed by the host is TK_STORE_UNAVAILABLE', async () => {
    const database = new Database(fileOf('closed.db'))
    const storage = sqlite({ database })
    await storage.migrate()
    database.close()
    await expect(tenants(storage, 'acme')).rejects.toMatchObject({ code: 'TK_STORE_UNAVAILABLE' })
  })

  it('inside a transaction of the host is waited for, never joined', async () => {
    const database = new Database(fileOf('joined.db'))
    const storage = sqlite({ database })
    await storage.migrate()
    database.exec('BEGIN')
    const waiting = tenants(storage, 'acme')
    for (let turn = 0; turn < 5; turn++) await new Promise((next) => setImmediate(next))
    database.exec('ROLLBACK')
    await waiting
    expect(await storage.tenants.get('acme')).toMatchObject({ id: 'acme' })
    database.close()
  })

  it('in another dialect is refused when it is first used', async () => {
    const bare = { exec: () => 0, prepare: () => ({ get() {}, all() {}, run() {} }), close() {} }
    await expect(sqlite({ database: bare }).migrate()).rejects.toMatchObject({
      code: 'TK_CONFIG_INVALID',
    })
  })
})

describe('one tick, one transaction', () => {
  it('a batch writes each counter once, however many items charge it', async () => {
    const seen: string[] = []
    const database = watchedDatabase(fileOf('batch.db'), (sql) => seen.push(sql))
    const storage = sqlite({ database })
    await storage.migrate()
    await ledgerBench(storage, { limit: 10_000n })
    const items = Array.from({ length: 64 }, () => ask('acme', 3n))
    const counted = (start: string): number => seen.filter((sql) => sql.startsWith(start)).length

    seen.length = 0
    await storage.ledger.reserve(items)
    expect(counted('BEGIN')).toBe(1)
    expect(counted('COMMIT')).toBe(1)
    expect(counted('UPDATE tk_counters')).toBe(1)
    expect(counted('INSERT INTO tk_holds')).toBe(64)

    seen.length = 0
    await storage.ledger.settle(items.map((item) => settleOf('acme', item.holdId, 2n)))
    expect(counted('BEGIN')).toBe(1)
    expect(counted('UPDATE tk_counters')).toBe(1)
    expect(counted('INSERT INTO api_key_usage_logs')).toBe(64)
    database.close()
  })

  it('items of one batch that clear away expired holds clear away others each time', async () => {
    const clock = fakeClock()
    const stores = { memory: memory({ clock }), sqlite: sqlite({ file: fileOf('due.db'), clock }) }
    for (const [name, storage] of Object.entries(stores)) {
      await storage.migrate()
      const bench = await ledgerBench(storage, { limit: 1300n })
      // A refused reserve clears 64 at a time, the oldest first.
      await storage.ledger.reserve(Array.from({ length: 130 }, () => ask('acme', 10n)))
      clock.advance(TTL_MS)
      const answers = await storage.ledger.reserve([ask('acme', 700n), ask('acme', 700n)])
      expect(answers.map(codeOf), name).toEqual(['TK_BUDGET_CONTENDED', 'ok'])
      await bench.expect(0n, 700n + 20n)
      expect(await drain(storage), name).toHaveLength(128)
      await storage.close()
    }
  })

  it('previews and reads take no write lock', async () => {
    const seen: string[] = []
    const database = watchedDatabase(fileOf('preview.db'), (sql) => seen.push(sql))
    const storage = sqlite({ database })
    await storage.migrate()
    await ledgerBench(storage, { limit: 10_000n })
    seen.length = 0
    const { tenantId, accounts, amounts } = ask('acme', 3n)
    await storage.ledger.preview({ tenantId, accounts, amounts })
    await storage.ledger.budgets('acme')
    await storage.outbox.lease({ limit: 10, leaseMs: 1000 })
    expect(seen.filter((sql) => /^(BEGIN IMMEDIATE|INSERT|UPDATE|DELETE)/.test(sql))).toEqual([])
    database.close()
  })

  it('a commit that fails has an unknown outcome; the same id tells which', async () => {
    let broken = false
    const database = watchedDatabase(fileOf('commit.db'), (sql) => {
      if (broken && sql === 'COMMIT') {
        throw Object.assign(new Error('disk I/O error'), { code: 'SQLITE_IOERR', rawCode: 10 })
      }
    })
    const storage = sqlite({ database })
    await storage.migrate()
    const bench = await ledgerBench(storage, { limit: 100n })
    const item = ask('acme', 60n)
    broken = true
    await expect(storage.ledger.reserve([item])).rejects.toMatchObject({
      code: 'TK_STORE_UNAVAILABLE',
      outcome: 'unknown',
    })
    broken = false
    expect(await storage.ledger.reserve([item])).toMatchObject([{ ok: true }])
    await bench.expect(0n, 60n)
    database.close()
  })

  it('values that a driver cannot bind are refused before it sees them', async () => {
    const storage = sqlite({ file: fileOf('bind.db') })
    await storage.migrate()
    await tenants(storage, 'acme')
    // libsql ends the whole process on a boolean.
    for (const bad of [true, undefined, 1.5, Number.NaN, {}, 2n ** 63n]) {
      const key = newKey('acme', 1, { last4: bad as never })
      await expect(storage.keys.create(key, NONE)).rejects.toMatchObject({
        code: 'TK_INPUT_INVALID',
      })
    }
    expect((await storage.keys.list({ tenantId: 'acme', after: null, limit: 9 })).items).toEqual([])
    await storage.close()
  })
})

describe('epochNow', () => {
  it('looks at the file at most every 100 ms, and reads the epoch only when it has changed', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const file = fileOf('epoch.db')
    const seen: string[] = []
    const database = watchedDatabase(file, (sql) => seen.push(sql))
    const storage = sqlite({ database })
    await storage.migrate()
    const other = sqlite({ file })
    const looks = (): number => seen.filter((sql) => sql === 'PRAGMA data_version').length
    const reads = (): number => seen.filter((sql) => sql.includes('epoch, clock_ms FROM')).length

    const before = storage.epochNow!().epoch
    for (let n = 0; n < 1000; n++) storage.epochNow!()
    expect(looks()).toBe(1)
    vi.advanceTimersByTime(101)
    storage.epochNow!()
    expect([looks(), reads()]).toEqual([2, 1])

    await tenants(other, 'acme')
    expect(storage.epochNow!().epoch).toBe(before)
    vi.advanceTimersByTime(101)
    expect(storage.epochNow!().epoch).toBe(before + 1)
    expect([looks(), reads()]).toEqual([3, 2])
    await other.close()
    database.close()
  })

  it('sees changes of its own at once', async () => {
    const storage = sqlite({ file: fileOf('own-epoch.db') })
    await storage.migrate()
    const before = storage.epochNow!().epoch
    await tenants(storage, 'acme')
    expect(storage.epochNow!().epoch).toBe(before + 1)
    await storage.close()
    expect(() => storage.epochNow!()).toThrow(expect.objectContaining({ code: 'TK_CLOSED' }))
  })

  it('throws before a first command has opened the file', () => {
    expect(() => sqlite({ file: fileOf('unopened.db') }).epochNow!()).toThrow(
      expect.objectContaining({ code: 'TK_STORE_UNAVAILABLE' }),
    )
  })
})
