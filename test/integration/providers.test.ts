/**
 * A call of each provider through the whole corridor, against a real server on loopback: where it
 * arrives, with whose credential, and what is settled.
 *
 * @module
 */
import { afterEach, describe, expect, test } from 'vitest'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import { definePolicy } from '../../src/policy/define-policy.ts'
import type { Receipt } from '../../src/request/receipt.ts'
import type { TenantKeys } from '../../src/tenant-keys.ts'
import { awsFrame } from '../support/aws-frames.ts'
import { install } from '../support/installation.ts'
import {
  type Answer,
  json,
  type ProviderServer,
  startProvider,
} from '../support/provider-server.ts'

const KEY = ['sk', 'tenant', '0123456789abcdef', 'CANARY'].join('-')
const PLATFORM = ['sk', 'platform', '0123456789abcdef', 'CANARY'].join('-')
const MODEL = 'claude-sonnet-4-5'

/** What a client, or its platform, says of itself; none of it may arrive. */
const IDENTITY = {
  authorization: 'Bearer client',
  'x-api-key': 'client',
  'api-key': 'client',
  'x-goog-api-key': 'client',
  'x-amz-security-token': 'client',
}

let tk: TenantKeys | null = null
let server: ProviderServer | null = null
afterEach(async () => {
  await tk?.close()
  await server?.close()
})

async function start(
  provider: string,
  answer: Answer,
  { model = MODEL, secret = { apiKey: KEY } as Record<string, string>, own = false } = {},
) {
  server = await startProvider(answer)
  const origin = new URL(server.baseUrl).origin
  const here = await install('http://127.0.0.1:1/v1', {
    policy: definePolicy({
      scopes: { 'support:chat': { providers: [provider], models: [model] } },
    }),
    providers: own ? {} : { [provider]: { baseUrl: origin } },
    allowedEndpoints: [origin],
    prices: [
      {
        provider,
        model,
        inputUsdPerMTok: '3',
        outputUsdPerMTok: '15',
        cacheReadUsdPerMTok: '0.3',
        cacheWriteUsdPerMTok: '3.75',
        cacheWrite1hUsdPerMTok: '6',
        contextWindow: 200_000,
      },
    ],
  })
  tk = here.tk
  const value = own ? { ...secret, endpoint: origin } : secret
  await tk.secrets.put({ tenantId: 'acme', provider, value })
  const receipts: Receipt[] = []
  const fetch = tk.fetch({ key: here.key, provider, onReceipt: (r) => receipts.push(r) })
  return { fetch, receipts, origin }
}

const post = (body: object) => ({
  method: 'POST',
  headers: { ...IDENTITY, 'content-type': 'application/json' },
  body: JSON.stringify(body),
})

/** The headers of {@link IDENTITY} that arrived. */
function identityOf({ headers }: ProviderServer['requests'][number]): object {
  const names = Object.keys(IDENTITY)
  return Object.fromEntries(Object.entries(headers).filter(([name]) => names.includes(name)))
}

const HELLO = [{ role: 'user', content: 'Hello' }]

describe('Anthropic', () => {
  const usage = { input_tokens: 10, cache_read_input_tokens: 100, output_tokens: 20 }

  test('the key goes into its own header, and the parts of the input are added up', async () => {
    const { fetch, receipts } = await start('anthropic', (_, r) => json(r, { model: MODEL, usage }))
    const url = 'https://api.anthropic.com/v1/messages?beta=true'
    await (await fetch(url, post({ model: MODEL, max_tokens: 50, messages: HELLO }))).json()
    const [request] = server!.requests
    expect(request?.url).toBe('/v1/messages?beta=true')
    expect(identityOf(request!)).toEqual({ 'x-api-key': KEY })
    expect(receipts[0]).toMatchObject({
      provider: 'anthropic',
      quality: 'measured',
      tokens: { input: 110, cacheRead: 100, output: 20 },
      costNanoUsd: 10n * 3000n + 100n * 300n + 20n * 15_000n,
    })
  })
})

describe('cache writes whose lifetime the answer does not tell', () => {
  const usage = { input_tokens: 10, cache_creation_input_tokens: 100, output_tokens: 20 }
  const cached = (ttl: '5m' | '1h') => [
    {
      role: 'user',
      content: [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral', ttl } }],
    },
  ]

  test.each([
    ['1h', usage, { quality: 'estimated', tokens: { cacheWrite1h: 100 } }, 6000n],
    ['5m', usage, { quality: 'measured', tokens: { cacheWrite1h: null } }, 3750n],
    [
      '1h',
      {
        ...usage,
        cache_creation: { ephemeral_5m_input_tokens: 100, ephemeral_1h_input_tokens: 0 },
      },
      { quality: 'measured', tokens: { cacheWrite1h: 0 } },
      3750n,
    ],
  ] as const)('asked for %s, %j: %j', async (ttl, answered, expected, rate) => {
    const { fetch, receipts } = await start('anthropic', (_, r) =>
      json(r, { model: MODEL, usage: answered }),
    )
    const body = { model: MODEL, max_tokens: 50, messages: cached(ttl) }
    await (await fetch('https://api.anthropic.com/v1/messages', post(body))).json()
    expect(receipts[0]).toMatchObject({
      ...expected,
      costNanoUsd: 10n * 3000n + 100n * rate + 20n * 15_000n,
    })
  })
})

describe('Gemini', () => {
  const MODEL_URL = `https://generativelanguage.googleapis.com/v1beta/models/${MODEL}`
  const usageMetadata = { promptTokenCount: 9, candidatesTokenCount: 9, thoughtsTokenCount: 34 }
  const contents = [{ parts: [{ text: 'Hello' }] }]

  test('a key in the query never arrives; the tenant key goes into a header', async () => {
    const { fetch, receipts } = await start('google', (_, r) => json(r, { usageMetadata }))
    const url = `${MODEL_URL}:generateContent?key=client&$alt=json`
    await (await fetch(url, post({ contents }))).json()
    const [request] = server!.requests
    expect(request?.url).toBe(`/v1beta/models/${MODEL}:generateContent?%24alt=json`)
    expect(identityOf(request!)).toEqual({ 'x-goog-api-key': KEY })
    expect(receipts[0]).toMatchObject({ model: MODEL, tokens: { input: 9, output: 43 } })
  })

  test.each([
    [
      'server-sent events',
      'text/event-stream',
      (chunk: object) => `data: ${JSON.stringify(chunk)}\n\n`,
      '?alt=sse',
    ],
    ['a JSON list', 'application/json', (chunk: object) => JSON.stringify([chunk]), ''],
  ])('a stream as %s is measured', async (_, type, framed, query) => {
    const chunk = { candidates: [{ finishReason: 'STOP' }], usageMetadata }
    const { fetch, receipts } = await start('google', (_seen, response) => {
      response.writeHead(200, { 'content-type': type })
      response.end(framed(chunk))
    })
    const response = await fetch(`${MODEL_URL}:streamGenerateContent${query}`, post({ contents }))
    expect(await response.text()).toBe(framed(chunk))
    expect(receipts[0]).toMatchObject({
      outcome: 'completed',
      quality: 'measured',
      tokens: { output: 43 },
    })
  })

  test.each(['gemini%2Fx', 'x%20', '%2e%2e', 'x%00'])(
    'T-I5 %s in the place of the model is refused before anything is sent',
    async (id) => {
      const { fetch } = await start('google', (_, r) => json(r, {}))
      const url = `https://generativelanguage.googleapis.com/v1beta/models/${id}:generateContent`
      const error = await fetch(url, post({ contents })).catch((e: unknown) => e)
      expect(TenantKeysError.isInstance(error)).toBe(true)
      expect(server!.requests).toHaveLength(0)
    },
  )

  test('T-I5 a model that the policy does not allow is refused, however its letters are escaped', async () => {
    const { fetch } = await start('google', (_, r) => json(r, {}))
    for (const id of ['gemini-2.5-pro', 'Claude-sonnet-4-5', `${MODEL}-x`, '%67emini-2.5-pro']) {
      const url = `https://generativelanguage.googleapis.com/v1beta/models/${id}:generateContent`
      await expect(fetch(url, post({ contents }))).rejects.toMatchObject({
        code: 'TK_MODEL_DENIED',
      })
    }
    expect(server!.requests).toHaveLength(0)
  })
})

describe('Azure', () => {
  const secret = { apiKey: KEY, apiVersion: '2024-10-21', deployment: 'my gpt'.replace(' ', '-') }
  const usage = { prompt_tokens: 14, completion_tokens: 9 }
  const url = (path: string) => `https://azure.invalid${path}`

  test('S1.8 endpoint, version and deployment are those of the credential', async () => {
    const { fetch, receipts } = await start(
      'azure',
      (_, r) => json(r, { usage, model: 'gpt-4o' }),
      {
        secret,
        own: true,
      },
    )
    const asked = url(`/openai/deployments/${MODEL}/chat/completions?api-version=1999-01-01&evil=1`)
    await (await fetch(asked, post({ messages: HELLO }))).json()
    const [request] = server!.requests
    expect(request?.url).toBe('/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21')
    expect(identityOf(request!)).toEqual({ 'api-key': KEY })
    expect(receipts[0]).toMatchObject({
      model: MODEL,
      servedModel: 'gpt-4o',
      tokens: { input: 14 },
    })
  })

  test('the deployment takes the place of the model where the path names none', async () => {
    const answered = { usage: { input_tokens: 1, output_tokens: 2 } }
    const { fetch } = await start('azure', (_, r) => json(r, answered), { secret, own: true })
    for (const path of ['/openai/responses', '/openai/v1/responses']) {
      await (await fetch(url(path), post({ model: MODEL, input: 'Hello' }))).json()
    }
    expect(server!.requests.map((r) => [r.url, r.body.model])).toEqual([
      ['/openai/responses?api-version=2024-10-21', 'my-gpt'],
      ['/openai/v1/responses', 'my-gpt'],
    ])
  })

  test('versions that know no stream options are not sent any', async () => {
    const old = { ...secret, apiVersion: '2024-02-15-preview' }
    const { fetch } = await start('azure', (_, r) => json(r, { usage }), { secret: old, own: true })
    const asked = url(`/openai/deployments/${MODEL}/chat/completions`)
    await (await fetch(asked, post({ messages: HELLO, stream: true }))).text()
    expect(server!.requests[0]?.body).not.toHaveProperty('stream_options')
  })

  test.each(['apiKey', 'endpoint', 'apiVersion', 'deployment'])(
    'S1.10 without %s nothing is stored',
    async (name) => {
      await start('azure', (_, r) => json(r, {}), { secret, own: true })
      const value: Record<string, string> = { ...secret, endpoint: new URL(server!.baseUrl).origin }
      delete value[name]
      await expect(
        tk!.secrets.put({ tenantId: 'acme', provider: 'azure', value }),
      ).rejects.toMatchObject({
        code: 'TK_INPUT_INVALID',
        details: { field: `value.${name}` },
      })
    },
  )
})

describe('Bedrock', () => {
  const secret = { apiKey: KEY, region: 'eu-central-1' }
  const usage = { inputTokens: 22, outputTokens: 57, totalTokens: 79 }
  const messages = [{ role: 'user', content: [{ text: 'Hello' }] }]
  const model = 'us.anthropic.claude-x-v1:0'
  const url = (verb: string) => `https://bedrock.invalid/model/${encodeURIComponent(model)}/${verb}`

  test('the id in the path is decoded for the policy and encoded again', async () => {
    const { fetch, receipts } = await start('bedrock', (_, r) => json(r, { usage }), {
      model,
      secret,
    })
    await (await fetch(url('converse'), post({ messages }))).json()
    const [request] = server!.requests
    expect(request?.url).toBe('/model/us.anthropic.claude-x-v1%3A0/converse')
    expect(identityOf(request!)).toEqual({ authorization: `Bearer ${KEY}` })
    expect(receipts[0]).toMatchObject({ model, tokens: { input: 22, output: 57 } })
  })

  test('a stream of frames is measured, byte for byte as it came', async () => {
    const frames = Buffer.concat([
      awsFrame('contentBlockDelta', { delta: { text: 'Hello' } }),
      awsFrame('metadata', { usage }),
    ])
    const answer: Answer = (_, response) => {
      response.writeHead(200, { 'content-type': 'application/vnd.amazon.eventstream' })
      response.end(frames)
    }
    const { fetch, receipts } = await start('bedrock', answer, { model, secret })
    const response = await fetch(url('converse-stream'), post({ messages }))
    expect(Buffer.from(await response.arrayBuffer()).equals(frames)).toBe(true)
    expect(receipts[0]).toMatchObject({ quality: 'measured', tokens: { output: 57 } })
  })

  test('a header that asks for another class of service is refused', async () => {
    const { fetch } = await start('bedrock', (_, r) => json(r, {}), { model, secret })
    const request = post({ messages })
    const headers = { ...request.headers, 'X-Amzn-Bedrock-Service-Tier': 'priority' }
    await expect(fetch(url('converse'), { ...request, headers })).rejects.toMatchObject({
      code: 'TK_PRICE_MISSING',
      details: { field: 'x-amzn-bedrock-service-tier' },
    })
    expect(server!.requests).toHaveLength(0)
  })
})

describe('the provider own server, chosen by a field of the credential', () => {
  /** Where a call would go; no network is used. */
  async function urlOf(
    provider: string,
    secret: Record<string, string>,
    asked: string,
  ): Promise<string> {
    const urls: string[] = []
    const here = await install('http://127.0.0.1:1/v1', {
      policy: definePolicy({
        scopes: { 'support:chat': { providers: [provider], models: [MODEL] } },
      }),
      prices: [{ provider, model: MODEL, inputUsdPerMTok: '3', outputUsdPerMTok: '15' }],
      fetch: async (url) => {
        urls.push(String(url))
        return Response.json({}, { status: 400 })
      },
    })
    tk = here.tk
    await tk.secrets.put({ tenantId: 'acme', provider, value: secret })
    const messages = [{ role: 'user', content: [{ text: 'Hello' }] }]
    const body = asked.includes('converse')
      ? { messages }
      : { contents: [{ parts: [{ text: 'x' }] }] }
    await tk.fetch({ key: here.key, provider })(asked, post(body))
    return urls[0] ?? ''
  }
  const converse = `https://bedrock.invalid/model/${MODEL}/converse`
  const place = (project: string, location: string) =>
    `/v1/projects/${project}/locations/${location}/publishers/google/models/${MODEL}:generateContent`
  const vertex = `https://aiplatform.googleapis.com${place('clients', 'us-central1')}`

  test('Bedrock: the region', async () => {
    expect(await urlOf('bedrock', { apiKey: KEY, region: 'us-gov-west-1' }, converse)).toBe(
      `https://bedrock-runtime.us-gov-west-1.amazonaws.com/model/${MODEL}/converse`,
    )
  })

  test.each([
    ['global', 'https://aiplatform.googleapis.com'],
    ['europe-west4', 'https://europe-west4-aiplatform.googleapis.com'],
  ])(
    'Vertex: the location %s; project and location are those of the credential',
    async (location, origin) => {
      const secret = { accessToken: KEY, project: 'tenants', location }
      expect(await urlOf('vertex', secret, vertex)).toBe(origin + place('tenants', location))
    },
  )

  test.each(['evil.example/x', 'x', 'eu-central-1.evil.example', '', 'EU-CENTRAL-1'])(
    'a region %j is no host of the provider, and nothing is sent',
    async (region) => {
      const value = { apiKey: KEY, region: region || '-' }
      await expect(urlOf('bedrock', value, converse)).rejects.toMatchObject({
        code: 'TK_ORIGIN_DENIED',
      })
    },
  )
})

describe('servers of one own', () => {
  const usage = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 }
  const ask = post({ model: MODEL, messages: HELLO })

  test('S1.9 vllm: at the endpoint of the tenant, with its key', async () => {
    const { fetch, receipts, origin } = await start('vllm', (_, r) => json(r, { usage }), {
      own: true,
    })
    await (await fetch('https://vllm.invalid/v1/chat/completions', ask)).json()
    expect(server!.requests[0]?.url).toBe('/chat/completions')
    expect(identityOf(server!.requests[0]!)).toEqual({ authorization: `Bearer ${KEY}` })
    expect(receipts[0]).toMatchObject({ credential: { origin }, tokens: { input: 5, output: 2 } })
  })

  test('S1.9 vllm: at the shared server of the operator, with a key alone', async () => {
    const { fetch } = await start('vllm', (_, r) => json(r, { usage }))
    await (await fetch('https://vllm.invalid/v1/chat/completions', ask)).json()
    expect(identityOf(server!.requests[0]!)).toEqual({ authorization: `Bearer ${KEY}` })
  })

  test('without a server the call is refused, by either party to name', async () => {
    const here = await install('http://127.0.0.1:1/v1', {
      policy: definePolicy({
        scopes: { 'support:chat': { providers: ['vllm'], models: [MODEL] } },
      }),
      prices: [{ provider: 'vllm', model: MODEL, inputUsdPerMTok: '0', outputUsdPerMTok: '0' }],
    })
    tk = here.tk
    await tk.secrets.put({ tenantId: 'acme', provider: 'vllm', value: { apiKey: KEY } })
    const fetch = tk.fetch({ key: here.key, provider: 'vllm' })
    await expect(fetch('https://vllm.invalid/v1/chat/completions', ask)).rejects.toMatchObject({
      code: 'TK_ORIGIN_DENIED',
    })
  })

  test('a price of 0 is said, never assumed', async () => {
    const here = await install('http://127.0.0.1:1/v1', {
      policy: definePolicy({
        scopes: { 'support:chat': { providers: ['ollama'], models: [MODEL, 'free'] } },
      }),
      providers: { ollama: { baseUrl: 'http://127.0.0.1:1/v1' } },
      prices: [{ provider: 'ollama', model: 'free', inputUsdPerMTok: '0', outputUsdPerMTok: '0' }],
      fetch: async () => Response.json({ usage }),
    })
    tk = here.tk
    await tk.secrets.put({ tenantId: 'acme', provider: 'ollama', value: { apiKey: KEY } })
    const receipts: Receipt[] = []
    const fetch = tk.fetch({
      key: here.key,
      provider: 'ollama',
      onReceipt: (r) => receipts.push(r),
    })
    const url = 'https://ollama.invalid/v1/chat/completions'
    await expect(fetch(url, ask)).rejects.toMatchObject({ code: 'TK_PRICE_MISSING' })
    await (await fetch(url, post({ model: 'free', messages: HELLO }))).json()
    expect(receipts[0]).toMatchObject({
      quality: 'measured',
      costNanoUsd: 0n,
      tokens: { input: 5 },
    })
  })

  test('S1.12 the platform of the operator: its server and its key', async () => {
    server = await startProvider((_, r) => json(r, { usage }))
    const here = await install('http://127.0.0.1:1/v1', {
      policy: definePolicy({
        scopes: { 'support:chat': { providers: ['azure'], models: [MODEL] } },
      }),
      providers: { azure: { baseUrl: new URL(server.baseUrl).origin } },
      platformCredentials: {
        azure: { apiKey: PLATFORM, apiVersion: '2024-10-21', deployment: 'ours' },
      },
      prices: [{ provider: 'azure', model: MODEL, inputUsdPerMTok: '1', outputUsdPerMTok: '1' }],
    })
    tk = here.tk
    await tk.tenants.create({ id: 'pooled', credentials: 'platform' })
    const { key } = await tk.keys.issue({ tenantId: 'pooled', name: 'k', scopes: ['support:chat'] })
    const url = `https://azure.invalid/openai/deployments/${MODEL}/chat/completions`
    await (await tk.fetch({ key, provider: 'azure' })(url, post({ messages: HELLO }))).json()
    expect(server.requests[0]?.url).toContain('/openai/deployments/ours/')
    expect(identityOf(server.requests[0]!)).toEqual({ 'api-key': PLATFORM })
  })
})

describe('a gateway', () => {
  test('OpenRouter: its own figure stands beside ours', async () => {
    const usage = { prompt_tokens: 57, completion_tokens: 17, cost: 7.159e-5, is_byok: false }
    const { fetch, receipts } = await start('openrouter', (_, r) => json(r, { usage }))
    const ask = post({ model: MODEL, messages: HELLO })
    await (await fetch('https://openrouter.ai/api/v1/chat/completions', ask)).json()
    expect(receipts[0]).toMatchObject({ providerCostNanoUsd: 71_590n, costNanoUsd: 426_000n })
  })
})
