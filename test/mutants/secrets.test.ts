/**
 * Guards around the envelope taken out, one at a time: what they stop must then happen.
 *
 * @module
 */
import { describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { bytes } from '../support/envelope-cases.ts'
import { Mutant, type Sabotage } from '../support/mutant.ts'

const FOLDERS = ['kernel', 'secrets', 'storage']

type Load = <M>(file: string) => Promise<M>

const AT = { tenantId: 'acme', dekId: '018f3c1e-7b1a-7cc3-9a55-00000000d0d0', generation: 1 }
const DEK = bytes('dek', 32)
const WRAPPER = 'secrets/local-key-wrapper.ts'
type WrapperModule = typeof import('../../src/secrets/local-key-wrapper.ts')

async function ringOf(load: Load, ...ids: readonly string[]) {
  const { localKeyWrapper } = await load<WrapperModule>(WRAPPER)
  return localKeyWrapper(ids.map((id) => ({ id, key: bytes(id, 32) })))
}

/** Resolves to true when the attack succeeds. */
type Attack = (load: Load) => Promise<boolean>

const succeeds = async (attempt: () => unknown): Promise<boolean> => {
  try {
    await attempt()
    return true
  } catch {
    return false
  }
}

const accepts =
  (key: unknown): Attack =>
  async (load) => {
    const { localKeyWrapper } = await load<WrapperModule>(WRAPPER)
    return succeeds(() => localKeyWrapper([{ id: 'kek-1', key: key as Uint8Array }]))
  }

const unwrapsElsewhere =
  (change: Partial<typeof AT>): Attack =>
  async (load) => {
    const ring = await ringOf(load, 'kek-1')
    const wrapped = await ring.wrap(DEK, AT)
    return succeeds(() => ring.unwrap(wrapped, { ...AT, ...change }))
  }

const STORE = 'secrets/envelope-secret-store.ts'

/** A store with the secret of acme for openai, and for anthropic. */
async function storeOf(load: Load) {
  const { envelopeSecretStore } =
    await load<typeof import('../../src/secrets/envelope-secret-store.ts')>(STORE)
  const { primitives } = await load<typeof import('../../src/kernel/crypto/primitives.ts')>(
    'kernel/crypto/primitives.ts',
  )
  const storage = memory()
  await storage.migrate()
  await storage.tenants.create({ id: 'acme', parentId: null, credentials: 'tenant' }, {})
  const clock = { elapsedMs: () => 0 }
  const store = envelopeSecretStore({ storage, keyWrapper: await ringOf(load, 'kek-1'), clock })
  const put = (provider: string) =>
    store.put({
      ...{ tenantId: 'acme', provider, name: 'default' },
      secretFields: { apiKey: new Secret('sk-CANARY') },
      ...{ publicFields: {}, origin: null, masked: '', actor: 'a' },
    })
  await put('openai')
  await put('anthropic')
  return { storage, store, primitives }
}

const OPENAI = { tenantId: 'acme', provider: 'openai', name: 'default' }

/** What is taken out, and the attack that succeeds only then. */
const attacks: readonly (readonly [string, Sabotage, Attack])[] = [
  [
    'T-C8 wrapping does not bind the tenant',
    {
      file: WRAPPER,
      from: 'const texts = { tenantId, dekId, kekId }',
      to: "const texts = { tenantId: 't', dekId, kekId }",
    },
    unwrapsElsewhere({ tenantId: 'other' }),
  ],
  [
    'T-C8 wrapping does not bind the data key',
    {
      file: WRAPPER,
      from: 'const texts = { tenantId, dekId, kekId }',
      to: "const texts = { tenantId, dekId: 'd', kekId }",
    },
    unwrapsElsewhere({ dekId: '018f3c1e-7b1a-7cc3-9a55-00000000d0d1' }),
  ],
  [
    'T-C8 wrapping does not bind the generation',
    { file: WRAPPER, from: 'putUint64(out, at, generation)', to: 'putUint64(out, at, 1)' },
    unwrapsElsewhere({ generation: 2 }),
  ],
  [
    'T-C8 wrapping does not bind the KEK id',
    {
      file: WRAPPER,
      from: 'const texts = { tenantId, dekId, kekId }',
      to: "const texts = { tenantId, dekId, kekId: 'k' }",
    },
    async (load) => {
      const { localKeyWrapper } = await load<WrapperModule>(WRAPPER)
      const [one, two] = ['kek-1', 'kek-2'].map((id) =>
        localKeyWrapper([{ id, key: bytes('k', 32) }]),
      )
      const { wrapped } = await one!.wrap(DEK, AT)
      return succeeds(() => two!.unwrap({ kekId: 'kek-2', wrapped }, AT))
    },
  ],
  [
    'a wrapped key may be followed by bytes',
    { file: WRAPPER, from: 'wrapped.length === WRAPPED_BYTES && ', to: '' },
    async (load) => {
      const ring = await ringOf(load, 'kek-1')
      const { kekId } = await ring.wrap(DEK, AT)
      const error = await ring
        .unwrap({ kekId, wrapped: Uint8Array.of(1) }, AT)
        .catch((reason: { code?: string }) => reason)
      return (error as { code?: string }).code !== 'TK_ENVELOPE_OPEN_FAILED'
    },
  ],
  [
    'the wrapping has no version',
    { file: WRAPPER, from: ' && wrapped[0] === VERSION', to: '' },
    async (load) => {
      const ring = await ringOf(load, 'kek-1')
      const { kekId, wrapped } = await ring.wrap(DEK, AT)
      wrapped[0] = 2
      return succeeds(() => ring.unwrap({ kekId, wrapped }, AT))
    },
  ],
  [
    'the keys of a ring are public',
    {
      file: WRAPPER,
      from: 'this.#keys = keys\n',
      to: 'this.#keys = keys\n    Object.assign(this, { keys })\n',
    },
    async (load) => {
      const { inspect } = await import('node:util')
      const ring = await ringOf(load, 'kek-1')
      const start = [...bytes('kek-1', 32).subarray(0, 4)]
      return inspect(ring, { depth: 9 }).includes(start.join(', '))
    },
  ],
  [
    'T-C16 few different bytes are a key',
    { file: 'kernel/key-material.ts', from: 'new Set(bytes).size < LEAST_DISTINCT', to: 'false' },
    accepts(Uint8Array.from({ length: 32 }, (_, i) => (i * i * 7) % 11)),
  ],
  [
    'T-C16 a passphrase is a key',
    {
      file: 'kernel/key-material.ts',
      from: 'return printable || oneCase ?',
      to: 'return oneCase ?',
    },
    accepts(new TextEncoder().encode('Correct-Horse-Battery-Staple-123')),
  ],
  [
    'T-C16 16 bytes are a key',
    { file: 'kernel/key-material.ts', from: ' || bytes.length !== KEY_BYTES', to: '' },
    accepts(bytes('short', 24)),
  ],
  [
    'T-C16 base64 with loose bits is a key',
    {
      file: 'kernel/encoding.ts',
      from: 'return (bits & ((1 << held) - 1)) === 0 ? out : null',
      to: 'return out',
    },
    accepts(`${Buffer.from(bytes('kek', 32)).toString('base64').slice(0, 42)}B=`),
  ],
  [
    'T-C9 a constant random source is taken',
    { file: 'kernel/crypto/self-test.ts', from: ' && !equal(first, second)', to: '' },
    async (load) => {
      const { checkRandomSource } = await load<
        typeof import('../../src/kernel/crypto/self-test.ts')
      >('kernel/crypto/self-test.ts')
      const { primitives } = await load<typeof import('../../src/kernel/crypto/primitives.ts')>(
        'kernel/crypto/primitives.ts',
      )
      const randomBytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i)
      return succeeds(() => checkRandomSource({ ...primitives, randomBytes }))
    },
  ],
  [
    'T-L6 a short secret is shown',
    { file: 'secrets/masking.ts', from: 'length >= 16 ? 2 : 0', to: '4' },
    async (load) => {
      const { maskSecret } =
        await load<typeof import('../../src/secrets/masking.ts')>('secrets/masking.ts')
      return maskSecret('anthropic').includes('opic')
    },
  ],
  [
    'T-L8 the width of a mask tells the length',
    { file: 'secrets/masking.ts', from: ".padStart(TAIL, '.')", to: '' },
    async (load) => {
      const { maskSecret } =
        await load<typeof import('../../src/secrets/masking.ts')>('secrets/masking.ts')
      return maskSecret('x'.repeat(20)).length !== maskSecret('x'.repeat(200)).length
    },
  ],
  [
    'T-C2 the store opens what the row says instead of what was asked',
    {
      file: STORE,
      from: 'contextOf({ ...row, tenantId, provider })',
      to: 'contextOf(row)',
    },
    async (load) => {
      const { storage, store } = await storeOf(load)
      const moved = await storage.secrets.get({ ...OPENAI, provider: 'anthropic' })
      storage.secrets.get = async () => moved
      return succeeds(() => store.open(OPENAI))
    },
  ],
  [
    'T-L3 the error of the parser leaves the store',
    {
      file: STORE,
      from: '    } catch {\n      throw openFailed(ref)',
      to: '    } catch (error) {\n      throw error',
    },
    async (load) => {
      const { store, primitives } = await storeOf(load)
      const { gcmOpen } = primitives
      primitives.gcmOpen = () => new TextEncoder().encode('CANARY is no JSON')
      const error = await store.open(OPENAI).catch((reason: unknown) => reason)
      primitives.gcmOpen = gcmOpen
      return String(error).includes('CANARY')
    },
  ],
  [
    'an opened secret stays in memory',
    {
      file: STORE,
      from: '    } finally {\n      plaintext.fill(0)\n    }\n  }\n\n  forgetKeys',
      to: '    } finally {\n    }\n  }\n\n  forgetKeys',
    },
    async (load) => {
      const { store, primitives } = await storeOf(load)
      const { gcmOpen } = primitives
      const seen: (Uint8Array | null)[] = []
      primitives.gcmOpen = (given) => {
        const plaintext = gcmOpen(given)
        seen.push(plaintext)
        return plaintext
      }
      await store.open(OPENAI)
      primitives.gcmOpen = gcmOpen
      return seen.at(-1)!.some((byte) => byte !== 0)
    },
  ],
  [
    'a writer that loses a race does not try again',
    { file: STORE, from: 'const PUT_ATTEMPTS = 8', to: 'const PUT_ATTEMPTS = 1' },
    async (load) => {
      const { storage, store } = await storeOf(load)
      const { get } = storage.secrets
      let stale = await get(OPENAI)
      storage.secrets.get = async (ref) => {
        const seen = stale
        stale = null
        return seen === null ? get(ref) : { ...seen, version: 0 }
      }
      return !(await succeeds(() =>
        store.put({
          ...OPENAI,
          secretFields: { apiKey: new Secret('sk-2') },
          ...{ publicFields: {}, origin: null, masked: '', actor: 'a' },
        }),
      ))
    },
  ],
]

describe('sabotage of the store, the key ring, the key reader and the masks', () => {
  test.each(attacks)(
    '%s: the attack succeeds on the copy and fails on the sources',
    async (_, sabotage, attack) => {
      const mutant = new Mutant(sabotage, FOLDERS)
      try {
        expect(await attack((file) => mutant.load(file))).toBe(true)
        expect(
          await attack((file) => import(new URL(`../../src/${file}`, import.meta.url).href)),
        ).toBe(false)
      } finally {
        mutant.dispose()
      }
    },
  )
})
