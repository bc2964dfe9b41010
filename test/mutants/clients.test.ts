import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Mutant } from '../support/mutant.ts'
import { MUTANTS } from './client-bank.ts'
import { CORRIDOR } from './client-corridor-bank.ts'

const FOLDERS = ['kernel', 'clients', 'providers', 'request']
/** Everything. */
const ALL = readdirSync(new URL('../../src', import.meta.url))

describe.each([
  ...MUTANTS.map((mutant) => [...mutant, FOLDERS] as const),
  ...CORRIDOR.map((mutant) => [...mutant, ALL] as const),
])('%s', (_, sabotage, attack, folders) => {
  test('with the guard the attack fails', async () => {
    expect(await attack((file) => import(new URL(`../../src/${file}`, import.meta.url).href))).toBe(
      false,
    )
  })

  test('without it the attack succeeds', async () => {
    const mutant = new Mutant(sabotage, folders)
    try {
      expect(await attack((file) => mutant.load(file))).toBe(true)
    } finally {
      mutant.dispose()
    }
  })
})
