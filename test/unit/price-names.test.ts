/**
 * T-B11 over all providers: which ids have a bundled price, and which are only alike.
 *
 * @module
 */
import { describe, expect, test } from 'vitest'
import { priceTable } from '../../src/usage/price-table.ts'

const table = priceTable({ now: () => Date.UTC(2026, 10, 30) })

/** Per provider: ids that the table names, with the model it means; then ids that nobody priced. */
const PROVIDERS: Record<string, { named: Record<string, string>; unknown: string[] }> = {
  openai: {
    named: { 'gpt-4o-mini-2024-07-18': 'gpt-4o-mini', 'whisper-1': 'whisper-1' },
    unknown: ['gpt-9', 'gpt-5-nano-pro', 'gpt-4o-latest', 'claude-opus-5'],
  },
  anthropic: {
    named: {
      'claude-sonnet-4-5': 'claude-sonnet-4-5',
      'claude-sonnet-4-5-20250929': 'claude-sonnet-4-5',
      'claude-3-5-haiku-latest': 'claude-3-5-haiku-latest',
      'claude-opus-5-20260701': 'claude-opus-5',
    },
    unknown: ['claude-opus-5-mini', 'claude-sonnet-4-5-max', 'claude', 'anthropic.claude-opus-5'],
  },
  google: {
    named: {
      'gemini-2.5-flash': 'gemini-2.5-flash',
      'gemini-2.5-flash-latest': 'gemini-2.5-flash',
      'gemini-2.0-flash-001': 'gemini-2.0-flash',
      'gemini-2.5-pro-preview-tts': 'gemini-2.5-pro-tts',
    },
    unknown: [
      'gemini-2.5-flash-ultra',
      'gemini-2.5-pro-fast',
      'gemma-3-27b-it',
      'my-gemini-1.5-pro',
    ],
  },
  gemini: { named: { 'gemini-2.5-pro': 'gemini-2.5-pro' }, unknown: ['gemini-9'] },
  vertex: {
    named: {
      'gemini-2.5-pro': 'gemini-2.5-pro',
      'claude-sonnet-4-5@20250929': 'claude-sonnet-4-5',
      'claude-opus-4-6': 'claude-opus-4-6',
    },
    unknown: ['claude-sonnet-4-5-max', 'projects/p/models/gemini-2.5-pro'],
  },
  bedrock: {
    named: {
      'amazon.nova-lite-v1:0': 'amazon.nova-lite-v1:0',
      'eu.amazon.nova-lite-v1:0': 'amazon.nova-lite-v1:0',
      'anthropic.claude-3-haiku-20240307-v1:0': 'regional.anthropic.claude-3-haiku-20240307-v1:0',
      'us.anthropic.claude-sonnet-4-5-20250929-v1:0':
        'regional.anthropic.claude-sonnet-4-5-20250929-v1:0',
      'global.anthropic.claude-opus-4-6-v1': 'global.anthropic.claude-opus-4-6-v1:0',
      'openai.gpt-oss-120b-1:0': 'openai.gpt-oss-120b-1:0',
    },
    unknown: [
      'us-gov.amazon.nova-lite-v1:0',
      'amazon.titan-embed-text-v2:0',
      'amazon.nova-lite-2-v1:0',
      'arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0',
      'evil/amazon.nova-lite-v1:0',
    ],
  },
  mistral: {
    named: {
      'mistral-large-latest': 'mistral-large',
      'mistral-large-2411': 'mistral-large',
      'magistral-medium-2509': 'magistral-medium',
    },
    unknown: ['mistral-large-9', 'magistral-medium-turbo'],
  },
  cohere: {
    named: { 'command-a-03-2025': 'command-a', 'embed-v4.0': 'embed-v4.0' },
    unknown: ['command-z', 'command-light-pro'],
  },
  groq: {
    named: {
      'llama-3.3-70b-versatile': 'llama-3.3-70b-versatile',
      'openai/gpt-oss-120b': 'openai/gpt-oss-120b',
    },
    // Ten seconds are billed at least, which no rate by the second says.
    unknown: ['llama-3.3-70b', 'whisper-large-v3', 'whisper-large-v3-turbo'],
  },
  deepseek: {
    named: { 'deepseek-chat': 'deepseek-chat', 'deepseek-v4-pro': 'deepseek-v4-pro' },
    unknown: ['deepseek-chat-x', 'deepseek'],
  },
  openrouter: {
    named: {
      'anthropic/claude-sonnet-4.5': 'anthropic/claude-sonnet-4.5',
      'openai/gpt-4.1-mini': 'openai/gpt-4.1-mini',
    },
    unknown: ['openai/gpt-4.1-mini:online', 'gpt-4.1-mini', 'openrouter/nobody'],
  },
  azure: {
    named: { 'gpt-4o': 'gpt-4o', 'o3-2025-04-16': 'o3-2025-04-16', 'o4-mini': 'o4-mini' },
    unknown: ['my-deployment', 'my-o4-mini', 'o4-mini-pro'],
  },
  xai: {
    named: {
      'grok-4': 'grok-4-0709',
      'grok-3-mini': 'grok-3-mini',
      'grok-4.5-20260101': 'grok-4.5',
    },
    unknown: ['grok-9', 'grok-4-max', 'grok-voice-latest'],
  },
  perplexity: { named: { sonar: 'sonar', 'sonar-pro': 'sonar-pro' }, unknown: ['sonar-max'] },
  huggingface: {
    named: {
      'meta-llama/Llama-3.3-70B-Instruct:together': 'meta-llama/Llama-3.3-70B-Instruct',
    },
    // Without a provider the router chooses one, and nobody knows its price.
    unknown: ['meta-llama/Llama-3.3-70B-Instruct', 'openai/gpt-oss-120b:nobody', ':together'],
  },
  together: {
    named: {
      'meta-llama/Llama-3.3-70B-Instruct-Turbo': 'meta-llama/Llama-3.3-70B-Instruct-Turbo',
    },
    unknown: ['meta-llama/Llama-3.3-70B-Instruct-Turbo-2', 'together/nobody'],
  },
  fireworks: {
    named: { 'accounts/fireworks/models/kimi-k2p5': 'kimi-k2p5' },
    unknown: ['accounts/fireworks/models/kimi', 'kimi-k2p55'],
  },
  cerebras: { named: { 'gpt-oss-120b': 'gpt-oss-120b' }, unknown: ['gpt-oss-120b-x'] },
}

describe.each(Object.entries(PROVIDERS))('T-B11 %s', (provider, { named, unknown }) => {
  test.each(Object.entries(named))('%s is priced as %s', async (asked, model) => {
    const row = await table.find({ provider, model: asked })
    expect(row).toMatchObject({ provider, model })
    expect(row?.id.startsWith(`genai-prices@0.1.8:${provider}/${model}`)).toBe(true)
  })

  test.each(unknown)('%s has none, so the call is refused', async (asked) => {
    expect(await table.find({ provider, model: asked })).toBeNull()
  })
})

describe('T-B11 self-hosted servers', () => {
  test.each(['ollama', 'lmstudio', 'vllm', 'self-hosted'])(
    'of %s nothing is free unless the host says so',
    async (provider) => {
      expect(await table.find({ provider, model: 'llama3' })).toBeNull()
      expect(await table.find({ provider, model: 'gpt-4o' })).toBeNull()
      const free = { provider, model: '*', inputUsdPerMTok: '0', outputUsdPerMTok: '0' }
      const row = await priceTable({ hostPrices: [free] }).find({ provider, model: 'llama3' })
      expect(row).toMatchObject({ id: `host:${provider}/*@unversioned`, rates: { input: 0n } })
    },
  )
})
