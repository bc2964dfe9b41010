import { describe, expect, test } from 'vitest'
import { DataKeys } from '../../src/secrets/data-keys.ts'
import { dataKeyCases, makeTenants, setUp } from '../support/data-key-cases.ts'
import { leaksOf } from '../support/leaks.ts'

describe('data keys', () => {
  test.each(Object.entries(dataKeyCases))('%s', (_, run) => run(DataKeys))

  test.each([
    ['maxAgeMs', 0],
    ['maxAgeMs', -1],
    ['maxAgeMs', 3_600_001],
    ['maxAgeMs', Number.POSITIVE_INFINITY],
    ['maxAgeMs', Number.NaN],
    ['maxEntries', 0],
    ['maxEntries', 1.5],
    ['maxEntries', 100_001],
  ] as const)('the bound %s cannot be %d', (field, value) => {
    expect(() => setUp(DataKeys, { [field]: value })).toThrow(
      expect.objectContaining({
        code: 'TK_CONFIG_INVALID',
        details: expect.objectContaining({ field }),
      }),
    )
  })

  test('T-L1 T-L2 no channel shows a key that is held', async () => {
    const set = setUp(DataKeys)
    await makeTenants(set, 'acme')
    const dek = await set.keys.withCurrent('acme', (key) => Uint8Array.from(key.dek))
    expect(leaksOf(set.keys, [dek])).toEqual([])
  })
})
