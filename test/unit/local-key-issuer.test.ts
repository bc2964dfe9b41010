import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it, vi } from 'vitest'
import { primitives } from '../../src/kernel/crypto/primitives.ts'
import { generateKey, parseKey } from '../../src/keys/key-format.ts'
import { hashKey } from '../../src/keys/key-hash.ts'
import { localKeyIssuer } from '../../src/keys/local-key-issuer.ts'
import type { KeyRecord } from '../../src/storage/records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { draft, fakePepper, keyInstallation, keyText } from '../support/key-issuer.ts'

const keyReads = (calls: readonly string[]): number => calls.filter((c) => c === 'keys.find').length

/** The same store, but rows of keys come back as an attacker with write access left them. */
const tampered =
  (change: (key: KeyRecord) => Partial<KeyRecord>) =>
  (storage: Storage): Storage => ({
    ...storage,
    keys: {
      ...storage.keys,
      find: async (keyId) => {
        const { found, ...reading } = await storage.keys.find(keyId)
        if (found === null) return { found, ...reading }
        return { ...reading, found: { ...found, key: { ...found.key, ...change(found.key) } } }
      },
    },
  })

describe('issue', () => {
  it('returns the key text and what may be shown of it', async () => {
    const { issuer, clock } = await keyInstallation('local')
    const { key, info } = await issuer.issue(draft({ brand: 'ac_chat', environment: 'test' }))
    expect(parseKey(key)).toMatchObject({
      brand: 'ac_chat',
      environment: 'test',
      keyId: info.keyId,
    })
    expect(info).toEqual({
      keyId: info.keyId,
      tenantId: 'acme',
      name: 'a key',
      brand: 'ac_chat',
      environment: 'test',
      scopes: ['support:chat'],
      state: 'active',
      expiresAtMs: null,
      createdAtMs: clock.nowMs(),
      updatedAtMs: clock.nowMs(),
      last4: key.slice(-4),
      secretVersion: 1,
    })
    expect(Object.isFrozen(info) && Object.isFrozen(info.scopes)).toBe(true)
  })

  it('T-K13 takes the fields of a request and no others into the row', async () => {
    const { issuer, truth } = await keyInstallation('local')
    const greedy = { ...draft(), state: 'revoked', hash: new Uint8Array(32), secretVersion: 9 }
    const { info } = await issuer.issue(greedy)
    const row = await truth.keys.get(info)
    expect(row).toMatchObject({ state: 'active', secretVersion: 1, pepperId: 'pep-1' })
    expect(row!.hash).not.toEqual(new Uint8Array(32))
    expect(row).not.toHaveProperty('actor')
  })

  it('refuses an unknown tenant', async () => {
    const { issuer } = await keyInstallation('local')
    await expect(issuer.issue(draft({ tenantId: 'nobody' }))).rejects.toMatchObject({
      code: 'TK_TENANT_NOT_FOUND',
    })
  })

  it('writes an audit row and an event with every change, and none when nothing changed', async () => {
    const { issuer, truth } = await keyInstallation('local')
    const { info } = await issuer.issue(draft())
    const ref = { tenantId: 'acme', keyId: info.keyId, actor: 'ops' }
    await issuer.disable(ref)
    await issuer.disable(ref)
    await issuer.enable(ref)
    await issuer.revoke(ref)
    await issuer.revoke(ref)
    const { items } = await truth.audit.list({ rootId: 'acme', after: null, limit: 100 })
    const ours = items.filter((row) => row.action.startsWith('key.'))
    expect(ours.map((row) => [row.action, row.actor])).toEqual([
      ['key.issue', 'tester'],
      ['key.disable', 'ops'],
      ['key.enable', 'ops'],
      ['key.revoke', 'ops'],
    ])
    for (const row of ours) {
      expect(row).toMatchObject({ target: `key:${info.keyId}`, detail: { name: 'a key' } })
    }
    const { events } = await truth.outbox.lease({ limit: 100, leaseMs: 1_000 })
    const kinds = events.map((event) => [event.kind, JSON.parse(event.payload).actor])
    expect(kinds).toEqual([
      ['key.issued', 'tester'],
      ['key.disabled', 'ops'],
      ['key.enabled', 'ops'],
      ['key.revoked', 'ops'],
    ])
  })
})

describe.each(['local', 'remote'] as const)('verify on a %s store', (kind) => {
  it('knows a good key, first from the store and then from memory', async () => {
    const { issuer, calls } = await keyInstallation(kind)
    const { key, info } = await issuer.issue(draft())
    expect(issuer.verifyCached(key)).toBeNull()
    const verdict = await issuer.verify(key)
    expect(verdict).toMatchObject({ ok: true, key: info, tenant: { id: 'acme', path: ['acme'] } })
    calls.length = 0
    expect(issuer.verifyCached(key)).toBe(verdict)
    expect(await issuer.verify(key)).toBe(verdict)
    expect(calls).toEqual([])
  })

  it('shows no hash, and nothing of its answer can be changed', async () => {
    const { issuer } = await keyInstallation(kind)
    const { key } = await issuer.issue(draft())
    const verdict = await issuer.verify(key)
    if (!verdict.ok) throw new Error('refused')
    expect(verdict.key).not.toHaveProperty('hash')
    expect(verdict.key).not.toHaveProperty('pepperId')
    const parts = [verdict, verdict.key, verdict.key.scopes]
    expect(parts.every((part) => Object.isFrozen(part))).toBe(true)
  })

  it('one cold key asked for 64 times at once is read once', async () => {
    const { issuer, calls } = await keyInstallation(kind)
    const { key } = await issuer.issue(draft())
    const verdicts = await Promise.all(Array.from({ length: 64 }, () => issuer.verify(key)))
    expect(verdicts.every((verdict) => verdict.ok)).toBe(true)
    expect(keyReads(calls)).toBe(1)
  })

  it('T-K3 of 10^5 well-formed texts with a wrong checksum none is accepted or looked up', async () => {
    const { issuer, calls } = await keyInstallation(kind)
    let accepted = 0
    for (let i = 0; i < 100_000; i++) {
      const { key } = generateKey({ brand: 'tk', environment: 'live' })
      const wrong = key.slice(0, -1) + (key.endsWith('0') ? '1' : '0')
      if ((await issuer.verify(wrong)).ok) accepted++
    }
    expect([accepted, calls.length]).toEqual([0, 0])
  })

  it('T-K3 a right checksum around a guessed secret is accepted for no key', async () => {
    const { issuer } = await keyInstallation(kind)
    const { key } = await issuer.issue(draft())
    await issuer.verify(key)
    for (let i = 0; i < 1_000; i++) {
      const guess = keyText({ ...parseKey(key)!, secret: generateKey(draft()).secret })
      expect(await issuer.verify(guess)).toEqual({ ok: false, code: 'TK_KEY_UNKNOWN', keyId: null })
    }
  })

  it('a key with another brand or environment in front is not that key', async () => {
    const { issuer } = await keyInstallation(kind)
    const { key } = await issuer.issue(draft())
    const parts = parseKey(key)!
    for (const change of [{ brand: 'tj' }, { environment: 'test' as const }]) {
      const other = keyText({ ...parts, ...change })
      expect(await issuer.verify(other)).toEqual({ ok: false, code: 'TK_KEY_UNKNOWN', keyId: null })
    }
    expect((await issuer.verify(key)).ok).toBe(true)
  })

  it('T-K10 two keys that are equal in their first 40 letters resolve apart', async () => {
    const brand = `b${'x'.repeat(23)}`
    const { issuer } = await keyInstallation(kind)
    const { key } = await issuer.issue(draft({ brand }))
    expect((await issuer.verify(key)).ok).toBe(true)
    const parts = parseKey(key)!
    const twin = keyText({
      ...parts,
      secret: parts.secret.slice(0, -1) + (parts.secret.endsWith('A') ? 'B' : 'A'),
    })
    expect(twin.slice(0, 40)).toBe(key.slice(0, 40))
    expect(issuer.verifyCached(twin)).toBeNull()
    expect((await issuer.verify(twin)).ok).toBe(false)

    const other = await issuer.issue(draft({ brand, tenantId: 'globex' }))
    expect(await issuer.verify(other.key)).toMatchObject({ ok: true, tenant: { id: 'globex' } })
    expect(await issuer.verify(key)).toMatchObject({ ok: true, tenant: { id: 'acme' } })
  })

  it('T-K11 a wrong secret and an unknown id cost the same HMACs and comparisons', async () => {
    const { issuer } = await keyInstallation(kind)
    const { key } = await issuer.issue(draft())
    const wrongSecret = keyText({ ...parseKey(key)!, secret: generateKey(draft()).secret })
    const unknownId = generateKey(draft()).key
    const count = async (text: string): Promise<number[]> => {
      const hmac = vi.spyOn(primitives, 'hmacSha256')
      const equal = vi.spyOn(primitives, 'equal')
      await issuer.verify(text)
      const counted = [hmac.mock.calls.length, equal.mock.calls.length]
      const sizes = hmac.mock.calls.map(([pepper]) => pepper.length)
      hmac.mockRestore()
      equal.mockRestore()
      return [...counted, ...sizes]
    }
    for (const round of ['cold', 'remembered']) {
      expect(await count(unknownId), round).toEqual([1, 1, 32])
      expect(await count(wrongSecret), round).toEqual([1, 1, 32])
    }
    expect(await count(key)).toEqual([1, 1, 32])
    expect(await count(key)).toEqual([0, 0])
  })

  it('T-K12 of 10^4 hostile header values none passes the parser', async () => {
    const { issuer, calls } = await keyInstallation(kind)
    const { key } = await issuer.issue(draft())
    calls.length = 0
    const hostile = [
      "' OR '1'='1",
      "tk_live_'; DROP TABLE tk_keys;--",
      '" UNION SELECT hash FROM tk_keys --',
      '\0',
      '%00',
      '\u202e',
      '$(id)',
      '{"$ne":null}',
      '../../etc/passwd',
      '\r\nX-Admin: 1',
      'Bearer ',
      '__proto__',
      '\ud800',
    ]
    for (let i = 0; i < 10_000; i++) {
      const poison = hostile[i % hostile.length]!
      const at = (i * 31) % key.length
      const cut = (i * 7) % (key.length - at)
      const text = key.slice(0, at) + poison + key.slice(at + cut)
      expect(await issuer.verify(text)).toEqual({
        ok: false,
        code: 'TK_KEY_MALFORMED',
        keyId: null,
      })
    }
    expect(calls).toEqual([])
  })

  it('T-K15 200 malformed texts are refused without a look at the store', async () => {
    const { issuer, calls } = await keyInstallation(kind)
    const { key } = await issuer.issue(draft())
    calls.length = 0
    const letters = [
      '',
      ' ',
      '\t',
      '\n',
      '\r\n',
      ',',
      ';',
      '\0',
      '\u00a0',
      '\u200b',
      '\ufeff',
      'é',
      'ａ',
      '𝐚',
    ]
    const around = letters
      .slice(1)
      .flatMap((x) => [x + key, key + x, x + key + x, key.slice(0, 30) + x + key.slice(30)])
    const shapes = [
      '',
      key.toUpperCase(),
      `Bearer ${key}`,
      `bearer ${key}`,
      `"${key}"`,
      `${key},${key}`,
      `${key}, ${key}`,
      key.normalize('NFKC') + key,
      key.replaceAll('_', '-'),
      key.replaceAll('_', '__'),
      encodeURIComponent(key).replaceAll('_', '%5F'),
      Buffer.from(key).toString('base64'),
      [...key].reverse().join(''),
      'x'.repeat(257),
      'x'.repeat(1 << 20),
      `${key}${'0'.repeat(1 << 20)}`,
      `${'a'.repeat(200)}${key}`,
    ]
    const strangers = [undefined, null, 42, {}, [key], { toString: () => key }, new String(key)]
    const cuts = Array.from({ length: 130 }, (_, i) => key.slice(0, i % key.length))
    const all = [...around, ...shapes, ...strangers, ...cuts]
    expect(all.length).toBeGreaterThanOrEqual(200)
    for (const text of all) {
      const verdict = await issuer.verify(text as string)
      expect(verdict).toEqual({ ok: false, code: 'TK_KEY_MALFORMED', keyId: null })
      expect(issuer.verifyCached(text as string)?.ok ?? false).toBe(false)
    }
    expect(calls).toEqual([])
  })

  it('T-K8 a key dies in its very millisecond, cached or not, and no clock set back revives it', async () => {
    const { issuer, clock } = await keyInstallation(kind)
    const expiresAtMs = clock.nowMs() + 500
    const warm = await issuer.issue(draft({ expiresAtMs }))
    const cold = await issuer.issue(draft({ expiresAtMs }))
    expect((await issuer.verify(warm.key)).ok).toBe(true)
    clock.advance(499)
    expect((await issuer.verify(warm.key)).ok).toBe(true)
    const expired = { ok: false, code: 'TK_KEY_EXPIRED' }
    clock.advance(1)
    expect(await issuer.verify(warm.key)).toEqual({ ...expired, keyId: warm.info.keyId })
    expect(await issuer.verify(cold.key)).toEqual({ ...expired, keyId: cold.info.keyId })
    clock.advance(1)
    expect(issuer.verifyCached(warm.key)).toEqual({ ...expired, keyId: warm.info.keyId })
    clock.set(clock.nowMs() - 3_600_000)
    for (let i = 0; i < 5; i++) {
      expect(await issuer.verify(warm.key)).toEqual({ ...expired, keyId: warm.info.keyId })
      expect(await issuer.verify(cold.key)).toEqual({ ...expired, keyId: cold.info.keyId })
      clock.advance(1_500)
    }
  })

  it('KI-2 verify sends the store nothing but reads', async () => {
    const { issuer, calls, clock, truth } = await keyInstallation(kind)
    const { key, info } = await issuer.issue(draft({ expiresAtMs: clock.nowMs() + 10_000 }))
    const before = await truth.keys.get(info)
    calls.length = 0
    for (const ms of [0, 1_500, 3_000, 20_000]) {
      clock.advance(ms)
      for (const text of [key, generateKey(draft()).key, 'nonsense']) await issuer.verify(text)
    }
    const reads = new Set(['keys.find', 'epoch'])
    expect(calls.filter((command) => !reads.has(command))).toEqual([])
    expect(keyReads(calls)).toBeGreaterThan(0)
    expect(await truth.keys.get(info)).toEqual(before)
  })

  it('KI-3 a denial is a value, and a store that cannot answer throws', async () => {
    const { issuer, faults } = await keyInstallation(kind)
    const { key, info } = await issuer.issue(draft())
    faults.set('keys.find', 'lost-request')
    await expect(issuer.verify(key)).rejects.toMatchObject({ code: 'TK_STORE_UNAVAILABLE' })
    faults.clear()
    await issuer.disable({ ...info, actor: 'ops' })
    const disabled = { ok: false, code: 'TK_KEY_DISABLED', keyId: info.keyId }
    expect(await issuer.verify(key)).toEqual(disabled)
  })

  it('a key of a pepper that is no longer in the list is an error, not a denial', async () => {
    const { issuer, truth, clock } = await keyInstallation(kind)
    const { key } = await issuer.issue(draft())
    const peppers = [{ id: 'pep-2', key: fakePepper(2) }]
    const late = localKeyIssuer({ storage: truth, peppers, clock })
    await expect(late.verify(key)).rejects.toMatchObject({ code: 'TK_PEPPER_UNKNOWN' })
  })

  it('T-K16 keys of an earlier pepper stay good while it is in the list', async () => {
    const { issuer, truth, clock } = await keyInstallation(kind)
    const old = await issuer.issue(draft())
    const peppers = [
      { id: 'pep-2', key: fakePepper(2) },
      { id: 'pep-1', key: fakePepper(1) },
    ]
    const next = localKeyIssuer({ storage: truth, peppers, clock })
    const fresh = await next.issue(draft())
    expect((await next.verify(old.key)).ok && (await next.verify(fresh.key)).ok).toBe(true)
    expect((await truth.keys.get(fresh.info))?.pepperId).toBe('pep-2')
  })

  it('what a caller does to a verdict changes no later one', async () => {
    const { issuer } = await keyInstallation(kind)
    const { key } = await issuer.issue(draft())
    const first = await issuer.verify(key)
    const before = structuredClone(first)
    if (!first.ok) throw new Error('refused')
    const { key: info, tenant } = first
    for (const shown of [first, info, info.scopes, tenant, tenant.path]) {
      expect(Object.isFrozen(shown)).toBe(true)
    }
    expect(() => Object.assign(tenant, { credentials: 'platform' })).toThrow(TypeError)
    expect(await issuer.verify(key)).toEqual(before)
  })

  it('remembers no more keys than it may, and is right about those it forgot', async () => {
    const { issuer } = await keyInstallation(kind, { maxCachedKeys: 2 })
    const made = await Promise.all(
      ['a', 'b', 'c', 'd'].map((name) => issuer.issue(draft({ name }))),
    )
    for (let round = 0; round < 3; round++) {
      for (const { key, info } of made) {
        expect(await issuer.verify(key)).toMatchObject({ ok: true, key: { name: info.name } })
      }
    }
    expect(made.filter(({ key }) => issuer.verifyCached(key) !== null)).toHaveLength(2)
    await issuer.revoke({ ...made[3]!.info, actor: 'ops' })
    expect(await issuer.verify(made[3]!.key)).toMatchObject({ ok: false, code: 'TK_KEY_REVOKED' })
  })
})

describe('what is stored', () => {
  it('T-K1 a dump of every record holds neither the key nor a plain digest of it', async () => {
    const { issuer, truth } = await keyInstallation('local')
    const made = await Promise.all(Array.from({ length: 20 }, () => issuer.issue(draft())))
    for (const { key, info } of made) {
      await issuer.verify(key)
      await issuer.disable({ ...info, actor: 'ops' })
    }
    const page = { after: null, limit: 1000 }
    const { items } = await truth.keys.list({ tenantId: 'acme', ...page })
    expect(items).toHaveLength(20)
    const dump = [
      everyForm(items),
      everyForm(await Promise.all(items.map(({ keyId }) => truth.keys.find(keyId)))),
      everyForm(await truth.audit.list({ rootId: 'acme', ...page })),
      everyForm(await truth.outbox.lease({ limit: 1000, leaseMs: 1 })),
    ].join('\n')
    for (const { key } of made) {
      const { secret } = parseKey(key)!
      for (const text of [key, secret]) {
        for (const algorithm of ['sha256', 'sha512', 'sha1', 'md5']) {
          const digest = createHash(algorithm).update(text).digest()
          for (const form of ['hex', 'base64', 'base64url'] as const) {
            expect(dump).not.toContain(digest.toString(form).replaceAll('=', ''))
          }
        }
        expect(dump).not.toContain(text)
      }
    }
    const { hash } = items[0]!
    expect(dump, 'the dump does hold hashes').toContain(Buffer.from(hash).toString('hex'))
  })

  it('KI-1 T-K9 no later answer, audit row or event returns the key again', async () => {
    const { issuer, truth, clock } = await keyInstallation('local')
    const { key, info } = await issuer.issue(draft())
    const ref = { tenantId: 'acme', keyId: info.keyId, actor: 'ops' }
    const page = { after: null, limit: 1000 }
    const said: unknown[] = [info, await issuer.verify(key), issuer.verifyCached(key)]
    said.push(await issuer.get(ref), await issuer.list({ tenantId: 'acme', ...page }))
    said.push(await issuer.disable(ref), await issuer.verify(key), await issuer.enable(ref))
    said.push(await issuer.revoke(ref), await issuer.verify(key))
    said.push(await issuer.enable(ref).catch((error: unknown) => error))
    said.push(await truth.audit.list({ rootId: 'acme', ...page }))
    said.push(await truth.outbox.lease({ limit: 1000, leaseMs: 1 }))
    said.push(issuer, clock)
    const text = everyForm(said)
    expect(text).toContain(info.keyId)
    expect(text).not.toContain(key)
    expect(text).not.toContain(parseKey(key)!.secret)
  })

  it('T-K2 a row with a self-made hash opens nothing', async () => {
    const chosen = generateKey(draft())
    const plain = new Uint8Array(createHash('sha256').update(chosen.key).digest())
    const secretOnly = new Uint8Array(createHash('sha256').update(chosen.secret).digest())
    const ownPepper = hashKey({ pepper: fakePepper(9), tenantId: 'acme', ...chosen })
    for (const hash of [plain, secretOnly, ownPepper, new Uint8Array(32), new Uint8Array(0)]) {
      const { issuer, truth } = await keyInstallation('local', { wrap: tampered(() => ({ hash })) })
      const row = { ...draft(), keyId: chosen.keyId, last4: 'abcd', hash, pepperId: 'pep-1' }
      await truth.keys.create(row, {})
      expect(await issuer.verify(chosen.key)).toMatchObject({ ok: false, code: 'TK_KEY_UNKNOWN' })
    }
  })

  it("T-K2 another key's hash copied into a row opens nothing, nor does a row given to another tenant", async () => {
    let change: Partial<KeyRecord> = {}
    const { issuer, truth } = await keyInstallation('local', { wrap: tampered(() => change) })
    const a = await issuer.issue(draft())
    const b = await issuer.issue(draft({ tenantId: 'globex' }))
    const rowOfA = await truth.keys.get(a.info)
    const swaps: [string, Partial<KeyRecord>, string][] = [
      ['the hash of A in the row of B', { hash: rowOfA!.hash }, b.key],
      [
        'the hash of A in the row of B, asked with the secret of A',
        { hash: rowOfA!.hash },
        keyText({ ...parseKey(a.key)!, keyId: b.info.keyId }),
      ],
      ['the row of A given to globex', { tenantId: 'globex' }, a.key],
    ]
    for (const [name, swap, key] of swaps) {
      change = swap
      expect(await issuer.verify(key), name).toMatchObject({ ok: false, code: 'TK_KEY_UNKNOWN' })
    }
    change = {}
    const untouched = localKeyIssuer({
      storage: truth,
      peppers: [{ id: 'pep-1', key: fakePepper(1) }],
    })
    expect((await untouched.verify(a.key)).ok && (await untouched.verify(b.key)).ok).toBe(true)
  })
})

describe('changes of state', () => {
  it('are seen by the very next verification, with a warm cache', async () => {
    for (const kind of ['local', 'remote'] as const) {
      const { issuer } = await keyInstallation(kind)
      const { key, info } = await issuer.issue(draft())
      const ref = { ...info, actor: 'ops' }
      const seen: string[] = []
      const look = async (): Promise<void> => {
        const verdict = await issuer.verify(key)
        seen.push(verdict.ok ? 'ok' : verdict.code)
      }
      await look()
      await issuer.disable(ref)
      await look()
      await issuer.enable(ref)
      await look()
      await issuer.revoke(ref)
      await look()
      expect(seen).toEqual(['ok', 'TK_KEY_DISABLED', 'ok', 'TK_KEY_REVOKED'])
    }
  })

  it('KI-5 a revoked key stays revoked', async () => {
    const { issuer } = await keyInstallation('local')
    const { key, info } = await issuer.issue(draft())
    const ref = { ...info, actor: 'ops' }
    expect((await issuer.revoke(ref)).state).toBe('revoked')
    expect((await issuer.revoke(ref)).state).toBe('revoked')
    for (const change of [issuer.enable(ref), issuer.disable(ref)]) {
      await expect(change).rejects.toMatchObject({ code: 'TK_KEY_REVOKED' })
    }
    expect(await issuer.verify(key)).toMatchObject({ ok: false, code: 'TK_KEY_REVOKED' })
  })

  it('KI-4 T-I1 a key of another tenant answers as one that never existed', async () => {
    const { issuer } = await keyInstallation('local')
    const { info, key } = await issuer.issue(draft())
    const foreign = { tenantId: 'globex', keyId: info.keyId, actor: 'mallory' }
    const random = { ...foreign, keyId: generateKey(draft()).keyId }
    expect(await issuer.get(foreign)).toBeNull()
    expect(await issuer.list({ tenantId: 'globex', after: null, limit: 10 })).toEqual({
      items: [],
      next: null,
    })
    for (const change of ['disable', 'enable', 'revoke'] as const) {
      const errors = await Promise.all(
        [foreign, random].map((ref) => issuer[change](ref).catch((error: unknown) => error)),
      )
      const [a, b] = errors.map((e) => JSON.stringify(e).replaceAll(/"keyId":"\w+"/g, ''))
      expect(a).toContain('TK_KEY_NOT_FOUND')
      expect(a).toBe(b)
    }
    expect((await issuer.verify(key)).ok).toBe(true)
  })

  it('list pages through all keys of a tenant once, without hashes', async () => {
    const { issuer } = await keyInstallation('local')
    for (let i = 0; i < 7; i++) await issuer.issue(draft({ name: `key ${i}` }))
    const names: string[] = []
    let after: string | null = null
    do {
      const page = await issuer.list({ tenantId: 'acme', after, limit: 3 })
      expect(page.items.every((info) => !('hash' in info) && !('pepperId' in info))).toBe(true)
      names.push(...page.items.map((info) => info.name))
      after = page.next
    } while (after !== null)
    expect(names.sort()).toEqual(Array.from({ length: 7 }, (_, i) => `key ${i}`))
  })
})

describe('options', () => {
  it('are checked by name', async () => {
    const { truth: storage } = await keyInstallation('local')
    const peppers = [{ id: 'pep-1', key: fakePepper(1) }]
    const bad = [
      ['maxStaleMs', 999],
      ['maxStaleMs', 60_001],
      ['maxStaleMs', 1_500.5],
      ['maxStaleMs', Number.NaN],
      ['waitMs', 0],
      ['waitMs', 2_001],
      ['maxCachedKeys', 0],
      ['maxCachedKeys', 4_000_001],
    ] as const
    for (const [field, value] of bad) {
      expect(() => localKeyIssuer({ storage, peppers, [field]: value })).toThrow(
        expect.objectContaining({
          code: 'TK_CONFIG_INVALID',
          details: expect.objectContaining({ field }),
        }),
      )
    }
  })
})

/** A deep walk that also shows bytes as hex and base64, and what inspect and JSON would print. */
function everyForm(value: unknown): string {
  const bytes: string[] = []
  const json = JSON.stringify(value, (_, inner: unknown) => {
    if (!(inner instanceof Uint8Array)) return inner
    const buffer = Buffer.from(inner)
    bytes.push(buffer.toString('hex'), buffer.toString('base64'), buffer.toString('latin1'))
    return inner
  })
  return [
    json,
    inspect(value, { depth: 9, showHidden: true, maxStringLength: null }),
    ...bytes,
  ].join('\n')
}
