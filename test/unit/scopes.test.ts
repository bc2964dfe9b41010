import { describe, expect, it } from 'vitest'
import { covers, isScope } from '../../src/policy/scopes.ts'

const long = 'a'.repeat(64)

describe('the grammar of scopes', () => {
  it('takes lower-case segments joined by colons, 64 letters at most', () => {
    for (const scope of [
      'a',
      '0',
      'support',
      'support:chat',
      'a:b:c:d',
      'a-b_c:1',
      'constructor',
      long,
    ]) {
      expect(isScope(scope), scope).toBe(true)
    }
  })

  it('refuses everything else', () => {
    const bad = [
      '',
      ':',
      'a:',
      ':a',
      'a::b',
      'A',
      'a:B',
      'a b',
      ' a',
      'a\n',
      'a.b',
      'a/b',
      '-a',
      '_a',
      '__proto__',
      'é',
      'ａ',
      'а',
      'a:\u0000',
      `${long}a`,
    ]
    for (const scope of bad) {
      expect(isScope(scope), JSON.stringify(scope)).toBe(false)
    }
  })

  it('takes no pattern', () => {
    for (const pattern of ['*', 'support:*', 'a:b:*', '**', '*:a', 'a*', 'a:*:b', ':*']) {
      expect(isScope(pattern), pattern).toBe(false)
    }
  })

  it('T-I8 ends on long hostile texts', () => {
    for (const part of ['a', ':', 'a:', '-', '*', 'a:*']) {
      expect(isScope(part.repeat(50_000))).toBe(false)
    }
  })
})

describe('covers', () => {
  it.each([
    ['support:*', 'support:chat', true],
    ['support:*', 'support:chat:eu', true],
    ['support:*', 'support:chat:*', true],
    ['support:*', 'support:*', true],
    ['support:*', 'support', false],
    ['support:*', 'supporter:chat', false],
    ['support:*', 'support-2:chat', false],
    ['support:*', '*', false],
    ['support:chat:*', 'support:*', false],
    ['support:chat', 'support:chat', true],
    ['support:chat', 'support:chat:eu', false],
    ['support:chat', 'support:*', false],
    ['support', 'support:*', false],
    ['*', '*', true],
    ['*', 'support', true],
    ['*', 'support:*', true],
  ])('%s over %s: %s', (outer, inner, expected) => {
    expect(covers(outer, inner)).toBe(expected)
  })
})
