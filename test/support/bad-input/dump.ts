/**
 * Everything a store holds, read through the port alone.
 *
 * @module
 */
import type { Page, PageQuery, Storage } from '../../../src/storage/storage.ts'

async function all<T>(list: (query: PageQuery) => Promise<Page<T>>): Promise<readonly T[]> {
  const items: T[] = []
  for (let after: string | null = null, more = true; more; ) {
    const page: Page<T> = await list({ after, limit: 1000 })
    items.push(...page.items)
    after = page.next
    more = after !== null
  }
  return items
}

/** Two dumps are equal when nothing was written between them. Events are counted as read only. */
export async function dump(storage: Storage): Promise<object> {
  const tenants = await all((q) => storage.tenants.list({ ...q, parentId: null }))
  const perTenant = await Promise.all(
    tenants.map(async ({ id: tenantId }) => ({
      tenantId,
      keys: await all((q) => storage.keys.list({ ...q, tenantId })),
      secrets: await all((q) => storage.secrets.list({ ...q, tenantId })),
      dek: await storage.deks.current(tenantId),
      budgets: await storage.ledger.budgets(tenantId),
    })),
  )
  const roots = ['*', ...new Set(tenants.map(({ path }) => path[0]!))]
  const audit = await Promise.all(
    roots.map((rootId) => all((q) => storage.audit.list({ ...q, rootId }))),
  )
  const by = ['tenant', 'key', 'scope', 'provider', 'model'] as const
  const usage = await storage.usage.totals({ tenantId: null, fromMs: null, untilMs: null, by })
  // A lease of no time at all hands the events out and leaves them free.
  const { events } = await storage.outbox.lease({ limit: 10_000, leaseMs: 0 })
  const outbox = events.map(({ attempts: _, ...event }) => event)
  const { epoch } = await storage.epoch()
  return { epoch, tenants, perTenant, audit, usage, outbox }
}
