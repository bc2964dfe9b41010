#!/usr/bin/env node
/**
 * `tenantkeys`, the command: reads what it was asked, calls, prints, and ends with a number that a
 * script can read.
 *
 * @module
 */
import { CommanderError } from 'commander'
import { TenantKeysError } from '../kernel/errors.ts'
import { WORKER_COMMAND } from './crash-test/fleet.ts'
import { runWorker } from './crash-test/worker.ts'
import { EXIT, type ExitCode, UsageError } from './exit.ts'
import { buildProgram } from './program.ts'

async function main(args: readonly string[]): Promise<ExitCode> {
  let exit: ExitCode = EXIT.ok
  const program = buildProgram((code) => {
    exit = code
  })
  try {
    await program.parseAsync(args, { from: 'user' })
    return exit
  } catch (error) {
    return complain(error)
  }
}

/** Errors of ours show no secret; of others nothing is shown but what kind they are. */
function complain(error: unknown): ExitCode {
  // commander has said it already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.failed
  if (error instanceof UsageError) process.stderr.write(`error: ${error.message}\n`)
  else if (TenantKeysError.isInstance(error)) {
    process.stderr.write(`error: ${error.code}: ${error.message}\n${error.docsUrl}\n`)
  } else {
    const { code, message, docsUrl } = new TenantKeysError('TK_INTERNAL', {}, { cause: error })
    process.stderr.write(`error: ${code}: ${message}\n${docsUrl}\n`)
  }
  return EXIT.failed
}

const [, , ...args] = process.argv
// `| head` closes the pipe early; that is no defect of ours.
process.stdout.on('error', () => process.exit(EXIT.failed))
if (args[0] === WORKER_COMMAND && process.send) void runWorker()
else {
  void main(args).then((code) => {
    process.exitCode = code
  })
}
