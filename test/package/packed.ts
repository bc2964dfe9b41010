/**
 * The package as a user gets it: packed, unpacked into an empty project, with its own runtime
 * dependencies beside it and nothing else (no optional peer, no development tool).
 *
 * @module
 */
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))

export interface PackedProject {
  /** The tarball. */
  readonly tarball: string
  /** Paths inside the package. */
  readonly files: readonly string[]
  /** A project whose node_modules holds the package and its runtime dependencies. */
  readonly project: string
  remove(): void
}

/** Scripts are off: nothing may build while the build is being looked at. */
export function packProject(): PackedProject {
  if (!existsSync(join(ROOT, 'dist/index.d.ts'))) throw new Error('dist is missing: npm run build')
  const project = mkdtempSync(join(tmpdir(), 'tenantkeys-pack-'))
  const [packed] = JSON.parse(
    run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', project]),
  ) as [{ filename: string; files: { path: string }[] }]
  const tarball = join(project, packed.filename)
  run('tar', ['-xzf', tarball, '-C', project])
  mkdirSync(join(project, 'node_modules'))
  renameSync(join(project, 'package'), join(project, 'node_modules/tenantkeys'))
  for (const path of runtimeDependencies()) {
    cpSync(join(ROOT, path), join(project, path), { recursive: true, dereference: true })
  }
  return {
    tarball,
    files: packed.files.map(({ path }) => path),
    project,
    remove: () => rmSync(project, { recursive: true, force: true }),
  }
}

/** `node_modules/...` of everything that a production install brings, as the lock file says. */
export function runtimeDependencies(): readonly string[] {
  const lock = JSON.parse(run('cat', ['package-lock.json'])) as {
    packages: Record<
      string,
      { dev?: boolean; peer?: boolean; devOptional?: boolean; optional?: boolean }
    >
  }
  return Object.entries(lock.packages)
    .filter(
      ([path, entry]) =>
        path !== '' && !entry.dev && !entry.peer && !entry.devOptional && !entry.optional,
    )
    .map(([path]) => path)
}

export function run(command: string, args: readonly string[], cwd = ROOT): string {
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}
