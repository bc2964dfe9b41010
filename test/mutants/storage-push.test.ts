import { expect, test } from 'vitest'
import type { Storage } from '../../src/storage/storage.ts'
import { runSuite } from './recording-runner.ts'
import { SHARED, sharedMemory } from './shared-memory.ts'

type OnEpoch = NonNullable<Storage['onEpoch']>

/** What a handle does in place of the right thing. */
const MUTANTS: Readonly<Record<string, (onEpoch: OnEpoch) => OnEpoch>> = {
  'a listener is told when it begins to listen and never again': (onEpoch) => (listener) => {
    const end = onEpoch(() => {})
    queueMicrotask(listener)
    return end
  },
  'a listener that has ended is told all the same': (onEpoch) => (listener) => {
    onEpoch(listener)
    return () => {}
  },
  'ending one listener ends all': (onEpoch) => {
    let silent = false
    return (listener) => {
      const end = onEpoch(() => {
        if (!silent) listener()
      })
      return () => {
        silent = true
        end()
      }
    }
  },
}

const suite = (broken: (onEpoch: OnEpoch) => OnEpoch, patience: { readonly patienceMs?: number }) =>
  runSuite(
    {
      capabilities: SHARED,
      make: async ({ clock }) =>
        sharedMemory(clock, (handle) => ({ ...handle, onEpoch: broken(handle.onEpoch!) })),
    },
    { only: 'ST-18', ...patience },
  )

test('ST-18 the suite passes a store that pushes as it should', async () => {
  const { reasons, passed } = await suite((onEpoch) => onEpoch, {})
  expect(reasons).toEqual([])
  expect(passed.length).toBe(2)
})

test.each(Object.entries(MUTANTS))('ST-18 is caught: %s', async (_, broken) => {
  expect((await suite(broken, { patienceMs: 1000 })).failed).not.toEqual([])
})
