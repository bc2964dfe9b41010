/**
 * ST-18: a store that pushes tells its listeners of changes.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { Storage } from '../../storage/storage.ts'
import { type ConformanceCase, there } from './case.ts'
import { keyIdOf, NONE, newKey, tenants } from './samples.ts'

/** A push takes milliseconds; this only ends a suite that would wait for ever. */
const PATIENCE_MS = 60_000

/** Counts the calls of a listener, and waits for the next. */
function listening(storage: Storage) {
  let calls = 0
  let wake = (): void => {}
  const end = there(storage.onEpoch?.bind(storage))(() => {
    calls += 1
    wake()
  })
  const called = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no push came')), PATIENCE_MS)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  return { end, called, calls: () => calls }
}

const at = { tenantId: 'acme', keyId: keyIdOf(1) }

export const pushCases: readonly ConformanceCase[] = [
  {
    title: 'ST-18 every listener is told of a change that another handle made',
    needs: 'pushes',
    run: async ({ storage, another }) => {
      await tenants(storage, 'acme')
      await storage.keys.create(newKey('acme', 1), NONE)
      const second = await another()
      const listeners = [listening(storage), listening(second)]
      await Promise.all(listeners.map((listener) => listener.called()))
      for (const [changer, state] of [
        [second, 'disabled'],
        [storage, 'revoked'],
      ] as const) {
        const told = Promise.all(listeners.map((listener) => listener.called()))
        await changer.keys.setState({ ...at, state }, NONE)
        await told
      }
      for (const { end } of listeners) end()
    },
  },
  {
    title: 'ST-18 a listener that has ended is told nothing, and the others go on',
    needs: 'pushes',
    run: async ({ storage, another }) => {
      await tenants(storage, 'acme')
      await storage.keys.create(newKey('acme', 1), NONE)
      const ended = listening(storage)
      const kept = listening(storage)
      await kept.called()
      ended.end()
      ended.end()
      const before = ended.calls()
      const told = kept.called()
      await (await another()).keys.setState({ ...at, state: 'disabled' }, NONE)
      await told
      assert.equal(ended.calls(), before)
      kept.end()
    },
  },
]
