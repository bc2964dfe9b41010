import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { dekIdOf, fromText, open, seal, toText } from '../../src/secrets/envelope.ts'

const SEED = 20_261_104
const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text)
/** Every kind of Unicode, at most 1024 bytes. */
const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }).filter(isWellFormed)
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const sealInput = fc.record({
  plaintext: fc.uint8Array({ maxLength: 300 }),
  dek: bytes(32),
  dekId: fc.uuid({ version: [4, 7] }),
  context: fc.record({
    tenantId: text,
    purpose: text,
    provider: text,
    origin: fc.option(text, { nil: null }),
    secretId: text,
    version: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  }),
})

describe('envelopes of any input', () => {
  test('open to what was sealed, as bytes and as text', () => {
    fc.assert(
      fc.property(sealInput, (input) => {
        const envelope = seal(input)
        const { plaintext, dek, dekId, context } = input
        expect(envelope.length).toBe(plaintext.length + 120)
        expect([...open({ envelope, dek, context })]).toEqual([...plaintext])
        expect([...open({ envelope: fromText(toText(envelope)), dek, context })]).toEqual([
          ...plaintext,
        ])
        expect(dekIdOf(envelope)).toBe(dekId)
      }),
      { numRuns: 1000, seed: SEED },
    )
  })

  test('T-C3 do not open with any byte changed to any other value', () => {
    fc.assert(
      fc.property(sealInput, fc.nat(), fc.integer({ min: 1, max: 255 }), (input, at, mask) => {
        const envelope = seal(input)
        envelope[at % envelope.length]! ^= mask
        expect(() => open({ envelope, dek: input.dek, context: input.context })).toThrow(
          expect.objectContaining({ code: 'TK_ENVELOPE_OPEN_FAILED' }),
        )
      }),
      { numRuns: 1000, seed: SEED },
    )
  })

  test('T-C1 T-C2 do not open under the context of another', () => {
    fc.assert(
      fc.property(sealInput, sealInput, (input, other) => {
        fc.pre(JSON.stringify(input.context) !== JSON.stringify(other.context))
        const envelope = seal(input)
        expect(() => open({ envelope, dek: input.dek, context: other.context })).toThrow(
          expect.objectContaining({ code: 'TK_ENVELOPE_OPEN_FAILED' }),
        )
      }),
      { numRuns: 500, seed: SEED },
    )
  })
})

describe('bytes and texts of any kind', () => {
  const { dek, context } = {
    dek: new Uint8Array(32).fill(1),
    context: {
      tenantId: 't',
      purpose: 'p',
      provider: 'v',
      origin: null,
      secretId: 's',
      version: 1,
    },
  }
  const failed = expect.objectContaining({ code: 'TK_ENVELOPE_OPEN_FAILED' })

  test('end in the one error, never in another', () => {
    const good = seal({
      plaintext: new Uint8Array(40),
      dek,
      dekId: '018f3c1e-7b1a-7cc3-9a55-00000000d0d0',
      context,
    })
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 400 }),
      // The header is right, so that the noise reaches further in.
      fc
        .uint8Array({ maxLength: 400 })
        .map((rest) => Uint8Array.of(...good.subarray(0, 8), ...rest)),
      fc
        .record({ at: fc.nat(159), rest: fc.uint8Array({ minLength: 1, maxLength: 8 }) })
        .map(({ at, rest }) =>
          Uint8Array.of(...good.subarray(0, at), ...rest, ...good.subarray(at)),
        ),
    )
    fc.assert(
      fc.property(noise, (envelope) => {
        expect(() => open({ envelope, dek, context })).toThrow(failed)
      }),
      { numRuns: 20_000, seed: SEED },
    )
  })

  test('texts that are no envelope are refused, those that are come back the same', () => {
    const any = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom(...'AQgw_-=+/ \n') }).map((end) => `enc:tk:v1:${end}`),
    )
    fc.assert(
      fc.property(any, (given) => {
        expect(() => fromText(given)).toThrow(failed)
      }),
      { numRuns: 10_000, seed: SEED },
    )
  })
})
