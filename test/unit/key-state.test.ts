import { describe, expect, it } from 'vitest'
import { decideKey } from '../../src/keys/key-state.ts'

const states = ['active', 'disabled', 'revoked'] as const

describe('decideKey', () => {
  it('an active key that never expires may be used at any time', () => {
    for (const nowMs of [0, 1, Number.MAX_SAFE_INTEGER]) {
      expect(decideKey({ state: 'active', expiresAtMs: null }, nowMs)).toBeNull()
    }
  })

  it('T-K8 a key is expired from its very millisecond on', () => {
    const key = { state: 'active', expiresAtMs: 1_000 } as const
    expect([999, 999.999, 1_000, 1_001].map((nowMs) => decideKey(key, nowMs))).toEqual([
      null,
      null,
      'TK_KEY_EXPIRED',
      'TK_KEY_EXPIRED',
    ])
  })

  it('names revoked before disabled before expired', () => {
    const codes = states.map((state) => decideKey({ state, expiresAtMs: 1 }, 2))
    expect(codes).toEqual(['TK_KEY_EXPIRED', 'TK_KEY_DISABLED', 'TK_KEY_REVOKED'])
  })

  it('a state it does not know is no permission', () => {
    const state = 'ACTIVE' as 'active'
    expect(decideKey({ state, expiresAtMs: null }, 1)).toBe('TK_KEY_DISABLED')
  })
})
