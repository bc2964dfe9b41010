/**
 * The build: every public entry in one run, so that entries share their chunks and `instanceof`
 * agrees between `tenantkeys`, `tenantkeys/sqlite` and `tenantkeys/testing`.
 *
 * `clean` stays off: a separate step empties `dist` first, so that no run removes what another made.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { defineConfig } from 'tsup'
import { commonJsBuiltins } from './scripts/common-js-builtins.ts'

/** Subpath of the package, the name of its file in dist, its source. */
const ENTRIES = [
  { subpath: '.', name: 'index', source: 'src/index.ts' },
  { subpath: './sqlite', name: 'sqlite', source: 'src/adapters/sqlite/index.ts' },
  { subpath: './postgres', name: 'postgres', source: 'src/adapters/postgres/index.ts' },
  { subpath: './sinks', name: 'sinks', source: 'src/adapters/sinks/index.ts' },
  { subpath: './ndjson', name: 'ndjson', source: 'src/adapters/ndjson/index.ts' },
  { subpath: './testing', name: 'testing', source: 'src/testing/index.ts' },
] as const

/** The command of `bin`: no subpath, no declarations. What only it needs is bundled into it, so that the
 * library installs none of that. */
const COMMAND = { cli: 'src/cli/main.ts' }

const entries = Object.fromEntries(ENTRIES.map(({ name, source }) => [name, source]))

/** The exports map is the public list; an entry that is in only one of the two stops the build. */
function checkExports(): void {
  const manifest: { exports: Record<string, unknown> } = JSON.parse(
    readFileSync(new URL('./package.json', import.meta.url), 'utf8'),
  )
  const built = Object.fromEntries(
    ENTRIES.map(({ subpath, name }) => [
      subpath,
      { types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` },
    ]),
  )
  const expected = JSON.stringify({ ...built, './package.json': './package.json' })
  if (JSON.stringify(manifest.exports) !== expected) {
    throw new Error(
      `The entries of tsup.config.ts and the exports of package.json differ: ${expected}`,
    )
  }
}

checkExports()

export default defineConfig({
  entry: { ...entries, ...COMMAND },
  format: 'esm',
  target: 'node20',
  // `TenantKeys` is an AsyncDisposable: so that its types compile without a `lib` setting of the user.
  dts: { entry: entries, banner: '/// <reference lib="esnext.disposable" />' },
  esbuildPlugins: [commonJsBuiltins],
  splitting: true,
  sourcemap: true,
  clean: false,
  // `node:sqlite` and Deno know builtins only with their prefix.
  removeNodeProtocol: false,
})
