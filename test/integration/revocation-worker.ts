/**
 * The child processes of postgres-revocation.test.ts: each is an instance of its own that uses keys as
 * fast as it can and says when it was last told yes.
 *
 * @module
 */
import { systemTimers } from '../../src/kernel/clock.ts'
import { definePolicy } from '../../src/policy/define-policy.ts'
import { localKeyWrapper } from '../../src/secrets/local-key-wrapper.ts'
import { createTenantKeys } from '../../src/tenant-keys.ts'
import { openStore, type StoreSpec } from '../support/open-store.ts'
import { testKey } from '../support/test-key.ts'
import { obeyOrders } from '../support/workers.ts'

export interface RevocationArgs {
  readonly store: StoreSpec
  /** The monotonic clock stands still: what was certain once stays so until somebody tells. */
  readonly frozen?: boolean
}

export type RevocationOrder =
  /** Verifies each key once. */
  | { readonly do: 'learn'; readonly keys: readonly string[] }
  /** Uses the key until it is refused with `code`, or is good again when that is `ok`. */
  | { readonly do: 'watch'; readonly key: string; readonly code: string }
  /** Answered once a watch of the key was told yes. */
  | { readonly do: 'watched'; readonly key: string }
  /** Uses the key once. */
  | { readonly do: 'verify'; readonly key: string }
  | { readonly do: 'revoke'; readonly tenantId: string; readonly keyId: string }

/** Times are of the system's monotonic clock, which all processes share, in ms. */
export interface Watched {
  /** When the last use began that was told yes; `null`: none was. */
  readonly lastOkMs: number | null
  /** When the use ended that was told `code`. */
  readonly endMs: number
  /** When the last question to the store was sent that it answered. */
  readonly certainMs: number
  /** Everything that was told, with how often. */
  readonly told: Readonly<Record<string, number>>
}

export interface Revoked {
  readonly startMs: number
  readonly endMs: number
}

const USE_EVERY_MS = 5

const now = (): number => Number(process.hrtime.bigint()) / 1e6

const { store, frozen } = JSON.parse(process.argv[2] ?? '') as RevocationArgs
const { storage } = openStore(store)

/** The last reading of the instance's clock: what it takes for the time of the question that follows. */
let readMs = 0
let certainMs = 0
const noted =
  <A extends unknown[], T>(ask: (...args: A) => Promise<T>) =>
  async (...args: A): Promise<T> => {
    const sentMs = readMs
    const answer = await ask(...args)
    certainMs = Math.max(certainMs, sentMs)
    return answer
  }
const elapsedMs = (): number => {
  readMs = frozen ? 1_000 : now()
  return readMs
}
const tk = await createTenantKeys({
  storage: {
    ...storage,
    epoch: noted(storage.epoch),
    keys: { ...storage.keys, find: noted(storage.keys.find) },
  },
  keyWrapper: localKeyWrapper([{ id: 'kek-1', key: testKey(1) }]),
  peppers: [{ id: 'pep-1', key: testKey(2) }],
  policy: definePolicy({
    scopes: { 'support:chat': { providers: ['openai'], models: ['gpt-4o-mini'] } },
  }),
  clock: { elapsedMs, nowMs: () => Date.now(), after: systemTimers.after },
})

obeyOrders(obey)

async function obey(order: RevocationOrder): Promise<unknown> {
  switch (order.do) {
    case 'learn':
      for (const key of order.keys) {
        const said = await verdict(key)
        if (said !== 'ok') throw new Error(`a good key was refused: ${said}`)
      }
      return
    case 'watch':
      return watch(order.key, order.code)
    case 'watched':
      while (!begun.has(order.key)) await new Promise((next) => setTimeout(next, USE_EVERY_MS))
      return
    case 'verify':
      return verdict(order.key)
    case 'revoke': {
      const startMs = now()
      await tk.keys.revoke({ tenantId: order.tenantId, keyId: order.keyId })
      return { startMs, endMs: now() } satisfies Revoked
    }
  }
}

async function verdict(key: string): Promise<string> {
  try {
    const said = await tk.keys.verify(key)
    return said.ok ? 'ok' : said.code
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

/** Keys of which a watch was told yes. */
const begun = new Set<string>()

async function watch(key: string, code: string): Promise<Watched> {
  let lastOkMs: number | null = null
  const told: Record<string, number> = {}
  for (;;) {
    const startMs = now()
    const said = await verdict(key)
    told[said] = (told[said] ?? 0) + 1
    if (said === 'ok') {
      lastOkMs = startMs
      begun.add(key)
    }
    if (said === code) return { lastOkMs, endMs: now(), certainMs, told }
    await new Promise((next) => setTimeout(next, USE_EVERY_MS))
  }
}
