// Bundles the simulation from the sources and runs it: `npm run simulate -- --help` is in its head.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'tsup'

const root = new URL('..', import.meta.url).pathname
const folder = mkdtempSync(join(root, 'node_modules', '.simulate-'))
try {
  await build({
    entry: { main: join(root, 'test/simulation/main.ts') },
    outDir: folder,
    format: 'esm',
    target: 'node20',
    config: false,
    dts: false,
    silent: true,
    splitting: false,
    removeNodeProtocol: false,
    outExtension: () => ({ js: '.mjs' }),
  })
  const args = [join(folder, 'main.mjs'), ...process.argv.slice(2)]
  process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
