import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { rows } from '../support/bad-input/all.ts'
import { dump } from '../support/bad-input/dump.ts'
import { type Bench, expectRefusal } from '../support/bad-input/row.ts'
import { damageRows, laterRows } from '../support/bad-input/stores.ts'
import { install } from '../support/installation.ts'
import { chat, startProvider } from '../support/provider-server.ts'
import { temporaryFiles } from '../support/sqlite.ts'

const fileOf = temporaryFiles()
const stores: Readonly<Record<string, () => Storage>> = {
  memory,
  sqlite: () => sqlite({ file: fileOf('bench.db'), synchronous: 'NORMAL' }),
}

describe.each(Object.entries(stores))('over %s', (_, makeStore) => {
  let bench: Bench
  beforeAll(async () => {
    const storage = makeStore()
    const server = await startProvider(chat)
    bench = { storage, server, ...(await install(server.baseUrl, { storage })) }
  })
  afterAll(async () => {
    await bench.tk.close()
    await bench.server.close()
  })

  test.each(rows.map((row) => [row.method, row.what, row] as const))(
    '%s refuses %s',
    async (_method, _what, row) => {
      const before = await dump(bench.storage)
      await expectRefusal(row, bench)
      expect(await dump(bench.storage)).toEqual(before)
    },
  )
})

describe('the table', () => {
  /** They take nothing that could be bad. */
  const WITHOUT_INPUT = ['flush', 'close', 'plans.list', 'outbox.status', 'prices.bundled']
  const FUNCTIONS = [
    ...['createTenantKeys', 'definePolicy', 'definePlans', 'localKeyWrapper', 'sqlite', 'memory'],
    ...['seal', 'open', 'dekIdOf', 'envelopeToText', 'envelopeFromText'],
    ...['generateKey', 'parseKey', 'hashKey', 'parseUsd', 'formatUsd', 'Secret'],
  ]
  const counts = new Map<string, number>()
  for (const { method } of [...rows, ...damageRows, ...laterRows]) {
    counts.set(method, (counts.get(method) ?? 0) + 1)
  }

  test('has at least 150 cases, each of its own title', () => {
    const titles = rows.map(({ method, what }) => `${method} ${what}`)
    expect(titles.length).toBeGreaterThanOrEqual(150)
    expect(titles.filter((title, i) => titles.indexOf(title) !== i)).toEqual([])
  })

  test('T-B9 has 40 amounts that are none', () => {
    const amounts = rows.filter(({ what }) => what.startsWith('T-B9 limit.usd'))
    expect(amounts.length).toBeGreaterThanOrEqual(40)
  })

  test('has two rows or more for every method of the facade', async () => {
    await using server = await startProvider(chat)
    const { tk } = await install(server.baseUrl)
    const methods = Object.entries(tk).flatMap(([name, part]: [string, unknown]) =>
      typeof part === 'function' ? [name] : Object.keys(part as object).map((n) => `${name}.${n}`),
    )
    expect(methods.length).toBeGreaterThan(25)
    const needed = methods.filter((name) => !WITHOUT_INPUT.includes(name))
    expect(needed.filter((name) => (counts.get(name) ?? 0) < 2)).toEqual([])
    await tk.close()
  })

  test('has two rows or more for every function that works without an installation', () => {
    expect(FUNCTIONS.filter((name) => (counts.get(name) ?? 0) < 2)).toEqual([])
  })

  test('names no method that there is not', async () => {
    await using server = await startProvider(chat)
    const { tk } = await install(server.baseUrl)
    const known = (name: string): boolean =>
      FUNCTIONS.includes(name) ||
      typeof name.split('.').reduce<unknown>((part, n) => (part as never)[n], tk) === 'function'
    expect([...counts.keys()].filter((name) => !known(name))).toEqual([])
    await tk.close()
  })
})
