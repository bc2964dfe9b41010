#!/usr/bin/env node
/**
 * `tenantkeys`, the command: reads what it was asked, calls, prints, and ends with a number that a
 * script can read.
 *
 * @module
 */
import { CommanderError } from 'commander'
import { WORKER_COMMAND } from './crash-test/fleet.ts'
import { runWorker } from './crash-test/worker.ts'
import { EXIT, type ExitCode, explain } from './exit.ts'
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

function complain(error: unknown): ExitCode {
  // commander has said it already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.failed
  const { code, message, docsUrl } = explain(error)
  const text = docsUrl === null ? message : `${code}: ${message}\n${docsUrl}`
  process.stderr.write(`error: ${text}\n`)
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
