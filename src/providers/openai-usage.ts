/**
 * Reads the `usage` object of OpenAI's chat completions, and of servers that speak the same format.
 *
 * @module
 */
import type { TokenUsage } from '../storage/ledger-records.ts'
import { asObject, type JsonObject } from './json-object.ts'
import type { ResponseUsage } from './provider.ts'

/** No call uses more tokens than this; a larger figure is a lie or a defect. */
const MAX_TOKENS = 1_000_000_000

/**
 * Usage of a response or of a chunk that carries one.
 *
 * @returns `null` when it reports none, or one that cannot be true: a count that is no whole number
 *   from 0 to 1e9, or a part above its total. A wrong figure is worse than none, which is estimated.
 */
export function readUsage(json: unknown): ResponseUsage | null {
  const { usage, model, service_tier: tier } = asObject(json) ?? {}
  const { prompt_tokens, completion_tokens, prompt_tokens_details, completion_tokens_details } =
    asObject(usage) ?? {}
  const input = count(prompt_tokens)
  const output = count(completion_tokens)
  const inputParts = details(prompt_tokens_details)
  const outputParts = details(completion_tokens_details)
  if (typeof input !== 'number' || typeof output !== 'number' || !inputParts || !outputParts)
    return null

  const tokens = {
    input,
    cacheRead: count(inputParts.cached_tokens),
    cacheWrite: count(inputParts.cache_write_tokens),
    cacheWrite1h: null,
    inputAudio: count(inputParts.audio_tokens),
    output,
    reasoning: count(outputParts.reasoning_tokens),
    outputAudio: count(outputParts.audio_tokens),
  }
  if (!isPlausible(tokens)) return null
  return {
    tokens,
    servedModel: typeof model === 'string' ? model : null,
    serviceTier: typeof tier === 'string' && tier !== 'default' && tier !== 'auto' ? tier : null,
  }
}

type Counts = { readonly [K in keyof TokenUsage]: number | null | undefined }

function isPlausible(tokens: Counts & { input: number; output: number }): tokens is TokenUsage {
  if (Object.values(tokens).includes(undefined)) return false
  const { input, cacheRead, cacheWrite, inputAudio, output, reasoning, outputAudio } = tokens
  return (
    (cacheRead ?? 0) + (cacheWrite ?? 0) <= input &&
    (inputAudio ?? 0) <= input &&
    (reasoning ?? 0) <= output &&
    (outputAudio ?? 0) <= output
  )
}

/** `null`: not reported. `undefined`: reported, and no count. */
function count(value: unknown): number | null | undefined {
  if (value === undefined || value === null) return null
  const ok =
    typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_TOKENS
  return ok ? value : undefined
}

/** The breakdown of a total; an absent one has no parts. `null`: present, and no breakdown. */
function details(value: unknown): JsonObject | null {
  return value === undefined || value === null ? {} : asObject(value)
}
