import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { fromText, open, sealWith } from '../../src/secrets/envelope.ts'
import { hex, readVectors, type Vectors } from '../support/envelope-vectors.ts'

/** The cases of the first release. New ones come behind them; these lines stay as they are. */
const FROZEN = {
  opens: [30, '3c86efe5afee4ebe367f4315b03cab444abd911d6d66d6e80a5c938434b61b41'],
  fails: [71, '5c410983b8fa7fef84ae97f2833558377a3e46bd08d442d61dd24a7f037de36f'],
  texts: [16, '1b490523ddd4b7ebc9747b23cddb5e5535aa1ac232b04120501cd8e2032d1236'],
} as const

/** JavaScript, so that it runs by itself and imports nothing of the sources. */
const { build, checkAppendOnly } = (await import(
  new URL('make-envelope-v1.mjs', import.meta.url).href
)) as { build(): Vectors; checkAppendOnly(old: Vectors, fresh: Vectors): void }

const vectors = readVectors()

describe('frozen vectors of envelope v1', () => {
  test.each(Object.entries(FROZEN))(
    'the first cases of %s are unchanged',
    (list, [count, sha256]) => {
      const cases = vectors[list as keyof Vectors].slice(0, count)
      expect(createHash('sha256').update(JSON.stringify(cases)).digest('hex')).toBe(sha256)
    },
  )

  test('the file holds what its generator makes, and ids are unique', () => {
    expect(vectors).toEqual(build())
    const ids = [...vectors.opens, ...vectors.texts].map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(new Set(vectors.fails.map(({ id }) => id)).size).toBe(vectors.fails.length)
  })

  test('the generator stops when a case would change or go', () => {
    const fresh = build()
    expect(() => checkAppendOnly(vectors, { ...fresh, fails: fresh.fails.slice(1) })).toThrow(
      'magic-0',
    )
    expect(() => checkAppendOnly(vectors, { ...fresh, texts: [] })).toThrow('would change')
    expect(() => checkAppendOnly({ ...fresh, opens: fresh.opens.slice(0, 3) }, fresh)).not.toThrow()
  })

  test.each(vectors.opens.map((v) => [v.id, v] as const))(
    '%s opens, and is what sealing makes',
    (_, v) => {
      const opened = open({ envelope: hex(v.envelope), dek: hex(v.dek), context: v.context })
      expect(Buffer.from(opened).toString('hex')).toBe(v.plaintext)
      const { dekId, context } = v
      const again = sealWith(
        { plaintext: hex(v.plaintext), dek: hex(v.dek), dekId, context },
        { salt: hex(v.salt), nonce: hex(v.nonce) },
      )
      expect(Buffer.from(again).toString('hex')).toBe(v.envelope)
    },
  )

  test.each(vectors.fails.map((v) => [v.id, v] as const))('%s fails', (_, v) => {
    expect(() => open({ envelope: hex(v.envelope), dek: hex(v.dek), context: v.context })).toThrow(
      expect.objectContaining({ code: 'TK_ENVELOPE_OPEN_FAILED', details: {} }),
    )
  })

  test.each(vectors.texts.map((v) => [v.id, v] as const))('%s is read or refused', (_, v) => {
    if (v.envelope !== null) expect(Buffer.from(fromText(v.text)).toString('hex')).toBe(v.envelope)
    else
      expect(() => fromText(v.text)).toThrow(
        expect.objectContaining({ code: 'TK_ENVELOPE_OPEN_FAILED' }),
      )
  })
})
