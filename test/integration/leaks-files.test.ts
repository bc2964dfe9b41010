import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { parseKey } from '../../src/keys/key-format.ts'
import type { KeyWrapper } from '../../src/secrets/key-wrapper.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import { type Canaries, canariesIn } from '../support/canaries.ts'
import { failures } from '../support/leak-failures.ts'
import { CHAT, KEK, openScene, type Scene } from '../support/leak-scene.ts'
import { chat } from '../support/provider-server.ts'
import { queryAll, tamper, temporaryFiles } from '../support/sqlite.ts'

const fileOf = temporaryFiles()
const file = fileOf('raw.db')
const KEYS = 50

let scene: Scene
let issued: string[]
const dataKeys: Uint8Array[] = []

/** The ring, and beside it a copy of every data key that passes. */
function spied(): KeyWrapper {
  const ring = localKeyWrapper([{ id: 'kek-1', key: KEK }])
  return {
    contractVersion: 1,
    primaryKekId: 'kek-1',
    wrap: (dek, context) => {
      dataKeys.push(Uint8Array.from(dek))
      return ring.wrap(dek, context)
    },
    unwrap: (key, context) => ring.unwrap(key, context),
  }
}

/** All bytes that the store has on the disk, one letter a byte. */
const onDisk = (): string =>
  ['', '-wal', '-shm']
    .filter((suffix) => existsSync(file + suffix))
    .map((suffix) => readFileSync(file + suffix, 'latin1'))
    .join('\n')

const numbered = (name: string, values: readonly (string | Uint8Array)[]): Canaries =>
  Object.fromEntries(values.map((value, i) => [`${name} ${i}`, value]))

function everySecret(): Canaries {
  const hash = (name: string, text: string): Uint8Array => createHash(name).update(text).digest()
  return {
    ...scene.canaries,
    ...numbered('key', issued),
    ...numbered(
      'secret of key',
      issued.map((key) => parseKey(key)!.secret),
    ),
    ...numbered(
      'SHA-256 of key',
      issued.map((key) => hash('sha256', key)),
    ),
    ...numbered(
      'SHA-1 of key',
      issued.map((key) => hash('sha1', key)),
    ),
    ...numbered(
      'SHA-256 of the secret of key',
      issued.map((key) => hash('sha256', parseKey(key)!.secret)),
    ),
    ...numbered('replaced secret', replaced),
    ...numbered('data key', dataKeys),
  }
}
const replaced = Array.from({ length: 5 }, (_, i) => `sk-old-CANARY-${i}${i}${i}-0123456789abcdef`)

beforeAll(async () => {
  scene = await openScene(sqlite({ file, synchronous: 'NORMAL' }))
  const { tk, canaries } = scene
  issued = [String(canaries['the platform key'])]
  for (let i = 0; i < KEYS; i++) {
    issued.push((await tk.keys.issue({ tenantId: 'acme', name: `key ${i}`, scopes: ['chat'] })).key)
  }
  const spy = await scene.start({ keyWrapper: spied() })
  for (let i = 0; i < 3; i++) await spy.tenants.create({ id: `spied-${i}` })
  for (const apiKey of replaced) {
    for (let i = 0; i < 3; i++) {
      await spy.secrets.put({ tenantId: `spied-${i}`, provider: 'openai', value: { apiKey } })
    }
  }
  await spy.secrets.delete({ tenantId: 'spied-1', provider: 'openai' })
  for (const key of issued.slice(0, 5)) {
    await scene.client(tk, { key }).chat.completions.create(CHAT)
    await tk.keys.verify(key)
  }
  for (const fail of Object.values(failures)) {
    scene.server.answer = chat
    await Promise.resolve()
      .then(() => fail(scene))
      .catch(() => {})
  }
  await tk.flush()
})
afterAll(() => scene.close())

describe('T-K1 T-L3 the raw bytes of the file, its log and its index', () => {
  test('hold no secret, no key, and no plain hash of one, while the store is open', () => {
    expect(dataKeys).toHaveLength(3)
    expect(Object.keys(everySecret()).length).toBeGreaterThan(200)
    expect(canariesIn(onDisk(), everySecret())).toEqual([])
  })

  test('and none after the log was brought into the file and the store was closed', async () => {
    tamper(file, 'PRAGMA wal_checkpoint(TRUNCATE)')
    expect(canariesIn(onDisk(), everySecret())).toEqual([])
    await scene.tk.close()
    expect(canariesIn(onDisk(), everySecret())).toEqual([])
  })

  test('hold what was looked for where it may be: ids, masks, names', () => {
    const text = onDisk()
    for (const shown of [
      'acme',
      'spied-2',
      'key 49',
      'sk-...***...cdef',
      parseKey(issued[9]!)!.keyId,
    ]) {
      expect(text).toContain(shown)
    }
    expect(queryAll(file, 'SELECT count(*) AS n FROM api_key_usage_logs')[0]?.n).toBeGreaterThan(4n)
  })

  test('would show a secret that somebody wrote there, as text, bytes or hex digits', () => {
    const [key = ''] = issued
    const bytes = Buffer.from(key).toString('hex')
    for (const value of [
      `'${key}'`,
      `x'${bytes}'`,
      `'${bytes}'`,
      `'${Buffer.from(key).toString('base64')}'`,
    ]) {
      tamper(
        file,
        'DROP TABLE IF EXISTS leak',
        'CREATE TABLE leak (a)',
        `INSERT INTO leak VALUES (${value})`,
      )
      expect(canariesIn(onDisk(), everySecret())).toContain('key 0')
      tamper(file, 'DROP TABLE leak', 'VACUUM', 'PRAGMA wal_checkpoint(TRUNCATE)')
    }
  })
})
