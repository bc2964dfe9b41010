/**
 * Does a table of prices name this model, or only something that begins alike?
 *
 * genai-prices matches many models by prefix. That is right for dated ids of a known model and a
 * guess for everything else: a new `x-nano-pro` is not `x-nano`. A guess would be no upper bound, so
 * only ids that the table names count (T-B11); for others the host gives a price.
 *
 * @module
 */
import type { MatchLogic, ModelInfo } from '@pydantic/genai-prices'

/** What may follow a known name: a date (`-2025-04-14`, `-20250414`, `-0613`) or `-latest`. */
const DATED = /^(-\d{4}-\d{2}-\d{2}|-\d{8}|-\d{4}|-latest)?$/

/** Fine-tunes: a dated base, then names the customer chose, which do not change the price. */
const FINE_TUNED = /^[\d-]*:[\w:.-]*$/

/** @param model - what genai-prices answered when asked for `id`. */
export function isNamed(model: ModelInfo, id: string): boolean {
  const asked = id.toLowerCase()
  return isVariant(asked, model.id) || names(model.match, asked)
}

function names(match: MatchLogic, asked: string): boolean {
  if ('or' in match) return match.or.some((part) => names(part, asked))
  if ('and' in match) return match.and.some((part) => names(part, asked))
  if ('equals' in match) return match.equals.toLowerCase() === asked
  if ('starts_with' in match) return isVariant(asked, match.starts_with)
  if ('regex' in match) return isExact(match.regex) && new RegExp(match.regex).test(asked)
  return false
}

/** Anchored at both ends and without wildcards. */
const isExact = (regex: string): boolean => /^\^.*\$$/.test(regex) && !/[^\\]\.[*+]/.test(regex)

function isVariant(asked: string, name: string): boolean {
  const base = name.toLowerCase().replace(/-$/, '')
  if (!asked.startsWith(base)) return false
  const rest = asked.slice(base.length)
  return DATED.test(rest) || (base.startsWith('ft:') && FINE_TUNED.test(rest))
}
