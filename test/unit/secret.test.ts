import { describe, expect, test } from 'vitest'
import { Secret } from '../../src/kernel/secret.ts'
import { channelsOf, leaksOf } from '../support/leaks.ts'

const CANARY = 'sk-CANARY-0123456789-not-a-key'

describe('Secret', () => {
  test('gives its text to reveal() only', () => {
    expect(new Secret(CANARY).reveal()).toBe(CANARY)
  })

  test.each(Object.keys(channelsOf(new Secret(CANARY))))(
    'T-L1 T-L2 %s shows no secret',
    (channel) => {
      expect(channelsOf(new Secret(CANARY))[channel]).not.toContain('CANARY')
    },
  )

  test('the channels see a secret that is not held (the check itself can fail)', () => {
    const open = { text: CANARY }
    const leaking = leaksOf(open, [CANARY])
    expect(leaking).toEqual(
      expect.arrayContaining([
        'inspect',
        'console.log',
        'JSON',
        'spread',
        'v8',
        'structuredClone',
        'postMessage',
      ]),
    )
  })

  test('shows a mask where text is expected', () => {
    const secret = new Secret(CANARY)
    expect([
      `${secret}`,
      String(secret),
      secret.toString(),
      secret.toJSON(),
      secret.valueOf(),
    ]).toEqual(Array(5).fill('[secret]'))
    expect(JSON.stringify({ secret })).toBe('{"secret":"[secret]"}')
  })

  test('cannot be changed, extended or given another mask', () => {
    const secret = new Secret(CANARY) as Secret & { extra?: string }
    expect(() => {
      secret.extra = 'x'
    }).toThrow(TypeError)
    expect(() => {
      secret.toJSON = () => 'x'
    }).toThrow(TypeError)
  })

  test('its methods refuse another object', () => {
    expect(() => Secret.prototype.reveal.call({} as Secret)).toThrow(TypeError)
  })
})
