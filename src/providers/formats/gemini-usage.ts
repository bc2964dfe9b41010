/**
 * The `usageMetadata` of Gemini and Vertex (`@google/genai` 2.32,
 * `GenerateContentResponseUsageMetadata`).
 *
 * @module
 */
import { asList, asObject, isGiven, type JsonObject } from '../reading/json-object.ts'
import {
  type Count,
  count,
  otherCounts,
  sum,
  tokenUsage,
  type UsageFormat,
} from '../reading/usage-format.ts'

/**
 * `promptTokenCount` includes what was read from a cache; what tools of the provider put into the
 * prompt stands apart (`toolUsePromptTokenCount`). `candidatesTokenCount` leaves out thoughts. What
 * the total holds beyond these has no name.
 */
export const geminiUsage: UsageFormat = {
  find: (json) => {
    const usage = asObject(json.usageMetadata)
    if (usage === null) return null
    return { usage, model: json.modelVersion, tier: tierOf(usage) }
  },
  read: (usage) => {
    const tools = count(usage.toolUsePromptTokenCount)
    const thoughts = count(usage.thoughtsTokenCount)
    const prompt = count(usage.promptTokenCount)
    // A candidate that was blocked before its first token has no count.
    const candidates = count(usage.candidatesTokenCount ?? 0)
    const total = count(usage.totalTokenCount)
    const [input, output] = [prompt === null ? null : sum(prompt, tools), sum(candidates, thoughts)]
    const prompted = byModality(usage.promptTokensDetails, usage.toolUsePromptTokensDetails)
    const cached = byModality(usage.cacheTokensDetails)
    const written = byModality(usage.candidatesTokensDetails)
    if (total === undefined || !prompted || !cached || !written) return null
    const tokens = tokenUsage({
      input,
      cacheRead: count(usage.cachedContentTokenCount),
      inputAudio: prompted.AUDIO ?? null,
      output,
      reasoning: thoughts,
      outputAudio: written.AUDIO ?? null,
    })
    if (tokens === null) return null
    const unattributed = Math.max(0, (total ?? 0) - tokens.input - tokens.output)
    const counts = otherCounts({
      cache_read_audio_tokens: cached.AUDIO,
      cache_read_image_tokens: cached.IMAGE,
      input_image_tokens: sum(prompted.IMAGE ?? null, prompted.DOCUMENT ?? null),
      input_video_tokens: prompted.VIDEO,
      output_image_tokens: written.IMAGE,
      output_video_tokens: written.VIDEO,
      unattributed_tokens: unattributed,
    })
    return counts && { tokens, counts, isIncomplete: unattributed > 0 }
  },
}

/** Adds up the entries of each modality. @returns `null` for lists that are none, and lies in them. */
function byModality(...lists: readonly unknown[]): Readonly<Record<string, Count>> | null {
  const found: Record<string, Count> = Object.create(null)
  for (const list of lists) {
    if (isGiven(list) && !Array.isArray(list)) return null
    for (const entry of asList(list)) {
      const { modality, tokenCount } = asObject(entry) ?? {}
      const tokens = count(tokenCount)
      if (typeof modality !== 'string' || tokens === undefined) return null
      found[modality] = sum(found[modality] ?? null, tokens)
    }
  }
  return found
}

/** Gemini says `serviceTier`, Vertex says `trafficType`: `ON_DEMAND`, `ON_DEMAND_FLEX` ... */
function tierOf({ serviceTier, trafficType }: JsonObject): unknown {
  if (typeof serviceTier === 'string') return serviceTier
  if (typeof trafficType !== 'string' || trafficType === 'TRAFFIC_TYPE_UNSPECIFIED') return null
  return trafficType.replace(/^ON_DEMAND_/, '').toLowerCase()
}
