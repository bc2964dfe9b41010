/**
 * The stream reader of operations that never stream. A server that does so all the same has reported
 * nothing that we can read.
 *
 * @module
 */
import type { StreamReader } from '../provider.ts'

export const noStream = (): StreamReader => ({
  push: () => 'data',
  usage: () => null,
  deliveredEstimate: () => 0,
})
