/**
 * Follows docs/adding-a-provider.md: writes the files that the page shows into a copy of the sources,
 * and meters calls with the provider that they make.
 *
 * @module
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type * as entry from '../../src/index.ts'
import { startProvider } from '../support/provider-server.ts'
import { testKey } from '../support/test-key.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const page = readFileSync(join(ROOT, 'docs/adding-a-provider.md'), 'utf8')
const KEY = ['acme', '0123456789abcdef', 'CANARY'].join('-')

/** The blocks of the page that open with the name of a file, by that name. */
const files = new Map(
  [...page.matchAll(/```text\n\/\/ (src\/\S+)\n([\s\S]*?)```/g)].map(([, name, code]) => [
    name ?? '',
    code ?? '',
  ]),
)

let copy: string
let tenantkeys: typeof entry
beforeAll(async () => {
  copy = mkdtempSync(join(tmpdir(), 'tenantkeys-page-'))
  cpSync(join(ROOT, 'src'), join(copy, 'src'), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  for (const [name, code] of files) {
    const path = join(copy, name)
    if (!name.endsWith('catalogue.ts')) writeFileSync(path, code)
    else {
      // What the page shows is added to the file: imports to the imports, the rest to the list.
      const lines = code.split('\n').filter((line) => line !== '')
      const imports = lines.filter((line) => line.startsWith('import '))
      const entries = lines.filter((line) => !line.startsWith('import '))
      const text = readFileSync(path, 'utf8')
        .replace('\nimport ', `\n${imports.join('\n')}\nimport `)
        .replace('\n  openai,\n', `\n  openai,\n${entries.join('\n')}\n`)
      writeFileSync(path, text)
    }
  }
  tenantkeys = (await import(join(copy, 'src/index.ts'))) as typeof entry
})
afterAll(() => rmSync(copy, { recursive: true, force: true }))

test('the page shows the two files', () => {
  expect([...files.keys()]).toEqual(['src/providers/acme.ts', 'src/providers/catalogue.ts'])
})

test.each([
  ['a plain answer', false],
  ['a stream', true],
])('%s of the provider that the page adds is bounded, sent and measured', async (_, stream) => {
  const meter = { in: 100, cached: 40, out: 7, micros: 12.5 }
  await using server = await startProvider((_seen, response) => {
    response.writeHead(200, { 'content-type': stream ? 'text/event-stream' : 'application/json' })
    response.end(
      stream
        ? `data: {"piece":"Hello"}\n\nevent: done\ndata: ${JSON.stringify({ meter, engine: 'acme-1' })}\n\n`
        : JSON.stringify({ text: 'Hello', meter, engine: 'acme-1' }),
    )
  })
  const { createTenantKeys, definePolicy, localKeyWrapper, memory } = tenantkeys
  await using tk = await createTenantKeys({
    storage: memory(),
    keyWrapper: localKeyWrapper([{ id: 'kek-1', key: testKey(1) }]),
    peppers: [{ id: 'pep-1', key: testKey(2) }],
    policy: definePolicy({ scopes: { write: { providers: ['acme'], models: ['acme-1'] } } }),
    providers: { acme: { baseUrl: new URL(server.baseUrl).origin } },
    prices: [{ provider: 'acme', model: 'acme-1', inputUsdPerMTok: '1', outputUsdPerMTok: '4' }],
  })
  await tk.tenants.create({ id: 'shop' })
  await tk.secrets.put({ tenantId: 'shop', provider: 'acme', value: { apiKey: KEY } })
  const { key } = await tk.keys.issue({ tenantId: 'shop', name: 'web', scopes: ['write'] })

  const fetch = tk.fetch({ key, provider: 'acme' })
  const ask = { engine: 'acme-1', prompt: 'Hello', stream }
  const url = 'https://api.acme.example/write'
  const answer = await fetch(url, { method: 'POST', body: JSON.stringify(ask) })
  await answer.text()

  expect(server.requests[0]).toMatchObject({ url: '/write', headers: { 'acme-key': KEY } })
  expect(server.requests[0]?.body).toEqual({ ...ask, limit: 4096 })
  expect(await tk.receiptOf(answer)).toMatchObject({
    quality: 'measured',
    servedModel: 'acme-1',
    tokens: { input: 140, cacheRead: 40, output: 7 },
    costNanoUsd: 140_000n + 28_000n,
    providerCostNanoUsd: 12_500n,
  })
})
