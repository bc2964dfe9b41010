/**
 * Guards of the providers taken out, one at a time: what they stop must then happen.
 *
 * @module
 */
import { describe, expect, test } from 'vitest'
import type { Operation, ResponseUsage } from '../../src/providers/provider.ts'
import { Mutant, type Sabotage } from '../support/mutant.ts'
import { KNOWN, UNKNOWN, valuesOf } from '../support/operations.ts'

const FOLDERS = ['kernel', 'providers']

type Load = <M>(file: string) => Promise<M>
/** Resolves to true when the attack succeeds. */
type Attack = (load: Load) => Promise<boolean>

type Catalogue = typeof import('../../src/providers/catalogue.ts')

async function operationOf(load: Load, id: string, path: string): Promise<Operation> {
  const { PROVIDERS } = await load<Catalogue>('providers/catalogue.ts')
  const found = PROVIDERS.get(id)?.operations.find((o) => o.path === path)
  if (found === undefined) throw new Error(`${id} has no ${path}`)
  return found
}

/** The answer is read as something that is so. */
const reads =
  (id: string, path: string, json: unknown, so: (usage: ResponseUsage) => boolean): Attack =>
  async (load) => {
    const usage = (await operationOf(load, id, path)).readJson(json)
    return usage !== null && so(usage)
  }

/** The stream ends up as something that is so. */
const streams =
  (
    id: string,
    path: string,
    events: readonly object[],
    so: (usage: ResponseUsage | null) => boolean,
  ): Attack =>
  async (load) => {
    const reader = (await operationOf(load, id, path)).openStream()
    for (const event of events) {
      const type = (event as { type?: string }).type
      reader.push({ ...(type ? { event: type } : {}), data: JSON.stringify(event) })
    }
    return so(reader.usage())
  }

/** The request is let through, with a bound that is so. */
const admits =
  (
    id: string,
    path: string,
    body: object,
    so: (bound: { input: number; output: number; body: string }) => boolean = () => true,
    limits = KNOWN,
  ): Attack =>
  async (load) => {
    const operation = await operationOf(load, id, path)
    try {
      const reading = operation.read(JSON.stringify(body), valuesOf(operation)).bound(limits)
      return so({ ...reading.bound, body: reading.body })
    } catch {
      return false
    }
  }

const matches =
  (path: string): Attack =>
  async (load) => {
    const { matchPath } = await load<typeof import('../../src/providers/path-pattern.ts')>(
      'providers/path-pattern.ts',
    )
    const found = matchPath('/model/{model}/converse', path)
    return found !== null && found !== 'invalid'
  }

const CHAT = '/chat/completions'
const MESSAGES = '/v1/messages'
const GENERATE = '/v1beta/models/{model}:generateContent'
const CONVERSE = '/model/{model}/converse'
const usage = { prompt_tokens: 10, completion_tokens: 5 }
const hello = [{ role: 'user', content: 'Hello' }]
const claude = { model: 'c', max_tokens: 9, messages: hello }
const contents = [{ parts: [{ text: 'Hello' }] }]
const converse = { messages: [{ role: 'user', content: [{ text: 'Hello' }] }] }

/** What is taken out, and the attack that succeeds only then. */
const MUTANTS: readonly (readonly [string, Sabotage, Attack])[] = [
  [
    'counts below 0 are counts',
    {
      file: 'providers/reading/usage-format.ts',
      from: 'value >= 0 && value <= MAX_TOKENS',
      to: 'value <= MAX_TOKENS',
    },
    reads('openai', CHAT, { usage: { ...usage, cached_tokens: -5 } }, () => true),
  ],
  [
    'fractions are counts',
    {
      file: 'providers/reading/usage-format.ts',
      from: "typeof value === 'number' && Number.isInteger(value) &&",
      to: "typeof value === 'number' &&",
    },
    reads('openai', CHAT, { usage: { ...usage, completion_tokens: 0.5 } }, () => true),
  ],
  [
    'a total of any size is a count',
    { file: 'providers/reading/usage-format.ts', from: '    input <= MAX_TOKENS &&\n', to: '' },
    reads(
      'anthropic',
      MESSAGES,
      { usage: { input_tokens: 9e8, cache_read_input_tokens: 9e8, output_tokens: 1 } },
      () => true,
    ),
  ],
  [
    'more may be cached than was read',
    {
      file: 'providers/reading/usage-format.ts',
      from: '(cacheRead ?? 0) + (cacheWrite ?? 0) <= input &&',
      to: '',
    },
    reads('openai', CHAT, { usage: { ...usage, cached_tokens: 11 } }, () => true),
  ],
  [
    'more may be reasoned than was written',
    { file: 'providers/reading/usage-format.ts', from: '(reasoning ?? 0) <= output &&', to: '' },
    reads(
      'openai',
      CHAT,
      { usage: { ...usage, completion_tokens_details: { reasoning_tokens: 6 } } },
      () => true,
    ),
  ],
  [
    'more may be written for an hour than was written',
    {
      file: 'providers/reading/usage-format.ts',
      from: '(cacheWrite1h ?? 0) <= (cacheWrite ?? 0) &&',
      to: '',
    },
    reads(
      'anthropic',
      MESSAGES,
      {
        usage: {
          input_tokens: 1,
          output_tokens: 1,
          cache_creation_input_tokens: 2,
          cache_creation: { ephemeral_1h_input_tokens: 3 },
        },
      },
      () => true,
    ),
  ],
  [
    'reasoning beside the output is lost',
    { file: 'providers/formats/openai-usage.ts', from: 'output: output + beside,', to: 'output,' },
    reads(
      'openai',
      CHAT,
      {
        usage: {
          prompt_tokens: 12,
          completion_tokens: 300,
          total_tokens: 540,
          completion_tokens_details: { reasoning_tokens: 228 },
        },
      },
      ({ tokens }) => tokens.output === 300,
    ),
  ],
  [
    'what no field explains is measured',
    {
      file: 'providers/formats/openai-usage.ts',
      from: ', isIncomplete: split.unattributed > 0',
      to: '',
    },
    reads(
      'openai',
      CHAT,
      { usage: { ...usage, total_tokens: 99 } },
      ({ quality }) => quality === 'measured',
    ),
  ],
  [
    'cached input of Claude is free',
    {
      file: 'providers/formats/anthropic-usage.ts',
      from: 'sum(fresh, cacheRead, cacheWrite)',
      to: 'fresh',
    },
    reads(
      'anthropic',
      MESSAGES,
      { usage: { input_tokens: 100, cache_read_input_tokens: 50, output_tokens: 1 } },
      ({ tokens }) => tokens.input === 100,
    ),
  ],
  [
    'compaction is free',
    {
      file: 'providers/formats/anthropic-usage.ts',
      from: "if (type === 'compaction') apart = added(apart, read)",
      to: "if (type === 'compaction') continue",
    },
    reads(
      'anthropic',
      MESSAGES,
      {
        usage: {
          input_tokens: 1,
          output_tokens: 1,
          iterations: [{ type: 'compaction', input_tokens: 9, output_tokens: 9 }],
        },
      },
      ({ tokens }) => tokens.input === 1,
    ),
  ],
  [
    'an advisor on another model is measured',
    {
      file: 'providers/formats/anthropic-usage.ts',
      from: "isIncomplete ||= type !== 'compaction'",
      to: '',
    },
    reads(
      'anthropic',
      MESSAGES,
      {
        usage: {
          input_tokens: 1,
          output_tokens: 1,
          iterations: [{ type: 'advisor_message', input_tokens: 9, output_tokens: 9 }],
        },
      },
      ({ quality }) => quality === 'measured',
    ),
  ],
  [
    'thoughts of Gemini are free',
    {
      file: 'providers/formats/gemini-usage.ts',
      from: 'sum(candidates, thoughts)',
      to: 'candidates',
    },
    reads(
      'google',
      GENERATE,
      { usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 40, thoughtsTokenCount: 34 } },
      ({ tokens }) => tokens.output === 40,
    ),
  ],
  [
    'the fee of OpenRouter is the whole cost',
    {
      file: 'providers/openrouter.ts',
      from: 'if (usage.is_byok !== true || own === null) return own',
      to: 'return own',
    },
    reads(
      'openrouter',
      CHAT,
      {
        usage: {
          ...usage,
          cost: 1e-6,
          is_byok: true,
          cost_details: { upstream_inference_cost: 1 },
        },
      },
      ({ providerCostNanoUsd }) => providerCostNanoUsd === 1000n,
    ),
  ],
  [
    'a figure is rounded down',
    {
      file: 'providers/reading/figure.ts',
      from: '(digits + unit - 1n) / unit',
      to: 'digits / unit',
    },
    reads(
      'openrouter',
      CHAT,
      { usage: { ...usage, cost: 1e-10 } },
      ({ providerCostNanoUsd }) => providerCostNanoUsd === 0n,
    ),
  ],
  [
    'a stream that was cut is measured',
    {
      file: 'providers/reading/follow-stream.ts',
      from: '(isFinal && written <= countedUpTo)',
      to: 'written <= countedUpTo',
    },
    streams(
      'anthropic',
      MESSAGES,
      [{ type: 'message_start', message: { usage: { input_tokens: 9, output_tokens: 1 } } }],
      (read) => read?.quality === 'measured',
    ),
  ],
  [
    'what came after the last figure is free',
    {
      file: 'providers/reading/follow-stream.ts',
      from: 'Math.max(read.tokens.output, written)',
      to: 'read.tokens.output',
    },
    streams(
      'anthropic',
      MESSAGES,
      [
        { type: 'message_start', message: { usage: { input_tokens: 9, output_tokens: 1 } } },
        { type: 'content_block_delta', delta: { text: 'a long answer' } },
      ],
      (read) => read?.tokens.output === 1,
    ),
  ],
  [
    'figures of the start are forgotten at the end',
    {
      file: 'providers/reading/follow-stream.ts',
      from: 'usage: { ...before.usage, ...Object.fromEntries(given) }',
      to: 'usage: now.usage',
    },
    streams(
      'anthropic',
      MESSAGES,
      [
        { type: 'message_start', message: { usage: { input_tokens: 9, output_tokens: 1 } } },
        { type: 'message_delta', usage: { output_tokens: 2 } },
      ],
      (read) => read === null,
    ),
  ],
  [
    'images of unknown size are text',
    {
      file: 'providers/reading/bounds.ts',
      from: "if (limits.contextWindow === null) throw body.unbounded(at.model, at.field, 'contextWindow')",
      to: 'if (limits.contextWindow === null) return 1',
    },
    admits(
      'anthropic',
      MESSAGES,
      { ...claude, messages: [{ role: 'user', content: [{ type: 'image' }] }] },
      () => true,
      UNKNOWN,
    ),
  ],
  [
    'a bound may be larger than any budget',
    {
      file: 'providers/reading/bounds.ts',
      from: 'if (total <= MAX_BOUND) return total',
      to: 'return total',
    },
    admits(
      'openai',
      CHAT,
      { model: 'm', messages: hello, n: 100, max_tokens: 1e9 },
      () => true,
      UNKNOWN,
    ),
  ],
  [
    'of two maximums the smaller one is believed',
    { file: 'providers/reading/bounds.ts', from: 'Math.max(...given)', to: 'Math.min(...given)' },
    admits(
      'openai',
      CHAT,
      { model: 'm', messages: hello, max_tokens: 1, max_completion_tokens: 9000 },
      ({ output }) => output === 1,
    ),
  ],
  [
    'another spelling is passed on',
    {
      file: 'providers/formats/gemini-content.ts',
      from: "if (unknown !== null) throw body.invalid(unknown, 'this field is not known in this spelling')",
      to: '',
    },
    admits('google', GENERATE, { contents, generation_config: { max_output_tokens: 1e9 } }),
  ],
  [
    'another maximum among the settings is passed on',
    {
      file: 'providers/formats/gemini.ts',
      from: '!CONFIG_FIELDS.has(name) && isGiven(config[name])',
      to: 'false',
    },
    admits('google', GENERATE, { contents, generationConfig: { max_output_tokens: 1e9 } }),
  ],
  [
    'another model may stand in the body than in the path',
    {
      file: 'providers/formats/gemini.ts',
      from: "throw body.invalid('model', 'expected the model of the path')",
      to: 'void 0',
    },
    admits('google', GENERATE, { contents, model: 'models/dearer' }),
  ],
  [
    'searches without a number are admitted',
    {
      file: 'providers/formats/anthropic-messages.ts',
      from: 'if (serverToolUses === null && serverToolField !== null) {',
      to: 'if (false) {',
    },
    admits('anthropic', MESSAGES, { ...claude, tools: [{ type: 'web_search_20250305' }] }),
  ],
  [
    'a search reads nothing',
    {
      file: 'providers/formats/anthropic-messages.ts',
      from: 'window * (1 + (serverToolUses ?? 0))',
      to: 'window',
    },
    admits(
      'anthropic',
      MESSAGES,
      { ...claude, tools: [{ type: 'web_search_20250305', max_uses: 9 }] },
      ({ input }) => input === KNOWN.contextWindow,
    ),
  ],
  [
    'fast serving is admitted at the standard price',
    {
      file: 'providers/formats/anthropic-messages.ts',
      from: "if (isGiven(speed) && speed !== 'standard')",
      to: 'if (false)',
    },
    admits('anthropic', MESSAGES, { ...claude, speed: 'fast' }),
  ],
  [
    'unknown fields of messages are passed on',
    {
      file: 'providers/formats/anthropic-messages.ts',
      from: 'if (unknown !== null) {',
      to: 'if (false) {',
    },
    admits('anthropic', MESSAGES, { ...claude, fallbacks: [{ model: 'dearer' }] }),
  ],
  [
    'a maximum by another name is passed on to Bedrock',
    {
      file: 'providers/formats/bedrock-converse.ts',
      from: 'if (own.some((name) => !MODEL_FIELDS.has(name)))',
      to: 'if (false)',
    },
    admits('bedrock', CONVERSE, { ...converse, additionalModelRequestFields: { max_tokens: 1e9 } }),
  ],
  [
    'a response may go on in the background',
    {
      file: 'providers/formats/openai-responses.ts',
      from: "if (body.flag('background')) {",
      to: 'if (false) {',
    },
    admits('openai', '/responses', { model: 'm', input: 'x', background: true }),
  ],
  [
    'several models may serve at the price of one',
    {
      file: 'providers/openrouter.ts',
      from: "{ field: 'models', hint: 'name one model: others may cost more' },",
      to: '',
    },
    admits('openrouter', CHAT, { model: 'm', models: ['dearer'], messages: hello }),
  ],
  [
    'a slash may stand in a model of a path',
    { file: 'providers/path-pattern.ts', from: '._:@+-]{0,199}', to: '._:@+/-]{0,199}' },
    matches('/model/a%2F..%2Fb/converse'),
  ],
  [
    'an id may begin with dots',
    { file: 'providers/path-pattern.ts', from: '/^[A-Za-z0-9][', to: '/^[A-Za-z0-9.][' },
    matches('/model/..x/converse'),
  ],
]

describe.each(MUTANTS)('%s', (_, sabotage, attack) => {
  test('with the guard the attack fails', async () => {
    expect(await attack((file) => import(new URL(`../../src/${file}`, import.meta.url).href))).toBe(
      false,
    )
  })

  test('without it the attack succeeds', async () => {
    const mutant = new Mutant(sabotage, FOLDERS)
    try {
      expect(await attack((file) => mutant.load(file))).toBe(true)
    } finally {
      mutant.dispose()
    }
  })
})
