import { describe, expect, test } from 'vitest'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { PROVIDERS } from '../../src/providers/catalogue.ts'
import { matchPath } from '../../src/providers/path-pattern.ts'
import { every, KNOWN, reader, valuesOf } from '../support/operations.ts'

const KEY = ['sk', 'fake', '0123456789'].join('-')

describe('the catalogue', () => {
  test('every provider has an id of its own, a base URL, and operations with names', () => {
    for (const [id, provider] of PROVIDERS) {
      expect(provider.id).toBe(id)
      expect(provider.baseUrl).toMatch(/^https:\/\/[a-z0-9.-]+(\/[a-z0-9/.-]*[a-z0-9])?$/)
      expect(provider.operations.length).toBeGreaterThan(0)
      for (const { name, path } of provider.operations) {
        expect(name).toMatch(/^[a-z_]+$/)
        expect(path).toMatch(/^\//)
      }
    }
  })

  test('no path of a provider is two operations', () => {
    for (const { operations } of PROVIDERS.values()) {
      const paths = operations.map((o) => o.path.replace(/\{\w+\}/g, 'x'))
      expect(new Set(paths).size).toBe(paths.length)
      for (const path of paths) {
        expect(operations.filter((o) => matchPath(o.path, path) !== null)).toHaveLength(1)
      }
    }
  })

  test.each(['openai', 'anthropic', 'mistral', 'ovhcloud', 'berget'])(
    'S1.7 %s asks for a key and nothing else',
    (id) => {
      const { credential } = PROVIDERS.get(id)!
      const required = Object.entries(credential).filter(([, field]) => field.required)
      expect(required).toEqual([['apiKey', { kind: 'secret', required: true }]])
    },
  )

  test('S1.8 azure asks for all four fields', () => {
    expect(PROVIDERS.get('azure')?.credential).toEqual({
      apiKey: { kind: 'secret', required: true },
      endpoint: { kind: 'public', required: true },
      apiVersion: { kind: 'public', required: true },
      deployment: { kind: 'public', required: true },
    })
  })

  test('S1.9 vllm asks for a key, and takes an endpoint', () => {
    const { credential, baseUrl } = PROVIDERS.get('vllm')!
    expect(credential).toEqual({
      apiKey: { kind: 'secret', required: true },
      endpoint: { kind: 'public', required: false },
    })
    expect(new URL(baseUrl).hostname).toBe('vllm.invalid')
  })

  test('each credential goes into exactly one header, and its absence is a typed error', () => {
    const headers: Record<string, string> = {}
    for (const { id, credential, authorize } of PROVIDERS.values()) {
      const [[field, { required }] = ['', { required: false }]] = Object.entries(credential).filter(
        ([, { kind }]) => kind === 'secret',
      )
      const made = Object.entries(authorize({ [field]: new Secret(KEY) }))
      expect(made).toHaveLength(1)
      expect(made[0]?.[1]).toMatch(new RegExp(`^(Bearer )?${KEY}$`))
      headers[id] = made[0]?.[0] ?? ''
      if (required) {
        expect(() => authorize({})).toThrow(
          expect.objectContaining({ code: 'TK_SECRET_NOT_FOUND' }),
        )
      } else expect(authorize({})).toEqual({})
    }
    expect(headers).toMatchObject({
      anthropic: 'x-api-key',
      azure: 'api-key',
      google: 'x-goog-api-key',
      groq: 'authorization',
    })
  })
})

describe.each(every.map(({ id, operation }) => [`${id} ${operation.path}`, operation] as const))(
  '%s',
  (_, operation) => {
    test.each(['', 'no JSON', '[]', 'null', '4', '"x"', '{}'])(
      'T-B9 a body %j is refused before anything else',
      (body) => {
        let thrown: unknown
        try {
          operation.read(body, valuesOf(operation)).bound(KNOWN)
        } catch (error) {
          thrown = error
        }
        expect(TenantKeysError.isInstance(thrown)).toBe(true)
        expect((thrown as TenantKeysError).code).toBe('TK_REQUEST_INVALID')
      },
    )

    test('an answer that reports nothing is unknown, and so is a stream', () => {
      for (const json of [null, [], {}, 'x', 4, { usage: null }, { usage: 'none' }]) {
        expect(operation.readJson(json)).toBeNull()
      }
      expect(operation.openStream().usage()).toBeNull()
    })
  },
)

/** The least that each kind of operation takes. */
const BODIES: Readonly<Record<string, object>> = {
  chat: { model: 'a-model', messages: [{ role: 'user', content: 'Hello' }] },
  messages: { model: 'a-model', max_tokens: 10, messages: [{ role: 'user', content: 'Hello' }] },
  responses: { model: 'a-model', input: 'Hello' },
  completions: { model: 'a-model', prompt: 'Hello' },
  images: { model: 'gpt-image-1', prompt: 'A fox' },
  audio: { model: 'gpt-4o-mini-tts', input: 'Hello', voice: 'alloy', stream_format: 'sse' },
  generate_content: { contents: [{ role: 'user', parts: [{ text: 'Hello' }] }] },
  interactions: { model: 'a-model', input: 'Hello' },
  converse: { messages: [{ role: 'user', content: [{ text: 'Hello' }] }] },
  embeddings: {
    model: 'a-model',
    input: 'Hello',
    texts: undefined,
  },
}
const bodyOf = (path: string, name: string): object => {
  if (path.includes(':embedContent')) return { content: { parts: [{ text: 'Hello' }] } }
  if (path.includes(':batchEmbedContents'))
    return { requests: [{ content: { parts: [{ text: 'Hello' }] } }] }
  if (path === '/v2/embed') return { model: 'a-model', texts: ['Hello'] }
  return BODIES[name] ?? {}
}

describe.each(every.map(({ id, operation }) => [`${id} ${operation.path}`, operation] as const))(
  'a request of text to %s',
  (_, operation) => {
    const read = reader(operation, bodyOf(operation.path, operation.name))

    test('is bounded by its bytes and a maximum of output, which the body that is sent names', () => {
      const { bound, body, inputEstimate } = read()
      expect(bound.input).toBeGreaterThanOrEqual(body.length)
      expect(bound.input).toBeLessThan(body.length + 5000)
      expect(inputEstimate).toBeGreaterThan(0)
      expect(inputEstimate).toBeLessThanOrEqual(bound.input)
      expect(bound.output).toBeLessThanOrEqual(KNOWN.maxOutput ?? 0)
      if (operation.name === 'embeddings') expect(bound.output).toBe(0)
      else if (!['images', 'audio'].includes(operation.name)) {
        expect(body).toMatch(new RegExp(`"max\\w+":${bound.output}\\b`, 'i'))
      }
    })

    test('T-B8 a maximum of 1e9 is held for no more than the model can write', () => {
      if (['embeddings', 'images', 'audio'].includes(operation.name)) return
      const huge = 1_000_000_000
      const { bound } = read({
        ...(operation.name === 'generate_content'
          ? { generationConfig: { maxOutputTokens: huge } }
          : operation.name === 'interactions'
            ? { generation_config: { max_output_tokens: huge } }
            : operation.name === 'converse'
              ? { inferenceConfig: { maxTokens: huge } }
              : operation.name === 'responses'
                ? { max_output_tokens: huge }
                : { max_tokens: huge }),
      })
      expect(bound.output).toBe(KNOWN.maxOutput)
    })
  },
)
