import { describe, expect, test } from 'vitest'
import { primitives } from '../../src/kernel/crypto/primitives.ts'
import * as aad from '../../src/secrets/aad.ts'
import * as envelope from '../../src/secrets/envelope.ts'
import { bytes, CONTEXT, DEK_ID, envelopeCases } from '../support/envelope-cases.ts'

describe('envelope v1', () => {
  test.each(Object.entries(envelopeCases))('%s', (_, run) => run({ envelope, aad, primitives }))

  const good = {
    plaintext: new Uint8Array(1),
    dek: bytes('dek', 32),
    dekId: DEK_ID,
    context: CONTEXT,
  }
  test.each([
    ['plaintext', { plaintext: 'text' }],
    ['plaintext', { plaintext: undefined }],
    ['dek', { dek: new Uint8Array(16) }],
    ['dek', { dek: new Uint8Array(33) }],
    ['dek', { dek: 'x'.repeat(32) }],
    ['dekId', { dekId: 'dek-1' }],
    ['dekId', { dekId: DEK_ID.toUpperCase() }],
    ['dekId', { dekId: null }],
    ['context', { context: null }],
    ['context', { context: 'acme' }],
    ['context.tenant', { context: { ...CONTEXT, tenant: 'acme' } }],
    ['context.?', { context: { ...CONTEXT, 'not a name': 1 } }],
    ['salt', { salt: new Uint8Array(32) }],
    ['nonce', { nonce: new Uint8Array(12) }],
    ['context.tenantId', { context: { ...CONTEXT, tenantId: '' } }],
    ['context.tenantId', { context: { ...CONTEXT, tenantId: 5 } }],
    ['context.purpose', { context: { ...CONTEXT, purpose: undefined } }],
    ['context.provider', { context: { ...CONTEXT, provider: 'p'.repeat(1025) } }],
    ['context.provider', { context: { ...CONTEXT, provider: '\u20ac'.repeat(342) } }],
    ['context.origin', { context: { ...CONTEXT, origin: undefined } }],
    ['context.origin', { context: { ...CONTEXT, origin: '' } }],
    ['context.secretId', { context: { ...CONTEXT, secretId: '\udead' } }],
    ['context.version', { context: { ...CONTEXT, version: 0 } }],
    ['context.version', { context: { ...CONTEXT, version: 2 ** 53 } }],
    ['context.version', { context: { ...CONTEXT, version: Number.NaN } }],
    ['context.version', { context: { ...CONTEXT, version: 1n } }],
  ])('sealing refuses a bad %s by name (case %#)', (field, change) => {
    const input = { ...good, ...change } as unknown as Parameters<typeof envelope.seal>[0]
    expect(() => envelope.seal(input)).toThrow(
      expect.objectContaining({
        code: 'TK_INPUT_INVALID',
        details: expect.objectContaining({ field }),
      }),
    )
  })

  test('opening names a data key or envelope of the wrong type', () => {
    const sealed = envelope.seal(good)
    const open = (change: object) => () =>
      envelope.open({ envelope: sealed, dek: good.dek, context: CONTEXT, ...change } as never)
    expect(open({ dek: new Uint8Array(31) })).toThrow('Field: dek')
    expect(open({ envelope: envelope.toText(sealed) })).toThrow('Field: envelope')
    expect(open({ key: good.dek })).toThrow('Field: key')
    expect(() => envelope.open(undefined as never)).toThrow('Field: (argument)')
    expect(() => envelope.seal(null as never)).toThrow('Field: (argument)')
    expect(() => envelope.fromText(sealed as never)).toThrow('Field: text')
    expect(() => envelope.dekIdOf('text' as never)).toThrow('Field: envelope')
  })

  test('neither input nor output shares memory with what was given', () => {
    const plaintext = bytes('secret', 40)
    const sealed = envelope.seal({ ...good, plaintext })
    expect([...plaintext]).toEqual([...bytes('secret', 40)])
    expect([...good.dek]).toEqual([...bytes('dek', 32)])
    const opened = envelope.open({ envelope: sealed, dek: good.dek, context: CONTEXT })
    opened.fill(0)
    expect([...envelope.open({ envelope: sealed, dek: good.dek, context: CONTEXT })]).toEqual([
      ...plaintext,
    ])
    expect(opened.constructor).toBe(Uint8Array)
    expect(sealed.constructor).toBe(Uint8Array)
  })

  test('an envelope inside a larger buffer opens from its own bytes', () => {
    const sealed = envelope.seal(good)
    const larger = Buffer.concat([Buffer.alloc(7, 9), sealed, Buffer.alloc(5, 9)])
    const view = larger.subarray(7, 7 + sealed.length)
    expect(envelope.open({ envelope: view, dek: good.dek, context: CONTEXT }).length).toBe(1)
    expect(envelope.fromText(envelope.toText(view))).toEqual(sealed)
  })
})
