import { describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { readOptions, type TenantKeysOptions } from '../../src/options.ts'
import { definePolicy } from '../../src/policy/define-policy.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import { leaks } from '../support/canaries.ts'
import { PLATFORM_SECRET } from '../support/installation.ts'
import { testKey } from '../support/test-key.ts'

const GOOD: TenantKeysOptions = {
  storage: memory(),
  keyWrapper: localKeyWrapper([{ id: 'kek-1', key: testKey(1) }]),
  peppers: [{ id: 'pep-1', key: new Secret(Buffer.from(testKey(2)).toString('base64')) }],
  policy: definePolicy({ scopes: { chat: { providers: ['openai'] } } }),
}

describe('readOptions', () => {
  test.each([
    [{ apiKey: PLATFORM_SECRET, baseUrl: PLATFORM_SECRET }, 'openai', 'baseUrl'],
    [{ key: PLATFORM_SECRET }, 'openai', 'key'],
    [{ region: 'eu-central-1' }, 'bedrock', 'apiKey'],
  ])(
    'a platform credential %# with other fields is told which there are, and no value',
    (value, id, name) => {
      const fields = {
        openai: 'the fields of openai: apiKey, endpoint (optional)',
        bedrock: 'the fields of bedrock: apiKey, region, endpoint (optional)',
      }
      let thrown: unknown
      try {
        readOptions({ ...GOOD, platformCredentials: { [id]: value } as never })
      } catch (error) {
        thrown = error
      }
      expect(thrown).toMatchObject({
        code: 'TK_CONFIG_INVALID',
        details: {
          field: `options.platformCredentials.${id}.${name}`,
          hint: fields[id as 'openai'],
        },
      })
      expect(JSON.stringify(thrown) + String(thrown)).not.toContain(PLATFORM_SECRET)
    },
  )

  test('fills in the defaults that the documentation names', () => {
    expect(readOptions(GOOD)).toMatchObject({
      brand: 'tk',
      environment: 'production',
      zone: 'UTC',
      migrate: true,
      holdTtlMs: 120_000,
      settle: 'durable',
      settleWaitMs: 2000,
      maxStaleMs: 5000,
      allowedOrigins: new Set(),
    })
  })

  test('takes the bounds of every number, both included', () => {
    for (const over of [
      { holdTtlMs: 1000, settleWaitMs: 1, maxStaleMs: 2000 },
      { holdTtlMs: 86_400_000, settleWaitMs: 60_000, maxStaleMs: 60_000 },
    ]) {
      expect(readOptions({ ...GOOD, ...over })).toMatchObject(over)
    }
  })

  test('hands on ports and callbacks as they are', () => {
    const given = { ...GOOD, onEvent: () => {}, logger: console, fetch: globalThis.fetch }
    const read = readOptions(given)
    for (const name of ['storage', 'keyWrapper', 'policy', 'onEvent', 'logger', 'fetch'] as const) {
      expect(read[name]).toBe(given[name])
    }
  })

  test('a base URL loses its last slash, an allowed endpoint all but its origin', () => {
    const { settings, allowedOrigins } = readOptions({
      ...GOOD,
      providers: { openai: { baseUrl: 'https://eu.api.openai.com/v1/' } },
      allowedEndpoints: ['https://LLM.acme.example:443/v1', 'http://127.0.0.1:8080'],
    })
    expect(settings.get('openai')?.baseUrl).toBe('https://eu.api.openai.com/v1')
    expect([...allowedOrigins]).toEqual(['https://llm.acme.example', 'http://127.0.0.1:8080'])
  })

  test('without its own base URL a provider keeps the one it has, and no credential', () => {
    const { settings } = readOptions(GOOD)
    expect(settings.get('openai')).toMatchObject({
      baseUrl: 'https://api.openai.com/v1',
      platformFields: null,
    })
  })

  test('T-L1 a platform credential is held as Secret, given as text or as Secret', () => {
    for (const apiKey of [PLATFORM_SECRET, new Secret(PLATFORM_SECRET)]) {
      const given = { ...GOOD, platformCredentials: { openai: { apiKey } } }
      const { settings } = readOptions(given)
      const held = settings.get('openai')
      expect(held?.platformFields?.apiKey?.reveal()).toBe(PLATFORM_SECRET)
      expect(leaks(held, { platform: PLATFORM_SECRET })).toEqual([])
    }
  })

  test('changes nothing of what it was given', () => {
    const given = Object.freeze({
      ...GOOD,
      allowedEndpoints: Object.freeze(['https://a.example/x']),
    })
    readOptions(given)
    expect(given.allowedEndpoints).toEqual(['https://a.example/x'])
    expect(Object.keys(given).sort()).toEqual(
      ['allowedEndpoints', 'keyWrapper', 'peppers', 'policy', 'storage'].sort(),
    )
  })
})
