import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { rows } from '../support/bad-input/all.ts'
import { dump } from '../support/bad-input/dump.ts'
import { type Bench, expectRefusal } from '../support/bad-input/row.ts'
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
