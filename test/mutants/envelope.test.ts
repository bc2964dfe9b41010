/**
 * Each guard of the envelope taken out, one at a time: the case named must notice.
 *
 * @module
 */
import { describe, expect, test } from 'vitest'
import { envelopeCases, loadModules } from '../support/envelope-cases.ts'
import { Mutant, type Sabotage } from '../support/mutant.ts'

const ENVELOPE = 'secrets/envelope.ts'
const AAD = 'secrets/aad.ts'
const NODE = 'kernel/crypto/node.ts'

/** What is taken out, and the beginning of the title of the case that must fail. */
const sabotages: readonly (readonly [string, string, Sabotage])[] = [
  [
    'the commitment is not compared',
    'T-C7',
    { file: ENVELOPE, from: 'if (!primitives.equal(', to: 'if (false && !primitives.equal(' },
  ],
  [
    'the commitment is not compared (bits of it)',
    'T-C3',
    { file: ENVELOPE, from: 'if (!primitives.equal(', to: 'if (false && !primitives.equal(' },
  ],
  [
    'the cipher gets no additional data',
    'every frozen',
    { file: NODE, from: '  cipher.setAAD(input.aad)\n', to: '' },
  ],
  [
    'the key does not depend on the context',
    'every frozen',
    { file: ENVELOPE, from: 'concat(INFO, primitives.sha512(aad))', to: 'concat(INFO)' },
  ],
  [
    'the key does not depend on the salt',
    'every frozen',
    { file: ENVELOPE, from: 'key: dek, salt, info', to: 'key: dek, salt: INFO, info' },
  ],
  ['the magic is not checked', 'T-C3', { file: ENVELOPE, from: 'bytes[i] === byte', to: 'true' }],
  [
    'the format is not checked',
    'T-C6',
    { file: ENVELOPE, from: 'bytes[4] === FORMAT', to: 'true' },
  ],
  [
    'the suite is not checked (high byte)',
    'T-C6',
    { file: ENVELOPE, from: 'bytes[SUITE_AT] === SUITE >> 8', to: 'true' },
  ],
  [
    'the suite is not checked (low byte)',
    'T-C6',
    { file: ENVELOPE, from: 'bytes[SUITE_AT + 1] === SUITE', to: 'true' },
  ],
  [
    'the flags are not checked',
    'T-C6',
    { file: ENVELOPE, from: 'bytes[FLAGS_AT] === FLAGS', to: 'true' },
  ],
  [
    'the length is not checked',
    'T-C3',
    { file: ENVELOPE, from: 'readLength(bytes) === length', to: 'true' },
  ],
  [
    'an envelope may be too short',
    'T-C4',
    { file: ENVELOPE, from: 'length >= 0 &&', to: 'length >= -120 &&' },
  ],
  [
    'an envelope may be too long',
    'a plaintext of',
    {
      file: ENVELOPE,
      from: 'length <= MAX_PLAINTEXT_BYTES',
      to: 'length <= 2 * MAX_PLAINTEXT_BYTES',
    },
  ],
  [
    'a plaintext may be too long',
    'a plaintext of',
    { file: ENVELOPE, from: 'plaintext.length > MAX_PLAINTEXT_BYTES', to: 'false' },
  ],
  [
    'an error tells the reason',
    'T-C3',
    {
      file: ENVELOPE,
      from: 'if (plaintext === null) throw failed()',
      to: "if (plaintext === null) throw new TenantKeysError('TK_ENVELOPE_OPEN_FAILED', { reason: 'tag' })",
    },
  ],
  [
    'a bad context is told apart',
    'T-C2 a context that nothing',
    {
      file: ENVELOPE,
      from: '  } catch {\n    return null',
      to: '  } catch (error) {\n    throw error',
    },
  ],
  [
    'the salt is constant',
    'T-C9',
    {
      file: ENVELOPE,
      from: 'primitives.randomBytes(SALT_BYTES)',
      to: 'new Uint8Array(SALT_BYTES)',
    },
  ],
  [
    'the nonce is constant',
    'T-C9',
    {
      file: ENVELOPE,
      from: 'primitives.randomBytes(GCM_NONCE_BYTES)',
      to: 'new Uint8Array(GCM_NONCE_BYTES)',
    },
  ],
  [
    'derived keys stay in memory after sealing',
    'derived keys',
    { file: ENVELOPE, from: '  derived.fill(0)\n  return out', to: '  return out' },
  ],
  [
    'derived keys stay in memory after opening',
    'derived keys',
    { file: ENVELOPE, from: '  derived.fill(0)\n  if (', to: '  if (' },
  ],
  [
    'text in any spelling is read',
    'every frozen',
    {
      file: ENVELOPE,
      from: 'fromBase64Url(text.slice(TEXT_PREFIX.length))',
      to: "new Uint8Array(Buffer.from(text.slice(TEXT_PREFIX.length), 'base64'))",
    },
  ],
  [
    'the tenant is not bound',
    'T-C1',
    { file: AAD, from: 'at = putText(out, at, tenantId)', to: "at = putText(out, at, 't')" },
  ],
  ...(['purpose', 'provider', 'origin', 'secretId'] as const).map(
    (field) =>
      [
        `the ${field} is not bound`,
        'T-C2',
        { file: AAD, from: `at = putText(out, at, ${field})`, to: "at = putText(out, at, 'x')" },
      ] as const,
  ),
  [
    'the version is not bound',
    'T-C2',
    { file: AAD, from: 'at = putUint64(out, at, version)', to: 'at = putUint64(out, at, 1)' },
  ],
  [
    'the version is cut to 32 bits',
    'T-C11 different',
    { file: AAD, from: 'Math.floor(value / 2 ** 32)', to: '0' },
  ],
  [
    'texts have no length in front',
    'T-C11 different',
    {
      file: AAD,
      from: '  putUint16(out, at, length)\n',
      to: '  putUint16(out, at, 0)\n',
    },
  ],
  [
    'lone surrogates are encoded',
    'T-C11 a text',
    { file: AAD, from: '/\\p{Surrogate}/u.test(text)', to: 'false' },
  ],
  ['the tag is not verified', 'T-C3', { file: NODE, from: '    decipher.final()\n', to: '' }],
]

describe('sabotage of the envelope', () => {
  test.each(sabotages)('%s: caught by %s', async (_, title, sabotage) => {
    const mutant = new Mutant(sabotage, ['kernel', 'secrets', 'storage'])
    try {
      const modules = await loadModules((file) => mutant.load(file))
      const [name, run] = Object.entries(envelopeCases).find(([name]) => name.startsWith(title))!
      expect(() => run(modules), name).toThrow()
    } finally {
      mutant.dispose()
    }
  })
})
