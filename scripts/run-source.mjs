// Bundles a TypeScript program of the tests from today's sources and runs it.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'tsup'

const root = new URL('..', import.meta.url).pathname

/** @returns the program's exit status, 1 when a signal ended it. */
export async function runSource(entry, args) {
  const folder = mkdtempSync(join(root, 'node_modules', '.run-'))
  try {
    await build({
      entry: { main: join(root, entry) },
      outDir: folder,
      format: 'esm',
      target: 'node20',
      external: ['pg'],
      config: false,
      dts: false,
      silent: true,
      splitting: false,
      removeNodeProtocol: false,
      outExtension: () => ({ js: '.mjs' }),
    })
    // Ctrl-C is for the program.
    process.on('SIGINT', () => {})
    return (
      spawnSync(process.execPath, [join(folder, 'main.mjs'), ...args], { stdio: 'inherit' })
        .status ?? 1
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
