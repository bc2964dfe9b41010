/**
 * What one case of the suite is, what it is given, and how it checks errors.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { type ErrorCode, TenantKeysError } from '../../kernel/errors.ts'
import type { Storage } from '../../storage/storage.ts'
import type { FakeClock } from '../fake-clock.ts'

/** A fresh, migrated, empty store, and what can be done to it. */
export interface Fixture {
  readonly storage: Storage
  /** The store's clock. */
  readonly clock: FakeClock
  /** A second handle on the same data. Needs `durable`. */
  another(): Promise<Storage>
  /** From now on the store cannot answer. Needs `durable`. */
  breakBackend(): Promise<void>
  /** Another store that shares nothing with this one. */
  separate(): Promise<Storage>
}

export interface ConformanceCase {
  /** Opens with the ids of the clauses that it holds the store to. */
  readonly title: string
  /** Left out, with the reason, for stores that say they lack this. */
  readonly needs?: 'durable' | 'multiProcess' | 'pushes'
  run(fixture: Fixture): Promise<void>
}

/** Waits for the rejection and checks its code. */
export async function rejects(
  work: Promise<unknown>,
  ...codes: readonly ErrorCode[]
): Promise<TenantKeysError> {
  const error: unknown = await work.then(
    () => assert.fail(`expected ${codes.join(' or ')}, but it succeeded`),
    (reason: unknown) => reason,
  )
  if (!TenantKeysError.isInstance(error)) throw error
  assert.ok(codes.includes(error.code), `expected ${codes.join(' or ')}, got ${error.code}`)
  return error
}

/** The error of work that must fail, whatever it is. */
export async function failure(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => assert.fail('expected a failure, but it succeeded'),
    (reason: unknown) => reason,
  )
}

/** How many of `work` succeeded; the others must have failed with one of `codes`. */
export async function winners<T>(
  work: readonly Promise<T>[],
  ...codes: readonly ErrorCode[]
): Promise<readonly T[]> {
  const settled = await Promise.allSettled(work)
  const won: T[] = []
  for (const result of settled) {
    if (result.status === 'fulfilled') won.push(result.value)
    else await rejects(Promise.reject(result.reason), ...codes)
  }
  return won
}

/** `n` calls started in one tick. */
export function atOnce<T>(n: number, call: (index: number) => Promise<T>): readonly Promise<T>[] {
  return Array.from({ length: n }, (_, index) => call(index))
}

/** The value, which must be there. */
export function there<T>(value: T | null | undefined): T {
  assert.ok(value !== null && value !== undefined, 'expected a value')
  return value
}
