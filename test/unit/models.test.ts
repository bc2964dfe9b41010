import { describe, expect, it } from 'vitest'
import { definePolicy } from '../../src/policy/define-policy.ts'
import { allowModels, isModelPattern } from '../../src/policy/models.ts'

const ALLOWED = ['gpt-4o-mini', 'o3', 'ft:gpt-4o-mini:acme::abc123']
const DENIED = ['gpt-4o', 'gpt-4.1', 'o1-pro']

/** Letters that look like the ASCII one, or that some folding turns into it. */
const LOOK_ALIKES: Record<string, string> = {
  a: 'аａᵃ𝐚',
  e: 'еｅᵉ𝐞',
  g: 'ɡｇᶃ𝐠',
  i: 'іｉıⅰ',
  k: 'Kｋκ𝐤',
  m: 'ｍⅿ𝐦ᵐ',
  n: 'ｎո𝐧ⁿ',
  o: 'оοｏ𝐨',
  p: 'рｐ𝐩ᵖ',
  r: 'ｒг𝐫ʳ',
  t: 'ｔτ𝐭ᵗ',
  '0': '０𝟎⁰',
  '1': '１𝟏¹l',
  '3': '３𝟑³З',
  '4': '４𝟒⁴',
  '-': '‐‑–−﹣－_',
  '.': '․．。·',
}

const AROUND = [
  ' ',
  '\t',
  '\n',
  '\r\n',
  '\0',
  '\u00a0',
  '\u200b',
  '\u200d',
  '\ufeff',
  '\u202e',
  '\u0301',
  '/',
  '?',
  '#',
  ';',
  '%20',
  '\\',
  '"',
  "'",
  ',',
  '.',
  ':',
  '@',
  '*',
  '%',
  '+',
]
const SUFFIXES = [
  '-latest',
  '-preview',
  '-2024-08-06',
  '-20240806',
  '@20240806',
  ':free',
  ':nitro',
  ':extended',
  '-001',
  '-v1:0',
  '-turbo',
  '-mini-high',
  '?v=2',
  '#mini',
  '/../gpt-4o-mini',
  ' gpt-4o-mini',
  ',gpt-4o-mini',
]
const PREFIXES = [
  'openai/',
  'azure/',
  'openrouter/openai/',
  'models/',
  'ft:',
  'us.',
  '~',
  './',
  '../',
  'gpt-4o-mini/../',
  'gpt-4o-mini ',
  'gpt-4o-mini,',
  'OPENAI/',
  'openai:',
  'openai|',
]

/** Spellings of a model that some server, router or folding might take for it. */
function variants(model: string): string[] {
  const cases = [...model].map(
    (letter, i) => model.slice(0, i) + letter.toUpperCase() + model.slice(i + 1),
  )
  const alike = [...model].flatMap((letter, i) =>
    [...(LOOK_ALIKES[letter] ?? '')].map((other) => model.slice(0, i) + other + model.slice(i + 1)),
  )
  const inside = AROUND.flatMap((x) => [
    x + model,
    model + x,
    x + model + x,
    `${model.slice(0, 3)}${x}${model.slice(3)}`,
  ])
  const all = [
    model,
    model.toUpperCase(),
    model.replaceAll('-', '_'),
    model.replaceAll('-', ''),
    model.replaceAll('-', '--'),
    encodeURIComponent(model).replaceAll('-', '%2D'),
    ...cases,
    ...alike,
    ...inside,
    ...SUFFIXES.map((suffix) => model + suffix),
    ...PREFIXES.map((prefix) => prefix + model),
  ]
  return [...new Set(all)]
}

describe('models of a scope', () => {
  const policy = definePolicy({
    scopes: { 'support:chat': { providers: ['openai'], models: ALLOWED } },
  })
  const ask = (model: string | null) =>
    policy.decide({ keyScopes: ['support:chat'], scope: 'support:chat', provider: 'openai', model })

  it('T-I5 at least 500 spellings of denied models are all denied', () => {
    const spellings = DENIED.flatMap(variants)
    expect(spellings.length).toBeGreaterThanOrEqual(500)
    for (const model of spellings) {
      expect(ask(model), JSON.stringify(model)).toEqual({
        ok: false,
        code: 'TK_MODEL_DENIED',
        scope: 'support:chat',
        scopes: [],
      })
    }
  })

  it('T-I5 the allowed models are allowed in their own spelling and in no other', () => {
    for (const model of ALLOWED) {
      expect(ask(model)).toEqual({ ok: true, scope: 'support:chat' })
      for (const other of variants(model).filter((name) => name !== model)) {
        expect(ask(other).ok, JSON.stringify(other)).toBe(false)
      }
    }
  })

  it('T-I5 a prefix allows what begins with it letter by letter, and only well-formed names', () => {
    const allows = allowModels(['gpt-4o-mini*'])
    for (const model of ['gpt-4o-mini', 'gpt-4o-mini-2024-07-18', 'gpt-4o-minimal']) {
      expect(allows(model), model).toBe(true)
    }
    for (const model of [
      'gpt-4o',
      'GPT-4o-mini',
      'openai/gpt-4o-mini',
      'gpt-4o-mini ',
      'gpt-4o-mini\n',
      'gpt-4o-mini\0',
      'gpt-4o-mini é',
      'gpt-4o-mini,gpt-4o',
      'gpt-4o-mini?x',
      'gpt-4o-mini*',
      `gpt-4o-mini${'x'.repeat(300)}`,
    ]) {
      expect(allows(model), JSON.stringify(model)).toBe(false)
    }
  })

  it('a star allows every well-formed name of every provider, and no malformed one', () => {
    const allows = allowModels(['*'])
    const real = [
      'gpt-4o',
      'claude-sonnet-4@20250514',
      'anthropic.claude-3-5-sonnet-20240620-v1:0',
      'meta-llama/Llama-3.1-70B',
      'models/gemini-2.0-flash',
      'ft:gpt-4o-mini:acme::abc123',
      'Qwen2.5+x',
      'my_deployment',
    ]
    for (const model of real) expect(allows(model), model).toBe(true)
    for (const model of ['', ' ', '*', '-x', '.', '..', '/etc/passwd', 'a b', 'a\u202eb', 'é']) {
      expect(allows(model), JSON.stringify(model)).toBe(false)
    }
  })

  it('no pattern, no model', () => {
    expect(['gpt-4o', '', '*', 'constructor'].map(allowModels([]))).toEqual([
      false,
      false,
      false,
      false,
    ])
  })
})

describe('the grammar of model patterns', () => {
  it('is a name, a prefix and a star, or a star', () => {
    for (const pattern of ['*', 'gpt-4o', 'gpt-4o*', 'openai/*', 'ft:*']) {
      expect(isModelPattern(pattern), pattern).toBe(true)
    }
    for (const pattern of [
      '',
      '**',
      '*-mini',
      'gpt-*-mini',
      'gpt 4o',
      'é',
      ' *',
      `${'a'.repeat(257)}`,
    ]) {
      expect(isModelPattern(pattern), pattern).toBe(false)
    }
  })
})
