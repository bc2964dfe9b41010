/**
 * A check at start that the random source is one: with a constant one every salt, nonce and key
 * would repeat (T-C9). It finds a stub or a broken build, not a weak generator.
 *
 * @module
 */
import { TenantKeysError } from '../errors.ts'
import type { Primitives } from './profile.ts'

/**
 * Draws 32 bytes twice; a sound source repeats itself, or yields one byte 32 times, less often than
 * once in 2^240 starts.
 *
 * @throws TenantKeysError TK_CRYPTO_REFUSED
 */
export function checkRandomSource({ randomBytes, equal }: Primitives): void {
  const [first, second] = [randomBytes(32), randomBytes(32)]
  const flat = first.every((byte) => byte === first[0])
  if (first.length === 32 && second.length === 32 && !flat && !equal(first, second)) return
  throw new TenantKeysError('TK_CRYPTO_REFUSED', { reason: 'the random source repeats itself' })
}
