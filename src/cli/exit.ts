/**
 * How a command ends. Scripts read the number, people the text.
 *
 * @module
 */

import { TenantKeysError } from '../kernel/errors.ts'

export const EXIT = {
  ok: 0,
  /** The command ran, and what it found needs somebody: a broken promise, a pending migration. */
  findings: 1,
  /** The command could not run: wrong flags, no database, no driver. */
  failed: 2,
  /** Ended by Ctrl-C (128 and the number of SIGINT, as shells have it). */
  interrupted: 130,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/**
 * What an error may say: those of ours show no secret; of others nothing is told but that they came.
 * `docsUrl` is `null` for a wrong call, which the help explains.
 */
export function explain(error: unknown): { code: string; message: string; docsUrl: string | null } {
  if (error instanceof UsageError) return { code: 'USAGE', message: error.message, docsUrl: null }
  const ours = TenantKeysError.isInstance(error)
    ? error
    : new TenantKeysError('TK_INTERNAL', {}, { cause: error })
  const { code, message, docsUrl } = ours
  return { code, message, docsUrl }
}

/** Something is wrong with how the command was called; the text is ours and shows no value. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
