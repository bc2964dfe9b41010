/**
 * How sinks are served: the settings of an exporter, with their ranges and defaults.
 *
 * @module
 */
import * as z from 'zod'
import { ID_PATTERN } from '../kernel/ids.ts'
import { objectWith } from '../kernel/validate.ts'
import type { UsageSink } from './usage-sink.ts'

export interface ExporterSettings {
  /** Most events of one lease and one write, 1 to 1,000; default 500. */
  readonly batch?: number | undefined
  /** How long events are collected before a lease that is not full, in ms, 1 to 60,000; default 100. */
  readonly intervalMs?: number | undefined
  /** How long others leave a leased batch alone, in ms, 1,000 to 3,600,000; default 120,000. Work on
   * it ends at four fifths of that. */
  readonly leaseMs?: number | undefined
  /** First pause after a failed write, in ms, 1 to 60,000; default 1,000. The second is twice and the
   * third four times as long; then the lease is given back, and the exporter pauses up to 60 times
   * this before it leases again. */
  readonly retryMs?: number | undefined
  /** A write that takes longer has failed, in ms, 1 to 600,000 and at most a quarter of `leaseMs`;
   * default 30,000. */
  readonly writeTimeoutMs?: number | undefined
  /** So many waiting events are too many, 1 to 100,000,000; default 1,000,000. */
  readonly maxWaiting?: number | undefined
  /** What happens then: `report` (default) emits `outbox.full` and goes on, since the outbox is in the
   * database; `reject` also refuses new calls with TK_OUTBOX_FULL until fewer wait. */
  readonly whenFull?: 'report' | 'reject' | undefined
}

const sinkSchema = objectWith<UsageSink>(
  ['write'],
  'expected a sink of contract version 1 with a name and write()',
  ({ contractVersion, name }) => contractVersion === 1 && ID_PATTERN.test(String(name)),
)

export const sinksSchema: z.ZodType<readonly UsageSink[]> = z
  .array(sinkSchema)
  .max(16)
  .refine((sinks) => new Set(sinks.map((s) => s.name)).size === sinks.length, 'two have one name')

export const exporterFields = {
  batch: z.int().min(1).max(1000).default(500),
  intervalMs: z.int().min(1).max(60_000).default(100),
  leaseMs: z.int().min(1000).max(3_600_000).default(120_000),
  retryMs: z.int().min(1).max(60_000).default(1000),
  writeTimeoutMs: z.int().min(1).max(600_000).default(30_000),
  maxWaiting: z.int().min(1).max(100_000_000).default(1_000_000),
  whenFull: z.enum(['report', 'reject']).default('report'),
}

export const exporterSchema = z.strictObject({
  ...exporterFields,
  start: z.boolean().default(true),
})
