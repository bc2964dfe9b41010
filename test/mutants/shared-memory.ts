/**
 * A memory store behind handles, as a file is behind connections: it outlives a handle that is
 * closed, several may be open, and it can be made to fail. So that clauses about durable stores can
 * be broken one by one too.
 *
 * @module
 */
import { memory } from '../../src/adapters/memory/index.ts'
import type { WallClock } from '../../src/kernel/clock.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import type { Storage, StorageCapabilities } from '../../src/storage/storage.ts'
import { type StoreUnderTest, withFaults } from '../../src/testing/index.ts'

export const SHARED: StorageCapabilities = {
  name: 'shared memory',
  durable: true,
  multiProcess: true,
  multiHost: false,
}

/** @param sabotage - what each handle does wrong. */
export function sharedMemory(
  clock: WallClock,
  sabotage: (handle: Storage, inner: Storage) => Storage,
): StoreUnderTest {
  const inner = memory({ clock })
  let broken = false
  const open = (): Storage => {
    let closed = false
    const guarded = withFaults(inner, () => {
      if (closed) throw new TenantKeysError('TK_CLOSED')
      if (broken) throw new TenantKeysError('TK_STORE_UNAVAILABLE')
      return null
    })
    const close = async (): Promise<void> => {
      closed = true
    }
    return sabotage({ ...guarded, capabilities: SHARED, close }, inner)
  }
  return {
    storage: open(),
    reopen: async () => open(),
    breakBackend: async () => {
      broken = true
    },
    dispose: () => inner.close(),
  }
}
