// Adds to package-lock.json the optional platform packages that are missing from it.
//
// A registry that mirrors only some platforms leaves the others out of the lock, and then `npm ci`
// refuses the lock everywhere. Version, system and processor follow from the parent's own list and
// the name; npm takes the checksum of such an entry from the registry when it installs it.
// Run it after every change of dependencies: node scripts/complete-lock.mjs
import { readFileSync, writeFileSync } from 'node:fs'

const FILE = new URL('../package-lock.json', import.meta.url)
const PLATFORM =
  /-(aix|android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32)-([a-z0-9]+)(?:-(eabi|gnu|musl|msvc)[a-z]*)?$/

const lock = JSON.parse(readFileSync(FILE, 'utf8'))
const added = {}
for (const parent of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    const path = `node_modules/${name}`
    if (path in lock.packages) continue
    const [, os, cpu, abi] = PLATFORM.exec(name) ?? []
    if (os === undefined || !/^\d+\.\d+\.\d+/.test(version))
      throw new Error(`cannot add ${name}@${version}`)
    const libc = os === 'linux' && abi ? { libc: [abi === 'musl' ? 'musl' : 'glibc'] } : {}
    added[path] = {
      version,
      cpu: [cpu],
      ...(parent.dev ? { dev: true } : {}),
      ...libc,
      optional: true,
      os: [os],
    }
  }
}
const { '': root, ...rest } = lock.packages
const sorted = Object.entries({ ...rest, ...added }).sort(([a], [b]) => a.localeCompare(b, 'en'))
lock.packages = { '': root, ...Object.fromEntries(sorted) }
writeFileSync(FILE, `${JSON.stringify(lock, null, 2)}\n`)
console.log(`${Object.keys(added).length} added`)
