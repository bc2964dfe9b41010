/**
 * Which models a scope allows: exact names, or prefixes that end in `*`.
 *
 * Names are compared letter by letter (SP-2). Nothing is folded, trimmed, normalised or resolved as
 * an alias: a provider may serve `GPT-4o` as it serves `gpt-4o`, but only the spelling in the policy
 * is allowed (T-I5). What is no well-formed name is not allowed by any pattern.
 *
 * @module
 */

/** 1 to 256 ASCII letters, digits and `. _ - : / @ +`, beginning with a letter or digit: the names
 * of all providers, with dated, fine-tuned, routed and deployed ones. */
const MODEL = /^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,255}$/

export type AllowsModel = (model: string) => boolean

/** A model name, such a name cut short and followed by `*`, or `*`: any model. */
export function isModelPattern(text: string): boolean {
  return text === '*' || MODEL.test(text.endsWith('*') ? text.slice(0, -1) : text)
}

export function allowModels(patterns: readonly string[]): AllowsModel {
  const exact = new Set(patterns.filter((pattern) => !pattern.endsWith('*')))
  const prefixes = patterns.filter((pattern) => pattern.endsWith('*')).map((p) => p.slice(0, -1))
  return (model) =>
    exact.has(model) || (MODEL.test(model) && prefixes.some((prefix) => model.startsWith(prefix)))
}
