/**
 * The cryptographic primitives in use, chosen from two implementations: the host's
 * `node:crypto` where `process.getBuiltinModule` offers it, else `@noble/*`, which runs everywhere
 * (noble is 6.7 times slower at AES-GCM and 6.9 at SHA-256 on Node 20). Both refuse the same inputs
 * and agree on all vectors; a test runs each against the other.
 *
 * @module
 */
import { noblePrimitives } from './noble.ts'
import { type NodeCrypto, nodePrimitives } from './node.ts'
import type { Primitives } from './profile.ts'

function pick(): Primitives {
  const host = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } }
  const builtin = host.process?.getBuiltinModule?.('node:crypto')
  return builtin ? nodePrimitives(builtin as NodeCrypto) : noblePrimitives
}

/** The fastest implementation that this runtime has. */
export const primitives: Primitives = pick()
