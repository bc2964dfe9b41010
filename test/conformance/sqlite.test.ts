import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'vitest'
import { sqlite } from '../../src/adapters/sqlite/index.ts'
import { storageConformance } from '../../src/testing/index.ts'

storageConformance(
  { describe, test },
  {
    capabilities: { name: 'sqlite', durable: true, multiProcess: true, multiHost: false },
    make: async ({ clock }) => {
      const folder = await mkdtemp(join(tmpdir(), 'tenantkeys-'))
      const open = () => sqlite({ file: join(folder, 'store.db'), synchronous: 'NORMAL', clock })
      return {
        storage: open(),
        reopen: async () => open(),
        // The file and its log are overwritten under the open connection.
        breakBackend: async () => {
          for (const name of await readdir(folder)) {
            await writeFile(join(folder, name), 'no database'.repeat(1000))
          }
        },
        dispose: () => rm(folder, { recursive: true, force: true }),
      }
    },
  },
)
