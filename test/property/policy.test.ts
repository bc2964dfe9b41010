import '../support/same-draws.ts'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { definePolicy } from '../../src/policy/define-policy.ts'
import { covers } from '../../src/policy/scopes.ts'

/** A property that is no promise is checked at once and throws here; the linter takes it for one. */
function holds<T>(property: fc.IProperty<T>, numRuns = 2000): void {
  void fc.assert(property, { numRuns })
}

const segment = fc.constantFrom('a', 'b', 'a-b', 'ab')
const scope = fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(':'))
const pattern = fc.oneof(
  scope,
  scope.map((prefix) => `${prefix}:*`),
  fc.constant('*'),
)

/** Every scope of one to four of these segments; `z` stands for the segments nobody named. */
const universe: string[] = []
for (let level = [''], depth = 0; depth < 4; depth++) {
  level = level.flatMap((prefix) =>
    ['a', 'b', 'a-b', 'ab', 'z'].map((s) => (prefix ? `${prefix}:${s}` : s)),
  )
  universe.push(...level)
}

/** What a pattern stands for, by its definition and not by comparing texts. */
function meaning(text: string): (scope: string) => boolean {
  const parts = text.split(':')
  if (parts.at(-1) !== '*') return (other) => other === text
  return (other) => {
    const segments = other.split(':')
    return (
      segments.length >= parts.length && parts.slice(0, -1).every((part, i) => segments[i] === part)
    )
  }
}

const model = fc.constantFrom('gpt-4o', 'gpt-4o-mini', 'gpt-4o-mini-2024-07-18', 'o3', 'claude')
const modelPattern = fc.oneof(
  model,
  model.map((name) => `${name}*`),
  fc.constant('*'),
)
const rule = fc.record({
  providers: fc.uniqueArray(fc.constantFrom('openai', 'anthropic'), { minLength: 1 }),
  models: fc.option(fc.array(modelPattern, { maxLength: 3 }), { nil: undefined }),
})
const scopes = fc.dictionary(scope, rule, { minKeys: 1, maxKeys: 5 })

describe('patterns', () => {
  it('T-K14 one covers another exactly if it stands for every scope that the other stands for', () => {
    holds(
      fc.property(pattern, pattern, (outer, inner) => {
        const [wide, narrow] = [meaning(outer), meaning(inner)]
        const subset = universe.filter(narrow).every(wide)
        expect(covers(outer, inner)).toBe(subset)
      }),
    )
  })

  it('every pattern covers itself, and covering is transitive', () => {
    holds(
      fc.property(pattern, pattern, pattern, (a, b, c) => {
        expect(covers(a, a)).toBe(true)
        if (covers(a, b) && covers(b, c)) expect(covers(a, c)).toBe(true)
      }),
    )
  })
})

describe('decide', () => {
  it('SP-1 allows what some rule says in so many words, and nothing else', () => {
    holds(
      fc.property(
        scopes,
        fc.array(pattern, { maxLength: 3 }),
        scope,
        fc.constantFrom('openai', 'anthropic', 'other'),
        fc.option(model, { nil: null }),
        (definition, keyScopes, asked, provider, name) => {
          const decision = definePolicy({ scopes: definition }).decide({
            keyScopes,
            scope: asked,
            provider,
            model: name,
          })
          const own = Object.hasOwn(definition, asked) ? definition[asked] : undefined
          const models = own?.models ?? []
          const modelIsAllowed =
            name === null
              ? models.length === 0 || models.includes('*')
              : models.some((p) => (p.endsWith('*') ? name.startsWith(p.slice(0, -1)) : p === name))
          const expected =
            own !== undefined &&
            keyScopes.some((text) => meaning(text)(asked)) &&
            own.providers.some((id) => id === provider) &&
            modelIsAllowed
          expect(decision.ok).toBe(expected)
        },
      ),
    )
  })

  it('SP-3 an omitted scope is filled in exactly if there is one to choose', () => {
    holds(
      fc.property(scopes, fc.array(pattern, { maxLength: 3 }), (definition, keyScopes) => {
        const policy = definePolicy({ scopes: definition })
        const owned = Object.keys(definition).filter((name) =>
          keyScopes.some((text) => meaning(text)(name)),
        )
        const decision = policy.decide({ keyScopes, scope: null, provider: 'other', model: null })
        if (decision.ok) throw new Error('no rule names this provider')
        const { code, scopes: choice } = decision
        if (owned.length === 0) expect(code).toBe('TK_SCOPE_DENIED')
        else if (owned.length === 1)
          expect([code, decision.scope]).toEqual(['TK_PROVIDER_DENIED', owned[0]])
        else expect([code, choice]).toEqual(['TK_SCOPE_REQUIRED', owned.sort()])
      }),
    )
  })

  it('unknownScopes names the patterns that stand for no defined scope', () => {
    holds(
      fc.property(scopes, fc.array(pattern), (definition, asked) => {
        const names = Object.keys(definition)
        const unknown = asked.filter((text) => !names.some(meaning(text)))
        expect(definePolicy({ scopes: definition }).unknownScopes(asked)).toEqual(unknown)
      }),
    )
  })
})
