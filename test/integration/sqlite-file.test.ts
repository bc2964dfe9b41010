import { readFileSync, writeFileSync } from 'node:fs'
import Database from 'libsql'
import { describe, expect, it } from 'vitest'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { fakeClock } from '../../src/testing/fake-clock.ts'
import { everyCommand } from '../../src/testing/storage-conformance/every-command.ts'
import { ask, ledgerBench, settleOf } from '../../src/testing/storage-conformance/ledger-bench.ts'
import {
  goodAlso,
  keyIdOf,
  NONE,
  newKey,
  newSecret,
  tenants,
  tenantWithDek,
} from '../../src/testing/storage-conformance/samples.ts'
import { queryAll, tamper, temporaryFiles } from '../support/sqlite.ts'

const fileOf = temporaryFiles()

describe('options', () => {
  const refused: readonly [string, unknown, string][] = [
    ['nothing', undefined, 'options'],
    ['neither file nor database', {}, 'options.file'],
    ['both', { file: 'x.db', database: new Database(':memory:') }, 'options.file'],
    ['an empty path', { file: '' }, 'options.file'],
    ['a path with a NUL', { file: 'x\0.db' }, 'options.file'],
    ['a path that is no text', { file: 7 }, 'options.file'],
    ['no database', { database: { exec: () => 0 } }, 'options.database'],
    ['an unknown name', { file: 'x.db', path: 'y' }, 'options.path'],
    ['an unknown flush mode', { file: 'x.db', synchronous: 'OFF' }, 'options.synchronous'],
    ['a negative wait', { file: 'x.db', busyTimeoutMs: -1 }, 'options.busyTimeoutMs'],
    ['a clock that is none', { file: 'x.db', clock: 5 }, 'options.clock'],
  ]
  it.each(refused)('%s is refused by name', (_, options, field) => {
    expect(() => sqlite(options as never)).toThrow(
      expect.objectContaining({
        code: 'TK_CONFIG_INVALID',
        details: expect.objectContaining({ field }),
      }),
    )
  })

  it('a database that keeps nothing says so', () => {
    expect(sqlite({ file: ':memory:' }).capabilities).toMatchObject({
      durable: false,
      multiProcess: false,
    })
    expect(sqlite({ file: 'x.db' }).capabilities).toMatchObject({
      durable: true,
      multiProcess: true,
    })
  })

  it('nothing is opened before the first command', async () => {
    const file = fileOf('untouched.db')
    await sqlite({ file }).close()
    expect(() => readFileSync(file)).toThrow(expect.objectContaining({ code: 'ENOENT' }))
  })
})

describe('files that are no store', () => {
  it('ST-2 without tables every command is TK_STORE_NOT_MIGRATED', async () => {
    const storage = sqlite({ file: fileOf('empty.db') })
    for (const { name, run } of everyCommand(storage)) {
      if (name === 'migrate') continue
      await expect(run(), name).rejects.toMatchObject({ code: 'TK_STORE_NOT_MIGRATED' })
    }
    await storage.close()
  })

  it('ST-2 a file that is no database is TK_STORE_CORRUPT, and stays as it is', async () => {
    const file = fileOf('text.db')
    const text = 'Dear diary, this is no database.\n'.repeat(200)
    writeFileSync(file, text)
    const storage = sqlite({ file })
    for (const { name, run } of everyCommand(storage)) {
      await expect(run(), name).rejects.toMatchObject({ code: 'TK_STORE_CORRUPT' })
    }
    await storage.close()
    expect(readFileSync(file, 'utf8')).toBe(text)
  })

  it('ST-2 a folder that is not there is TK_STORE_UNAVAILABLE, and its path stays untold', async () => {
    const storage = sqlite({ file: fileOf('no/such/folder-canary/x.db') })
    const error: unknown = await storage.migrate().catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'TK_STORE_UNAVAILABLE' })
    expect(JSON.stringify(error) + String((error as Error).stack)).not.toContain('folder-canary')
  })

  it('tables of a later version are left alone', async () => {
    const file = fileOf('later.db')
    const storage = sqlite({ file })
    await storage.migrate()
    await storage.close()
    tamper(file, 'UPDATE tk_meta SET schema_version = 99')
    const old = sqlite({ file })
    await expect(old.migrate()).rejects.toMatchObject({ code: 'TK_STORE_NOT_MIGRATED' })
    await expect(old.tenants.get('acme')).rejects.toMatchObject({ code: 'TK_STORE_NOT_MIGRATED' })
    expect(queryAll(file, 'SELECT schema_version FROM tk_meta')[0]).toMatchObject({
      schema_version: 99n,
    })
    await old.close()
  })

  it('a table of the host under one of our names is refused by name, and nothing is made', async () => {
    const file = fileOf('taken.db')
    tamper(file, 'CREATE TABLE tenant_secrets (mine TEXT)')
    const storage = sqlite({ file })
    await expect(storage.migrate()).rejects.toMatchObject({
      code: 'TK_CONFIG_INVALID',
      details: { reason: expect.stringContaining('tenant_secrets') },
    })
    await storage.close()
    expect(queryAll(file, "SELECT name FROM sqlite_schema WHERE type = 'table'")).toHaveLength(1)
  })
})

describe('rows that others edited', () => {
  it.each([
    ['tk_meta', 'clock_ms = 1 << 60', 'keys.find'],
    ['tk_tenants', "path = '{'", 'tenants.get'],
    ['tk_tenants', "path = '[1]'", 'tenants.get'],
    ['tk_tenants', "credentials = 'both'", 'tenants.get'],
    ['tenant_api_keys', "scopes = 'canary'", 'keys.find'],
    ['tenant_api_keys', "scopes = '{}'", 'keys.get'],
    ['tenant_api_keys', "state = 'canary'", 'keys.list'],
    ['tenant_api_keys', "environment = 'canary'", 'keys.find'],
    ['tenant_api_keys', "hash = x'00'", 'keys.find'],
    ['tenant_api_keys', 'secret_version = 1 << 60', 'keys.find'],
    ['tenant_secrets', `public_fields = '{"a":1}'`, 'secrets.get'],
    ['tenant_secrets', "public_fields = '[]'", 'secrets.list'],
    ['tk_data_keys', 'generation = 1 << 60', 'deks.current'],
    ['tk_counters', "period = 'canary'", 'ledger.budgets'],
    ['tk_counters', "unit = 'No unit: canary'", 'ledger.reserve'],
    ['tk_holds', "state = 'canary'", 'ledger.settle'],
    ['tk_holds', "lines = '[{}]'", 'ledger.settle'],
    ['tk_holds', "accounts = 'null'", 'ledger.void'],
    ['tk_holds', "call = '{}'", 'ledger.hold'],
    ['api_key_usage_logs', "outcome = 'canary'", 'usage.get'],
    ['api_key_usage_logs', "lines = '7'", 'usage.get'],
    ['api_key_usage_logs', 'input_tokens = 1 << 60', 'usage.totals'],
    ['tk_outbox', 'attempts = 1 << 60', 'outbox.lease'],
    ['tk_audit', "detail = 'canary'", 'audit.list'],
  ])('ST-2 %s with %s is TK_STORE_CORRUPT in %s', async (table, change, command) => {
    const file = fileOf(`corrupt-${Math.random()}.db`)
    const storage = sqlite({ file, synchronous: 'NORMAL' })
    await storage.migrate()
    const dek = await tenantWithDek(storage, 'acme')
    await storage.secrets.put(newSecret('acme', dek.id), goodAlso('acme', 'made'))
    await storage.keys.create(newKey('acme', 1), NONE)
    const bench = await ledgerBench(storage, { limit: 1000n, ready: true })
    const settled = await bench.hold(10n)
    await bench.settle(settled, 5n)
    const holdId = await bench.hold(10n)
    tamper(file, `UPDATE ${table} SET ${change}`)

    const tenantId = 'acme'
    const keyId = keyIdOf(1)
    const page = { after: null, limit: 10 }
    const commands: Record<string, () => Promise<unknown>> = {
      'tenants.get': () => storage.tenants.get(tenantId),
      'keys.find': () => storage.keys.find(keyId),
      'keys.get': () => storage.keys.get({ tenantId, keyId }),
      'keys.list': () => storage.keys.list({ tenantId, ...page }),
      'secrets.get': () => storage.secrets.get({ tenantId, provider: 'openai', name: 'default' }),
      'secrets.list': () => storage.secrets.list({ tenantId, ...page }),
      'deks.current': () => storage.deks.current(tenantId),
      'ledger.budgets': () => storage.ledger.budgets(tenantId),
      'ledger.reserve': () => storage.ledger.reserve([ask(tenantId, 1n)]),
      'ledger.settle': () => storage.ledger.settle([settleOf(tenantId, holdId, 5n)]),
      'ledger.void': () => storage.ledger.void([{ tenantId, holdId }]),
      'ledger.hold': () => storage.ledger.hold({ tenantId, holdId }),
      'usage.get': () => storage.usage.get({ tenantId, id: settled }),
      'usage.totals': () =>
        storage.usage.totals({ tenantId, fromMs: null, untilMs: null, by: ['model'] }),
      'outbox.lease': () => storage.outbox.lease({ limit: 10, leaseMs: 1000 }),
      'audit.list': () => storage.audit.list({ rootId: tenantId, ...page }),
    }
    const error: unknown = await commands[command]!().catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      code: 'TK_STORE_CORRUPT',
      details: { reason: expect.stringContaining(table) },
    })
    expect(JSON.stringify(error)).not.toContain('canary')
    await storage.close()
  })

  it('T-B9 negative and fractional amounts are refused by the tables themselves', async () => {
    const file = fileOf('checks.db')
    const storage = sqlite({ file })
    await storage.migrate()
    const bench = await ledgerBench(storage, { limit: 1000n })
    await bench.settle(await bench.hold(10n), 5n)
    await storage.close()
    const database = new Database(file)
    const columns = [
      ['tk_counters', 'limit_amount'],
      ['tk_counters', 'posted'],
      ['tk_counters', 'held'],
      ['api_key_usage_logs', 'cost_nano_usd'],
      ['api_key_usage_logs', 'overage_nano_usd'],
    ]
    for (const [table, column] of columns) {
      for (const bad of ['-1', '0.5', "'5 dollars'", '1e300', 'NULL']) {
        const change = () => database.exec(`UPDATE ${table} SET ${column} = ${bad}`)
        expect(change, `${table}.${column} = ${bad}`).toThrow()
      }
    }
    database.close()
  })
})

describe('time', () => {
  it('T-K8 an expired key stays expired when the clock steps back, also after a restart', async () => {
    const file = fileOf('clock.db')
    const startMs = Date.UTC(2026, 0, 15)
    const expiresAtMs = startMs + 500
    const clock = fakeClock(startMs)
    const first = sqlite({ file, clock })
    await first.migrate()
    await tenants(first, 'acme')
    await first.keys.create(newKey('acme', 1, { expiresAtMs }), NONE)

    clock.set(expiresAtMs - 1)
    expect((await first.keys.find(keyIdOf(1))).nowMs).toBe(expiresAtMs - 1)
    clock.set(expiresAtMs)
    expect((await first.keys.find(keyIdOf(1))).nowMs).toBe(expiresAtMs)
    clock.set(startMs - 3_600_000)
    expect((await first.keys.find(keyIdOf(1))).nowMs).toBe(expiresAtMs)
    // No close(): the process may as well have been killed here.

    const second = sqlite({ file, clock })
    expect((await second.keys.find(keyIdOf(1))).nowMs).toBeGreaterThanOrEqual(expiresAtMs)
    await first.close()
    await second.close()
  })

  it('ST-4 time goes on where the last process left it, at most a second behind', async () => {
    const file = fileOf('high-water.db')
    const clock = fakeClock()
    const first = sqlite({ file, clock })
    await first.migrate()
    await tenants(first, 'acme')
    clock.advance(5000)
    // Neither raises the epoch, which would write the time at once.
    await first.ledger.sweep(1)
    clock.advance(900)
    await first.ledger.sweep(1)
    const last = (await first.epoch()).nowMs
    await first.close()
    clock.advance(-3_600_000)
    const second = sqlite({ file, clock })
    expect((await second.epoch()).nowMs).toBeGreaterThanOrEqual(last - 1000)
    await second.close()
  })
})
