import { describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import { definePolicy } from '../../src/policy/define-policy.ts'
import { createTenantKeys } from '../../src/tenant-keys.ts'
import { WatchedWrapper } from '../support/data-key-cases.ts'
import { testKey } from '../support/test-key.ts'

describe('close', () => {
  test('T-L7 erases the data keys also when the store cannot be closed', async () => {
    const keyWrapper = new WatchedWrapper()
    const close = async (): Promise<void> => {
      throw new TenantKeysError('TK_STORE_BUSY')
    }
    const tk = await createTenantKeys({
      storage: { ...memory(), close },
      keyWrapper,
      peppers: [{ id: 'pep-1', key: testKey(2) }],
      policy: definePolicy({ scopes: { chat: { providers: ['openai'] } } }),
    })
    await tk.tenants.create({ id: 'acme' })
    const put = () =>
      tk.secrets.put({ tenantId: 'acme', provider: 'openai', value: { apiKey: 'sk-not-a-key' } })
    await put()
    await put()
    const before = keyWrapper.unwraps.length
    await expect(tk.close()).rejects.toMatchObject({ code: 'TK_STORE_BUSY' })
    // A key that is still held would not be unwrapped again.
    await put()
    expect(keyWrapper.unwraps.length).toBe(before + 1)
  })
})
