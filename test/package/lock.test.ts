import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

interface Entry {
  readonly version?: string
  readonly resolved?: string
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const file = new URL('../../package-lock.json', import.meta.url)
const packages: Readonly<Record<string, Entry>> = JSON.parse(readFileSync(file, 'utf8')).packages

test('the lock names no place to download from', () => {
  expect(Object.keys(packages).length).toBeGreaterThan(100)
  expect(Object.entries(packages).filter(([, entry]) => entry.resolved !== undefined)).toEqual([])
})

test('the lock holds the optional packages of every platform (scripts/complete-lock.mjs adds them)', () => {
  const wanted = Object.values(packages).flatMap((entry) =>
    Object.keys(entry.optionalDependencies ?? {}),
  )
  expect(wanted.length).toBeGreaterThan(20)
  expect(wanted.filter((name) => packages[`node_modules/${name}`]?.version === undefined)).toEqual(
    [],
  )
})
