/**
 * The peers of bench/package.json. They are installed on demand and never needed: without them their
 * rows are skipped, loudly.
 *
 * @module
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const FOLDER = fileURLToPath(new URL('../', import.meta.url))

/** The reason that stands where a peer's row would. */
export const NOT_INSTALLED = 'the peers are not installed (add --peers to install them)'

/** Neither a lock nor the scripts of foreign packages: they are measured, not shipped. */
export function installPeers() {
  const flags = ['--legacy-peer-deps', '--no-package-lock', '--ignore-scripts', '--no-audit']
  // Standard output belongs to the results.
  execFileSync('npm', ['install', '--prefix', FOLDER, ...flags, '--no-fund'], {
    stdio: ['ignore', process.stderr, process.stderr],
  })
}

/** @returns the modules in the order asked for, or `null` when the peers are not installed. */
export async function importPeers(...names) {
  if (!existsSync(new URL('../node_modules', import.meta.url))) return null
  return Promise.all(names.map((name) => import(name)))
}
