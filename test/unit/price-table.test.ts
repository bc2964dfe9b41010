import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { bundledPrice, GENAI_PRICES_VERSION, readPrice } from '../../src/usage/genai-prices.ts'
import { NO_RATES } from '../../src/usage/price.ts'
import { priceTable } from '../../src/usage/price-table.ts'

const NOW = Date.UTC(2026, 10, 21)
const table = priceTable({ now: () => NOW })
const find = (model: string, provider = 'openai', atMs = NOW) =>
  table.find({ provider, model, atMs })

describe('T-B11 what has a price', () => {
  test.each([
    ['gpt-4o-mini', 'gpt-4o-mini'],
    ['gpt-4o-mini-2024-07-18', 'gpt-4o-mini'],
    ['gpt-4o-2024-05-13', 'gpt-4o-2024-05-13'],
    ['gpt-5.6-sol-2026-08-21', 'gpt-5.6-sol'],
    ['gpt-5.6', 'gpt-5.6-sol'],
    ['gpt-5-chat-latest', 'gpt-5'],
    ['gpt-5-nano-2025-08-07', 'gpt-5-nano'],
    ['o3-mini-2025-01-31', 'o3-mini'],
    ['ft:gpt-4o-mini-2024-07-18:acme:support:abc123', 'ft:gpt-4o-mini'],
    ['ft:gpt-3.5-turbo-0125:acme::abc123', 'ft:gpt-3.5-turbo-'],
  ])('%s, which the table names, is priced as %s', async (asked, model) => {
    const row = await find(asked)
    expect(row?.model).toBe(model)
    expect(row?.id.startsWith(`genai-prices@${GENAI_PRICES_VERSION}:openai/${model}`)).toBe(true)
    expect(row?.rates.input).toBeGreaterThan(0n)
  })

  test.each([
    ['an unknown model', 'gpt-9'],
    ['an alias nobody defined', 'gpt-4o-latest'],
    ['a date that never was', 'gpt-4o-2099-01-01'],
    ['a newer model with an older prefix', 'gpt-5-nano-pro'],
    ['a variant with another price', 'gpt-4o:online'],
    ['a provider prefix', 'openai/gpt-4o'],
    ['a model of another provider', 'claude-3-opus-20240229'],
    ['a fine-tune of an unknown base', 'ft:gpt-4o-mini:acme::abc'],
    ['a leading blank', ' gpt-4o'],
    ['a trailing blank', 'gpt-4o '],
    ['a null byte', 'gpt-4o\u0000'],
    ['a look-alike letter', 'gрt-4o'],
    ['nothing', ''],
    ['a very long id', 'gpt-4o'.repeat(100)],
    ['a property of Object', 'constructor'],
    ['the prototype', '__proto__'],
    ['a model with an empty price', 'omni-moderation-latest'],
  ])('%s has none, so the call is refused', async (_, asked) => {
    expect(await find(asked)).toBeNull()
  })

  test.each(['openai-compatible', 'my-openai', 'OpenAI', 'litellm', 'nobody', ''])(
    'the provider %j is not taken for OpenAI',
    async (provider) => {
      expect(await find('gpt-4o', provider)).toBeNull()
    },
  )

  test('embeddings have a price for input and none for output', async () => {
    const row = await find('text-embedding-3-small')
    expect(row?.rates).toMatchObject({ input: 20_000n, output: null })
  })
})

describe('rows of the bundled table', () => {
  test('rates are pUSD per token, with what is left out named', async () => {
    expect(await find('gpt-4o-mini')).toEqual({
      id: 'genai-prices@0.1.8:openai/gpt-4o-mini',
      version: '0.1.8',
      provider: 'openai',
      model: 'gpt-4o-mini',
      currency: 'USD',
      rates: { ...NO_RATES, input: 150_000n, cacheRead: 75_000n, output: 600_000n },
      tiers: [],
      ratio: [1, 1],
      units: { web_search_requests: 10_000_000_000n, file_search_requests: 2_500_000_000n },
      serviceTiers: {},
      next: [],
      contextWindow: 128_000,
      maxOutput: null,
      roundedUp: false,
      unpriced: [],
      use: 'table',
      known: true,
    })
  })

  test('tiers keep the threshold of the source, and every class has a rate in them', async () => {
    const row = await find('gpt-6-sol')
    expect(row?.tiers).toEqual([
      {
        aboveInputTokens: 272_000,
        rates: {
          ...row?.rates,
          input: 4_000_000n,
          cacheRead: 400_000n,
          cacheWrite: 5_000_000n,
          output: 15_000_000n,
        },
      },
    ])
  })

  test('a class whose tiers begin elsewhere keeps its own thresholds', () => {
    const price = readPrice({
      input_mtok: {
        base: 1,
        tiers: [
          { start: 200, price: 3 },
          { start: 100, price: 2 },
        ],
      },
      output_mtok: 9,
      cache_read_mtok: { base: 0.5, tiers: [{ start: 150, price: 0.75 }] },
    })
    expect(price?.rates).toMatchObject({
      input: 1_000_000n,
      cacheRead: 500_000n,
      output: 9_000_000n,
    })
    expect(
      price?.tiers.map((t) => [
        t.aboveInputTokens,
        t.rates.input,
        t.rates.cacheRead,
        t.rates.output,
      ]),
    ).toEqual([
      [100, 2_000_000n, 500_000n, 9_000_000n],
      [150, 2_000_000n, 750_000n, 9_000_000n],
      [200, 3_000_000n, 750_000n, 9_000_000n],
    ])
  })

  test('a rate finer than 1 pUSD is rounded up and the row says so', () => {
    expect(readPrice({ input_mtok: 0.08333333333333334, output_mtok: 1 })).toMatchObject({
      rates: { input: 83_334n },
      roundedUp: true,
    })
  })

  test.each([
    ['no price at all', {}],
    ['no price for input', { output_mtok: 1 }],
    ['a fee for what nobody counts', { input_mtok: 1, input_text_messages_kcount: 4 }],
    ['searches alone', { web_searches_kcount: 10 }],
    ['a unit that is no price', { input_mtok: 1, output_mtok: 1, requests_kcount: -1 }],
    ['a negative price', { input_mtok: -1, output_mtok: 1 }],
    ['a price that is none', { input_mtok: Number.NaN, output_mtok: 1 }],
  ])('%s is no price', (_, price) => {
    expect(readPrice(price)).toBeNull()
  })

  test('what is counted beside tokens is priced each, exactly', () => {
    const price = readPrice({
      input_mtok: 1,
      requests_kcount: 12,
      web_searches_kcount: 5,
      output_mtok: 1,
    })
    expect(price?.units).toEqual({
      requests: 12_000_000_000n,
      web_search_requests: 5_000_000_000n,
    })
    expect(price?.roundedUp).toBe(false)
  })

  test('a price by the hour is one by the second, rounded up to 1 pUSD, and the row says so', () => {
    expect(readPrice({ audio_hours: 0.36, input_audio_hours: 0.36 })).toMatchObject({
      rates: { input: 0n, output: null },
      units: { seconds: 100_000_000n },
      roundedUp: false,
    })
    expect(readPrice({ audio_hours: 0.111 })).toMatchObject({
      units: { seconds: 30_833_334n },
      roundedUp: true,
    })
  })

  test('a key nobody knows yet is named, never dropped', () => {
    expect(readPrice({ input_mtok: 1, output_mtok: 1, smell_mtok: 4 })?.unpriced).toEqual([
      'smell_mtok',
    ])
  })

  test('the version in the id is the one that is installed', () => {
    const file = new URL('../../node_modules/@pydantic/genai-prices/package.json', import.meta.url)
    expect(JSON.parse(readFileSync(file, 'utf8')).version).toBe(GENAI_PRICES_VERSION)
  })
})

describe('prices that change', () => {
  const luna = (atMs: number) => find('gpt-5.6-luna', 'openai', atMs)

  test('by date: the price of the moment, and its first day in the id', async () => {
    const before = await luna(Date.UTC(2026, 6, 30) - 1)
    const after = await luna(Date.UTC(2026, 6, 30))
    expect(before).toMatchObject({
      id: 'genai-prices@0.1.8:openai/gpt-5.6-luna',
      rates: { input: 1_000_000n },
    })
    expect(after).toMatchObject({
      id: 'genai-prices@0.1.8:openai/gpt-5.6-luna@2026-07-30',
      rates: { input: 200_000n },
    })
  })

  test('by time of day: not remembered past the minute it holds in', async () => {
    const chat = (h: number, m: number, s = 0) =>
      find('deepseek-chat', 'deepseek', Date.UTC(2026, 10, 21, h, m, s))
    expect((await chat(0, 29, 59))?.rates.input).toBe(135_000n)
    expect((await chat(0, 30))?.rates.input).toBe(270_000n)
    expect((await chat(16, 29, 59))?.id).toBe(
      'genai-prices@0.1.8:deepseek/deepseek-chat@00:30:00Z-16:30:00Z',
    )
    expect((await chat(16, 30))?.rates.input).toBe(135_000n)
    expect((await chat(0, 29, 59))?.rates.input).toBe(135_000n)
  })

  test('a row is remembered within its minute', async () => {
    expect(await find('gpt-4.1', 'openai', NOW)).toBe(await find('gpt-4.1', 'openai', NOW + 59_999))
    expect(await find('gpt-4.1', 'openai', NOW)).not.toBe(
      await find('gpt-4.1', 'openai', NOW + 60_000),
    )
  })

  test('a moment that is none has no price where the price depends on it', async () => {
    expect(await bundledPrice({ provider: 'openai', model: 'o3', atMs: Number.NaN })).toBeNull()
  })
})

describe('rows of the host', () => {
  const own = priceTable({
    now: () => NOW,
    hostPrices: [
      {
        provider: 'openai',
        model: 'gpt-4o',
        inputUsdPerMTok: '1',
        outputUsdPerMTok: '2',
        cacheReadUsdPerMTok: '0.1',
        tiers: [{ aboveInputTokens: 1000, inputUsdPerMTok: '3' }],
        contextWindow: 64_000,
        maxOutputTokens: 8000,
        version: '2026-11',
      },
      { provider: 'acme', model: 'a/b', inputUsdPerMTok: '0', outputUsdPerMTok: '0.0000001' },
    ],
  })

  test('win over the bundled table, for exactly their model', async () => {
    const row = await own.find({ provider: 'openai', model: 'gpt-4o' })
    expect(row).toMatchObject({
      id: 'host:openai/gpt-4o@2026-11',
      version: '2026-11',
      rates: { input: 1_000_000n, cacheRead: 100_000n, output: 2_000_000n, inputAudio: null },
      tiers: [
        {
          aboveInputTokens: 1000,
          rates: { input: 3_000_000n, cacheRead: 100_000n, output: 2_000_000n },
        },
      ],
      contextWindow: 64_000,
      maxOutput: 8000,
      roundedUp: false,
    })
    const dated = await own.find({ provider: 'openai', model: 'gpt-4o-2024-08-06' })
    expect(dated?.id).toBe('genai-prices@0.1.8:openai/gpt-4o')
  })

  test('price models and providers that nobody else knows, also at nothing', async () => {
    expect(await own.find({ provider: 'acme', model: 'a/b' })).toMatchObject({
      id: 'host:acme/a/b@unversioned',
      rates: { input: 0n, output: 1n },
      roundedUp: true,
      contextWindow: null,
      maxOutput: null,
    })
    expect(await own.find({ provider: 'acme', model: 'a' })).toBeNull()
  })
})
