/**
 * Stores that keep pins wrongly, each in one way: a case of ST-14 must notice.
 *
 * @module
 */
import { expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { storageConformance } from '../../src/testing/index.ts'

type Pin = Storage['pin']

/** The titles of the cases of ST-14 that a store with this `pin` fails. */
async function failing(breakPin: (pin: Pin) => Pin): Promise<readonly string[]> {
  const cases: { readonly title: string; readonly body: () => Promise<void> }[] = []
  const skip = (): void => {}
  const add = (title: string, body: () => Promise<void>): void => void cases.push({ title, body })
  storageConformance(
    { describe: (_, body) => body(), test: Object.assign(add, { skip }) },
    {
      capabilities: { name: 'memory', durable: false, multiProcess: false, multiHost: false },
      make: async ({ clock }) => {
        const storage = memory({ clock })
        return { storage: { ...storage, pin: breakPin(storage.pin) }, dispose: async () => {} }
      },
    },
  )
  const own = cases.filter(({ title }) => title.startsWith('ST-14'))
  const results = await Promise.allSettled(own.map(({ body }) => body()))
  return own.flatMap(({ title }, i) => (results[i]?.status === 'rejected' ? [title] : []))
}

const mutants: Readonly<Record<string, (pin: Pin) => Pin>> = {
  'the last value wins': () => {
    const pins = new Map<string, string>()
    return async (name, value) => {
      pins.set(name, value)
      return value
    }
  },
  'the value given is answered, not the one stored': (pin) => async (name, value) => {
    await pin(name, value)
    return value
  },
  'names are folded to one case': (pin) => (name, value) => pin(name.toLowerCase(), value),
  'blanks around a name are dropped': (pin) => (name, value) => pin(name.trim(), value),
  'an empty value counts as none': () => {
    const pins = new Map<string, string>()
    return async (name, value) => {
      if (!pins.get(name)) pins.set(name, value)
      return pins.get(name)!
    }
  },
  'names are looked up in an object with a prototype': () => {
    const pins: Record<string, string> = {}
    return async (name, value) => {
      pins[name] ??= value
      return pins[name]
    }
  },
  'the look-up and the write are two steps': () => {
    const pins = new Map<string, string>()
    return async (name, value) => {
      const stored = pins.get(name)
      await Promise.resolve()
      if (stored === undefined) pins.set(name, value)
      return stored ?? value
    }
  },
}

test('ST-14 a store that keeps pins as it should fails no case', async () => {
  expect(await failing((pin) => pin)).toEqual([])
})

test.each(Object.entries(mutants))('ST-14 is not kept when %s', async (_, breakPin) => {
  expect(await failing(breakPin)).not.toEqual([])
})
