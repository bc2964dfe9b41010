import { copyFileSync, readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import type { TenantKeysOptions } from '../../src/options.ts'
import { definePolicy } from '../../src/policy/define-policy.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import { createTenantKeys, type TenantKeys } from '../../src/tenant-keys.ts'
import { CANARY } from '../support/bad-input/row.ts'
import { type Damaged, damageRows, fileRows, laterRows } from '../support/bad-input/stores.ts'
import { install } from '../support/installation.ts'
import { chat, type ProviderServer, startProvider } from '../support/provider-server.ts'
import { queryAll, tamper, temporaryFiles } from '../support/sqlite.ts'
import { testKey } from '../support/test-key.ts'

const fileOf = temporaryFiles()
const template = fileOf('template.db')
const CHAT = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hello' }] }
let server: ProviderServer
let key: string
let keyId: string

beforeAll(async () => {
  server = await startProvider(chat)
  const made = await install(server.baseUrl, { storage: sqlite({ file: template }) })
  ;({ key, keyId } = made)
  await made.client().chat.completions.create(CHAT as never)
  await made.tk.close()
  // One file to copy: what the log holds is brought into it.
  tamper(template, 'PRAGMA wal_checkpoint(TRUNCATE)')
})
afterAll(() => server.close())

const options = (file: string): TenantKeysOptions => ({
  storage: sqlite({ file, synchronous: 'NORMAL', busyTimeoutMs: 200 }),
  keyWrapper: localKeyWrapper([{ id: 'kek-1', key: testKey(1) }]),
  peppers: [{ id: 'pep-1', key: testKey(2) }],
  policy: definePolicy({
    scopes: { 'support:chat': { providers: ['openai'], models: ['gpt-4o-mini'] } },
  }),
  providers: { openai: { baseUrl: server.baseUrl } },
  plans: { pro: { version: 1, budgets: [{ window: 'month', limit: { tokens: 1000 } }] } },
})

let copies = 0
function copyOfTemplate(): string {
  const file = fileOf(`copy-${++copies}.db`)
  copyFileSync(template, file)
  return file
}

function damaged(tk: TenantKeys): Damaged {
  const request = { method: 'POST', body: JSON.stringify(CHAT) }
  const call = (): Promise<unknown> =>
    tk.fetch({ key })(`${server.baseUrl}/chat/completions`, request)
  return { tk, key, keyId, call }
}

const outcomeOf = (work: Promise<unknown>): Promise<{ value: unknown } | { error: unknown }> =>
  work.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )

/** The rows of all tables but the store's own clock; holds only where they matter. */
function tablesOf(file: string, withHolds: boolean): object {
  const names = queryAll(file, "SELECT name FROM sqlite_schema WHERE type = 'table'")
  const kept = names
    .map(({ name }) => String(name))
    .filter((name) => name !== 'tk_meta' && (withHolds || name !== 'tk_holds'))
  return Object.fromEntries(kept.map((name) => [name, queryAll(file, `SELECT * FROM ${name}`)]))
}

describe('rows that somebody edited', () => {
  test.each(damageRows.map((row) => [row.method, row.what, row] as const))(
    '%s refuses %s',
    async (_method, _what, { sql, act, code, asValue = false, voids = false }) => {
      const file = copyOfTemplate()
      tamper(file, sql)
      const tk = await createTenantKeys(options(file))
      const calls = server.requests.length
      const before = tablesOf(file, !voids)

      const outcome = await outcomeOf(act(damaged(tk)))
      if (asValue) expect(outcome).toMatchObject({ value: { ok: false, code } })
      else {
        const { error } = outcome as { error: TenantKeysError }
        expect(TenantKeysError.isInstance(error), `foreign: ${String(error)}`).toBe(true)
        expect(error.code).toBe(code)
        for (const text of [error.message, JSON.stringify(error), String(error.stack)]) {
          expect(text).not.toContain(CANARY)
        }
      }
      expect(server.requests.length).toBe(calls)
      expect(tablesOf(file, !voids)).toEqual(before)
      const open = queryAll(file, "SELECT * FROM tk_holds WHERE state = 'held'")
      expect(open).toEqual([])
      await tk.close()
    },
  )
})

describe('files that are no store', () => {
  test.each(fileRows.map((row) => [row.what, row] as const))(
    'createTenantKeys refuses %s, and leaves it as it is',
    async (_what, { prepare, code, field }) => {
      for (const migrate of [true, false]) {
        const file = fileOf(`bad-${++copies}.db`)
        prepare(file)
        // A database is switched to WAL before its tables are looked at.
        const before = code === 'TK_STORE_CORRUPT' ? readFileSync(file) : null
        const given = { ...options(file), migrate }
        const outcome = await outcomeOf(createTenantKeys(given))
        // Without migrate() a file without our tables may still get them.
        if (!migrate && ['TK_STORE_NOT_MIGRATED', 'TK_CONFIG_INVALID'].includes(code)) {
          const { value: tk } = outcome as { value: TenantKeys }
          await expect(tk.migrate()).rejects.toMatchObject({ code })
          expect(await tk.health()).toMatchObject({ ok: false, code: 'TK_STORE_NOT_MIGRATED' })
        } else {
          const { error } = outcome as { error: TenantKeysError }
          expect(TenantKeysError.isInstance(error), String(error)).toBe(true)
          expect({ code: error.code, field: error.details.field ?? null }).toEqual({ code, field })
          expect(JSON.stringify(error) + String(error.stack)).not.toContain(CANARY)
        }
        await given.storage.close()
        if (before) expect(readFileSync(file).equals(before)).toBe(true)
      }
    },
  )

  test('a folder that is not there is TK_STORE_UNAVAILABLE, and is not made', async () => {
    const file = fileOf(`no-${CANARY}/store.db`)
    const error: unknown = await createTenantKeys(options(file)).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'TK_STORE_UNAVAILABLE' })
    expect(JSON.stringify(error) + String((error as Error).stack)).not.toContain(CANARY)
    expect(() => statSync(dirname(file))).toThrow(expect.objectContaining({ code: 'ENOENT' }))
  })
})

describe('a file that goes bad while it is open', () => {
  test.each(laterRows.map((row) => [row.method, row.what, row] as const))(
    '%s says so of %s, and never that something is absent',
    async (method, _what, { damage, act, codes }) => {
      const file = copyOfTemplate()
      const tk = await createTenantKeys(options(file))
      damage(file)
      const outcome = await outcomeOf(act(damaged(tk)))
      const refusal = 'error' in outcome ? outcome.error : (outcome.value as TenantKeysError)
      if (method === 'health') expect(outcome).toMatchObject({ value: { ok: false } })
      else expect(outcome).toHaveProperty('error')
      expect(codes).toContain((refusal as TenantKeysError).code)
      expect(JSON.stringify(refusal) + String((refusal as Error).stack)).not.toContain(CANARY)
      await tk.close().catch(() => {})
    },
  )
})
