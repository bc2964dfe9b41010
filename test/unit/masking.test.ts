import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { maskSecret } from '../../src/secrets/masking.ts'

const RUNS = { numRuns: 2000, seed: 20_261_103 }
const ALPHABET = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789']
const keyOf = (length: number, prefix = ''): string =>
  prefix + Array.from({ length: length - prefix.length }, (_, i) => ALPHABET[(i * 7) % 62]).join('')

describe('masks', () => {
  test.each([
    ['sk-0123456789abcdefghijwxyz', 'sk-...***...wxyz', '...wxyz'],
    ['sk-proj-0123456789abcdefwxyz', 'sk-proj-...***...wxyz', '...wxyz'],
    ['sk-ant-0123456789abcdefgwxyz', 'sk-ant-...***...wxyz', '...wxyz'],
    ['sk-or-v1-0123456789abcdewxyz', 'sk-or-v1-...***...wxyz', '...wxyz'],
    ['0123456789abcdefghij-wxyz', '...***...wxyz', '...wxyz'],
    ['0123456789abcdefghijklwxy', '...***...lwxy', '...lwxy'],
    ['0123456789abcdefghiwxyz', '...***.....yz', '.....yz'],
    ['0123456789abwxyz', '...***.....yz', '.....yz'],
    ['0123456789awxyz', '...***.......', '.......'],
    ['anthropic', '...***.......', '.......'],
    ['', '...***.......', '.......'],
    ['sk-short', '......***.......', '.......'],
  ])('S1.4 S4.32 %j is shown as %s and %s', (text, prefix, tail) => {
    expect(maskSecret(text)).toBe(prefix)
    expect(maskSecret(text, 'prefix')).toBe(prefix)
    expect(maskSecret(text, 'tail')).toBe(tail)
  })

  test('S1.23 T-L6 at most 4 characters of the secret are shown, 2 below 24, none below 16', () => {
    for (const prefix of ['', 'sk-', 'sk-proj-', 'sk-ant-', 'gsk_']) {
      for (let length = prefix.length; length <= 200; length++) {
        const secret = keyOf(length, prefix)
        for (const style of ['prefix', 'tail'] as const) {
          const known = style === 'prefix' && length >= 24 ? prefix : ''
          const mask = maskSecret(secret, style)
          expect(mask.startsWith(known)).toBe(true)
          const shown = mask.slice(known.length).replace(/[.*]/g, '')
          expect(shown.length, `${length}`).toBe(length >= 24 ? 4 : length >= 16 ? 2 : 0)
          expect(secret.endsWith(shown)).toBe(true)
        }
      }
    }
  })

  test('T-L8 the width of a mask does not depend on the length of the secret', () => {
    for (const prefix of ['', 'sk-', 'sk-proj-']) {
      for (const style of ['prefix', 'tail'] as const) {
        const widths = [8, 15, 16, 20, 23, 24, 48, 200, 10_000].map(
          (length) => maskSecret(keyOf(length, prefix), style).length,
        )
        expect(new Set(widths).size).toBe(1)
      }
    }
  })

  test('a mask holds nothing that a terminal or page would interpret', () => {
    const text = fc.string({ unit: 'binary', minLength: 0, maxLength: 60 })
    fc.assert(
      fc.property(text, (secret) => {
        expect(maskSecret(secret)).toMatch(/^[A-Za-z0-9_.*-]+$/)
        expect(maskSecret(secret, 'tail')).toMatch(/^[A-Za-z0-9_.-]{7}$/)
      }),
      RUNS,
    )
  })
})
