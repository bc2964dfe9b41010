import { describe, expect, it } from 'vitest'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import { definePolicy, type PolicyDefinition } from '../../src/policy/define-policy.ts'
import type { PolicyAsk } from '../../src/policy/scope-policy.ts'

const policy = definePolicy({
  scopes: {
    'support:chat': { providers: ['openai', 'anthropic'], models: ['gpt-4o-mini', 'claude-*'] },
    'support:files': { providers: ['openai'] },
    'voice:synthesis': { providers: ['cartesia'] },
    anything: { providers: ['openai'], models: ['*'] },
    none: { providers: ['openai'], models: [] },
  },
})

const decide = (ask: Partial<PolicyAsk>) =>
  policy.decide({
    keyScopes: ['support:chat'],
    scope: 'support:chat',
    provider: 'openai',
    model: 'gpt-4o-mini',
    ...ask,
  })

const denied = (code: string, scope: string | null, scopes: string[] = []) => ({
  ok: false,
  code,
  scope,
  scopes,
})

describe('decide', () => {
  it('allows what the scope lists', () => {
    expect(decide({})).toEqual({ ok: true, scope: 'support:chat' })
    expect(decide({ provider: 'anthropic', model: 'claude-x' }).ok).toBe(true)
  })

  it('SP-1 denies a scope the key does not have, or that nobody defined', () => {
    for (const scope of [
      'support:files',
      'nope',
      'support',
      'support:*',
      '*',
      '',
      'SUPPORT:CHAT',
    ]) {
      expect(decide({ scope }), scope).toEqual(denied('TK_SCOPE_DENIED', scope))
    }
    expect(decide({ keyScopes: [] })).toEqual(denied('TK_SCOPE_DENIED', 'support:chat'))
    expect(decide({ keyScopes: ['undefined:scope'], scope: 'undefined:scope' }).ok).toBe(false)
  })

  it('SP-1 denies a provider and a model that the scope does not list', () => {
    expect(decide({ provider: 'mistral' })).toEqual(denied('TK_PROVIDER_DENIED', 'support:chat'))
    expect(decide({ provider: 'OpenAI' })).toEqual(denied('TK_PROVIDER_DENIED', 'support:chat'))
    expect(decide({ model: 'gpt-4o' })).toEqual(denied('TK_MODEL_DENIED', 'support:chat'))
  })

  it('a call without a model needs a scope without a list of models, or one with a star', () => {
    const all = ['*']
    const without = (scope: string, provider = 'openai') =>
      decide({ keyScopes: all, scope, provider, model: null }).ok
    expect(without('support:chat')).toBe(false)
    expect(without('support:files')).toBe(true)
    expect(without('voice:synthesis', 'cartesia')).toBe(true)
    expect(without('anything')).toBe(true)
    expect(without('none')).toBe(true)
    for (const scope of ['support:files', 'none']) {
      expect(decide({ keyScopes: all, scope }), scope).toEqual(denied('TK_MODEL_DENIED', scope))
    }
  })

  it('SP-3 an omitted scope is filled in when there is one, and asked for when there are several', () => {
    expect(decide({ scope: null })).toEqual({ ok: true, scope: 'support:chat' })
    expect(decide({ scope: null, keyScopes: ['support:chat', 'gone'] }).ok).toBe(true)
    expect(decide({ scope: null, keyScopes: ['gone'] })).toEqual(denied('TK_SCOPE_DENIED', null))
    const choice = ['support:chat', 'support:files']
    for (const keyScopes of [['support:*'], ['support:files', 'support:chat', 'support:*']]) {
      expect(decide({ scope: null, keyScopes })).toEqual(denied('TK_SCOPE_REQUIRED', null, choice))
    }
  })

  it('SP-2 names are compared letter by letter', () => {
    for (const keyScopes of [
      ['Support:chat'],
      ['support:chat '],
      ['ѕupport:chat'],
      ['support:cha'],
    ]) {
      expect(decide({ keyScopes }).ok, keyScopes[0]).toBe(false)
    }
  })

  it('T-I7 names of built-in properties are names as any other', () => {
    const names = ['constructor', 'toString', 'hasOwnProperty', 'valueOf']
    for (const name of [...names, '__proto__', 'prototype']) {
      expect(decide({ keyScopes: ['*'], scope: name }), name).toEqual(
        denied('TK_SCOPE_DENIED', name),
      )
      expect(decide({ keyScopes: [name], scope: null }).ok, name).toBe(false)
      expect(decide({ provider: name }), name).toEqual(denied('TK_PROVIDER_DENIED', 'support:chat'))
      expect(decide({ model: name }), name).toEqual(denied('TK_MODEL_DENIED', 'support:chat'))
    }
    const own = definePolicy({
      scopes: { constructor: { providers: ['constructor'], models: ['x'] } },
    })
    const ask = { keyScopes: ['constructor'], scope: null, provider: 'constructor', model: 'x' }
    expect(own.decide(ask)).toEqual({ ok: true, scope: 'constructor' })
  })

  it('a definition changed afterwards changes no decision', () => {
    const models = ['gpt-4o-mini']
    const scopes: Record<string, { providers: string[]; models: string[] }> = {
      a: { providers: ['openai'], models },
    }
    const defined = definePolicy({ scopes })
    models.push('gpt-4o')
    scopes.a!.providers.push('anthropic')
    scopes.b = { providers: ['openai'], models: ['*'] }
    const ask = { keyScopes: ['*'], scope: 'a', provider: 'openai', model: 'gpt-4o' }
    expect(defined.decide(ask).ok).toBe(false)
    expect(defined.decide({ ...ask, provider: 'anthropic', model: 'gpt-4o-mini' }).ok).toBe(false)
    expect(defined.decide({ ...ask, scope: 'b' }).ok).toBe(false)
  })
})

describe('unknownScopes', () => {
  it('names what stands for no defined scope', () => {
    const asked = [
      'support:chat',
      'support:*',
      '*',
      'support',
      'other:*',
      'nope',
      '',
      'support:chat:*',
    ]
    expect(policy.unknownScopes(asked)).toEqual([
      'support',
      'other:*',
      'nope',
      '',
      'support:chat:*',
    ])
  })

  it('a pattern of no known form stands for nothing', () => {
    const asked = ['**', '*:*', '*:chat', 'support*', 'support:c*', 'support:**', ':*', 'Support:*']
    expect(policy.unknownScopes(asked)).toEqual(asked)
  })

  it('T-I7 built-in names are unknown', () => {
    const names = ['constructor', '__proto__', 'toString']
    expect(policy.unknownScopes(names)).toEqual(names)
  })
})

describe('definePolicy', () => {
  const json = (text: string): unknown => JSON.parse(text)
  const openai = { providers: ['openai'] }
  const bad: [string, unknown, string][] = [
    ['nothing', undefined, '(argument)'],
    ['null', null, '(argument)'],
    ['a text', 'scopes', '(argument)'],
    ['no scopes', {}, 'scopes'],
    ['scopes that are no object', { scopes: 'x' }, 'scopes'],
    ['scopes in an array', { scopes: [openai] }, 'scopes'],
    ['scopes in a Map', { scopes: new Map([['a', openai]]) }, 'scopes'],
    ['no scope at all', { scopes: {} }, 'scopes'],
    ['an unknown option', { scopes: { a: openai }, default: 'allow' }, 'default'],
    [
      'an unknown option of a scope',
      { scopes: { a: { ...openai, modles: [] } } },
      'scopes.a.modles',
    ],
    ['a scope with a wildcard', { scopes: { 'a:*': openai } }, 'scopes.a:?'],
    ['a scope in capitals', { scopes: { Chat: openai } }, 'scopes.Chat'],
    [
      'a scope that is too long',
      { scopes: { [`a${'b'.repeat(64)}`]: openai } },
      `scopes.a${'b'.repeat(56)}`,
    ],
    ['a scope that is null', { scopes: { a: null } }, 'scopes.a'],
    ['no providers', { scopes: { a: {} } }, 'scopes.a.providers'],
    ['an empty list of providers', { scopes: { a: { providers: [] } } }, 'scopes.a.providers'],
    [
      'one provider without a list',
      { scopes: { a: { providers: 'openai' } } },
      'scopes.a.providers',
    ],
    [
      'a provider in capitals',
      { scopes: { a: { providers: ['openai', 'OpenAI'] } } },
      'scopes.a.providers[1]',
    ],
    ['a provider that is a star', { scopes: { a: { providers: ['*'] } } }, 'scopes.a.providers[0]'],
    ['one model without a list', { scopes: { a: { ...openai, models: '*' } } }, 'scopes.a.models'],
    ['models that are null', { scopes: { a: { ...openai, models: null } } }, 'scopes.a.models'],
    [
      'a model that is no text',
      { scopes: { a: { ...openai, models: [4] } } },
      'scopes.a.models[0]',
    ],
    [
      'a model with a space',
      { scopes: { 'a:b': { ...openai, models: ['x', 'gpt 4o'] } } },
      'scopes.a:b.models[1]',
    ],
    [
      'a star inside a model',
      { scopes: { a: { ...openai, models: ['gpt-*-mini'] } } },
      'scopes.a.models[0]',
    ],
    [
      '__proto__ as an option',
      json('{"scopes":{"a":{"providers":["openai"]}},"__proto__":{"x":1}}'),
      '__proto__',
    ],
    [
      '__proto__ as a scope',
      json('{"scopes":{"__proto__":{"providers":["openai"]},"a":{"providers":["openai"]}}}'),
      'scopes.__proto__',
    ],
    [
      '__proto__ in a scope',
      json('{"scopes":{"a":{"providers":["openai"],"__proto__":{"models":["*"]}}}}'),
      'scopes.a.__proto__',
    ],
  ]
  it.each(bad)('refuses %s, and names the option', (_, definition, field) => {
    let error: unknown = null
    try {
      definePolicy(definition as PolicyDefinition)
    } catch (thrown) {
      error = thrown
    }
    expect(TenantKeysError.isInstance(error)).toBe(true)
    expect(error).toMatchObject({ code: 'TK_CONFIG_INVALID', details: { field } })
    expect(({} as { models?: unknown }).models).toBeUndefined()
  })
})
