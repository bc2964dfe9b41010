/**
 * How one wire format reports usage, and what is made of it. All formats share the rules here: a count
 * is a whole number from 0 to 1e9, a part is not above its total, and what breaks them is no usage at
 * all. A wrong figure is worse than none, which is estimated.
 *
 * @module
 */
import type { TokenUsage } from '../../storage/ledger-records.ts'
import type { ResponseUsage } from '../provider.ts'
import { asObject, isGiven, type JsonObject } from './json-object.ts'

/** No call uses more tokens than this; a larger figure is a lie or a defect. */
export const MAX_TOKENS = 1_000_000_000

export interface UsageFormat {
  /** Where an answer, or an event of a stream, keeps its usage; `null`: it has none. */
  find(json: JsonObject): FoundUsage | null
  /** Reads what was found. @returns `null` for what cannot be true. */
  read(usage: JsonObject): UsageCounts | null
}

export interface FoundUsage {
  readonly usage: JsonObject
  /** As the provider wrote it. */
  readonly model?: unknown
  /** Class of service, as the provider wrote it. */
  readonly tier?: unknown
  /** What was counted outside the usage object; each has to be a count. */
  readonly counts?: Readonly<Record<string, unknown>>
}

export interface UsageCounts {
  readonly tokens: TokenUsage
  readonly counts?: Readonly<Record<string, number>>
  readonly providerCostNanoUsd?: bigint | null
  /** True when something was counted that no field explains; default false. */
  readonly isIncomplete?: boolean
}

/** Names of the class of service that costs what the price table says. */
const STANDARD_TIERS: ReadonlySet<unknown> = new Set(['default', 'auto', 'standard', 'on_demand'])

/** @returns `null` when `json` reports no usage, or one that cannot be true. */
export function readAnswer(format: UsageFormat, json: unknown): ResponseUsage | null {
  const object = asObject(json)
  const found = object && format.find(object)
  return found ? usageOf(format, found) : null
}

export function usageOf(format: UsageFormat, found: FoundUsage): ResponseUsage | null {
  const read = format.read(found.usage)
  const others = otherCounts(found.counts ?? {})
  if (read === null || others === null) return null
  const { model, tier } = found
  return {
    tokens: read.tokens,
    counts: { ...others, ...read.counts },
    providerCostNanoUsd: read.providerCostNanoUsd ?? null,
    quality: read.isIncomplete === true ? 'estimated' : 'measured',
    servedModel: isModelId(model) ? model : null,
    serviceTier: tierOf(tier),
  }
}

/** It goes into rows and files, and not every database stores every letter: visible ASCII, as in
 * requests (T-I5). */
const isModelId = (model: unknown): model is string =>
  typeof model === 'string' && /^[\x21-\x7e]{1,200}$/.test(model)

function tierOf(tier: unknown): string | null | undefined {
  if (typeof tier !== 'string') return undefined
  return STANDARD_TIERS.has(tier.toLowerCase()) ? null : tier
}

/** `null`: not reported. `undefined`: reported, and no count. */
export type Count = number | null | undefined

export function count(value: unknown): Count {
  if (!isGiven(value)) return null
  const ok =
    typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_TOKENS
  return ok ? value : undefined
}

/** The breakdown of a total; an absent one has no parts. `null`: present, and no breakdown. */
export function details(value: unknown): JsonObject | null {
  return isGiven(value) ? asObject(value) : {}
}

/** Adds up counts of which each may be absent; `null` when all are, `undefined` when one is a lie. */
export function sum(...parts: readonly Count[]): Count {
  let total: Count = null
  for (const part of parts) {
    if (part === undefined) return undefined
    if (part !== null) total = (total ?? 0) + part
  }
  return total
}

type Counts = { readonly [K in keyof TokenUsage]?: Count }

/** @returns `null` unless both totals are there and every part fits into its total. */
export function tokenUsage(counts: Counts): TokenUsage | null {
  const { input, output } = counts
  if (typeof input !== 'number' || typeof output !== 'number') return null
  if (Object.entries(counts).some(([, value]) => value === undefined)) return null
  const tokens: TokenUsage = {
    input,
    cacheRead: counts.cacheRead ?? null,
    cacheWrite: counts.cacheWrite ?? null,
    cacheWrite1h: counts.cacheWrite1h ?? null,
    inputAudio: counts.inputAudio ?? null,
    output,
    reasoning: counts.reasoning ?? null,
    outputAudio: counts.outputAudio ?? null,
  }
  return isPlausible(tokens) ? tokens : null
}

function isPlausible(tokens: TokenUsage): boolean {
  const { input, cacheRead, cacheWrite, cacheWrite1h, inputAudio } = tokens
  const { output, reasoning, outputAudio } = tokens
  return (
    input <= MAX_TOKENS &&
    output <= MAX_TOKENS &&
    (cacheRead ?? 0) + (cacheWrite ?? 0) <= input &&
    (cacheWrite1h ?? 0) <= (cacheWrite ?? 0) &&
    (inputAudio ?? 0) <= input &&
    (reasoning ?? 0) <= output &&
    (outputAudio ?? 0) <= output
  )
}

/** Counts by name, those that are absent or 0 left out. @returns `null` when one is no count. */
export function otherCounts(
  named: Readonly<Record<string, unknown>>,
): Readonly<Record<string, number>> | null {
  const found: Record<string, number> = {}
  for (const [name, value] of Object.entries(named)) {
    const read = count(value)
    if (read === undefined) return null
    if (read !== null && read > 0) found[name] = read
  }
  return found
}
