/**
 * ST-14: the first value pinned under a name stays.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { atOnce, type ConformanceCase } from './case.ts'

export const pinCases: readonly ConformanceCase[] = [
  {
    title: 'ST-14 the first value pinned under a name stays, and later callers are given it',
    run: async ({ storage }) => {
      assert.equal(await storage.pin('kek:a', 'first'), 'first')
      assert.equal(await storage.pin('kek:a', 'second'), 'first')
      assert.equal(await storage.pin('kek:a', 'first'), 'first')
      await storage.migrate()
      assert.equal(await storage.pin('kek:a', 'third'), 'first')
    },
  },
  {
    title: 'ST-14 names are apart, compared letter by letter, and any value may be pinned',
    run: async ({ storage }) => {
      const names = ['kek:a', 'kek:A', 'kek:a ', 'kek:', 'pepper:a', '__proto__', 'constructor']
      for (const name of names) assert.equal(await storage.pin(name, name), name)
      for (const name of names) assert.equal(await storage.pin(name, 'other'), name)
      assert.equal(await storage.pin('empty', ''), '')
      assert.equal(await storage.pin('empty', 'other'), '')
    },
  },
  {
    title: 'ST-14 ST-7 of callers that pin at once all are given the value of one of them',
    run: async ({ storage }) => {
      const given = await Promise.all(atOnce(16, (n) => storage.pin('race', `value ${n}`)))
      assert.equal(new Set(given).size, 1)
      assert.equal(await storage.pin('race', 'later'), given[0])
    },
  },
  {
    title: 'ST-14 a pinned value is there for another handle and after a restart',
    needs: 'durable',
    run: async ({ storage, another }) => {
      await storage.pin('kek:a', 'first')
      const second = await another()
      assert.equal(await second.pin('kek:a', 'second'), 'first')
      await storage.close()
      assert.equal(await (await another()).pin('kek:a', 'third'), 'first')
    },
  },
]
