/**
 * `definePolicy()`: the default {@link ScopePolicy}, from a definition in code or configuration.
 *
 * Default deny. A scope allows the providers it lists. Of models it allows those it lists, by exact
 * name or by a prefix ending in `*`; a call without a model is allowed by a scope that lists no
 * models, and by one with `*`. So a scope whose models are limited cannot be used for a call whose
 * model nobody sees.
 *
 * @module
 */
import * as z from 'zod'
import { parse } from '../kernel/validate.ts'
import { type AllowsModel, allowModels, isModelPattern } from './models.ts'
import type { PolicyAsk, PolicyDecision, ScopePolicy } from './scope-policy.ts'
import { covers, isScope } from './scopes.ts'

export interface ScopeDefinition {
  /** Ids of providers, such as `openai`; at least one. */
  readonly providers: readonly string[]
  /** Exact names, prefixes such as `gpt-4o-mini*`, or `*`. Left out: only calls without a model. */
  readonly models?: readonly string[] | undefined
}

export interface PolicyDefinition {
  /** By scope name: lower-case segments joined by `:`, without wildcards. */
  readonly scopes: Readonly<Record<string, ScopeDefinition>>
}

interface ScopeRule {
  readonly providers: ReadonlySet<string>
  readonly allowsModel: AllowsModel
  readonly allowsNoModel: boolean
}

const definitionSchema = z.strictObject({
  scopes: z
    .looseObject({})
    .refine((scopes) => Object.keys(scopes).length > 0, 'at least one scope is needed'),
})
const scopeSchema = z
  .string()
  .refine(isScope, 'use lower-case letters, digits, _ and - in segments joined by :, 64 at most')
const ruleSchema = z.strictObject({
  providers: z
    .array(z.string().regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, 'expected the id of a provider'))
    .min(1),
  models: z
    .array(z.string().refine(isModelPattern, 'expected the name of a model, or a prefix and *'))
    .optional(),
})

/** @throws TenantKeysError TK_CONFIG_INVALID, naming for example `scopes.support:chat.models[0]`. */
export function definePolicy(definition: PolicyDefinition): ScopePolicy {
  parse(definitionSchema, definition, '', 'TK_CONFIG_INVALID')
  // A Map, so that `constructor` and the like are names as any other (T-I7).
  const rules = new Map<string, ScopeRule>()
  // Of the definition itself: the copy lacks a key named `__proto__`, which is refused here.
  for (const [name, given] of Object.entries(definition.scopes)) {
    const field = `scopes.${name}`
    parse(scopeSchema, name, field, 'TK_CONFIG_INVALID')
    rules.set(name, readRule(parse(ruleSchema, given, field, 'TK_CONFIG_INVALID')))
  }
  return new DefinedPolicy(rules)
}

function readRule({ providers, models = [] }: z.output<typeof ruleSchema>): ScopeRule {
  return {
    providers: new Set(providers),
    allowsModel: allowModels(models),
    allowsNoModel: models.length === 0 || models.includes('*'),
  }
}

class DefinedPolicy implements ScopePolicy {
  readonly contractVersion = 1
  readonly #rules: ReadonlyMap<string, ScopeRule>

  constructor(rules: ReadonlyMap<string, ScopeRule>) {
    this.#rules = rules
  }

  decide({ keyScopes, scope: asked, provider, model }: PolicyAsk): PolicyDecision {
    const chosen = asked === null ? this.#covered(keyScopes) : [asked]
    if (chosen.length > 1) {
      return { ok: false, code: 'TK_SCOPE_REQUIRED', scope: null, scopes: chosen }
    }
    const scope = chosen[0] ?? null
    const rule = scope === null ? undefined : this.#rules.get(scope)
    if (scope === null || rule === undefined || !keyScopes.some((own) => covers(own, scope))) {
      return { ok: false, code: 'TK_SCOPE_DENIED', scope, scopes: [] }
    }
    if (provider === null) return { ok: true, scope }
    if (!rule.providers.has(provider)) {
      return { ok: false, code: 'TK_PROVIDER_DENIED', scope, scopes: [] }
    }
    const allowed = model === null ? rule.allowsNoModel : rule.allowsModel(model)
    return allowed ? { ok: true, scope } : { ok: false, code: 'TK_MODEL_DENIED', scope, scopes: [] }
  }

  unknownScopes(scopes: readonly string[]): readonly string[] {
    return scopes.filter((scope) => this.#covered([scope]).length === 0)
  }

  /** The defined scopes that these patterns stand for, in alphabetical order. */
  #covered(patterns: readonly string[]): readonly string[] {
    const names = [...this.#rules.keys()]
    return names.filter((name) => patterns.some((pattern) => covers(pattern, name))).sort()
  }
}
