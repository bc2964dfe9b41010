/**
 * Which part of the bundled price table prices a provider of ours.
 *
 * Providers are matched loosely there: `my-openai-proxy` would get OpenAI's prices. Only these names
 * count, each for exactly one list of models and those that it is sold through.
 *
 * @module
 */

/** Where the table keeps a model: its provider, and the id to look for. */
export interface TableEntry {
  readonly table: string
  readonly model: string
}

const SAME = [
  'openai',
  'anthropic',
  'mistral',
  'cohere',
  'groq',
  'deepseek',
  'openrouter',
  'perplexity',
  'together',
  'fireworks',
  'cerebras',
]

const TABLES: ReadonlyMap<string, readonly string[]> = new Map([
  ...SAME.map((id): [string, readonly string[]] => [id, [id]]),
  ['google', ['google']],
  ['gemini', ['google']],
  // Vertex serves Anthropic's models too; the table has their prices there among Google's own.
  ['vertex', ['google']],
  ['xai', ['x-ai']],
  ['bedrock', ['aws']],
  // Azure sells OpenAI's models at OpenAI's prices, in global deployments; regional ones cost more and
  // need a row of the host's.
  ['azure', ['azure', 'openai']],
])

/** Hugging Face's router names the provider that serves behind the model: `org/model:together`. */
const ROUTED = /^(.+):([a-z][a-z-]*)$/

/** None for self-hosted servers and for names nobody knows: their prices are the host's to say. */
export function tableEntries(provider: string, model: string): readonly TableEntry[] {
  if (provider === 'huggingface') {
    const routed = ROUTED.exec(model)
    if (routed === null) return []
    // The table writes these ids in lower case and matches them so.
    return [{ table: `huggingface_${routed[2]!}`, model: routed[1]! }]
  }
  return (TABLES.get(provider) ?? []).map((table) => ({ table, model }))
}
