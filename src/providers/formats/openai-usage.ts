/**
 * The `usage` object of OpenAI's chat completions, and of servers that speak the same format.
 *
 * @module
 */
import { asObject } from '../reading/json-object.ts'
import {
  count,
  details,
  otherCounts,
  tokenUsage,
  type UsageFormat,
} from '../reading/usage-format.ts'

/**
 * `prompt_tokens` holds cached and written tokens, `completion_tokens` holds reasoning
 * (https://platform.openai.com/docs/api-reference/chat/object).
 *
 * Servers of others report cached tokens as `cached_tokens` (recorded of Together behind Hugging Face) or
 * `prompt_cache_hit_tokens` (DeepSeek, https://api-docs.deepseek.com/guides/kv_cache).
 *
 * Some servers count reasoning beside `completion_tokens` (recorded of xAI: 1 and 228 of 241). Where
 * the total says so, they are added up; see {@link splitTotal}.
 */
export const openAiUsage: UsageFormat = {
  find: (json) => {
    const usage = asObject(json.usage)
    return usage && { usage, model: json.model, tier: json.service_tier }
  },
  read: (usage) => {
    const input = details(usage.prompt_tokens_details)
    const output = details(usage.completion_tokens_details)
    if (!input || !output) return null
    const split = splitTotal({
      input: usage.prompt_tokens,
      output: usage.completion_tokens,
      reasoning: output.reasoning_tokens,
      total: usage.total_tokens,
    })
    if (split === null) return null
    const tokens = tokenUsage({
      input: split.input,
      cacheRead: count(input.cached_tokens ?? usage.cached_tokens ?? usage.prompt_cache_hit_tokens),
      cacheWrite: count(input.cache_write_tokens),
      inputAudio: count(input.audio_tokens),
      output: split.output,
      reasoning: count(output.reasoning_tokens),
      outputAudio: count(output.audio_tokens),
    })
    const counts = otherCounts({ unattributed_tokens: split.unattributed })
    return tokens && counts && { tokens, counts, isIncomplete: split.unattributed > 0 }
  },
}

export interface Split {
  readonly input: number
  /** Reasoning included. */
  readonly output: number
  /** Tokens of the total that no field explains. */
  readonly unattributed: number
}

/**
 * Compares the parts with the total that the provider gives. Reasoning counts as a part of the output,
 * unless the total shows that it stands beside it; what is left then has no name. A total below its
 * parts explains nothing: the parts count.
 *
 * @returns `null` when one of them is no count, or a part is missing.
 */
export function splitTotal(usage: {
  readonly input: unknown
  readonly output: unknown
  readonly reasoning: unknown
  readonly total: unknown
}): Split | null {
  const [input, output] = [count(usage.input), count(usage.output)]
  const [reasoning, total] = [count(usage.reasoning), count(usage.total)]
  if (typeof input !== 'number' || typeof output !== 'number') return null
  if (reasoning === undefined || total === undefined) return null
  const beside = reasoning ?? 0
  const left = (total ?? 0) - input - output
  if (left <= 0) return { input, output, unattributed: 0 }
  return beside > 0 && left >= beside
    ? { input, output: output + beside, unattributed: left - beside }
    : { input, output, unattributed: left }
}
