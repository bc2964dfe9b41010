import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { breaches } from './directions.ts'

const SRC = new URL('../../src/', import.meta.url)

function sources(): Map<string, string> {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((f) =>
    f.endsWith('.ts'),
  )
  return new Map(
    files.map((file) => [file.replaceAll('\\', '/'), readFileSync(new URL(file, SRC), 'utf8')]),
  )
}

describe('directions of imports', () => {
  test('src keeps every direction of docs/architecture.md', () => {
    const all = sources()
    expect(all.size).toBeGreaterThan(20)
    expect(breaches(all)).toEqual([])
  })
})

/** Made-up sources: file, its line, and a word of the sentence that must come back. */
const BAD: readonly (readonly [string, string, string])[] = [
  ['kernel/a.ts', "import { x } from '../storage/storage.ts'", 'kernel/ may not'],
  ['kernel/a.ts', "import type { X } from '../keys/key-issuer.ts'", 'kernel/ may not'],
  ['storage/a.ts', "import { x } from '../budgets/ledger.ts'", 'storage/ may not'],
  ['keys/a.ts', "import { x } from '../secrets/envelope.ts'", 'keys/ may not'],
  ['keys/a.ts', "export { x } from '../secrets/envelope.ts'", 'keys/ may not'],
  ['keys/a.ts', "export * from '../request/corridor.ts'", 'keys/ may not'],
  ['usage/a.ts', "const x = await import('../request/settle.ts')", 'usage/ may not'],
  ['policy/a.ts', "type X = import('../adapters/memory/index.ts').X", 'policy/ may not'],
  ['request/a.ts', "import { x } from '../clients/openai/index.ts'", 'request/ may not'],
  ['request/a.ts', "import { x } from '../adapters/memory/index.ts'", 'request/ may not'],
  ['request/a.ts', "import { x } from '../index.ts'", 'request/ may not'],
  ['clients/openai/a.ts', "import { x } from '../../adapters/memory/index.ts'", 'clients/ may not'],
  ['adapters/sqlite/a.ts', "import { x } from '../memory/index.ts'", 'adapters/sqlite/ may not'],
  [
    'adapters/sqlite/a.ts',
    "import { x } from '../../request/settle.ts'",
    'adapters/sqlite/ may not',
  ],
  [
    'adapters/sqlite/a.ts',
    "import { x } from '../../keys/key-format.ts'",
    'adapters/sqlite/ may not',
  ],
  ['index.ts', "export { sqlite } from './adapters/sqlite/index.ts'", 'the root may not'],
  ['tenant-keys.ts', "import { x } from './adapters/sqlite/index.ts'", 'the root may not'],
  ['index.ts', "export { x } from './testing/index.ts'", 'nothing imports testing'],
  [
    'adapters/memory/a.ts',
    "import { x } from '../../testing/fake-clock.ts'",
    'nothing imports testing',
  ],
  ['testing/a.ts', "import { x } from '../request/corridor.ts'", 'testing/ may not'],
  ['cli/a.ts', "import { x } from '../request/settle.ts'", 'cli/ may not'],
  ['cli/a.ts', "import { x } from '../testing/fake-clock.ts'", 'nothing imports testing'],
  ['cli/a.ts', "import pg from 'pg'", 'loaded on use'],
  ['keys/a.ts', "import { Command } from 'commander'", 'not a package'],
  ['keys/a.ts', "import { x } from '../cli/exit.ts'", 'keys/ may not'],
  ['index.ts', "export { x } from './cli/exit.ts'", 'the root may not'],
  ['garage/a.ts', "import { x } from '../kernel/ids.ts'", 'no rule for garage/'],
  ['keys/a.ts', "import { x } from '../../test/unit/helper.ts'", 'it leaves src'],
  ['keys/a.ts', "import { createHash } from 'node:crypto'", 'builtins only'],
  ['kernel/a.ts', "const fs = await import('node:fs')", 'builtins only'],
  ['keys/a.ts', "import { createHash } from 'crypto'", 'not a package'],
  ['clients/openai/a.ts', "import OpenAI from 'openai'", 'not a package'],
  ['clients/openai/a.ts', "import type OpenAI from 'openai'", 'not a package'],
  ['index.ts', "const express = require('express')", 'not a package'],
  ['adapters/sqlite/a.ts', "import Database from 'libsql'", 'loaded on use'],
  ['adapters/sqlite/a.ts', "import type Database from 'better-sqlite3'", 'loaded on use'],
  ['adapters/memory/a.ts', "const x = await import('libsql')", 'not a package'],
  ['usage/a.ts', 'const x = await import(name)', 'a computed name'],
  ['keys/a.ts', "import { z } from 'zod'", 'import * as z'],
  ['keys/a.ts', "import z from 'zod'", 'import * as z'],
  ['usage/a.ts', "import { calcPrice } from '@pydantic/genai-prices'", 'loaded on use'],
]

const GOOD: readonly (readonly [string, string])[] = [
  ['keys/a.ts', "import type { SecretStore } from '../secrets/secret-store.ts'"],
  [
    'keys/a.ts',
    "import { sha256 } from '@noble/hashes/sha2.js'\nimport { x } from './key-format.ts'",
  ],
  ['tenants/a.ts', "import * as z from 'zod'"],
  ['usage/a.ts', "const prices = await import('@pydantic/genai-prices')"],
  [
    'adapters/sqlite/a.ts',
    "import { chain } from '../../audit/chain.ts'\nimport { x } from 'node:fs'",
  ],
  ['adapters/sqlite/a.ts', "const driver = await import('libsql')"],
  ['adapters/sqlite/a.ts', 'const driver = await import(name)'],
  ['request/a.ts', "import { x } from '../usage/price.ts'"],
  ['index.ts', "export { memory } from './adapters/memory/index.ts'"],
  ['testing/a.ts', "import assert from 'node:assert/strict'"],
  [
    'cli/a.ts',
    "import { Command } from 'commander'\nimport { x } from '../adapters/sqlite/index.ts'",
  ],
  ['keys/a.ts', '// import { x } from "../request/settle.ts"'],
]

describe('the check of directions itself', () => {
  test.each(BAD)('catches a breach in %s: %s', (file, text, why) => {
    expect(breaches(new Map([[file, text]]))).toEqual([expect.stringContaining(why)])
  })

  test.each(GOOD)('lets pass in %s: %s', (file, text) => {
    expect(breaches(new Map([[file, text]]))).toEqual([])
  })
})
