/**
 * Tenants: the tree, pages, absence.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { TenantRecord } from '../../storage/records.ts'
import type { Page, PageQuery } from '../../storage/storage.ts'
import { atOnce, type ConformanceCase, rejects, winners } from './case.ts'
import { ALL, goodAlso, NONE, tenants } from './samples.ts'

/** Reads all pages of `limit`, with a bound on their number. */
export async function allPages<T>(
  limit: number,
  page: (query: PageQuery) => Promise<Page<T>>,
): Promise<readonly (readonly T[])[]> {
  const pages: (readonly T[])[] = []
  let after: string | null = null
  for (let n = 0; n < 100; n++) {
    const { items, next }: Page<T> = await page({ after, limit })
    pages.push(items)
    if (next === null) return pages
    after = next
  }
  return assert.fail('the pages do not end')
}

const idsOf = (page: Page<TenantRecord>): readonly string[] => page.items.map((t) => t.id)

export const tenantCases: readonly ConformanceCase[] = [
  {
    title: 'ST-2 a tenant comes back as it was written, with its path and the time of the store',
    run: async ({ storage, clock }) => {
      await tenants(storage, 'root', 'middle<root')
      clock.advance(5)
      const leaf = { id: 'leaf', parentId: 'middle', credentials: 'platform' } as const
      const made = await storage.tenants.create(leaf, NONE)
      const path = ['root', 'middle', 'leaf']
      assert.deepEqual(made, { ...leaf, path, plan: null, createdAtMs: clock.nowMs() })
      assert.deepEqual(await storage.tenants.get('leaf'), made)
    },
  },
  {
    title: 'ST-2 a tenant that is not there is null, and a list without tenants is an empty page',
    run: async ({ storage }) => {
      assert.equal(await storage.tenants.get('nobody'), null)
      const none = { items: [], next: null }
      assert.deepEqual(await storage.tenants.list({ parentId: null, ...ALL }), none)
      assert.deepEqual(await storage.tenants.list({ parentId: 'nobody', ...ALL }), none)
    },
  },
  {
    title: 'ST-2 a list of tenants has all of them, or the children of one',
    run: async ({ storage }) => {
      await tenants(storage, 'b', 'a', 'c<b', 'd<c', 'e<b')
      const all = await storage.tenants.list({ parentId: null, ...ALL })
      assert.deepEqual(idsOf(all), ['a', 'b', 'c', 'd', 'e'])
      assert.deepEqual(idsOf(await storage.tenants.list({ parentId: 'b', ...ALL })), ['c', 'e'])
      assert.deepEqual(idsOf(await storage.tenants.list({ parentId: 'd', ...ALL })), [])
    },
  },
  {
    title: 'ST-2 pages of tenants are in id order, full but for the last, and end with null',
    run: async ({ storage }) => {
      // Upper case sorts before lower case, digits before both, underscore between: by code unit.
      await tenants(storage, 'b', 'a', 'B', '_', '1', '-', 'aa')
      const pages = await allPages(3, (q) => storage.tenants.list({ parentId: null, ...q }))
      const ids = pages.map((page) => page.map((t) => t.id))
      assert.deepEqual(ids, [['-', '1', 'B'], ['_', 'a', 'aa'], ['b']])
      const exact = await allPages(7, (q) => storage.tenants.list({ parentId: null, ...q }))
      assert.equal(exact.length, 1)
    },
  },
  {
    title: 'ST-7 of many callers that create the same tenant exactly one does',
    run: async ({ storage }) => {
      const tenant = { id: 'acme', parentId: null, credentials: 'tenant' } as const
      const racers = atOnce(16, (n) => storage.tenants.create(tenant, goodAlso(null, `r${n}`)))
      assert.equal((await winners(racers, 'TK_TENANT_EXISTS')).length, 1)
      assert.equal((await storage.audit.list({ rootId: '*', ...ALL })).items.length, 1)
    },
  },
  {
    title: 'ST-2 a parent that is not there is refused by name of the condition',
    run: async ({ storage }) => {
      const orphan = { id: 'orphan', parentId: 'nobody', credentials: 'tenant' } as const
      await rejects(storage.tenants.create(orphan, NONE), 'TK_TENANT_NOT_FOUND')
      assert.equal(await storage.tenants.get('orphan'), null)
    },
  },
]
