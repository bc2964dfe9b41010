import { describe, expect, test } from 'vitest'
import { seal } from '../../src/secrets/envelope.ts'
import type { DekRecord, SecretRecord } from '../../src/storage/records.ts'
import { bytes } from '../support/envelope-cases.ts'
import { leaksOf } from '../support/leaks.ts'
import {
  CANARY,
  type Fixture,
  input,
  OPEN_FAILED,
  REF,
  readTampered,
  setUp,
} from '../support/secret-store.ts'

describe('rows that were tampered with', () => {
  test.each([
    ['envelope', ['envelope']],
    ['envelope and data key', ['envelope', 'dekId']],
    ['envelope and id', ['envelope', 'id']],
    ['everything but the tenant', ['envelope', 'dekId', 'id', 'version', 'origin']],
  ] as const)('T-C1 exchanging between two tenants: %s', async (_, columns) => {
    const fixture = await setUp()
    await fixture.store.put(input())
    await fixture.store.put(input({ tenantId: 'other', apiKey: 'sk-other' }))
    const mine = (await fixture.storage.secrets.get(REF))!
    const theirs = (await fixture.storage.secrets.get({ ...REF, tenantId: 'other' }))!
    const moved = Object.fromEntries(columns.map((column) => [column, theirs[column]]))
    expect(await readTampered(fixture, { ...mine, ...moved })).toMatchObject(OPEN_FAILED)
    expect(await readTampered(fixture, theirs)).toMatchObject(OPEN_FAILED)
    expect(await readTampered(fixture, mine)).toBe(CANARY)
  })

  test.each([
    ['id', '018f3c1e-7b1a-7cc3-9a55-00000000ffff'],
    ['version', 2],
    ['version', 0],
    ['origin', 'https://llm.evil.example'],
    ['origin', null],
    ['dekId', '018f3c1e-7b1a-7cc3-9a55-00000000ffff'],
    ['dekId', ''],
    ['envelope', new Uint8Array(0)],
    ['envelope', bytes('noise', 300)],
  ] as const)('T-C2 T-S4 changing %s alone to %j', async (column, value) => {
    const fixture = await setUp()
    await fixture.store.put(input())
    const row = (await fixture.storage.secrets.get(REF))!
    expect(await readTampered(fixture, { ...row, [column]: value })).toMatchObject(OPEN_FAILED)
  })

  test('T-C2 a row moved to another provider or put under another purpose does not open', async () => {
    const fixture = await setUp()
    await fixture.store.put(input({ provider: 'anthropic' }))
    const moved = (await fixture.storage.secrets.get({ ...REF, provider: 'anthropic' }))!
    expect(await readTampered(fixture, { ...moved, provider: 'openai' })).toMatchObject(OPEN_FAILED)
    expect(
      await readTampered(fixture, await sealedAs(fixture, 'webhook-secret', '{}')),
    ).toMatchObject(OPEN_FAILED)
  })

  test('T-C20 an older envelope put back under the present version does not open', async () => {
    const fixture = await setUp()
    await fixture.store.put(input({ apiKey: 'sk-old' }))
    const old = (await fixture.storage.secrets.get(REF))!
    await fixture.store.put(input())
    const now = (await fixture.storage.secrets.get(REF))!
    expect(await readTampered(fixture, { ...now, envelope: old.envelope })).toMatchObject(
      OPEN_FAILED,
    )
  })

  test('T-C7 T-C8 a data key row exchanged for another does not open, however it was wrapped', async () => {
    const fixture = await setUp()
    await fixture.store.put(input())
    const secret = (await fixture.storage.secrets.get(REF))!
    const at = { tenantId: 'acme', dekId: secret.dekId }
    const row = (await fixture.storage.deks.get(at))!
    const known = bytes('a data key the attacker knows', 32)
    const context = { ...at, generation: row.generation }
    const rows: DekRecord[] = [
      { ...row, ...(await fixture.keyWrapper.wrap(known, context)) },
      { ...row, ...(await fixture.keyWrapper.wrap(known, { ...context, tenantId: 'other' })) },
      { ...row, generation: 2 },
      { ...row, kekId: 'kek-2' },
      { ...row, wrapped: new Uint8Array(61) },
    ]
    for (const swapped of rows) {
      fixture.storage.deks.get = async () => swapped
      expect(await readTampered(fixture, secret)).toMatchObject(OPEN_FAILED)
    }
    fixture.storage.deks.get = async () => row
    expect(await readTampered(fixture, secret)).toBe(CANARY)
  })

  test.each(['no JSON: CANARY', 'null', '[1', '{"apiKey":', '\u0000'])(
    'a plaintext that is not ours (%j) fails like all others',
    async (text) => {
      const fixture = await setUp()
      const row = await sealedAs(fixture, 'provider-secret', text)
      const error = await readTampered(fixture, row)
      expect(error).toMatchObject(OPEN_FAILED)
      expect(leaksOf(error as Error, ['CANARY'])).toEqual([])
    },
  )

  /** REF's row with an envelope that was properly sealed, but not by the store. */
  async function sealedAs(fixture: Fixture, purpose: string, text: string): Promise<SecretRecord> {
    await fixture.store.put(input())
    const row = (await fixture.storage.secrets.get(REF))!
    const at = { tenantId: 'acme', dekId: row.dekId }
    const dekRow = (await fixture.storage.deks.get(at))!
    const dek = await fixture.keyWrapper.unwrap(dekRow, { ...at, generation: 1 })
    const { id: secretId, tenantId, provider, origin, version } = row
    const context = { tenantId, purpose, provider, origin, secretId, version }
    const plaintext = new TextEncoder().encode(text)
    return { ...row, envelope: seal({ plaintext, dek, dekId: row.dekId, context }) }
  }
})
