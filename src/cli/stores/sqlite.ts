/**
 * A SQLite file as the commands see it.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { inspectSqlite, sqlite, sqliteMigrations } from '../../adapters/sqlite/index.ts'
import type { Storage } from '../../storage/storage.ts'
import type { Store } from './store.ts'

/** A command line may wait longer than a request. */
const BUSY_TIMEOUT_MS = 60_000

export function sqliteStore(file: string): Store {
  const open = async (): Promise<Storage> => sqlite({ file, busyTimeoutMs: BUSY_TIMEOUT_MS })
  return {
    kind: 'sqlite',
    shown: `sqlite:${file}`,
    spec: { kind: 'sqlite', file },
    open,
    inspect: () => inspectSqlite({ file }),
    migrate: async () => {
      const storage = await open()
      try {
        await storage.migrate()
      } finally {
        await storage.close()
      }
    },
    migrations: sqliteMigrations,
    scratch: async () => {
      // In the same folder: the figures are about that disk.
      const name = `.tenantkeys-crash-test-${randomBytes(6).toString('hex')}.db`
      const scratch = join(dirname(file), name)
      return {
        store: sqliteStore(scratch),
        name: scratch,
        remove: async () => {
          for (const end of ['', '-wal', '-shm']) rmSync(scratch + end, { force: true })
        },
      }
    },
  }
}
