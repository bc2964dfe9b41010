/**
 * How a command ends. Scripts read the number, people the text.
 *
 * @module
 */

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

/** Something is wrong with how the command was called; the text is ours and shows no value. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
