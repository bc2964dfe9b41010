/**
 * One row of the table of bad input: which public method, given what, refuses it how.
 *
 * @module
 */
import { expect } from 'vitest'
import { type ErrorCode, TenantKeysError } from '../../../src/kernel/errors.ts'
import type { Storage } from '../../../src/storage/storage.ts'
import { walk } from '../canaries.ts'
import type { Installation } from '../installation.ts'
import type { ProviderServer } from '../provider-server.ts'

/** Stands in every text that is refused, so that an echo of the text is found. */
export const CANARY = 'canary-5f1c9e'

/** What a row may use: the tenants `reseller` and `acme` with a key, a secret and a budget. */
export interface Bench extends Pick<Installation, 'tk' | 'key' | 'keyId' | 'client'> {
  readonly storage: Storage
  readonly server: ProviderServer
}

export interface Row {
  /** As the facade names it, for example `tenants.create`; or the name of an export. */
  readonly method: string
  /** What is wrong with the input. */
  readonly what: string
  readonly run: (bench: Bench) => unknown
  readonly code: ErrorCode
  /** `details.field`; `null`: the code says it all. */
  readonly field: string | null
  /** True when the method answers with a denial as a value instead of throwing. */
  readonly asValue?: boolean
  /** True when the method answers `null` instead: what it was asked for is not there. */
  readonly asNull?: boolean
}

/** Types lie here on purpose: callers without a compiler send what they have. */
export const as = <T>(value: unknown): T => value as T

/** Runs a row and checks all that is promised about its refusal but what the store holds. */
export async function expectRefusal(
  { run, code, field, asValue, asNull }: Row,
  bench: Bench,
): Promise<unknown> {
  const calls = bench.server.requests.length
  const outcome = await settled(async () => run(bench))
  if (asNull) {
    expect(outcome).toEqual({ value: null })
    return null
  }
  if (asValue) {
    expect(outcome, 'the method must answer with a value').toHaveProperty('value')
    const { value } = outcome as { value: { ok: boolean; code: ErrorCode } }
    expect(value).toMatchObject({ ok: false, code })
    expect(walk(value)).not.toContain(CANARY)
    expect(bench.server.requests.length).toBe(calls)
    return value
  }
  expect(outcome, 'the method must refuse').toHaveProperty('error')
  const { error } = outcome as { error: TenantKeysError }
  expect(TenantKeysError.isInstance(error), `foreign: ${String(error)}`).toBe(true)
  expect({ code: error.code, field: error.details.field ?? null }).toEqual({ code, field })
  expect(JSON.stringify(error) + walk(error)).not.toContain(CANARY)
  expect(error.outcome).toBe('none')
  expect(bench.server.requests.length).toBe(calls)
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  return error
}

async function settled(
  run: () => Promise<unknown>,
): Promise<{ value: unknown } | { error: unknown }> {
  try {
    return { value: await run() }
  } catch (error) {
    return { error }
  }
}
