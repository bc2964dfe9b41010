/**
 * The frozen vectors of envelope v1; docs/envelope-format.md says what a case holds.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import type { EnvelopeContext } from '../../src/secrets/aad.ts'

export const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))

interface Opens {
  readonly id: string
  readonly dek: string
  readonly dekId: string
  readonly context: EnvelopeContext
  readonly salt: string
  readonly nonce: string
  readonly plaintext: string
  readonly envelope: string
}

export interface Vectors {
  readonly opens: readonly Opens[]
  readonly fails: readonly Pick<Opens, 'id' | 'dek' | 'context' | 'envelope'>[]
  readonly texts: readonly {
    readonly id: string
    readonly text: string
    readonly envelope: string | null
  }[]
}

export function readVectors(): Vectors {
  const file = new URL('../vectors/envelope-v1.json', import.meta.url)
  return JSON.parse(readFileSync(file, 'utf8')) as Vectors
}
