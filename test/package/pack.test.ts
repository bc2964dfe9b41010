import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import manifest from '../../package.json' with { type: 'json' }
import { COMPUTED, importsOf, packageOf } from './imports.ts'
import { type PackedProject, packProject, ROOT, run, runtimeDependencies } from './packed.ts'

/**
 * Everything that each entry loads, by itself or on use (T-I12). A name that appears here needs a
 * reason in docs/architecture.md.
 */
const REACH: Readonly<Record<string, { readonly onImport: string[]; readonly onUse: string[] }>> = {
  index: {
    onImport: [
      '@noble/ciphers',
      '@noble/hashes',
      'eventsource-parser',
      'lru-cache',
      'p-retry',
      'zod',
    ],
    onUse: ['@pydantic/genai-prices'],
  },
  // The driver's name is computed: the one of `libsql` and `better-sqlite3` that is there.
  sqlite: {
    onImport: ['@noble/ciphers', '@noble/hashes', 'node:fs', 'node:module', 'zod'],
    onUse: [COMPUTED],
  },
  postgres: { onImport: ['@noble/ciphers', '@noble/hashes', 'zod'], onUse: [] },
  sinks: { onImport: ['@noble/ciphers', '@noble/hashes', 'zod'], onUse: [] },
  ndjson: {
    onImport: ['@noble/ciphers', '@noble/hashes', 'node:fs/promises', 'node:path', 'zod'],
    onUse: [],
  },
  testing: {
    onImport: ['@noble/ciphers', '@noble/hashes', 'node:assert/strict', 'node:util'],
    onUse: [],
  },
}

/** The command. What only it uses is built in; drivers are the user's, by a computed name. */
const COMMAND_REACH = {
  onImport: [
    '@noble/ciphers',
    '@noble/hashes',
    'node:child_process',
    'node:crypto',
    'node:events',
    'node:fs',
    'node:module',
    'node:os',
    'node:path',
    'node:timers/promises',
    'node:url',
    'node:util',
    'p-retry',
    'zod',
  ],
  onUse: [COMPUTED],
}

const FILES = [
  /^(?:package\.json|README\.md|LICENSE|CHANGELOG\.md|SECURITY\.md|docs\/errors\.md)$/,
  /^dist\/(?:index|sqlite|postgres|sinks|ndjson|testing)\.(?:js|js\.map|d\.ts)$/,
  /^dist\/cli\.(?:js|js\.map)$/,
  // Code that several entries share, or that is loaded on use.
  /^dist\/[\w-]+-[\w-]{8}\.(?:js|js\.map|d\.ts)$/,
]

/** What an ESM-only package cannot answer: TypeScript before `exports`, and require() in its types. */
const ESM_ONLY = ['CJSResolvesToESM node16-cjs', 'NoResolution node10']

let packed: PackedProject
beforeAll(() => {
  packed = packProject()
})
afterAll(() => packed.remove())

const installed = (path: string): string => join(packed.project, 'node_modules/tenantkeys', path)

/** A development tool of this project. Throws when it exits with an error. */
const tool = (name: string, ...args: string[]): string =>
  run(join(ROOT, 'node_modules/.bin', name), args)

describe('the tarball', () => {
  test('T-I12 holds the expected files and no other', () => {
    expect(packed.files.filter((path) => !FILES.some((pattern) => pattern.test(path)))).toEqual([])
    for (const path of ['LICENSE', 'README.md', 'CHANGELOG.md', 'SECURITY.md', 'docs/errors.md']) {
      expect(packed.files).toContain(path)
    }
  })

  test('T-I12 nothing in it or below it runs on install or brings native code', () => {
    const all = ['node_modules/tenantkeys', ...runtimeDependencies()]
    expect(all.length).toBeGreaterThan(5)
    for (const path of all) {
      const { scripts = {} } = JSON.parse(
        readFileSync(join(packed.project, path, 'package.json'), 'utf8'),
      )
      for (const name of ['preinstall', 'install', 'postinstall']) {
        expect(scripts, `${path} ${name}`).not.toHaveProperty(name)
      }
      const names = readdirSync(join(packed.project, path), { recursive: true, encoding: 'utf8' })
      expect(names.filter((name) => /\.node$|(?:^|\/)binding\.gyp$/.test(name))).toEqual([])
    }
    expect(manifest.scripts).not.toHaveProperty('prepare')
  })

  test('the exports map, the built entries and the files agree', () => {
    const { './package.json': self, ...entries } = manifest.exports
    expect(self).toBe('./package.json')
    const paths = Object.values(entries).flatMap((entry) => [entry.types, entry.default])
    expect(paths.filter((path) => !existsSync(installed(path)))).toEqual([])
    const named = Object.values(entries).map((entry) =>
      entry.default.slice('./dist/'.length, -'.js'.length),
    )
    expect(named.sort()).toEqual(Object.keys(REACH).sort())
    const built = packed.files.filter((path) => /^dist\/[a-z]+\.js$/.test(path))
    expect(built.sort()).toEqual([...named, 'cli'].sort().map((name) => `dist/${name}.js`))
    expect(manifest.bin).toEqual({ tenantkeys: 'dist/cli.js' })
  })

  test('publint finds nothing', () => {
    expect(tool('publint', 'run', packed.tarball, '--strict')).toContain('All good!')
  })

  test('the types resolve for every kind of consumer of an ES module', () => {
    const report: { analysis: { problems: { kind: string; resolutionKind?: string }[] } } =
      JSON.parse(tool('attw', packed.tarball, '--profile', 'esm-only', '--format', 'json'))
    const { problems } = report.analysis
    const kinds = problems.map(({ kind, resolutionKind }) => `${kind} ${resolutionKind ?? ''}`)
    expect([...new Set(kinds)].sort()).toEqual(ESM_ONLY)
  })

  test('the error class is in one file, so that instanceof agrees between entries', () => {
    const holders = packed.files.filter(
      (path) =>
        path.endsWith('.js') &&
        /TenantKeysError = class\b|class TenantKeysError\b/.test(
          readFileSync(installed(path), 'utf8'),
        ),
    )
    expect(holders).toHaveLength(1)
  })
})

describe('the reach of an entry', () => {
  test.each(Object.keys(REACH))('T-I12 %s loads what is listed and nothing else', (name) => {
    const reached = reach(installed(`dist/${name}.js`))
    expect({ onImport: reached.onImport, onUse: reached.onUse }).toEqual(REACH[name])
  })

  test('T-I12 the command loads what is listed and nothing else', () => {
    expect(reach(installed('dist/cli.js'))).toEqual(COMMAND_REACH)
  })

  test.each(Object.keys(REACH))('the types of %s name runtime dependencies only', (name) => {
    const { onImport, onUse } = reach(installed(`dist/${name}.d.ts`))
    const known = Object.keys(manifest.dependencies)
    expect([...onImport, ...onUse].filter((module) => !known.includes(module))).toEqual([])
  })
})

/** Follows the relative imports of a built file; what a lazily loaded chunk loads counts as on use. */
function reach(entry: string): { onImport: string[]; onUse: string[] } {
  const found = { onImport: new Set<string>(), onUse: new Set<string>() }
  const seen = new Set<string>()
  const walk = (file: string, lazy: boolean): void => {
    if (seen.has(`${file} ${lazy}`)) return
    seen.add(`${file} ${lazy}`)
    for (const { specifier, kind } of importsOf(file, readFileSync(file, 'utf8'))) {
      const onUse = lazy || kind === 'dynamic'
      if (specifier.startsWith('.')) walk(declared(file, specifier), onUse)
      else found[onUse ? 'onUse' : 'onImport'].add(packageOf(specifier))
    }
  }
  walk(entry, false)
  const onImport = [...found.onImport].sort()
  return { onImport, onUse: [...found.onUse].filter((name) => !found.onImport.has(name)).sort() }
}

/** Inside declarations, `./chunk.js` means `./chunk.d.ts`. */
const declared = (file: string, specifier: string): string =>
  join(dirname(file), file.endsWith('.d.ts') ? specifier.replace(/\.js$/, '.d.ts') : specifier)

const CONSUMER = `
import { createTenantKeys, TenantKeysError, type TenantKeys } from 'tenantkeys'
import { sqlite } from 'tenantkeys/sqlite'
import * as testing from 'tenantkeys/testing'
export async function start(key: string): Promise<TenantKeys> {
  if (Object.keys(testing).length === 0) throw new TenantKeysError('TK_INTERNAL')
  return await createTenantKeys({ storage: sqlite({ file: key }) } as Parameters<typeof createTenantKeys>[0])
}
`

describe('in an empty project', () => {
  /** `node`: what a backend has. `web`: no Node types at all. */
  const CONSUMERS = [
    { title: 'with the types of Node', module: 'nodenext', lib: ['ES2023'], types: ['node'] },
    { title: 'with a bundler and no types of Node', module: 'bundler', types: [] as string[] },
  ]

  test.each(CONSUMERS)(
    'the types compile without any optional peer, $title',
    ({ module, lib, types }) => {
      writeFileSync(join(packed.project, 'consumer.ts'), CONSUMER)
      const options = {
        target: 'ES2022',
        lib: lib ?? ['ES2022', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable'],
        module: module === 'bundler' ? 'ESNext' : 'NodeNext',
        moduleResolution: module,
        types,
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: false,
        noEmit: true,
      }
      const config = { compilerOptions: options, files: ['consumer.ts'] }
      writeFileSync(join(packed.project, 'package.json'), '{ "type": "module" }')
      writeFileSync(join(packed.project, 'tsconfig.json'), JSON.stringify(config))
      for (const name of ['@types/node', 'undici-types']) {
        const target = join(packed.project, 'node_modules', name)
        if (types.length > 0) cpSync(join(ROOT, 'node_modules', name), target, { recursive: true })
        else rmSync(target, { recursive: true, force: true })
      }
      expect(compile(packed.project)).toBe('')
    },
  )

  test('require() loads the root, so no entry awaits at its top level', () => {
    for (const entry of ['tenantkeys', 'tenantkeys/sqlite', 'tenantkeys/testing']) {
      const script = `console.log(typeof require(${JSON.stringify(entry)}))`
      expect(run('node', ['-e', script], packed.project)).toBe('object\n')
    }
  })

  test('the command runs with nothing installed but the package, and says its version', () => {
    const command = installed('dist/cli.js')
    expect(readFileSync(command, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
    expect(statSync(command).mode & 0o111).toBe(0o111)
    expect(run(command, ['--version'], packed.project)).toBe(`${manifest.version}\n`)
  })

  test('importing the entries keeps no process alive and prints nothing', () => {
    const script =
      "await import('tenantkeys'); await import('tenantkeys/sqlite'); await import('tenantkeys/testing')"
    expect(run('node', ['--input-type=module', '-e', script], packed.project)).toBe('')
  })
})

/** @returns what tsc complains about. */
function compile(project: string): string {
  try {
    return tool('tsc', '-p', project)
  } catch (failed) {
    return String((failed as { stdout?: unknown }).stdout)
  }
}
