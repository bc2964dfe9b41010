import { describe, expect, test } from 'vitest'
import { Secret } from '../../src/kernel/secret.ts'
import { PROVIDERS } from '../../src/providers/catalogue.ts'
import { openai, openaiChat } from '../../src/providers/openai.ts'
import type { ModelLimits, RequestReading } from '../../src/providers/provider.ts'

const HELLO = [{ role: 'user', content: 'Hello' }]
const KNOWN: ModelLimits = { contextWindow: 128_000, maxOutput: 16_384 }
const UNKNOWN: ModelLimits = { contextWindow: null, maxOutput: null }

const request = (own: object = {}): string =>
  JSON.stringify({ model: 'gpt-4o', messages: HELLO, ...own })

const read = (own: object = {}, limits = KNOWN): RequestReading =>
  openaiChat.read(request(own)).bound(limits)

const refusal = (code: string, field: string) =>
  expect.objectContaining({ code, details: expect.objectContaining({ field }) })

describe('the provider', () => {
  test('puts the credential into a bearer header, and needs one', () => {
    expect(openai.authorize({ apiKey: new Secret('sk-fake') })).toEqual({
      authorization: 'Bearer sk-fake',
    })
    expect(() => openai.authorize({})).toThrow(
      expect.objectContaining({ code: 'TK_SECRET_NOT_FOUND' }),
    )
  })

  test('is found by its id and by nothing that lies in the prototype', () => {
    expect(PROVIDERS.get('openai')).toBe(openai)
    expect(PROVIDERS.get('constructor')).toBeUndefined()
  })
})

describe('requests that cannot be read', () => {
  test.each<[string, string, string]>([
    ['no JSON', '{"model"', 'body'],
    ['nothing', '', 'body'],
    ['a list', '[]', 'body'],
    ['null', 'null', 'body'],
    ['a number', '1e999', 'body'],
    ['text', '"x"', 'body'],
    ['no model', request({ model: undefined }), 'model'],
    ['a model that is a number', request({ model: 4 }), 'model'],
    ['an empty model', request({ model: '' }), 'model'],
    ['a model of 201 letters', request({ model: 'm'.repeat(201) }), 'model'],
    ['no messages', request({ messages: undefined }), 'messages'],
    ['messages as text', request({ messages: 'Hello' }), 'messages'],
    ['no message', request({ messages: [] }), 'messages'],
    ['a message that is text', request({ messages: ['Hello'] }), 'messages[0].role'],
    ['a message without role', request({ messages: [...HELLO, {}] }), 'messages[1].role'],
    [
      'content as a number',
      request({ messages: [{ role: 'user', content: 4 }] }),
      'messages[0].content',
    ],
    [
      'content as an object',
      request({ messages: [{ role: 'user', content: {} }] }),
      'messages[0].content',
    ],
    [
      'a part without type',
      request({ messages: [{ role: 'user', content: [{}] }] }),
      'messages[0].content[0].type',
    ],
    [
      'a part that is text',
      request({ messages: [{ role: 'user', content: ['x'] }] }),
      'messages[0].content[0].type',
    ],
    [
      'text that is none',
      request({ messages: [{ role: 'user', content: [{ type: 'text', text: 4 }] }] }),
      'messages[0].content[0].text',
    ],
    ['tools as an object', request({ tools: {} }), 'tools'],
    ['a tool without type', request({ tools: [{}] }), 'tools[0].type'],
    ['a tool of the server', request({ tools: [{ type: 'web_search' }] }), 'tools[0].type'],
    ['functions as text', request({ functions: 'f' }), 'functions'],
    ['modalities as text', request({ modalities: 'audio' }), 'modalities'],
    [
      'a prediction without content',
      request({ prediction: { type: 'content' } }),
      'prediction.content',
    ],
    ['stream as text', request({ stream: 'true' }), 'stream'],
    ['stream options as a list', request({ stream: true, stream_options: [] }), 'stream_options'],
    ['n = 0', request({ n: 0 }), 'n'],
    ['n = -1', request({ n: -1 }), 'n'],
    ['n = 1.5', request({ n: 1.5 }), 'n'],
    ['n as text', request({ n: '2' }), 'n'],
    ['n = 129', request({ n: 129 }), 'n'],
    ['n = 1e400', '{"model":"m","messages":[{"role":"user"}],"n":1e400}', 'n'],
    ['max_tokens = 0', request({ max_tokens: 0 }), 'max_tokens'],
    ['max_tokens = -5', request({ max_tokens: -5 }), 'max_tokens'],
    ['max_tokens = 0.5', request({ max_tokens: 0.5 }), 'max_tokens'],
    ['max_tokens = 2^53', request({ max_tokens: 2 ** 53 }), 'max_tokens'],
    ['max_tokens as text', request({ max_tokens: '100' }), 'max_tokens'],
    [
      'max_completion_tokens as a list',
      request({ max_completion_tokens: [1] }),
      'max_completion_tokens',
    ],
    [
      'max_completion_tokens = true',
      request({ max_completion_tokens: true }),
      'max_completion_tokens',
    ],
  ])('T-B9 %s is refused by name', (_, body, field) => {
    expect(() => openaiChat.read(body)).toThrow(refusal('TK_REQUEST_INVALID', field))
  })

  test('no refusal repeats content', () => {
    const canary = 'CANARY-6f1d'
    const bodies = [
      `{"${canary}`,
      request({ model: [canary] }),
      request({ messages: [{ role: [canary] }] }),
      request({ messages: [{ role: 'user', content: { canary } }] }),
      request({ messages: [{ role: 'user', content: [{ type: { canary } }] }] }),
      request({ tools: [{ type: canary }] }),
      request({ n: canary }),
      request({ [canary]: { canary }, service_tier: canary }),
      request({ [canary]: 1 }),
    ]
    for (const body of bodies) {
      let thrown: unknown
      try {
        openaiChat.read(body).bound(UNKNOWN)
      } catch (error) {
        thrown = error
      }
      expect(thrown).toBeDefined()
      expect(JSON.stringify([thrown, String(thrown)])).not.toContain(canary)
    }
  })

  test('T-I7 nesting without end is refused, not a crash', () => {
    const deep = '['.repeat(200_000) + ']'.repeat(200_000)
    const body = `{"model":"m","messages":[{"role":"user","content":"x"}],"metadata":${deep}}`
    let thrown: unknown
    try {
      openaiChat.read(body).bound(KNOWN)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toEqual(refusal('TK_REQUEST_INVALID', 'body'))
  })

  test.each([1, 2, 3, 4, 5, 6])(
    'T-I7 __proto__ and constructor at depth %i pollute nothing',
    (depth) => {
      const bomb = `${'{"a":'.repeat(depth - 1)}{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}${'}'.repeat(depth - 1)}`
      const body = `{"__proto__":{"stream":true,"n":2},"model":"m","messages":[{"role":"user","content":"x","__proto__":{"audio":{}}}],"metadata":${bomb}}`
      const reading = openaiChat.read(body).bound(KNOWN)
      expect('polluted' in {}).toBe(false)
      // What we read from is what is sent: the key stands in the body, and set nothing for us.
      expect(reading.stream).toBe(false)
      expect(reading.bound.output).toBe(4096)
      expect(reading.body).toContain('"__proto__":{"stream":true,"n":2}')
    },
  )
})

describe('the bound of the output', () => {
  test('a request that names no maximum gets one written in', () => {
    const reading = read()
    expect(reading.bound.output).toBe(4096)
    expect(JSON.parse(reading.body)).toEqual({
      model: 'gpt-4o',
      messages: HELLO,
      max_completion_tokens: 4096,
    })
  })

  test.each<[string, object, ModelLimits, number]>([
    ['max_tokens', { max_tokens: 100 }, KNOWN, 100],
    ['max_completion_tokens', { max_completion_tokens: 100 }, KNOWN, 100],
    ['both: the larger', { max_tokens: 100, max_completion_tokens: 300 }, KNOWN, 300],
    ['null names nothing', { max_tokens: null, max_completion_tokens: null }, KNOWN, 4096],
    ['n choices', { max_tokens: 100, n: 3 }, KNOWN, 300],
    ['n choices by default', { n: 128 }, KNOWN, 128 * 4096],
    ['T-B8 1e9 is clamped by the ceiling of the model', { max_tokens: 1e9 }, KNOWN, 16_384],
    [
      'T-B8 and by the context window',
      { max_tokens: 1e9 },
      { contextWindow: 8192, maxOutput: null },
      8192,
    ],
    ['T-B8 per choice', { max_tokens: 1e9, n: 2 }, KNOWN, 2 * 16_384],
    ['the default is clamped as well', {}, { contextWindow: null, maxOutput: 1000 }, 1000],
    ['no ceiling is known', { max_tokens: 1_000_000 }, UNKNOWN, 1_000_000],
  ])('%s', (_, own, limits, output) => {
    expect(read(own, limits).bound.output).toBe(output)
  })

  test('a named maximum is left as the caller wrote it', () => {
    expect(JSON.parse(read({ max_tokens: 1e9 }).body)).toEqual({
      model: 'gpt-4o',
      messages: HELLO,
      max_tokens: 1e9,
    })
  })

  test('a ceiling below the default is written, so that the provider keeps to it', () => {
    expect(JSON.parse(read({}, { contextWindow: 2000, maxOutput: null }).body)).toMatchObject({
      max_completion_tokens: 2000,
    })
  })

  test('more than anyone can hold, with no ceiling known, is refused', () => {
    expect(() => read({ max_tokens: 1e9, n: 2 }, UNKNOWN)).toThrow(
      refusal('TK_BUDGET_UNBOUNDED', 'max_completion_tokens'),
    )
  })

  test('predicted tokens count beside the output, since unused ones are charged', () => {
    const prediction = { type: 'content', content: 'é'.repeat(100) }
    const bytes = Buffer.byteLength(JSON.stringify(prediction))
    expect(read({ prediction, max_tokens: 50 }).bound.output).toBe(50 + bytes)
    const reading = read({ prediction })
    expect(reading.bound.output).toBe(16_384 + bytes)
    expect(JSON.parse(reading.body)).not.toHaveProperty('max_completion_tokens')
    expect(() => read({ prediction }, UNKNOWN)).toThrow(
      expect.objectContaining({ code: 'TK_BUDGET_UNBOUNDED' }),
    )
  })
})

describe('the bound of the input', () => {
  test('text: every byte of the body that is sent, and the frame of messages and tools', () => {
    const messages = [
      ...HELLO,
      { role: 'assistant', content: [{ type: 'text', text: '日本語 🙂' }] },
    ]
    const tools = [{ type: 'function', function: { name: 'f' } }]
    const reading = read({ messages, tools })
    expect(reading.bound.input).toBe(Buffer.byteLength(reading.body) + 256 + 2 * 8 + 32)
    expect(reading.bound).toMatchObject({ inputAudio: false, outputAudio: false })
  })

  const image = { type: 'image_url', image_url: { url: 'https://example.com/a.png' } }
  const audio = { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }
  const part = (one: object): object => ({
    messages: [{ role: 'user', content: [{ type: 'text', text: 'x' }, one] }],
  })

  test.each<[string, object, string]>([
    ['an image by reference', part(image), 'messages[0].content[1]'],
    [
      'an inline image',
      part({ type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(9999)}` } }),
      'messages[0].content[1]',
    ],
    ['audio', part(audio), 'messages[0].content[1]'],
    ['a file by id', part({ type: 'file', file: { file_id: 'file-1' } }), 'messages[0].content[1]'],
    ['a part of an unknown type', part({ type: 'hologram' }), 'messages[0].content[1]'],
    [
      'an earlier spoken answer by id',
      { messages: [{ role: 'assistant', audio: { id: 'audio_1' } }] },
      'messages[0].audio',
    ],
    [
      'a message field nobody knows',
      { messages: [{ role: 'user', content: 'x', memory_id: 'm1' }] },
      'messages[0]',
    ],
    [
      'spoken output',
      { modalities: ['text', 'audio'], audio: { voice: 'ash', format: 'wav' } },
      'modalities',
    ],
    ['a stored prompt', { prompt: { id: 'pmpt_1' } }, 'prompt'],
    ['a field nobody knows', { previous_response_id: 'r1' }, 'previous_response_id'],
    ['a field with a name to hide', { 'Secret sk-123': 1 }, 'body'],
  ])('%s: the whole context window, or a refusal that names it', (_, own, field) => {
    expect(read(own).bound.input).toBe(128_000)
    expect(() => read(own, { ...KNOWN, contextWindow: null })).toThrow(
      refusal('TK_BUDGET_UNBOUNDED', field),
    )
  })

  test('audio is said to be audio', () => {
    expect(read(part(audio)).bound).toMatchObject({ inputAudio: true, outputAudio: false })
    expect(read({ modalities: ['audio'] }).bound).toMatchObject({
      inputAudio: false,
      outputAudio: true,
    })
    expect(read({ messages: [{ role: 'assistant', audio: { id: 'a' } }] }).bound.inputAudio).toBe(
      true,
    )
    expect(read({ modalities: ['text'], audio: null }).bound.outputAudio).toBe(false)
  })

  test.each([
    ['gpt-4o', 1, 128_000],
    ['gpt-4o-mini', 1, 128_000 + 1536 * 34],
    ['gpt-4o-mini', 3, 128_000 + 3 * 1536 * 34],
    ['gpt-4o-mini', 500, 128_000 * 34],
    ['ft:gpt-4o-mini-2024-07-18:acme::abc', 1, 128_000 + 1536 * 34],
    ['gpt-4.1-nano', 1, 128_000 + 1536 * 3],
    ['gpt-5-mini', 2, 128_000 + 2 * 1536 * 2],
  ])('%s counts each of %i images several times', (model, images, input) => {
    const messages = [{ role: 'user', content: Array.from({ length: images }, () => image) }]
    expect(read({ model, messages }).bound.input).toBe(input)
  })

  test('an answer that goes back as it came is text', () => {
    const messages = [
      {
        role: 'assistant',
        content: null,
        refusal: null,
        annotations: [],
        audio: null,
        tool_calls: [],
        parsed: null,
      },
    ]
    expect(read({ messages }, UNKNOWN).bound.input).toBeGreaterThan(0)
  })

  test('inline data is not taken for text in the estimate', () => {
    const big = part({
      type: 'image_url',
      image_url: { url: `data:image/png;base64,${'A'.repeat(400_000)}` },
    })
    expect(read(big).inputEstimate).toBeLessThan(1200)
    expect(read(part(image)).inputEstimate).toBeGreaterThanOrEqual(1024)
  })

  test('an image is estimated as the model counts it', () => {
    const estimate = (model: string) => read({ ...part(image), model }).inputEstimate
    expect(estimate('gpt-4o-mini') - estimate('gpt-4o')).toBeGreaterThanOrEqual(33 * 1024)
    expect(estimate('gpt-5-nano') - estimate('gpt-4o')).toBeGreaterThanOrEqual(2 * 1024)
  })

  test('the estimate lies between one and the bound', () => {
    for (const own of [{}, part(image), { messages: [{ role: 'user' }] }]) {
      const { inputEstimate, bound } = read(own, { contextWindow: 900, maxOutput: 10 })
      expect(inputEstimate).toBeGreaterThan(0)
      expect(inputEstimate).toBeLessThanOrEqual(bound.input)
    }
  })
})

describe('what has no price per token is refused', () => {
  test.each(['flex', 'priority', 'scale', 'turbo', ''])('service_tier %j', (tier) => {
    expect(() => read({ service_tier: tier })).toThrow(refusal('TK_PRICE_MISSING', 'service_tier'))
  })

  test.each([undefined, null, 'auto', 'default'])('service_tier %j is the standard one', (tier) => {
    expect(read({ service_tier: tier }).bound.output).toBe(4096)
  })

  test('a service_tier that is no text is not a request', () => {
    expect(() => read({ service_tier: 4 })).toThrow(refusal('TK_REQUEST_INVALID', 'service_tier'))
  })

  test.each([
    { web_search_options: {} },
    { model: 'gpt-4o-search-preview' },
    { model: 'gpt-4o-mini-search-preview-2025-03-11' },
    { model: 'gpt-5-search-api' },
  ])('web searches: %j', (own) => {
    expect(() => read(own)).toThrow(refusal('TK_PRICE_MISSING', 'web_search_options'))
  })
})

describe('the usage chunk of a stream', () => {
  test.each([undefined, null, {}, { include_usage: false }, { include_usage: null }])(
    'is asked for and stays hidden when the caller asked with %j',
    (options) => {
      const reading = read({ stream: true, stream_options: options, max_tokens: 5 })
      expect(reading).toMatchObject({ stream: true, hidesUsageChunk: true })
      expect(JSON.parse(reading.body).stream_options).toEqual({ include_usage: true })
    },
  )

  test('other stream options are kept', () => {
    const reading = read({ stream: true, stream_options: { include_obfuscation: false } })
    expect(JSON.parse(reading.body).stream_options).toEqual({
      include_obfuscation: false,
      include_usage: true,
    })
  })

  test('a caller who asks for it sees it, and the body is not changed', () => {
    const own = { stream: true, stream_options: { include_usage: true }, max_tokens: 5 }
    const reading = read(own)
    expect(reading.hidesUsageChunk).toBe(false)
    expect(reading.body).toBe(request(own))
  })

  test('without a stream nothing is asked for', () => {
    expect(read({ stream: false, max_tokens: 5 })).toMatchObject({
      stream: false,
      hidesUsageChunk: false,
      body: request({ stream: false, max_tokens: 5 }),
    })
  })
})

describe('what is sent is what was read', () => {
  test('T-I7 of two equal keys only the one that was bounded is sent', () => {
    const body =
      '{"model":"dear","messages":[{"role":"user","content":"x"}],"max_tokens":1000000,"n":99,"max_tokens":10,"n":1,"model":"cheap"}'
    const reading = openaiChat.read(body).bound(KNOWN)
    expect(reading).toMatchObject({ model: 'cheap', bound: { output: 10 } })
    expect(reading.body).toBe(
      '{"model":"cheap","messages":[{"role":"user","content":"x"}],"max_tokens":10,"n":1}',
    )
  })

  test('escaped names of fields are the fields', () => {
    const body = '{"model":"m","messages":[{"role":"user"}],"max_\\u0074okens":7}'
    expect(openaiChat.read(body).bound(KNOWN).bound.output).toBe(7)
  })

  test('numbers no double can hold arrive as what we read', () => {
    const body =
      '{"model":"m","messages":[{"role":"user"}],"max_tokens":5,"seed":12345678901234567890}'
    const reading = openaiChat.read(body).bound(KNOWN)
    expect(reading.body).toContain('"seed":12345678901234567000')
  })
})
