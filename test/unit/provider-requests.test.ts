import { describe, expect, test } from 'vitest'
import { KNOWN, operationOf, reader, refusal, UNKNOWN } from '../support/operations.ts'

const UNBOUNDED = 'TK_BUDGET_UNBOUNDED'
const UNPRICED = 'TK_PRICE_MISSING'
const INVALID = 'TK_REQUEST_INVALID'
const WINDOW = KNOWN.contextWindow ?? 0

/** What is added to a plain request, what it is refused with when nothing is known of the model, and
 * which field is named. */
type Refusal = readonly [what: string, own: object, code: string, field: string]

function refuses(read: ReturnType<typeof reader>, rows: readonly Refusal[]): void {
  test.each(rows)('refused: %s', (_, own, code, field) => {
    expect(() => read(own, UNKNOWN)).toThrow(refusal(code, field))
  })
}

describe('Responses', () => {
  const read = reader(operationOf('openai', '/responses'), { model: 'gpt-5', input: 'Hello' })
  const message = (...content: object[]) => ({ input: [{ role: 'user', content }] })

  test('the maximum is written, and nothing else changes', () => {
    const { body, hidesUsageChunk, stream } = read({ stream: true, store: false })
    expect(JSON.parse(body)).toEqual({
      model: 'gpt-5',
      input: 'Hello',
      stream: true,
      store: false,
      max_output_tokens: 4096,
    })
    expect({ hidesUsageChunk, stream }).toEqual({ hidesUsageChunk: false, stream: true })
  })

  test('items of text are bounded by their bytes', () => {
    const { bound, body } = read({
      input: [
        { role: 'user', content: 'Hello' },
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'x' }] },
        { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c', output: [{ type: 'input_text', text: 'y' }] },
      ],
      tools: [{ type: 'function', name: 'f', parameters: {} }],
    })
    expect(bound.input).toBe(body.length + 256 + 4 * 8 + 32)
  })

  refuses(read, [
    [
      'a response kept by the provider',
      { previous_response_id: 'r' },
      UNBOUNDED,
      'previous_response_id',
    ],
    ['a conversation', { conversation: 'c' }, UNBOUNDED, 'conversation'],
    ['a stored prompt', { prompt: { id: 'p' } }, UNBOUNDED, 'prompt'],
    [
      'compaction',
      { context_management: [{ type: 'compaction' }] },
      UNBOUNDED,
      'context_management',
    ],
    [
      'an image',
      message({ type: 'input_image', image_url: 'x' }),
      UNBOUNDED,
      'input[0].content[0]',
    ],
    ['a file', message({ type: 'input_file', file_id: 'f' }), UNBOUNDED, 'input[0].content[0]'],
    [
      'an item kept by the provider',
      { input: [{ type: 'item_reference', id: 'i' }] },
      UNBOUNDED,
      'input[0]',
    ],
    [
      'reasoning that is encrypted',
      { input: [{ type: 'reasoning', encrypted_content: 'x' }] },
      UNBOUNDED,
      'input[0]',
    ],
    ['an unknown field', { something_new: 1 }, UNBOUNDED, 'something_new'],
    ['a search without a number', { tools: [{ type: 'web_search' }] }, UNBOUNDED, 'max_tool_calls'],
    ['a code interpreter', { tools: [{ type: 'code_interpreter' }] }, UNPRICED, 'tools[0]'],
    ['a remote server', { tools: [{ type: 'mcp' }] }, UNPRICED, 'tools[0]'],
    ['a search of files', { tools: [{ type: 'file_search' }] }, UNPRICED, 'tools[0]'],
    ['images as a tool', { tools: [{ type: 'image_generation' }] }, UNPRICED, 'tools[0]'],
    ['another class of service', { service_tier: 'priority' }, UNPRICED, 'service_tier'],
    ['work in the background', { background: true }, INVALID, 'background'],
    ['an item that is text', { input: ['x'] }, INVALID, 'input[0]'],
    ['an item without type', { input: [{}] }, INVALID, 'input[0].type'],
    ['a part without type', message({}), INVALID, 'input[0].content[0].type'],
    ['tools as an object', { tools: {} }, INVALID, 'tools'],
    ['max_output_tokens = 0', { max_output_tokens: 0 }, INVALID, 'max_output_tokens'],
    ['instructions as a list', { instructions: [] }, INVALID, 'instructions'],
  ])

  test('what cannot be told from the bytes is bounded by the window, small models by a multiple', () => {
    const image = message({ type: 'input_image', image_url: 'x' })
    expect(read(image).bound.input).toBe(WINDOW)
    expect(read({ ...image, model: 'gpt-4o-mini' }).bound.input).toBe(34 * WINDOW)
  })

  test('every search is counted, and reads a window', () => {
    const { bound } = read({ tools: [{ type: 'web_search' }], max_tool_calls: 3 })
    expect(bound).toMatchObject({ input: 4 * WINDOW, counts: { web_search_requests: 3 } })
  })
})

describe('Anthropic messages', () => {
  const operation = operationOf('anthropic', '/v1/messages')
  const read = reader(operation, {
    model: 'claude-sonnet-5',
    max_tokens: 1000,
    messages: [{ role: 'user', content: 'Hello' }],
  })
  const message = (...content: object[]) => ({ messages: [{ role: 'user', content }] })
  const cached = (ttl?: string) =>
    message({ type: 'text', text: 'x', cache_control: { type: 'ephemeral', ttl } })

  test('the maximum that the request names holds, up to what the model can write', () => {
    expect(read().bound.output).toBe(1000)
    expect(read({ max_tokens: 1e9 }).bound.output).toBe(KNOWN.maxOutput)
    expect(read({ max_tokens: 0 }).bound.output).toBe(0)
    expect(JSON.parse(read({ max_tokens: undefined }).body).max_tokens).toBe(4096)
  })

  test('tools cost what Anthropic writes about them', () => {
    const tools = [
      { name: 'f', input_schema: {} },
      { type: 'bash_20250124', name: 'bash' },
    ]
    const { bound, body } = read({ tools })
    expect(bound.input).toBe(body.length + 256 + 8 + 1024 + 2 * 768)
  })

  test('an hour of cache is held at its price only where it is asked for', () => {
    expect(read().bound.cacheWrite1h).toBe(false)
    expect(read(cached()).bound.cacheWrite1h).toBe(false)
    expect(read(cached('5m')).bound.cacheWrite1h).toBe(false)
    expect(read(cached('1h')).bound.cacheWrite1h).toBe(true)
    const inSystem = { system: [{ type: 'text', text: 'x', cache_control: { ttl: '1h' } }] }
    expect(read(inSystem).bound.cacheWrite1h).toBe(true)
    expect(read({ tools: [{ name: 'f', cache_control: { ttl: '1h' } }] }).bound.cacheWrite1h).toBe(
      true,
    )
    expect(read({ cache_control: { type: 'ephemeral', ttl: '1h' } }).bound.cacheWrite1h).toBe(true)
  })

  test('thinking, tool calls and their results are text', () => {
    const { bound, body } = read(
      message(
        { type: 'thinking', thinking: 'x', signature: 'y' },
        { type: 'tool_use', id: 't', name: 'f', input: {} },
        { type: 'tool_result', tool_use_id: 't', content: [{ type: 'text', text: 'z' }] },
        { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'd' } },
      ),
    )
    expect(bound.input).toBe(body.length + 256 + 8)
  })

  test('a search is bounded by the number of them that the tool names', () => {
    const tools = [{ type: 'web_search_20250305', name: 'web_search', max_uses: 2 }]
    expect(read({ tools }).bound).toMatchObject({
      input: 3 * WINDOW,
      counts: { web_search_requests: 2 },
    })
    const fetches = [{ type: 'web_fetch_20260309', name: 'web_fetch', max_uses: 1 }]
    expect(read({ tools: [...tools, ...fetches] }).bound).toMatchObject({
      input: 4 * WINDOW,
      counts: { web_search_requests: 2 },
    })
  })

  const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'x' } }
  refuses(read, [
    ['an image', message(image), UNBOUNDED, 'messages[0].content[0]'],
    [
      'an image in a tool result',
      message({ type: 'tool_result', content: [image] }),
      UNBOUNDED,
      'messages[0].content[0].content[0]',
    ],
    [
      'a PDF',
      message({ type: 'document', source: { type: 'base64' } }),
      UNBOUNDED,
      'messages[0].content[0]',
    ],
    [
      'a document by reference',
      message({ type: 'document', source: { type: 'file' } }),
      UNBOUNDED,
      'messages[0].content[0]',
    ],
    ['remote tools', { mcp_servers: [{}] }, UNBOUNDED, 'mcp_servers'],
    ['other models', { fallbacks: [{ model: 'x' }] }, UNBOUNDED, 'fallbacks'],
    ['compaction', { compaction: {} }, UNBOUNDED, 'compaction'],
    ['a container', { container: 'c' }, UNBOUNDED, 'container'],
    [
      'a tool that runs code',
      { tools: [{ type: 'code_execution_20260120' }] },
      UNPRICED,
      'tools[0]',
    ],
    ['an advisor', { tools: [{ type: 'advisor_20260301', model: 'x' }] }, UNPRICED, 'tools[0]'],
    ['speed', { speed: 'fast' }, UNPRICED, 'speed'],
    ['a country', { inference_geo: 'us' }, UNPRICED, 'inference_geo'],
    ['no messages', { messages: [] }, INVALID, 'messages'],
    ['a message without role', { messages: [{ content: 'x' }] }, INVALID, 'messages[0].role'],
    ['a block without type', message({}), INVALID, 'messages[0].content[0].type'],
    ['max_tokens as text', { max_tokens: '5' }, INVALID, 'max_tokens'],
    ['max_tokens below 0', { max_tokens: -1 }, INVALID, 'max_tokens'],
    [
      'max_uses as text',
      { tools: [{ type: 'web_search_20250305', max_uses: 'x' }] },
      INVALID,
      'tools[0].max_uses',
    ],
  ])

  test('a search without a number is refused, however large the window', () => {
    const tools = [{ type: 'web_search_20250305', name: 'web_search' }]
    expect(() => read({ tools })).toThrow(refusal(UNBOUNDED, 'tools[0].max_uses'))
  })
})

describe('Gemini', () => {
  const path = '/v1beta/models/{model}:generateContent'
  const operation = operationOf('google', path)
  const read = reader(operation, { contents: [{ role: 'user', parts: [{ text: 'Hello' }] }] })
  const part = (own: object) => ({ contents: [{ role: 'user', parts: [own] }] })

  test('the model comes from the path, and streaming too', () => {
    const text = JSON.stringify({ contents: [{ parts: [{ text: 'x' }] }] })
    const asked = { model: 'gemini-2.5-flash' }
    expect(operation.read(text, asked).model).toBe('gemini-2.5-flash')
    expect(operation.read(text, asked).bound(KNOWN).stream).toBe(false)
    const streaming = operationOf('google', '/v1beta/models/{model}:streamGenerateContent')
    expect(streaming.read(text, asked).bound(KNOWN).stream).toBe(true)
  })

  test('the maximum is written beside the other settings, and counts for each candidate', () => {
    const { body, bound } = read({ generationConfig: { temperature: 1, candidateCount: 3 } })
    expect(JSON.parse(body).generationConfig).toEqual({
      temperature: 1,
      candidateCount: 3,
      maxOutputTokens: 4096,
    })
    expect(bound.output).toBe(3 * 4096)
  })

  test('audio is held at its price where a part may be audio', () => {
    const inline = (mimeType?: string) => read(part({ inlineData: { mimeType, data: 'x' } })).bound
    expect(inline('image/png')).toMatchObject({ input: WINDOW, inputAudio: false })
    expect(inline('audio/wav').inputAudio).toBe(true)
    expect(inline('video/mp4').inputAudio).toBe(true)
    expect(inline().inputAudio).toBe(true)
    expect(read({ cachedContent: 'cachedContents/x' }).bound.inputAudio).toBe(true)
    expect(read({ generationConfig: { responseModalities: ['audio'] } }).bound.outputAudio).toBe(
      true,
    )
    expect(read().bound).toMatchObject({ inputAudio: false, outputAudio: false })
  })

  refuses(read, [
    [
      'an image',
      part({ inlineData: { mimeType: 'image/png', data: 'x' } }),
      UNBOUNDED,
      'contents[0].parts[0]',
    ],
    ['a file', part({ fileData: { fileUri: 'x' } }), UNBOUNDED, 'contents[0].parts[0]'],
    ['a cache', { cachedContent: 'x' }, UNBOUNDED, 'cachedContent'],
    [
      'a function answering with media',
      part({ functionResponse: { name: 'f', parts: [{}] } }),
      UNBOUNDED,
      'contents[0].parts[0]',
    ],
    ['a search', { tools: [{ googleSearch: {} }] }, UNBOUNDED, 'tools[0]'],
    ['code that runs there', { tools: [{ codeExecution: {} }] }, UNBOUNDED, 'tools[0]'],
    [
      'another spelling of the settings',
      { generation_config: { max_output_tokens: 1e9 } },
      INVALID,
      'generation_config',
    ],
    [
      'another spelling of the maximum',
      { generationConfig: { max_output_tokens: 1e9 } },
      INVALID,
      'generationConfig',
    ],
    ['another model than the path', { model: 'models/other' }, INVALID, 'model'],
    ['no contents', { contents: [] }, INVALID, 'contents'],
    ['no parts', { contents: [{}] }, INVALID, 'contents[0].parts'],
    ['a part of text that is none', part({ text: 4 }), INVALID, 'contents[0].parts[0].text'],
    [
      'nine candidates',
      { generationConfig: { candidateCount: 9 } },
      INVALID,
      'generationConfig.candidateCount',
    ],
    [
      'a maximum of 0',
      { generationConfig: { maxOutputTokens: 0 } },
      INVALID,
      'generationConfig.maxOutputTokens',
    ],
  ])

  test('embeddings: texts only, of the model of the path', () => {
    const embed = reader(operationOf('google', '/v1beta/models/{model}:batchEmbedContents'), {})
    const one = { model: 'models/a-model', content: { parts: [{ text: 'x' }] } }
    expect(embed({ requests: [one, one] }).bound).toMatchObject({ output: 0 })
    expect(() => embed({ requests: [{ ...one, model: 'models/b' }] })).toThrow(
      refusal(INVALID, 'requests[0].model'),
    )
    expect(() =>
      embed({ requests: [{ content: { parts: [{ inlineData: {} }] } }] }, UNKNOWN),
    ).toThrow(refusal(UNBOUNDED, 'requests[0].content'))
  })

  describe('interactions', () => {
    const interact = reader(operationOf('google', '/v1beta/interactions'), {
      model: 'm',
      input: 'x',
    })
    test('the maximum is written', () => {
      expect(JSON.parse(interact().body).generation_config).toEqual({ max_output_tokens: 4096 })
    })
    refuses(interact, [
      ['an earlier one', { previous_interaction_id: 'i' }, UNBOUNDED, 'previous_interaction_id'],
      ['an image', { input: [{ type: 'image', data: 'x' }] }, UNBOUNDED, 'input[0]'],
      ['an agent', { agent: 'a' }, INVALID, 'agent'],
      ['work in the background', { background: true }, INVALID, 'background'],
      ['a search', { tools: [{ type: 'google_search' }] }, INVALID, 'tools[0].type'],
    ])
  })
})

describe('Bedrock Converse', () => {
  const read = reader(operationOf('bedrock', '/model/{model}/converse'), {
    messages: [{ role: 'user', content: [{ text: 'Hello' }] }],
  })
  const block = (own: object) => ({ messages: [{ role: 'user', content: [own] }] })

  test('the maximum is written beside the other settings', () => {
    const { body } = read({ inferenceConfig: { temperature: 0 } })
    expect(JSON.parse(body).inferenceConfig).toEqual({ temperature: 0, maxTokens: 4096 })
  })

  test('tool calls, their results and reasoning are text', () => {
    const { bound, body } = read(
      block({ toolResult: { toolUseId: 't', content: [{ text: 'x' }, { json: {} }] } }),
    )
    expect(bound.input).toBe(body.length + 256 + 8)
    expect(read(block({ cachePoint: { type: 'default', ttl: '1h' } })).bound.cacheWrite1h).toBe(
      true,
    )
  })

  refuses(read, [
    ['an image', block({ image: { format: 'png' } }), UNBOUNDED, 'messages[0].content[0]'],
    [
      'an image in a tool result',
      block({ toolResult: { content: [{ image: {} }] } }),
      UNBOUNDED,
      'messages[0].content[0].toolResult.content[0]',
    ],
    [
      'a maximum by another name',
      { additionalModelRequestFields: { max_tokens: 1e9 } },
      UNBOUNDED,
      'additionalModelRequestFields',
    ],
    ['an unknown field', { somethingNew: 1 }, UNBOUNDED, 'body'],
    ['another class of service', { serviceTier: { type: 'priority' } }, UNPRICED, 'serviceTier'],
    [
      'optimized latency',
      { performanceConfig: { latency: 'optimized' } },
      UNPRICED,
      'performanceConfig',
    ],
    ['guardrails', { guardrailConfig: {} }, UNPRICED, 'guardrailConfig'],
    [
      'a tool of the system',
      { toolConfig: { tools: [{ systemTool: {} }] } },
      INVALID,
      'toolConfig.tools[0]',
    ],
    ['no messages', { messages: [] }, INVALID, 'messages'],
    [
      'content as text',
      { messages: [{ role: 'user', content: 'x' }] },
      INVALID,
      'messages[0].content',
    ],
  ])
})

describe('Cohere', () => {
  const read = reader(operationOf('cohere', '/v2/chat'), {
    model: 'command-a',
    messages: [{ role: 'user', content: 'Hello' }],
  })
  test('its own preamble is inside the bound', () => {
    // Recorded: 542 tokens for a request of two short messages, 968 beside tools.
    expect(read().bound.input).toBeGreaterThan(968)
    expect(JSON.parse(read().body).max_tokens).toBe(4096)
  })
  refuses(read, [
    [
      'an image',
      { messages: [{ role: 'user', content: [{ type: 'image_url' }] }] },
      UNBOUNDED,
      'messages[0].content[0]',
    ],
    ['an unknown field', { connectors: [] }, UNBOUNDED, 'connectors'],
    ['no messages', { messages: [] }, INVALID, 'messages'],
  ])
  refuses(reader(operationOf('cohere', '/v2/embed'), { model: 'embed-v4', texts: ['x'] }), [
    ['images', { images: ['x'] }, UNPRICED, 'images'],
    ['inputs of parts', { inputs: [] }, UNPRICED, 'inputs'],
    ['a text that is none', { texts: [4] }, INVALID, 'texts[0]'],
  ])
})

describe('embeddings, completions, images and speech', () => {
  const embed = reader(operationOf('openai', '/embeddings'), { model: 'e', input: 'Hello' })
  test('tokens take two bytes and more in the body, so its bytes bound them', () => {
    const { bound, body } = embed({ input: [[1, 2, 3], [4]] })
    expect(bound).toEqual({ input: body.length + 16, output: 0 })
  })
  refuses(embed, [
    ['an image', { input: [{ image: 'x' }] }, UNBOUNDED, 'input[0]'],
    ['nothing', { input: null }, INVALID, 'input'],
  ])

  const complete = reader(operationOf('openai', '/completions'), { model: 'c', prompt: 'Hello' })
  test('the maximum that the API has by itself is written, for every prompt and every choice', () => {
    expect(JSON.parse(complete().body).max_tokens).toBe(16)
    expect(complete({ prompt: ['a', 'b'], n: 2, best_of: 5 }).bound.output).toBe(2 * 5 * 16)
    expect(complete({ prompt: [1, 2, 3] }).bound.output).toBe(16)
  })
  test('a stream is asked for its usage, which stays hidden', () => {
    const { body, hidesUsageChunk } = complete({ stream: true })
    expect(JSON.parse(body).stream_options).toEqual({ include_usage: true })
    expect(hidesUsageChunk).toBe(true)
  })
  refuses(complete, [
    ['a prompt of parts', { prompt: [{}] }, INVALID, 'prompt[0]'],
    ['129 choices', { best_of: 129 }, INVALID, 'best_of'],
    ['an unknown field', { something: 1 }, UNBOUNDED, 'something'],
  ])

  const draw = reader(operationOf('openai', '/images/generations'), {
    model: 'gpt-image-2',
    prompt: 'A fox',
  })
  test('an image is bounded by what the host says that one can take', () => {
    const { bound } = draw(
      { n: 3, partial_images: 2, stream: true },
      { contextWindow: null, maxOutput: 7000 },
    )
    expect(bound.output).toBe(3 * (7000 + 200))
  })
  refuses(draw, [
    ['an image of unknown size', {}, UNBOUNDED, 'size'],
    ['a model charged by the image', { model: 'dall-e-3' }, UNPRICED, 'model'],
    ['eleven images', { n: 11 }, INVALID, 'n'],
    ['an unknown field', { image: 'x' }, INVALID, 'image'],
  ])

  const speak = reader(operationOf('openai', '/audio/speech'), {
    model: 'gpt-4o-mini-tts',
    input: 'Hello',
    voice: 'alloy',
    stream_format: 'sse',
  })
  test('speech is all audio, as much as the model can say', () => {
    expect(speak().bound).toMatchObject({ output: KNOWN.maxOutput, outputAudio: true })
  })
  refuses(speak, [
    ['plain audio, which reports no usage', { stream_format: 'audio' }, UNBOUNDED, 'stream_format'],
    ['an unknown ceiling', {}, UNBOUNDED, 'input'],
    ['no text', { input: 4 }, INVALID, 'input'],
  ])
})

describe('servers that speak the format of OpenAI', () => {
  const chat = (id: string) =>
    reader(operationOf(id, '/chat/completions'), {
      model: 'a-model',
      messages: [{ role: 'user', content: 'Hello' }],
    })

  test.each(['groq', 'mistral', 'perplexity'])('%s: a stream is asked for nothing', (id) => {
    const { body, hidesUsageChunk } = chat(id)({ stream: true })
    expect(JSON.parse(body)).not.toHaveProperty('stream_options')
    expect(hidesUsageChunk).toBe(false)
  })

  test.each([
    'deepseek',
    'openrouter',
    'xai',
    'cerebras',
    'together',
    'fireworks',
    'vllm',
    'ollama',
  ])('%s: a stream is asked for its usage, which stays hidden', (id) => {
    const { body, hidesUsageChunk } = chat(id)({ stream: true })
    expect(JSON.parse(body).stream_options).toEqual({ include_usage: true })
    expect(hidesUsageChunk).toBe(true)
  })

  test.each([
    ['openai', 'max_completion_tokens'],
    ['groq', 'max_completion_tokens'],
    ['xai', 'max_completion_tokens'],
    ['mistral', 'max_tokens'],
    ['deepseek', 'max_tokens'],
    ['vllm', 'max_tokens'],
  ])('%s: the maximum is written into %s', (id, field) => {
    expect(JSON.parse(chat(id)().body)).toMatchObject({ [field]: 4096 })
  })

  test.each<[string, object, string]>([
    ['groq', { model: 'groq/compound-mini' }, 'model'],
    ['groq', { search_settings: {} }, 'search_settings'],
    ['openrouter', { models: ['a', 'b'] }, 'models'],
    ['openrouter', { plugins: [{ id: 'web' }] }, 'plugins'],
    ['openrouter', { model: 'openai/gpt-5:online' }, 'model'],
    ['openrouter', { model: 'openrouter/auto' }, 'model'],
    ['xai', { search_parameters: { mode: 'on' } }, 'search_parameters'],
    ['xai', { deferred: true }, 'deferred'],
    ['perplexity', { model: 'sonar-deep-research' }, 'model'],
    ['alibaba', { enable_search: true }, 'enable_search'],
    ['openai', { web_search_options: {} }, 'web_search_options'],
    ['openai', { model: 'gpt-5-search-api' }, 'web_search_options'],
  ])('%s refuses %j: it is charged by more than tokens', (id, own, field) => {
    expect(() => chat(id)(own)).toThrow(refusal(UNPRICED, field))
  })

  test('Mistral: code in the middle, with a maximum of its own', () => {
    const fim = reader(operationOf('mistral', '/fim/completions'), {
      model: 'codestral',
      prompt: 'x',
    })
    expect(JSON.parse(fim({ stream: true }).body)).toEqual({
      model: 'codestral',
      prompt: 'x',
      stream: true,
      max_tokens: 4096,
    })
  })
})
