/**
 * The conformance suite as the PostgreSQL adapter answers it, for a file for each server: they run
 * side by side.
 *
 * @module
 */
import { describe, test } from 'vitest'
import { type ConformanceOptions, storageConformance } from '../../src/testing/index.ts'

const capabilities = {
  name: 'postgres',
  durable: true,
  multiProcess: true,
  multiHost: true,
  migratesOnStart: false,
  pushes: true,
}

export const postgresSuite = (
  make: ConformanceOptions['make'],
  over: Partial<ConformanceOptions['capabilities']> = {},
): void =>
  storageConformance({ describe, test }, { capabilities: { ...capabilities, ...over }, make })
