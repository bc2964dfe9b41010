import { describe, expect, test } from 'vitest'
import { openai } from '../../src/providers/openai.ts'
import { secretsApi } from '../../src/secrets/secrets-api.ts'
import { CANARY, setUp } from '../support/secret-store.ts'

const REF = { tenantId: 'acme', provider: 'openai' }

async function api() {
  const { store, storage } = await setUp()
  const providers = new Map([['openai', { provider: openai }]])
  return { storage, secrets: secretsApi({ store, providers, allowedOrigins: new Set() }) }
}

describe('the value of a credential', () => {
  test.each([
    ['a field of another name', { apiKey: CANARY, baseUrl: CANARY }, 'value.baseUrl'],
    ['a required field left out', { endpoint: 'https://llm.acme.example' }, 'value.apiKey'],
    ['nothing', {}, 'value.apiKey'],
  ])(
    '%s is refused by its name, with the fields that there are, and no value',
    async (_, value, field) => {
      const { secrets, storage } = await api()
      const error = await secrets.put({ ...REF, value }).catch((reason: unknown) => reason)
      expect(error).toMatchObject({
        code: 'TK_INPUT_INVALID',
        details: { field, hint: 'the fields of openai: apiKey, endpoint (optional)' },
      })
      expect(JSON.stringify(error) + String(error)).not.toMatch(/CANARY|acme/)
      expect(await storage.secrets.get({ ...REF, name: 'default' })).toBeNull()
    },
  )

  test('T-L3 with a getter that throws is refused, without the text of its error', async () => {
    const { secrets, storage } = await api()
    const value = {
      get apiKey(): string {
        throw new Error(CANARY)
      },
    }
    const error = await secrets.put({ ...REF, value }).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'TK_INPUT_INVALID' })
    expect(JSON.stringify(error) + String(error)).not.toContain('CANARY')
    expect(await storage.secrets.get({ ...REF, name: 'default' })).toBeNull()
  })

  test('is read once: what was checked is what is stored', async () => {
    const { secrets } = await api()
    let reads = 0
    const value = {
      get apiKey(): string {
        reads++
        return CANARY
      },
    }
    await secrets.put({ ...REF, value })
    expect(reads).toBe(1)
  })

  test('without a field of its own that can be seen lacks it', async () => {
    const { secrets } = await api()
    const hidden = Object.defineProperty({}, 'apiKey', { value: CANARY, enumerable: false })
    for (const value of [hidden, Object.create({ apiKey: CANARY })]) {
      await expect(secrets.put({ ...REF, value })).rejects.toMatchObject({
        code: 'TK_INPUT_INVALID',
        details: { field: 'value.apiKey' },
      })
    }
  })
})
