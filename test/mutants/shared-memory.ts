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
  pushes: true,
}

/** @param sabotage - what each handle does wrong. */
export function sharedMemory(
  clock: WallClock,
  sabotage: (handle: Storage, inner: Storage) => Storage,
): StoreUnderTest {
  const inner = memory({ clock })
  const listeners = new Set<() => void>()
  let broken = false
  /** Commands of one family, after each of which every listener is told. */
  const telling = <T extends object>(commands: T): T => {
    const told = Object.entries(commands).map(([name, run]) => [
      name,
      async (...args: unknown[]) => {
        const before = inner.epochNow?.().epoch
        const answer = await run(...args)
        if (inner.epochNow?.().epoch !== before) for (const listener of listeners) listener()
        return answer
      },
    ])
    return Object.fromEntries(told) as T
  }
  const onEpoch: NonNullable<Storage['onEpoch']> = (listener) => {
    const own = (): void => listener()
    listeners.add(own)
    queueMicrotask(own)
    return () => void listeners.delete(own)
  }
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
    const { tenants, keys } = guarded
    const pushing = { tenants: telling(tenants), keys: telling(keys), onEpoch }
    return sabotage({ ...guarded, ...pushing, capabilities: SHARED, close }, inner)
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
