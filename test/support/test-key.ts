import { createHash } from 'node:crypto'

/** Key material that is the same in every run, and known to everybody. */
export const testKey = (seed: number): Uint8Array =>
  createHash('sha256').update(`not a secret: test key ${seed}`).digest()
