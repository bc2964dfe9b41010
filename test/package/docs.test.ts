import { execFile, execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import manifest from '../../package.json' with { type: 'json' }
import { type PostgresCluster, startPostgres } from '../support/postgres-cluster.ts'
import { skipsPostgres } from '../support/postgres-server.ts'
import type { ProviderServer } from '../support/provider-server.ts'
import { type Block, blocksOf, type Program, programsOf } from './doc-blocks.ts'
import { ROOT } from './packed.ts'
import { startStandIn } from './stand-in.ts'

const TO_STAND_IN = fileURLToPath(new URL('to-stand-in.mjs', import.meta.url))
const LANGUAGES = ['ts', 'sh', 'json', 'text']

const pages = [
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && !name.startsWith('api/'))
    .map((name) => `docs/${name}`),
]
const blocks = pages.flatMap((page) => blocksOf(page, readFileSync(join(ROOT, page), 'utf8')))
const programs = programsOf(blocks)
const title = ({ page, line }: Block | Program): string => `${page}:${line}`
const fileOf = (program: Program): string =>
  `${program.page.replaceAll('/', '.')}.${program.line}.mts`

let project: string
let complaints: string
beforeAll(() => {
  if (!existsSync(join(ROOT, 'dist/index.d.ts'))) throw new Error('dist is missing: npm run build')
  project = mkdtempSync(join(tmpdir(), 'tenantkeys-docs-'))
  for (const program of programs) writeFileSync(join(project, fileOf(program)), program.code)
  linkPackages()
  linkCommand()
  complaints = compile()
})
afterAll(() => rmSync(project, { recursive: true, force: true }))

describe('programs of the pages', () => {
  test('there are some, in README.md too', () => {
    expect(programs.some(({ page, run }) => page === 'README.md' && run)).toBe(true)
  })

  test.each(programs.map((p) => [title(p), p] as const))('%s compiles', (_, program) => {
    expect(complaints.split('\n').filter((line) => line.startsWith(fileOf(program)))).toEqual([])
  })

  let standIn: ProviderServer
  beforeAll(async () => {
    standIn = await startStandIn()
  })
  afterAll(() => standIn?.close())

  test.each(programs.filter(({ run }) => run).map((p) => [title(p), p] as const))(
    '%s runs',
    async (_, program) => {
      const cwd = mkdtempSync(join(project, 'run-'))
      const compiled = join(project, 'out', fileOf(program).replace(/mts$/, 'mjs'))
      const env = {
        ...process.env,
        TENANTKEYS_KEK: newKey(),
        TENANTKEYS_PEPPER: newKey(),
        STAND_IN_URL: new URL(standIn.baseUrl).origin,
      }
      await promisify(execFile)('node', ['--import', TO_STAND_IN, compiled], { cwd, env })
    },
  )
})

describe('other blocks of the pages', () => {
  test.each(blocks.map((b) => [title(b), b] as const))(
    '%s is of a language that is checked',
    (_, block) => {
      expect(LANGUAGES).toContain(block.language)
      if (block.language === 'json') JSON.parse(block.code)
    },
  )

  /** Of blocks that name them. A server of its own: the shared ones do not wait for the disk, and
   * `tenantkeys doctor` says so. */
  let server: PostgresCluster | undefined
  const urls: Record<string, string> = {}
  beforeAll(async () => {
    if (skipsPostgres('embedded-18')) return
    server = await startPostgres({ kind: 'embedded-18', fsync: true })
    await server.role('app')
    urls.DATABASE_URL = server.url('postgres', 'app')
    urls.ADMIN_URL = server.url('postgres')
  })
  afterAll(() => server?.close())

  const shell = blocks
    .filter(({ language }) => language === 'sh')
    .map((b) => [title(b), b] as const)
  const needsServer = ([, { code }]: (typeof shell)[number]): boolean =>
    code.includes('DATABASE_URL')
  const TITLE = '%s names scripts that exist and runs'

  test.each(shell.filter((block) => !needsServer(block)))(TITLE, (_, block) => runShell(block))

  test.skipIf(skipsPostgres('embedded-18')).each(shell.filter(needsServer))(TITLE, (_, block) =>
    runShell(block),
  )

  function runShell(block: Block): void {
    const lines = block.code
      .split('\n')
      .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    // npm itself is run by .ci/run; here its scripts need to exist.
    for (const [, script] of block.code.matchAll(/npm run ([\w:]+)/g)) {
      expect(Object.keys(manifest.scripts)).toContain(script)
    }
    const own = lines.filter((line) => !/^(?:npm|npx) /.test(line)).join('\n')
    const PATH = `${join(project, 'node_modules/.bin')}:${process.env.PATH}`
    const env = { ...process.env, ...urls, PATH }
    execFileSync('bash', ['-euo', 'pipefail', '-c', own], { cwd: project, env, stdio: 'pipe' })
  }

  test('README.md gives the two commands that .ci/run runs', () => {
    const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
    const ci = readFileSync(join(ROOT, '.ci/run'), 'utf8')
    expect(readme).toContain('npm ci && npm run demo')
    expect(readme).toContain('npm ci && npm test')
    expect(ci).toMatch(/^npm ci && npm test\b/m)
    expect(ci).toMatch(/\bnpm run demo\b/)
  })
})

describe('links of the pages', () => {
  test.each(pages)('%s links to files that exist', (page) => {
    const text = readFileSync(join(ROOT, page), 'utf8')
    const targets = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, target]) => target!)
    expect(targets.filter((target) => !existsSync(join(ROOT, dirname(page), target)))).toEqual([])
  })
})

describe('reading the pages', () => {
  const page = [
    'a',
    '```ts run',
    'const a = 1',
    '```',
    '```ts continues',
    'a',
    '```',
    '```sh',
    'ls',
    '```',
  ]

  test('keeps line numbers and joins what continues', () => {
    const [program, ...rest] = programsOf(blocksOf('docs/a.md', page.join('\n')))
    expect(rest).toEqual([])
    expect(program).toMatchObject({ line: 3, run: true })
    expect(program?.code.split('\n')).toEqual(['', '', 'const a = 1', '', '', 'a'])
  })

  test.each([
    ['an unclosed block', '```ts\n1', 'not closed'],
    ['an unknown marker', '```ts skip\n1\n```', 'unknown marker'],
    ['a part of nothing', '```ts continues\n1\n```', 'continues nothing'],
  ])('refuses %s', (_, text, why) => {
    expect(() => programsOf(blocksOf('docs/a.md', text))).toThrow(why)
  })
})

const newKey = (): string => randomBytes(32).toString('base64')

/** The package by its name, as a user has it, and what its users have beside it. */
function linkPackages(): void {
  const names = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.devDependencies)]
  for (const name of ['tenantkeys', ...names]) {
    const at = join(project, 'node_modules', name)
    mkdirSync(dirname(at), { recursive: true })
    symlinkSync(name === 'tenantkeys' ? ROOT : join(ROOT, 'node_modules', name), at)
  }
}

/** The command of the package, as npm links it. */
function linkCommand(): void {
  mkdirSync(join(project, 'node_modules/.bin'))
  symlinkSync(join(ROOT, manifest.bin.tenantkeys), join(project, 'node_modules/.bin/tenantkeys'))
}

/** @returns what tsc complains about; the JavaScript is in `out` all the same. */
function compile(): string {
  const compilerOptions = {
    target: 'ES2022',
    lib: ['ES2023', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable', 'ESNext.Disposable'],
    module: 'NodeNext',
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    outDir: 'out',
    rootDir: '.',
  }
  writeFileSync(
    join(project, 'tsconfig.json'),
    JSON.stringify({ compilerOptions, include: ['*.mts'] }),
  )
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }')
  try {
    return execFileSync(join(ROOT, 'node_modules/.bin/tsc'), ['-p', '.'], {
      cwd: project,
      encoding: 'utf8',
    })
  } catch (failed) {
    return String((failed as { stdout?: unknown }).stdout)
  }
}
