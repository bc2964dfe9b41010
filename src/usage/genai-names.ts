/**
 * Does a table of prices name this model, or only something that begins alike?
 *
 * genai-prices matches many models by prefix, by suffix or by a part of their id. That is right for
 * dated ids of a known model and a guess for everything else: a new `x-nano-pro` is not `x-nano`. A
 * guess would be no upper bound, so only ids that the table names count (T-B11); for others the host
 * gives a price.
 *
 * @module
 */
import type { MatchLogic, ModelInfo } from '@pydantic/genai-prices'

/** What may follow a known name everywhere: a date (`-2025-04-14`, `-20250414`, `-0613`, `@20250514`) or
 * `-latest`. */
const DATED = /^([-@](\d{4}-\d{2}-\d{2}|\d{8}|\d{4})|-latest)?$/

/** Fine-tunes of OpenAI: a dated base, then names the customer chose, which do not change the price. */
const FINE_TUNED = /^[\d-]*:[\w:.-]*$/

/** Google pins versions of a stable model with three digits: `gemini-2.0-flash-001`. */
const PINNED = /^-\d{3}$/

/** On Bedrock the region of an inference profile, and the vendor where the table leaves it out, stand
 * before the name; AWS GovCloud, which costs more, only where the table names it. */
const PROFILE = /^((us|eu|apac|jp|au|ca|in|sa|global)\.)?([a-z0-9]+\.)?$/

/** Ids there end with a version of the model and one of its packaging: `-v1:0`. */
const VERSION = /-v\d(?=(:\d)?$)/
const PACKAGING = /^(:\d{1,2})?$/

/** A model of the table, and the table's provider that lists it. */
export interface Listed {
  readonly model: ModelInfo
  readonly table: string
}

/** The id itself, or one of those that the table lists beside it. */
export function isExactly({ model }: Listed, asked: string): boolean {
  return (
    model.id.toLowerCase() === asked.toLowerCase() || hasEqual(model.match, asked.toLowerCase())
  )
}

/** That, or a form of it that is known to cost the same. */
export function isNamed(listed: Listed, asked: string): boolean {
  const id = asked.toLowerCase()
  const { model } = listed
  return (
    isExactly(listed, id) || isVariant(listed, id, model.id) || matches(listed, id, model.match)
  )
}

function hasEqual(match: MatchLogic, asked: string): boolean {
  if ('or' in match) return match.or.some((part) => hasEqual(part, asked))
  return 'equals' in match && match.equals.toLowerCase() === asked
}

function matches(listed: Listed, asked: string, match: MatchLogic): boolean {
  if ('or' in match) return match.or.some((part) => matches(listed, asked, part))
  if ('and' in match) return match.and.some((part) => matches(listed, asked, part))
  if ('starts_with' in match) return isVariant(listed, asked, match.starts_with)
  if ('contains' in match) return isInside(listed, asked, match.contains)
  if ('ends_with' in match) return isInside(listed, asked, match.ends_with)
  if ('regex' in match) return isExactRegex(match.regex) && new RegExp(match.regex).test(asked)
  return false
}

/** Anchored at both ends and without wildcards. */
const isExactRegex = (regex: string): boolean =>
  /^\^.*\$$/.test(regex) && !/[^\\]\.[*+]/.test(regex)

function isVariant(listed: Listed, asked: string, name: string): boolean {
  const base = baseOf(name)
  return asked.startsWith(base) && saysNothing(listed, base, asked.slice(base.length))
}

/** A part of an id names a model when what stands around it says nothing about its price. */
function isInside(listed: Listed, asked: string, part: string): boolean {
  const base = baseOf(part)
  const at = asked.indexOf(base)
  if (at < 0) return false
  const before = asked.slice(0, at)
  const isOpen = before === '' || (listed.table === 'aws' && PROFILE.test(before))
  return isOpen && saysNothing(listed, base, asked.slice(at + base.length))
}

const baseOf = (name: string): string => name.toLowerCase().replace(/[-@]$/, '')

function saysNothing({ model, table }: Listed, base: string, rest: string): boolean {
  if (DATED.test(rest)) return true
  if (table === 'openai') return base.startsWith('ft:') && FINE_TUNED.test(rest)
  if (table === 'google') return base.startsWith('gemini-') && PINNED.test(rest)
  if (table !== 'aws') return false
  const version = VERSION.exec(model.id)?.[0] ?? ''
  const own = rest.replace(/^-\d{8}/, '')
  return PACKAGING.test(own.startsWith(version) ? own.slice(version.length) : own)
}
