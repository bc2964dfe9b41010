/**
 * B0: the least that verifying a key in memory can be. One hash of the whole key, one look-up.
 *
 * @module
 */
import { hash } from 'node:crypto'

/** @param {string[]} keys @returns {(key: string) => object | undefined} */
export function hashAndLookUp(keys) {
  const records = new Map(keys.map((key, i) => [hash('sha256', key, 'hex'), { id: i }]))
  return (key) => records.get(hash('sha256', key, 'hex'))
}
