/**
 * Bundles a TypeScript file for child processes, so that they run today's sources under any Node
 * and from any folder.
 *
 * @module
 */
import { join } from 'node:path'
import { build } from 'tsup'
import { commonJsBuiltins } from '../../scripts/common-js-builtins.ts'

/** @returns path of `<folder>/<name>.js`, which imports nothing but what it loads by name. */
export async function bundle(entry: string, folder: string, name: string): Promise<string> {
  await build({
    entry: { [name]: entry },
    outDir: folder,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    noExternal: [/^(?!libsql$|better-sqlite3$|pg$|postgres$|node:)/],
    external: ['pg', 'postgres'],
    esbuildPlugins: [commonJsBuiltins],
    removeNodeProtocol: false,
    splitting: false,
    config: false,
    dts: false,
    silent: true,
    outExtension: () => ({ js: '.mjs' }),
  })
  return join(folder, `${name}.mjs`)
}
