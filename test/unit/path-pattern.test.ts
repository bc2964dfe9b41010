import { describe, expect, test } from 'vitest'
import { fillPath, matchPath } from '../../src/providers/path-pattern.ts'

const GEMINI = '/v1beta/models/{model}:generateContent'
const CONVERSE = '/model/{model}/converse'

describe('paths of operations', () => {
  test('a plain path is compared as it is', () => {
    expect(matchPath('/chat/completions', '/chat/completions')).toEqual({})
    expect(matchPath('/chat/completions', '/chat/completions/')).toBeNull()
    expect(matchPath('/chat/completions', '/chat')).toBeNull()
  })

  test.each([
    [GEMINI, '/v1beta/models/gemini-2.5-flash:generateContent', 'gemini-2.5-flash'],
    [CONVERSE, '/model/us.anthropic.claude-x-v1%3A0/converse', 'us.anthropic.claude-x-v1:0'],
    [CONVERSE, '/model/us.anthropic.claude-x-v1:0/converse', 'us.anthropic.claude-x-v1:0'],
  ])('%s names the model of %s', (pattern, path, model) => {
    expect(matchPath(pattern, path)).toEqual({ model })
  })

  test.each([
    [GEMINI, '/v1beta/models/gemini-2.5-flash:streamGenerateContent'],
    [GEMINI, '/v1beta/models/a/b:generateContent'],
    [GEMINI, '/v1/models/gemini:generateContent'],
    [CONVERSE, '/model/x/converse-stream'],
    [CONVERSE, '/model//x/converse'],
  ])('%s is not %s', (pattern, path) => {
    expect(matchPath(pattern, path)).toBeNull()
  })

  test.each([
    '',
    '.',
    '..',
    '%2e%2e',
    'a%2Fb',
    'a%2f..%2fb',
    'a%5Cb',
    'a%20',
    '%20a',
    'a%00',
    'a%',
    'a%zz',
    '%E2%80%8Ba',
    'gpt%E2%80%914o',
    'a%3Fb',
    'a%23b',
    'a%25b',
    'a%252Fb',
    'm'.repeat(201),
  ])('T-I5 %j in the place of a model is no id', (text) => {
    expect(matchPath(CONVERSE, `/model/${text}/converse`)).toBe('invalid')
  })

  test('what is sent is what was read', () => {
    for (const model of ['gemini-2.5-flash', 'anthropic.claude-v2:1', 'claude@20240620', 'a+b']) {
      const path = fillPath(CONVERSE, { model })
      expect(path).toBe(`/model/${encodeURIComponent(model)}/converse`)
      expect(matchPath(CONVERSE, path)).toEqual({ model })
    }
  })

  test('T-I8 a long path is compared at once', () => {
    const path = `/v1beta/models/${':'.repeat(50_000)}`
    expect(matchPath(GEMINI, path)).toBeNull()
    expect(matchPath(GEMINI, `${path}:generateContent`)).toBe('invalid')
  })
})
