import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { describe, expect, test } from 'vitest'
import { type OtelMeterLike, otelSink } from '../../src/adapters/sinks/index.ts'
import { usagePayload } from '../../src/budgets/ledger.ts'
import type { UsageDraft } from '../../src/storage/ledger-records.ts'
import type { OutboxRecord } from '../../src/storage/records.ts'
import { usage } from '../../src/testing/storage-conformance/samples.ts'

const STARTED_MS = 1_768_435_200_000

const usageEvent = (id: string, over: Partial<UsageDraft> = {}): OutboxRecord => ({
  id,
  kind: 'usage',
  tenantId: 'acme',
  atMs: STARTED_MS + 900,
  payload: JSON.stringify(
    usagePayload({
      ...usage(1_234_567_891n, over),
      id,
      tenantId: 'acme',
      state: 'posted',
      lines: [],
      amounts: { usd: 1_234_567_891n },
      overageNanoUsd: 0n,
      startedAtMs: STARTED_MS,
      settledAtMs: STARTED_MS + 900,
    }),
  ),
  attempts: 1,
})

/** A meter that adds up; there is no SDK for metrics among our dependencies, so it stands for one. */
function countingMeter(): OtelMeterLike & { readonly points: Map<string, number> } {
  const points = new Map<string, number>()
  const note = (name: string, value: number, attributes: object): void => {
    const key = `${name} ${JSON.stringify(attributes)}`
    points.set(key, (points.get(key) ?? 0) + value)
  }
  return {
    points,
    createCounter: (name) => ({ add: (value, attributes) => note(name, value, attributes) }),
    createHistogram: (name) => ({ record: (value, attributes) => note(name, value, attributes) }),
  }
}

const COMMON = {
  'gen_ai.operation.name': 'chat',
  'gen_ai.provider.name': 'openai',
  'gen_ai.request.model': 'model-a',
  'gen_ai.response.model': 'model-a-2026',
}

describe('the OpenTelemetry sink', () => {
  test('makes one span of each attempt through the real SDK, by the GenAI conventions', async () => {
    const exporter = new InMemorySpanExporter()
    const provider = new BasicTracerProvider({
      spanProcessors: [new SimpleSpanProcessor(exporter)],
    })
    const sink = otelSink({ tracer: provider.getTracer('tenantkeys') })
    const events = [
      usageEvent('one', { durationMs: 700, tags: { team: 'red' } }),
      usageEvent('two', { outcome: 'aborted', quality: 'estimated', provider: 'mistral' }),
    ]
    expect((await sink.write(events)).accepted).toEqual(['one', 'two'])
    const [one, two] = exporter.getFinishedSpans()
    expect(one?.name).toBe('chat model-a')
    expect(one?.kind).toBe(2)
    expect(one?.startTime).toEqual([STARTED_MS / 1000, 0])
    expect(one?.endTime).toEqual([STARTED_MS / 1000, 700_000_000])
    expect(one?.status.code).toBe(0)
    expect(one?.attributes).toEqual({
      ...COMMON,
      'gen_ai.usage.input_tokens': 11,
      'gen_ai.usage.output_tokens': 7,
      'gen_ai.usage.cache_read.input_tokens': 0,
      'gen_ai.usage.reasoning.output_tokens': 2,
      'tenantkeys.operation': 'chat',
      'http.response.status_code': 200,
      'tenantkeys.tenant.id': 'acme',
      'tenantkeys.key.id': usage(0n).keyId,
      'tenantkeys.scope': 'support:chat',
      'tenantkeys.call.id': 'call-1',
      'tenantkeys.attempt.id': 'one',
      'tenantkeys.price.id': 'price-1',
      'tenantkeys.usage.quality': 'measured',
      'tenantkeys.paid_by': 'tenant',
      'tenantkeys.billable': false,
      'tenantkeys.cost.nano_usd': '1234567891',
      'tenantkeys.cost.usd': 1.234567891,
      'tenantkeys.charged.nano_usd': '0',
      'tenantkeys.charged.usd': 0,
      'tenantkeys.tag.team': 'red',
    })
    expect(two?.status.code).toBe(2)
    expect(two?.endTime).toEqual([STARTED_MS / 1000, 900_000_000])
    expect(two?.attributes).toMatchObject({
      'gen_ai.provider.name': 'mistral_ai',
      'error.type': 'aborted',
    })
  })

  test('counts tokens and cost, without the tenant unless asked', async () => {
    const meter = countingMeter()
    await otelSink({ meter }).write([usageEvent('one', { durationMs: 500 }), usageEvent('two')])
    const at = (name: string, more: object = {}): number | undefined =>
      meter.points.get(`${name} ${JSON.stringify({ ...COMMON, ...more })}`)
    const unknown = { 'gen_ai.token.modality': 'unknown' }
    expect(at('gen_ai.client.inference.usage.input_tokens', unknown)).toBe(22)
    expect(at('gen_ai.client.inference.usage.output_tokens', unknown)).toBe(14)
    expect(at('gen_ai.client.inference.usage.reasoning.output_tokens', unknown)).toBe(4)
    expect(at('gen_ai.client.operation.duration')).toBe(0.5)
    expect(at('tenantkeys.cost', { 'tenantkeys.paid_by': 'tenant' })).toBeCloseTo(2.469135782, 9)
    expect([...meter.points.keys()].some((key) => key.includes('acme'))).toBe(false)
    expect([...meter.points.keys()].some((key) => key.includes('token.usage'))).toBe(false)

    const both = countingMeter()
    const options = { meter: both, tenantOnMetrics: true, tokenUsageHistogram: true }
    await otelSink(options).write([usageEvent('one')])
    const own = { ...COMMON, 'tenantkeys.tenant.id': 'acme', 'gen_ai.token.type': 'input' }
    expect(both.points.get(`gen_ai.client.token.usage ${JSON.stringify(own)}`)).toBe(11)
  })

  test.each([
    ['messages', 'chat'],
    ['responses', 'chat'],
    ['converse', 'chat'],
    ['interactions', 'chat'],
    ['completions', 'text_completion'],
    ['generate_content', 'generate_content'],
    ['embeddings', 'embeddings'],
    ['callback', 'callback'],
  ])(
    'our operation %s is called %s, where the conventions know a name for it',
    async (own, name) => {
      const exporter = new InMemorySpanExporter()
      const provider = new BasicTracerProvider({
        spanProcessors: [new SimpleSpanProcessor(exporter)],
      })
      await otelSink({ tracer: provider.getTracer('tenantkeys') }).write([
        usageEvent('one', { operation: own }),
      ])
      const [span] = exporter.getFinishedSpans()
      expect(span?.name).toBe(`${name} model-a`)
      expect(span?.attributes).toMatchObject({
        'gen_ai.operation.name': name,
        'tenantkeys.operation': own,
      })
    },
  )

  test('tokens are told apart by modality; of used and billable ones the billable count', async () => {
    const meter = countingMeter()
    const { tokens } = usage(0n)
    await otelSink({ meter }).write([
      usageEvent('audio', {
        tokens: { ...tokens, input: 100, inputAudio: 60, output: 50, outputAudio: 50 },
        counts: { input_image_tokens: 30 },
      }),
      usageEvent('billed', {
        provider: 'cohere',
        tokens: { ...tokens, input: 540, output: 9 },
        counts: { billed_input: 11, billed_output: 7 },
      }),
    ])
    const at = (name: string, modality: string, more: object = {}): number | undefined => {
      const attributes = { ...COMMON, ...more, 'gen_ai.token.modality': modality }
      return meter.points.get(`gen_ai.client.inference.usage.${name} ${JSON.stringify(attributes)}`)
    }
    expect(at('input_tokens', 'audio')).toBe(60)
    expect(at('input_tokens', 'image')).toBe(30)
    expect(at('input_tokens', 'unknown')).toBe(10)
    expect(at('output_tokens', 'audio')).toBe(50)
    expect(at('output_tokens', 'unknown')).toBe(0)
    const cohere = { 'gen_ai.provider.name': 'cohere' }
    expect(at('input_tokens', 'unknown', cohere)).toBe(11)
    expect(at('output_tokens', 'unknown', cohere)).toBe(7)
  })

  test('US-4 an event that comes again is accepted and not counted again', async () => {
    const meter = countingMeter()
    const sink = otelSink({ meter })
    for (let n = 0; n < 3; n++)
      expect((await sink.write([usageEvent('one')])).accepted).toEqual(['one'])
    const attributes = { ...COMMON, 'gen_ai.token.modality': 'unknown' }
    const key = `gen_ai.client.inference.usage.input_tokens ${JSON.stringify(attributes)}`
    expect(meter.points.get(key)).toBe(11)
  })

  test('events of other kinds are accepted, and a payload that is no usage row is named', async () => {
    const sink = otelSink({ meter: countingMeter() })
    const other = { ...usageEvent('other'), kind: 'unknown_spend', payload: '{}' }
    const wrong = { ...usageEvent('wrong'), payload: '{}' }
    expect(await sink.write([other, wrong, usageEvent('one')])).toEqual({
      accepted: ['other', 'one'],
      rejected: [{ id: 'wrong', reason: 'its payload is no usage row' }],
    })
  })
})
