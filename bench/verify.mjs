/**
 * Rows 1 to 3: verifying a platform key that this process has seen before.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { betterAuth, prefixedApiKey } from './baselines/peers-verify.mjs'
import { hashAndLookUp } from './baselines/verify.mjs'
import { compare, flat, inTurn, LONG } from './lib/measure.mjs'
import { NOT_INSTALLED } from './lib/peers.mjs'
import { row } from './lib/rows.mjs'
import { importInternals, importPackage } from './lib/subject.mjs'

const TENANT = { tenantId: 'acme', actor: 'bench' }
const KEY = { brand: 'tk', environment: 'live', scopes: ['support:chat'], expiresAtMs: null }
const B0 = 'B0: crypto.hash + Map.get'
const HOT = 4096

export const parts = {
  'ten thousand keys': { run: tenThousand },
  'a million keys': { flags: ['--max-old-space-size=8192'], run: aMillion },
  peers: { run: besidePeers },
}

const keyCount = (quick) => (quick ? 200 : 10_000)

/** Texts in random order, each as a request would bring it. */
function picked(keys, count) {
  return inTurn(Array.from({ length: count }, () => keys[Math.floor(Math.random() * keys.length)]))
}

async function tenThousand({ rounds, quick }) {
  const count = keyCount(quick)
  const { localKeyIssuer, memory } = await importInternals({
    issuer: 'keys/local-key-issuer.ts',
    memory: 'adapters/memory/index.ts',
  })
  const storage = memory()
  await storage.tenants.create({ id: 'acme', parentId: null, credentials: 'tenant' }, {})
  const issuer = localKeyIssuer({ storage, peppers: [{ id: 'pep', key: randomBytes(32) }] })
  const keys = await issueAndVerify(issuer, count)
  const { tk, keys: packageKeys } = await installed(count)

  const [next, nextOfPackage] = [picked(keys, HOT), picked(packageKeys, HOT)]
  const lookUp = hashAndLookUp(keys)
  const figures = await compare(
    {
      b0: { run: () => lookUp(next()) },
      sync: { run: () => issuer.verifyCached(next()) },
      async: { waits: true, run: () => tk.keys.verify(nextOfPackage()) },
    },
    { rounds, quick },
  )
  return {
    rows: [
      row(
        {
          row: 1,
          operation: `verify, sync part, ${count} keys`,
          baselineName: B0,
          gate: 1.3,
          moonshot: 1.0,
        },
        figures.sync,
        figures.b0,
      ),
      row(
        {
          row: 2,
          operation: `tk.keys.verify, awaited, ${count} keys`,
          baselineName: B0,
          gate: 1.7,
          moonshot: 1.2,
        },
        figures.async,
        figures.b0,
      ),
    ],
    notes: [
      'Row 1 calls verifyCached of the local key issuer, which the package does not export: a build of src/ made for this run.',
    ],
  }
}

/** A cache of this size is an option of the issuer, not of createTenantKeys, which keeps 10,000. */
async function aMillion({ rounds, quick }) {
  const count = quick ? 500 : 1_000_000
  const { localKeyIssuer, memory } = await importInternals({
    issuer: 'keys/local-key-issuer.ts',
    memory: 'adapters/memory/index.ts',
  })
  const issuer = localKeyIssuer({
    storage: withPlainKeys(memory()),
    peppers: [{ id: 'pep', key: randomBytes(32) }],
    maxCachedKeys: count,
  })
  const keys = await issueAndVerify(issuer, count)
  const lookUp = hashAndLookUp(keys)
  const rows = []
  for (const [name, texts] of [
    ['4,096 of them in use', HOT],
    ['262,144 of them in use', quick ? HOT : 262_144],
  ]) {
    const next = picked(keys, texts)
    const figures = await compare(
      {
        b0: { run: () => lookUp(next()) },
        async: { waits: true, run: () => issuer.verify(next()) },
      },
      { rounds, quick },
    )
    const operation = `verify, awaited, ${count} keys, ${name}`
    rows.push(
      row(
        { row: 2, operation, baselineName: B0, gate: 2.0, moonshot: 1.2 },
        figures.async,
        figures.b0,
      ),
    )
  }
  return {
    rows,
    notes: [
      `Row 2 with ${count} keys calls the local key issuer with maxCachedKeys: ${count}, from a build of src/ made for this run: createTenantKeys has no such option and remembers 10,000 keys. Its keys lie in a Map without audit trail or events, which a remembered key does not touch; epoch and time come from memory().`,
    ],
  }
}

async function besidePeers({ rounds, quick }) {
  const count = keyCount(quick)
  const foreign = Array.from({ length: count }, () => flat(randomBytes(32).toString('hex')))
  const [auth, prefixed] = [await betterAuth(foreign), await prefixedApiKey(quick ? 20 : count)]
  if (auth === null || prefixed === null) {
    return {
      rows: [],
      skipped: ['@better-auth/api-key', 'prefixed-api-key'].map((peer) => ({
        row: 3,
        operation: `verify beside ${peer}`,
        reason: NOT_INSTALLED,
      })),
    }
  }
  const { tk, keys } = await installed(count)
  const next = picked(keys, HOT)
  const nextForeign = picked(foreign, HOT)
  const nextPrefixed = picked(prefixed.keys, HOT)
  const ask = { scope: 'support:chat', provider: 'openai', model: 'gpt-4o-mini' }
  const figures = await compare(
    {
      plain: { waits: true, run: () => tk.keys.verify(next()) },
      asked: { waits: true, run: () => tk.keys.verify(next(), ask) },
      auth: { waits: true, run: () => auth(nextForeign()) },
      prefixed: { run: () => prefixed.verify(nextPrefixed()) },
    },
    { rounds, quick, slicing: LONG },
  )
  const spec = { row: 3, ratioIs: 'times' }
  return {
    rows: [
      row(
        {
          ...spec,
          operation: `tk.keys.verify with scope and model, ${count} keys`,
          baselineName: 'better-auth api-key, Map storage',
          gate: 200,
          moonshot: 400,
        },
        figures.asked,
        figures.auth,
      ),
      row(
        {
          ...spec,
          operation: `tk.keys.verify, ${count} keys`,
          baselineName: 'prefixed-api-key, Map',
          gate: 1,
        },
        figures.plain,
        figures.prefixed,
      ),
    ],
  }
}

/** An installation as a user makes it, its keys issued and each verified once. */
async function installed(count) {
  const { createTenantKeys, definePolicy, localKeyWrapper, memory } = await importPackage()
  const tk = await createTenantKeys({
    storage: memory(),
    keyWrapper: localKeyWrapper([{ id: 'kek', key: randomBytes(32) }]),
    peppers: [{ id: 'pep', key: randomBytes(32) }],
    policy: definePolicy({
      scopes: { 'support:chat': { providers: ['openai'], models: ['gpt-4o-mini'] } },
    }),
  })
  await tk.tenants.create({ id: 'acme' })
  const keys = await issueAndVerify(
    {
      issue: ({ name, scopes }) => tk.keys.issue({ tenantId: 'acme', name, scopes }),
      verify: (key) => tk.keys.verify(key),
    },
    count,
  )
  return { tk, keys }
}

async function issueAndVerify(issuer, count) {
  const keys = []
  for (let i = 0; i < count; i++) {
    const { key } = await issuer.issue({ ...TENANT, ...KEY, name: `key ${i}` })
    keys.push(flat(key))
  }
  // After the last one is issued: each raises the epoch, and what was read before it is asked again.
  for (const key of keys) {
    if (!(await issuer.verify(key)).ok) throw new Error('a key that was just issued is refused')
  }
  return keys
}

/** A store whose keys lie in a Map: memory() would also keep a million audit rows and events. */
function withPlainKeys(storage) {
  const tenant = {
    id: 'acme',
    parentId: null,
    path: ['acme'],
    credentials: 'tenant',
    createdAtMs: 0,
  }
  const rows = new Map()
  return {
    epoch: storage.epoch,
    epochNow: storage.epochNow,
    keys: {
      create: async (fields) => {
        const now = { createdAtMs: 0, updatedAtMs: 0 }
        const key = { ...fields, state: 'active', secretVersion: 1, ...now }
        rows.set(key.keyId, key)
        return key
      },
      find: async (keyId) => {
        const key = rows.get(keyId)
        return { ...storage.epochNow(), found: key ? { key, tenant } : null }
      },
    },
  }
}
