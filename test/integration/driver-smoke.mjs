/**
 * Walks the SQLite store through every family of commands on the drivers that the test runner's own
 * Node may not have: node:sqlite and better-sqlite3. Run it under any Node:
 *
 *     node test/integration/driver-smoke.mjs [url of the built store] [folder with better-sqlite3]
 *
 * The url defaults to `tenantkeys/sqlite`. Prints one line per driver and exits 1 on the first fault.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const [, , storeUrl = 'tenantkeys/sqlite', driversFolder] = process.argv
const { sqlite } = await import(storeUrl)
const folder = mkdtempSync(join(tmpdir(), 'tenantkeys-'))
const NONE = {}
/** Does not fit a double. */
const BIG = 8_999_999_999_999_999_999n

const page = { after: null, limit: 10 }
const idOf = (n) => `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`
const call = { callId: 'c', keyId: 'k', scope: null, provider: 'p', model: 'm', priceId: null }
const tokens = {
  input: 3,
  cacheRead: null,
  cacheWrite: 0,
  cacheWrite1h: null,
  inputAudio: null,
  output: 4,
  reasoning: 1,
}
const usage = {
  ...call,
  servedModel: null,
  outcome: 'completed',
  quality: 'measured',
  httpStatus: 200,
  tokens: { ...tokens, outputAudio: null },
  operation: 'chat',
  counts: {},
  costNanoUsd: 5n,
  providerCostNanoUsd: null,
  chargedNanoUsd: 5n,
  billable: true,
  tags: {},
  durationMs: null,
  responseBytes: null,
  paidBy: 'tenant',
  secretId: null,
  secretVersion: null,
}

const rejects = (work, code) => assert.rejects(work, (error) => error.code === code)

async function walk(open) {
  const storage = open()
  await rejects(storage.tenants.get('acme'), 'TK_STORE_NOT_MIGRATED')
  await storage.migrate()
  await storage.migrate()
  await walkTenantsAndKeys(storage)
  await walkSecrets(storage)
  await walkLedger(storage)
  await walkRest(storage)
  await storage.close()
  await rejects(storage.tenants.get('acme'), 'TK_CLOSED')
}

async function walkTenantsAndKeys(storage) {
  const also = {
    audit: [{ tenantId: 'root', actor: 'a', action: 'b', target: 'c', detail: { d: 'e' } }],
    events: [{ id: 'made', kind: 'made', tenantId: 'root', payload: { n: '1' } }],
  }
  await storage.tenants.create({ id: 'root', parentId: null, credentials: 'tenant' }, also)
  await storage.tenants.create({ id: 'acme', parentId: 'root', credentials: 'platform' }, NONE)
  assert.deepEqual((await storage.tenants.get('acme')).path, ['root', 'acme'])
  assert.equal((await storage.tenants.list({ ...page, parentId: null })).items.length, 2)
  assert.equal((await storage.tenants.list({ ...page, parentId: 'root' })).items.length, 1)

  const before = storage.epochNow().epoch
  const hash = new Uint8Array(32).fill(7)
  const key = { keyId: 'k', tenantId: 'acme', name: 'n', brand: 'tk', environment: 'live' }
  const rest = { scopes: ['s'], expiresAtMs: null, last4: 'abcd', hash, pepperId: 'p' }
  await storage.keys.create({ ...key, ...rest }, NONE)
  await rejects(storage.keys.create({ ...key, ...rest }, NONE), 'TK_STORE_CONFLICT')
  assert.equal(storage.epochNow().epoch, before + 1)
  const { found } = await storage.keys.find('k')
  assert.deepEqual(found.key.hash, hash)
  assert.equal(found.key.hash.constructor, Uint8Array)
  assert.equal((await storage.keys.find('none')).found, null)
  const at = { tenantId: 'acme', keyId: 'k' }
  assert.equal((await storage.keys.setState({ ...at, state: 'revoked' }, NONE)).state, 'revoked')
  await rejects(storage.keys.setState({ ...at, state: 'active' }, NONE), 'TK_KEY_REVOKED')
  assert.equal((await storage.keys.list({ ...page, tenantId: 'acme' })).items.length, 1)
}

async function walkSecrets(storage) {
  const wrapped = new Uint8Array([1, 2, 3])
  const dek = { id: idOf(1), tenantId: 'acme', generation: 1, kekId: 'kek', wrapped }
  await storage.deks.create(dek, NONE)
  const ref = { tenantId: 'acme', provider: 'p', name: 'default' }
  const envelope = new Uint8Array(300).fill(9)
  const secret = { ...ref, id: idOf(2), version: 1, origin: null, publicFields: { a: 'b' } }
  await storage.secrets.put({ ...secret, masked: 'm', dekId: dek.id, envelope }, NONE)
  assert.deepEqual((await storage.secrets.get(ref)).envelope, envelope)
  assert.deepEqual(
    (await storage.secrets.list({ ...page, tenantId: 'acme' })).items[0].envelope,
    envelope,
  )
  assert.equal((await storage.deks.current('acme')).seals, 1)
  assert.deepEqual((await storage.deks.get({ tenantId: 'acme', dekId: dek.id })).wrapped, wrapped)
  assert.equal(await storage.secrets.delete(ref, NONE), true)
  assert.equal(await storage.secrets.delete(ref, NONE), false)
}

async function walkLedger({ ledger, usage: logs }) {
  const tenantId = 'acme'
  const account = { id: 'tenant:acme', depth: 1 }
  const budget = { tenantId, account, unit: 'usd', window: 'month' }
  await ledger.setBudget({ ...budget, zone: 'UTC', limit: BIG, source: 'explicit' }, NONE)
  const item = (n, usd) => ({
    holdId: idOf(n),
    tenantId,
    accounts: [account],
    amounts: { usd },
    ttlMs: 60_000,
    call,
  })
  const [first, second] = await ledger.reserve([item(11, BIG - 1n), item(12, 2n)])
  assert.equal(first.ok, true)
  assert.equal(second.code, 'TK_BUDGET_CONTENDED')
  assert.equal(second.denial.wouldFit, 1n)
  assert.equal((await ledger.preview(item(13, 1n))).ok, true)
  const [settled] = await ledger.settle([
    { holdId: idOf(11), tenantId, actual: { usd: BIG - 3n }, usage },
  ])
  assert.equal(settled.ok, true)
  assert.equal((await ledger.budgets(tenantId))[0].posted, BIG - 3n)
  await ledger.reserve([item(14, 1n)])
  const extended = { holdId: idOf(14), tenantId, sequence: 1, amounts: { usd: 2n }, ttlMs: 60_000 }
  assert.equal((await ledger.extend([extended]))[0].ok, true)
  assert.equal((await ledger.hold({ tenantId, holdId: idOf(14) })).amounts.usd, 2n)
  assert.equal((await ledger.void([{ tenantId, holdId: idOf(14) }]))[0].ok, true)
  assert.equal(await ledger.sweep(10), 0)
  assert.equal((await logs.get({ tenantId, id: idOf(11) })).costNanoUsd, 5n)
  const [total] = await logs.totals({
    tenantId,
    fromMs: null,
    untilMs: null,
    by: ['model', 'scope'],
  })
  assert.deepEqual([total.calls, total.costNanoUsd, total.scope], [1, 5n, null])
  assert.equal(await ledger.removeBudget(budget, NONE), true)
}

async function walkRest(storage) {
  const { leaseId, events } = await storage.outbox.lease({ limit: 10, leaseMs: 60_000 })
  assert.deepEqual(
    events.map((event) => event.kind),
    ['made', 'usage'],
  )
  assert.equal(await storage.outbox.ack({ leaseId, ids: events.map((event) => event.id) }), 2)
  assert.equal((await storage.audit.list({ ...page, rootId: 'root' })).items[0].sequence, 1)
  assert.equal((await storage.epoch()).epoch, storage.epochNow().epoch)
}

/** A file that is none, and a lock that another connection holds, as this driver reports them. */
async function walkFaults(name, openFile) {
  const text = join(folder, `${name}-text.db`)
  writeFileSync(text, 'no database\n'.repeat(500))
  await rejects(sqlite({ database: openFile(text) }).migrate(), 'TK_STORE_CORRUPT')

  const file = join(folder, `${name}-locked.db`)
  const storage = sqlite({ database: openFile(file), busyTimeoutMs: 20 })
  await storage.migrate()
  const other = openFile(file)
  other.exec('BEGIN IMMEDIATE')
  const tenant = { id: 'acme', parentId: null, credentials: 'tenant' }
  await rejects(storage.tenants.create(tenant, NONE), 'TK_STORE_BUSY')
  other.exec('ROLLBACK')
  await storage.tenants.create(tenant, NONE)
  const negative = 'UPDATE tk_meta SET epoch = -1'
  assert.throws(() => other.exec(negative))
  other.close()
}

try {
  const nodeSqlite = process.getBuiltinModule('node:sqlite')
  if (nodeSqlite) {
    const open = (file) => new nodeSqlite.DatabaseSync(file)
    await walk(() => sqlite({ file: join(folder, 'found.db') }))
    await walk(() => sqlite({ database: open(join(folder, 'node.db')) }))
    await walkFaults('node', open)
    console.log('ok node:sqlite')
  }
  if (driversFolder) {
    const Database = createRequire(join(driversFolder, 'package.json'))('better-sqlite3')
    const open = (file) => new Database(file)
    await walk(() => sqlite({ database: open(join(folder, 'better.db')) }))
    await walkFaults('better', open)
    console.log('ok better-sqlite3')
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
