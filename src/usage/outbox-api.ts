/**
 * `tk.outbox`: what waits to be exported, and what no sink could take.
 *
 * @module
 */
import * as z from 'zod'
import { actorSchema, pageFields, parse } from '../kernel/validate.ts'
import type { QuarantinedEvent } from '../storage/records.ts'
import type { Backlog, Page, Storage } from '../storage/storage.ts'

export interface OutboxApi {
  /** How much waits and how much was set aside, each counted up to 1,000,000. */
  status(): Promise<Backlog>
  /** Events that were set aside, with their reasons, in order of id. */
  quarantined(query?: {
    readonly after?: string | null | undefined
    /** 1 to 1,000; default 100. */
    readonly limit?: number | undefined
  }): Promise<Page<QuarantinedEvent>>
  /**
   * Puts events that were set aside back into the queue; written to the audit trail. Every sink is
   * given them again.
   *
   * @returns how many; ids that were not set aside are ignored.
   */
  requeue(input: {
    /** 1 to 100 of them. */
    readonly ids: readonly string[]
    readonly actor?: string | undefined
  }): Promise<number>
}

const MAX_COUNTED = 1_000_000

const pageSchema = z.strictObject(pageFields)
const requeueSchema = z.strictObject({
  ids: z.array(z.string().min(1).max(200)).min(1).max(100),
  actor: actorSchema,
})

export function outboxApi({ outbox }: Pick<Storage, 'outbox'>): OutboxApi {
  return {
    status: () => outbox.backlog({ limit: MAX_COUNTED }),
    quarantined: async (query = {}) => outbox.quarantined(parse(pageSchema, query)),
    requeue: async (input) => {
      const { ids, actor } = parse(requeueSchema, input)
      const detail = { ids: ids.join(' ') }
      const act = { tenantId: null, actor, action: 'outbox.requeue', target: 'outbox', detail }
      return outbox.requeue(ids, { audit: [act] })
    },
  }
}
