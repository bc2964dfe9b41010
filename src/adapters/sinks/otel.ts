/**
 * `otelSink()`: each attempt of a call as one span and its figures as metrics, by the semantic
 * conventions for generative AI (open-telemetry/semantic-conventions-genai, Development, as of
 * September 2026). Tracer and meter are the host's own; nothing of OpenTelemetry is imported.
 *
 * Cost has no convention: it is under `tenantkeys.`.
 *
 * @module
 */
import * as z from 'zod'
import { idSchema, objectWith, parse } from '../../kernel/validate.ts'
import type { UsageRecord } from '../../storage/ledger-records.ts'
import type { OutboxRecord } from '../../storage/records.ts'
import type { UsageSink } from '../../usage/usage-sink.ts'

export type OtelAttributes = Record<string, string | number | boolean>

/** What we call of a `Tracer` of @opentelemetry/api. */
export interface OtelTracerLike {
  startSpan(
    name: string,
    options: {
      readonly kind: number
      readonly startTime: number
      readonly attributes: OtelAttributes
    },
  ): {
    setStatus(status: { readonly code: number }): unknown
    end(endTime: number): void
  }
}

/** What we call of a `Meter` of @opentelemetry/api. */
export interface OtelMeterLike {
  createCounter(
    name: string,
    options: { readonly unit: string; readonly description: string },
  ): { add(value: number, attributes: OtelAttributes): void }
  createHistogram(
    name: string,
    options: { readonly unit: string; readonly description: string },
  ): { record(value: number, attributes: OtelAttributes): void }
}

export interface OtelSinkOptions {
  /** Default: no spans. */
  readonly tracer?: OtelTracerLike | undefined
  /** Default: no metrics. */
  readonly meter?: OtelMeterLike | undefined
  /** Puts `tenantkeys.tenant.id` on metrics too, which multiplies their series by the tenants; default
   * false. Spans always have it. */
  readonly tenantOnMetrics?: boolean | undefined
  /** Also records the older `gen_ai.client.token.usage`, which many dashboards read; default false. */
  readonly tokenUsageHistogram?: boolean | undefined
  /** Default `otel`. */
  readonly name?: string | undefined
}

const optionsSchema = z.strictObject({
  tracer: objectWith<OtelTracerLike>(['startSpan'], 'expected a tracer').optional(),
  meter: objectWith<OtelMeterLike>(
    ['createCounter', 'createHistogram'],
    'expected a meter',
  ).optional(),
  tenantOnMetrics: z.boolean().default(false),
  tokenUsageHistogram: z.boolean().default(false),
  name: idSchema.default('otel'),
})

/** SpanKind.CLIENT and SpanStatusCode.ERROR of @opentelemetry/api. */
const CLIENT = 2
const ERROR = 2

/** Ids that are remembered, so that an event that comes twice is counted once. */
const MAX_SEEN = 10_000

/** Names of `gen_ai.provider.name` that differ from ours. */
const PROVIDER_NAMES: ReadonlyMap<string, string> = new Map([
  ['azure', 'azure.ai.openai'],
  ['bedrock', 'aws.bedrock'],
  ['gemini', 'gcp.gemini'],
  ['google', 'gcp.gemini'],
  ['mistral', 'mistral_ai'],
  ['vertex', 'gcp.vertex_ai'],
  ['xai', 'x_ai'],
])

/** Names of `gen_ai.operation.name` that differ from ours; where a known one applies it has to be used. */
const OPERATION_NAMES: ReadonlyMap<string, string> = new Map([
  ['completions', 'text_completion'],
  ['converse', 'chat'],
  ['interactions', 'chat'],
  ['messages', 'chat'],
  ['responses', 'chat'],
])

const operationOf = ({ operation }: UsagePayload): string =>
  OPERATION_NAMES.get(operation) ?? operation

/** A usage row as its event carries it: amounts are decimal strings. */
type UsagePayload = Omit<UsageRecord, 'costNanoUsd' | 'chargedNanoUsd'> & {
  readonly costNanoUsd: string
  readonly chargedNanoUsd: string
}

/**
 * Events other than usage are accepted and not shown. Within one process an event that comes again is
 * not counted again, as long as it is among the last 10,000.
 *
 * @throws TenantKeysError TK_CONFIG_INVALID naming the option
 */
export function otelSink(options: OtelSinkOptions): UsageSink {
  const read = parse(optionsSchema, options, 'options', 'TK_CONFIG_INVALID')
  const { tracer, meter, name } = read
  const metrics = meter ? metricsOf(meter, read.tokenUsageHistogram) : null
  const seen = new Set<string>()

  const show = (event: OutboxRecord): void => {
    if (event.kind !== 'usage' || seen.has(event.id)) return
    const usage = JSON.parse(event.payload) as UsagePayload
    if (tracer) addSpan(tracer, usage)
    metrics?.(usage, read.tenantOnMetrics)
    seen.add(event.id)
    if (seen.size > MAX_SEEN) for (const id of [...seen].slice(0, MAX_SEEN / 2)) seen.delete(id)
  }
  return {
    contractVersion: 1,
    name,
    write: async (events) => {
      const accepted: string[] = []
      const rejected: { id: string; reason: string }[] = []
      for (const event of events) {
        try {
          show(event)
          accepted.push(event.id)
        } catch {
          rejected.push({ id: event.id, reason: 'its payload is no usage row' })
        }
      }
      return { accepted, rejected }
    },
  }
}

function addSpan(tracer: OtelTracerLike, usage: UsagePayload): void {
  const { startedAtMs, settledAtMs, durationMs } = usage
  const span = tracer.startSpan(`${operationOf(usage)} ${usage.model}`, {
    kind: CLIENT,
    startTime: startedAtMs,
    attributes: spanAttributes(usage),
  })
  if (usage.outcome !== 'completed') span.setStatus({ code: ERROR })
  span.end(durationMs === null ? settledAtMs : startedAtMs + durationMs)
}

/** What metrics are told apart by: few values each. */
function commonAttributes(usage: UsagePayload): OtelAttributes {
  return present({
    'gen_ai.operation.name': operationOf(usage),
    'gen_ai.provider.name': PROVIDER_NAMES.get(usage.provider) ?? usage.provider,
    'gen_ai.request.model': usage.model,
    'gen_ai.response.model': usage.servedModel,
    'error.type': usage.outcome === 'completed' ? null : usage.outcome,
  })
}

function spanAttributes(usage: UsagePayload): OtelAttributes {
  const { tokens } = usage
  const tags = Object.entries(usage.tags).map(([tag, text]) => [`tenantkeys.tag.${tag}`, text])
  return {
    ...commonAttributes(usage),
    ...present({
      'gen_ai.usage.input_tokens': tokens.input,
      'gen_ai.usage.output_tokens': tokens.output,
      'gen_ai.usage.cache_read.input_tokens': tokens.cacheRead,
      'gen_ai.usage.cache_creation.input_tokens': tokens.cacheWrite,
      'gen_ai.usage.reasoning.output_tokens': tokens.reasoning,
      'gen_ai.usage.audio.input_tokens': tokens.inputAudio,
      'gen_ai.usage.audio.output_tokens': tokens.outputAudio,
      'tenantkeys.operation': usage.operation,
      'http.response.status_code': usage.httpStatus,
      'tenantkeys.tenant.id': usage.tenantId,
      'tenantkeys.key.id': usage.keyId,
      'tenantkeys.scope': usage.scope,
      'tenantkeys.call.id': usage.callId,
      'tenantkeys.attempt.id': usage.id,
      'tenantkeys.price.id': usage.priceId,
      'tenantkeys.usage.quality': usage.quality,
      'tenantkeys.paid_by': usage.paidBy,
      'tenantkeys.billable': usage.billable,
      // As text too: a double is exact only up to nine million dollars.
      'tenantkeys.cost.nano_usd': usage.costNanoUsd,
      'tenantkeys.cost.usd': usd(usage.costNanoUsd),
      'tenantkeys.charged.nano_usd': usage.chargedNanoUsd,
      'tenantkeys.charged.usd': usd(usage.chargedNanoUsd),
    }),
    ...Object.fromEntries(tags),
  }
}

/** Tokens beyond them may be text or what the provider did not tell apart. */
const MODALITIES = ['audio', 'image']

/** For display: the exact figure is the one in nano-USD. */
const usd = (nanoUsd: string): number => Number(nanoUsd) / 1e9

function metricsOf(
  meter: OtelMeterLike,
  tokenUsageHistogram: boolean,
): (usage: UsagePayload, tenantOnMetrics: boolean) => void {
  const tokens = (kind: string, description: string): ReturnType<OtelMeterLike['createCounter']> =>
    meter.createCounter(`gen_ai.client.inference.usage.${kind}`, { unit: '{token}', description })
  const input = tokens('input_tokens', 'Input tokens, cached ones too.')
  const output = tokens('output_tokens', 'Output tokens, reasoning too.')
  const cacheRead = tokens('cache_read.input_tokens', 'Input tokens read from a cache.')
  const cacheWrite = tokens('cache_write.input_tokens', 'Input tokens written to a cache.')
  const reasoning = tokens('reasoning.output_tokens', 'Output tokens spent on reasoning.')
  const duration = meter.createHistogram('gen_ai.client.operation.duration', {
    unit: 's',
    description: 'From the request to the end of its answer.',
  })
  const tokenUsage = tokenUsageHistogram
    ? meter.createHistogram('gen_ai.client.token.usage', {
        unit: '{token}',
        description: 'Tokens of one attempt, by type.',
      })
    : null
  const cost = meter.createCounter('tenantkeys.cost', {
    unit: '{USD}',
    description: 'By our prices.',
  })
  const charged = meter.createCounter('tenantkeys.charged', {
    unit: '{USD}',
    description: 'What tenants are billed.',
  })

  return (usage, tenantOnMetrics) => {
    const own = tenantOnMetrics ? { 'tenantkeys.tenant.id': usage.tenantId } : {}
    const attributes = { ...commonAttributes(usage), ...own }
    const counts = usage.tokens
    const named = usage.counts
    // Where a provider reports billable tokens too, those have to be recorded.
    const billed = {
      input: named.billed_input ?? counts.input,
      output: named.billed_output ?? counts.output,
    }
    const add = (counter: typeof input, tokens: number | null, modality = 'unknown'): void => {
      if (tokens !== null) counter.add(tokens, { ...attributes, 'gen_ai.token.modality': modality })
    }
    const split = (counter: typeof input, total: number, parts: readonly number[]): void => {
      let left = total
      for (const [i, part] of parts.entries()) {
        const own = Math.min(part, left)
        if (own > 0) add(counter, own, MODALITIES[i])
        left -= own
      }
      add(counter, left)
    }
    split(input, billed.input, [counts.inputAudio ?? 0, named.input_image_tokens ?? 0])
    split(output, billed.output, [counts.outputAudio ?? 0, named.output_image_tokens ?? 0])
    add(cacheRead, counts.cacheRead)
    add(cacheWrite, counts.cacheWrite)
    add(reasoning, counts.reasoning)
    if (usage.durationMs !== null) duration.record(usage.durationMs / 1000, attributes)
    tokenUsage?.record(billed.input, { ...attributes, 'gen_ai.token.type': 'input' })
    tokenUsage?.record(billed.output, { ...attributes, 'gen_ai.token.type': 'output' })
    const payer = { ...attributes, 'tenantkeys.paid_by': usage.paidBy }
    cost.add(usd(usage.costNanoUsd), payer)
    charged.add(usd(usage.chargedNanoUsd), payer)
  }
}

function present(
  fields: Readonly<Record<string, string | number | boolean | null>>,
): OtelAttributes {
  return Object.fromEntries(
    Object.entries(fields).filter(
      (entry): entry is [string, string | number | boolean] => entry[1] !== null,
    ),
  )
}
