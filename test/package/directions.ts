/**
 * Which part of `src` may import which: the table behind docs/architecture.md, and its judge.
 *
 * @module
 */
import { posix } from 'node:path'
import { COMPUTED, type ImportedModule, importsOf, packageOf } from './imports.ts'

/** Port and type files: all that one capability or adapter may see of another capability. */
const PORTS = [
  'keys/key-issuer.ts',
  'secrets/secret-store.ts',
  'secrets/key-wrapper.ts',
  'policy/scope-policy.ts',
  'budgets/budget-guard.ts',
  'usage/usage-sink.ts',
  'providers/provider.ts',
]

/** Pure rules beside a port, run or translated by every adapter. */
const RULES = [
  'budgets/ledger.ts',
  'budgets/item-checks.ts',
  'budgets/amounts.ts',
  'budgets/counters.ts',
  'budgets/plan-rows.ts',
  'budgets/entries.ts',
  'budgets/prune.ts',
  'budgets/repair.ts',
  'budgets/reprice.ts',
  'budgets/rate.ts',
  'budgets/money.ts',
  'budgets/windows.ts',
  'audit/chain.ts',
  'usage/event-text.ts',
]

const CAPABILITIES = [
  'keys/',
  'secrets/',
  'policy/',
  'budgets/',
  'usage/',
  'routing/',
  'tenants/',
  'audit/',
  'providers/',
]

const GROUND = ['kernel/', 'storage/']
const CONTRACTS = [...GROUND, ...PORTS, ...RULES]
const BELOW_REQUEST = [...GROUND, ...CAPABILITIES]

/** What each room may import besides itself: folders (with a slash) and single files. */
function allowedFrom(room: string): readonly string[] | null {
  if (room === 'kernel/') return []
  if (room === 'storage/') return ['kernel/']
  if (CAPABILITIES.includes(room) || room.startsWith('adapters/')) return CONTRACTS
  if (room === 'request/') return BELOW_REQUEST
  if (room === 'clients/') return [...BELOW_REQUEST, 'request/']
  if (room === 'testing/') return [...CONTRACTS, 'policy/']
  if (room === 'cli/') return [...BELOW_REQUEST, 'adapters/']
  if (room === '') return [...BELOW_REQUEST, 'request/', 'clients/', 'adapters/memory/']
  return null
}

/** Packages that the sources may name, and how. Everything else is the user's own. */
const PACKAGES: Readonly<Record<string, 'any' | 'namespace' | 'lazy'>> = {
  zod: 'namespace',
  '@noble/ciphers': 'any',
  '@noble/hashes': 'any',
  'lru-cache': 'any',
  'p-retry': 'any',
  'eventsource-parser': 'any',
  '@pydantic/genai-prices': 'lazy',
}

/** Packages that are built into the command and that nothing else may name. */
const COMMAND_PACKAGES: readonly string[] = ['commander']

/** Drivers that an adapter or the command may load when it is used, never on import. */
const DRIVERS: Readonly<Record<string, readonly string[]>> = {
  'adapters/sqlite/': ['libsql', 'better-sqlite3'],
  'cli/': ['pg', 'postgres'],
}

/** `adapters/sqlite/` for an adapter, `keys/` for a folder, the empty string for files at the top. */
function roomOf(file: string): string {
  const parts = file.split('/')
  const depth = parts[0] === 'adapters' ? 2 : 1
  return parts.length > depth ? `${parts.slice(0, depth).join('/')}/` : ''
}

/**
 * @param sources - Path below `src` to text.
 * @returns one sentence per breach; empty when all directions hold.
 */
export function breaches(sources: ReadonlyMap<string, string>): readonly string[] {
  const found: string[] = []
  for (const [file, text] of sources) {
    for (const module of importsOf(file, text)) {
      const why = module.specifier.startsWith('.') ? inside(file, module) : outside(file, module)
      if (why !== null) found.push(`${file} imports ${module.specifier}: ${why}`)
    }
  }
  return found
}

function inside(file: string, { specifier }: ImportedModule): string | null {
  const room = roomOf(file)
  const target = posix.join(posix.dirname(file), specifier)
  if (target.startsWith('../')) return 'it leaves src'
  if (roomOf(target) === room) return null
  if (roomOf(target) === 'testing/') return 'nothing imports testing'
  const allowed = allowedFrom(room)
  if (allowed === null) return `no rule for ${room}; add it to the table`
  const ok = allowed.some(
    (entry) => target === entry || (entry.endsWith('/') && target.startsWith(entry)),
  )
  return ok ? null : `${room || 'the root'} may not`
}

function outside(file: string, { specifier, kind, namespace }: ImportedModule): string | null {
  const room = roomOf(file)
  if (specifier.startsWith('node:')) {
    const ok = room.startsWith('adapters/') || room === 'testing/' || room === 'cli/'
    return ok ? null : 'builtins only in adapters, testing and cli'
  }
  if (specifier === COMPUTED) {
    return DRIVERS[room] === undefined ? 'a computed name is for drivers only' : null
  }
  const name = packageOf(specifier)
  if (room === 'cli/' && COMMAND_PACKAGES.includes(name)) return null
  if (DRIVERS[room]?.includes(name)) return kind === 'dynamic' ? null : 'a driver is loaded on use'
  const rule = PACKAGES[name]
  if (rule === undefined) return 'not a package that the sources may name'
  if (rule === 'namespace' && !namespace) return 'write import * as z, the named form costs 360 KB'
  if (rule === 'lazy' && kind === 'static') return 'loaded on use only'
  return null
}
