/**
 * The command as a process of its own, bundled from today's sources, or from sabotaged ones.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { bundle } from './bundle.ts'

export interface CliRun {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Standard input; default: empty. */
  readonly input?: string
  readonly cwd?: string
  /** Told when the process has started. */
  readonly onStart?: (child: ChildProcess) => void
}

export interface Cli {
  run(args: readonly string[], options?: CliOptions): Promise<CliRun>
  /** Its one document of `--json`. Throws when standard output holds anything else. */
  json(
    args: readonly string[],
    options?: CliOptions,
  ): Promise<CliRun & { readonly doc: JsonDocument }>
}

export type JsonDocument = Record<string, unknown>

/** @param folder - of the test; unless `linked` is false, drivers are found beside the command, as in
 *   a project. */
export async function buildCli(
  folder: string,
  entry = 'src/cli/main.ts',
  { linked = true }: { readonly linked?: boolean } = {},
): Promise<Cli> {
  const script = await bundle(entry, join(folder, 'cli'), 'tenantkeys')
  if (linked) symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))
  const run: Cli['run'] = (args, options = {}) =>
    runScript(script, args, { cwd: folder, ...options })
  return {
    run,
    json: async (args, options) => {
      const done = await run([...args, '--json'], options)
      return { ...done, doc: JSON.parse(done.stdout) as JsonDocument }
    },
  }
}

function runScript(
  script: string,
  args: readonly string[],
  { env = {}, input = '', cwd, onStart }: CliOptions,
): Promise<CliRun> {
  const child = spawn(process.execPath, [script, ...args], {
    ...(cwd === undefined ? {} : { cwd }),
    // Nothing of this machine's: PGPASSWORD and the like would reach the command.
    env: { PATH: process.env.PATH, HOME: cwd, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  onStart?.(child)
  // A command that fails before it reads its input closes the pipe.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  return new Promise((done, failed) => {
    child.on('error', failed)
    child.on('close', (code) => done({ code, stdout, stderr }))
  })
}
