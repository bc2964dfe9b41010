/**
 * Each guard of the cache of data keys taken out, one at a time: the case named must notice.
 *
 * @module
 */
import { describe, expect, test } from 'vitest'
import { dataKeyCases } from '../support/data-key-cases.ts'
import { Mutant, type Sabotage } from '../support/mutant.ts'

const FOLDERS = ['kernel', 'secrets', 'storage']
const KEYS = 'secrets/data-keys.ts'

/** What is taken out of the cache of data keys, and the beginning of the title that must fail. */
const keySabotages: readonly (readonly [string, string, Omit<Sabotage, 'file'>])[] = [
  [
    'every caller makes a key of its own',
    'callers that come first',
    { from: 'if (running !== undefined) return running', to: '' },
  ],
  [
    'every caller unwraps for itself',
    'callers that need a key',
    { from: '    this.#keys.set(key, held)\n', to: '' },
  ],
  [
    'the loser of a race uses its own key',
    'of two processes',
    {
      from: 'return await this.#storage.deks.create({ id, tenantId, generation, ...wrapped }, {})',
      to: 'await this.#storage.deks.create({ id, tenantId, generation, ...wrapped }, {})\n      return { id, generation, ...wrapped }',
    },
  ],
  [
    'a lost KEK locks its tenants out',
    'S1.26',
    { from: "error.code !== 'TK_KEK_UNKNOWN'", to: 'true' },
  ],
  [
    'every failure makes a new key',
    'a key that cannot be unwrapped for any other',
    { from: "error.code !== 'TK_KEK_UNKNOWN'", to: 'false' },
  ],
  ['keys have no age', 'an unwrapped key is used', { from: 'ttl: maxAgeMs', to: 'ttl: 0' }],
  [
    'a key that starts at 0 has no age',
    'an unwrapped key is used',
    { from: 'options.clock.elapsedMs() + 1', to: 'options.clock.elapsedMs()' },
  ],
  [
    'use makes a key last longer',
    'use does not',
    { from: 'ttlResolution: 0, perf', to: 'ttlResolution: 0, perf, updateAgeOnGet: true' },
  ],
  [
    'a failed unwrapping stays',
    'a failed unwrapping',
    { from: 'if (this.#keys.peek(key) === held) this.#keys.delete(key)', to: '' },
  ],
  [
    'keys stay when they leave',
    'a key that leaves',
    { from: 'this.#dek?.fill(0)', to: 'this.#dek?.at(0)' },
  ],
  [
    'old keys stay until looked for',
    'a key that is too old',
    { from: '    this.#keys.purgeStale()\n', to: '' },
  ],
  [
    'keys are erased under their users',
    'a key is not erased under',
    { from: 'if (this.#retired && this.#users === 0)', to: 'if (this.#retired)' },
  ],
  [
    'keys are not erased after their last user',
    'a key is not erased under',
    { from: '      this.#eraseIfIdle()\n', to: '' },
  ],
  ['a new key stays in memory', 'the plain bytes', { from: '      dek.fill(0)\n', to: '' }],
  [
    'the proof of a new key stays in memory',
    'the plain bytes',
    { from: '      back.fill(0)\n', to: '' },
  ],
  [
    'the cache does not know the KEK',
    'T-C19 a key unwrapped under one KEK',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: source text
    { from: '${kekId.length}/${tenantId}${kekId}${id}', to: '/${tenantId}${id}' },
  ],
  [
    'the cache does not know the tenant',
    'T-C19 a key unwrapped for one tenant',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: source text
    { from: '${tenantId.length}/${kekId.length}/${tenantId}${kekId}${id}', to: '${kekId}${id}' },
  ],
  [
    'a new key is not proven',
    'no key is stored',
    { from: 'if (!same) throw', to: 'if (false) throw' },
  ],
  [
    'a short key is taken',
    'a wrapper that gives back a key of another length',
    { from: 'if (dek.length !== DEK_BYTES)', to: 'if (false)' },
  ],
  [
    'foreign errors pass',
    'T-L3',
    { from: 'if (TenantKeysError.isInstance(error)) throw error', to: 'throw error' },
  ],
]

describe('sabotage of the data keys', () => {
  test.each(keySabotages)('%s: caught by %s', async (_, title, change) => {
    const mutant = new Mutant({ file: KEYS, ...change }, FOLDERS)
    try {
      const { DataKeys } = await mutant.load<typeof import('../../src/secrets/data-keys.ts')>(KEYS)
      const found = Object.entries(dataKeyCases).filter(([name]) => name.startsWith(title))
      expect(found.length).toBe(1)
      await expect(found[0]![1](DataKeys)).rejects.toThrow()
    } finally {
      mutant.dispose()
    }
  })
})
