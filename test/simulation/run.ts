/**
 * One simulated history: the real ledger, budget guard, key cache and outbox over a simulated network.
 * Everything that happens follows from the seed.
 *
 * What must hold at the end of each:
 *
 * - money that was posted in time and within its hold never exceeds the limit
 * - every settle that was acknowledged has one usage row, no usage row is of an unknown call
 * - posted sums equal the usage rows; each usage row was exported, once by effect
 * - after the last hold has expired, nothing is held
 * - a key that was revoked never verifies again later than the staleness bound, and stays revoked
 *
 * @module
 */
import { storageBudgetGuard } from '../../src/budgets/storage-budget-guard.ts'
import type { WallClock } from '../../src/kernel/clock.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import { uuidFromBytes } from '../../src/kernel/ids.ts'
import { localKeyIssuer } from '../../src/keys/local-key-issuer.ts'
import type { ReserveItem, SettleItem, UsageRecord } from '../../src/storage/ledger-records.ts'
import type { OutboxRecord } from '../../src/storage/records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { settled, World } from './network.ts'

export type MakeStorage = (clock: WallClock) => Storage | Promise<Storage>

export interface Report {
  readonly seed: number
  readonly steps: number
  readonly admitted: number
  readonly refused: number
  readonly crashes: number
  /** Empty when every promise held. */
  readonly broken: readonly string[]
  readonly trace: readonly string[]
}

/** Reports of many histories, added up. */
export interface Histories {
  readonly histories: number
  readonly steps: number
  readonly admitted: number
  readonly refused: number
  readonly crashes: number
  /** In which a promise was broken. */
  readonly broken: number
}

export const NO_HISTORIES: Histories = {
  histories: 0,
  steps: 0,
  admitted: 0,
  refused: 0,
  crashes: 0,
  broken: 0,
}

export const addReport = (sums: Histories, report: Report): Histories => ({
  histories: sums.histories + 1,
  steps: sums.steps + report.steps,
  admitted: sums.admitted + report.admitted,
  refused: sums.refused + report.refused,
  crashes: sums.crashes + report.crashes,
  broken: sums.broken + (report.broken.length > 0 ? 1 : 0),
})

const PEPPERS = [
  {
    id: 'pep-1',
    key: Uint8Array.from({ length: 32 }, (_, i) => ((i + 1) * (i + 3) * 7 + 29) & 0xff),
  },
]
const TTL_MS = 60_000
const MAX_STALE_MS = 5000
const LIMIT = 100n
const ACCOUNTS = [
  { id: 'tenant:acme', depth: 1 },
  { id: 'tenant:reseller', depth: 0 },
]
const CALL = {
  callId: 'c',
  keyId: null,
  scope: null,
  provider: 'openai',
  model: 'm',
  priceId: null,
}
const FAULTS = { lostRequest: 30, lostReply: 30, doubledRequest: 30 }
const TOKENS = {
  input: 1,
  cacheRead: null,
  cacheWrite: null,
  cacheWrite1h: null,
  inputAudio: null,
  output: 1,
  reasoning: null,
  outputAudio: null,
}

/** What the processes know and the checks need. */
interface Book {
  readonly attempted: Set<string>
  readonly acknowledged: Map<string, bigint>
  readonly exported: Map<string, number>
  revokedAtMs: number | null
  admitted: number
  refused: number
  crashes: number
  readonly broken: string[]
}

/** What is thrown out of a history breaks it too, and ends it. */
export async function simulate(seed: number, makeStorage: MakeStorage): Promise<Report> {
  const world = new World(seed, FAULTS)
  const book = newBook()
  try {
    await live(world, makeStorage, book)
  } catch (error) {
    noteThrown(book, error)
  }
  const { admitted, refused, crashes, broken } = book
  return { seed, steps: world.steps, admitted, refused, crashes, broken, trace: world.trace }
}

function noteThrown(book: Book, error: unknown): void {
  book.broken.push(`thrown: ${(error as Error).stack ?? error}`)
}

const newBook = (): Book => ({
  attempted: new Set(),
  acknowledged: new Map(),
  exported: new Map(),
  revokedAtMs: null,
  admitted: 0,
  refused: 0,
  crashes: 0,
  broken: [],
})

async function live(world: World, makeStorage: MakeStorage, book: Book): Promise<void> {
  const storage = await makeStorage(world.clock)
  await storage.migrate()
  await storage.tenants.create({ id: 'reseller', parentId: null, credentials: 'tenant' }, {})
  await storage.tenants.create({ id: 'acme', parentId: 'reseller', credentials: 'tenant' }, {})
  for (const account of ACCOUNTS) {
    const tenantId = account.id.slice('tenant:'.length)
    const budget = { tenantId, account, unit: 'usd', window: 'lifetime', zone: 'UTC' } as const
    await storage.ledger.setBudget({ ...budget, limit: LIMIT, source: 'explicit' }, {})
  }
  const issuer = localKeyIssuer({ storage, peppers: PEPPERS, clock: world.clock, maxCachedKeys: 4 })
  const draft = { tenantId: 'acme', name: 'k', scopes: ['a'], brand: 'tk', actor: 'sim' }
  const issued = await issuer.issue({ ...draft, environment: 'live', expiresAtMs: null })

  const actors: Promise<void>[] = []
  const processes = 1 + world.random(3)
  for (let process = 0; process < processes; process++) {
    actors.push(...startProcess(world, storage, process, { book, key: issued.key }))
  }
  actors.push(exporter(world, world.connect(storage, 90), book))
  actors.push(revoker(world, world.connect(storage, 91), { book, keyId: issued.info.keyId }))

  let done = false
  const end = (): void => {
    done = true
  }
  void Promise.all(actors)
    .catch((error: unknown) => noteThrown(book, error))
    .then(end)
  for (let i = 0; i < 600 && !done; i++) {
    if (!(await world.step())) world.clock.advance(1 + world.random(400))
    else if (world.random(12) === 0)
      world.clock.advance(world.random(world.random(40) === 0 ? 2 * TTL_MS : 50))
    if (world.random(250) === 0 && processes > 1) {
      const victim = world.random(processes)
      if (!world.isDead(victim)) {
        world.crash(victim)
        book.crashes++
      }
    }
    await settled()
  }
  await check(world, storage, { book, keyId: issued.info.keyId })
  await storage.close()
}

function startProcess(
  world: World,
  storage: Storage,
  process: number,
  { book, key }: { book: Book; key: string },
): Promise<void>[] {
  const connected = world.connect(storage, process)
  const random = (): number => world.random(1000) / 1000
  const guard = storageBudgetGuard({
    storage: connected,
    clock: world.clock,
    timers: world.clock,
    random,
  })
  const sleep = (ms: number) => {
    let cancel = (): void => {}
    const over = new Promise<void>((resolve) => {
      cancel = world.clock.after(ms, resolve)
    })
    return { over, cancel: () => cancel() }
  }
  const issuer = localKeyIssuer({
    storage: connected,
    peppers: PEPPERS,
    clock: world.clock,
    maxStaleMs: MAX_STALE_MS,
    maxCachedKeys: 4,
    sleep,
  })
  const callers = 1 + world.random(3)
  return Array.from({ length: callers }, async (_, caller) => {
    const calls = 1 + world.random(2)
    for (let n = 0; n < calls && !world.isDead(process); n++) {
      await verify(world, issuer, { key, book })
      const id = holdId(process, caller, n)
      await oneCall(world, guard, { id, book, dead: () => world.isDead(process) })
    }
  })
}

async function verify(
  world: World,
  issuer: ReturnType<typeof localKeyIssuer>,
  { key, book }: { key: string; book: Book },
): Promise<void> {
  const askedAtMs = world.clock.elapsedMs()
  const verdict = await issuer.verify(key).catch(() => null)
  const { revokedAtMs } = book
  if (verdict?.ok && revokedAtMs !== null && askedAtMs > revokedAtMs + MAX_STALE_MS) {
    book.broken.push(`verified ${askedAtMs - revokedAtMs} ms after the revocation`)
  }
}

/** Reserve, perhaps extend, then settle or void, each with the same id until it is answered. */
async function oneCall(
  world: World,
  guard: ReturnType<typeof storageBudgetGuard>,
  { id, book, dead }: { id: string; book: Book; dead: () => boolean },
): Promise<void> {
  const ask = BigInt(1 + world.random(40))
  const item: ReserveItem = {
    holdId: id,
    tenantId: 'acme',
    accounts: ACCOUNTS,
    amounts: { usd: ask },
    ttlMs: TTL_MS,
    call: CALL,
  }
  book.attempted.add(id)
  const waitMs = world.random(3) === 0 ? 500 : 0
  const held = await insist(() => guard.reserve(item, { waitMs }), dead)
  if (!held?.ok) {
    if (held) book.refused++
    return
  }
  book.admitted++
  let most = ask
  if (world.random(4) === 0) {
    const more = ask + BigInt(world.random(20))
    const extension = {
      holdId: id,
      tenantId: 'acme',
      sequence: 1,
      amounts: { usd: more },
      ttlMs: TTL_MS,
    }
    const extended = await insist(() => guard.extend(extension), dead)
    if (extended?.ok) most = more
    else if (extended?.code === 'TK_BUDGET_HOLD_LOST') return
  }
  if (world.random(6) === 0) {
    await insist(() => guard.void({ holdId: id, tenantId: 'acme' }), dead)
    return
  }
  const actual =
    world.random(8) === 0 ? most + BigInt(world.random(30)) : BigInt(world.random(Number(most) + 1))
  const settle: SettleItem = {
    holdId: id,
    tenantId: 'acme',
    actual: { usd: actual },
    usage: {
      ...CALL,
      operation: 'chat',
      servedModel: null,
      outcome: 'completed',
      quality: 'measured',
      httpStatus: 200,
      tokens: TOKENS,
      counts: {},
      costNanoUsd: actual,
      providerCostNanoUsd: null,
      chargedNanoUsd: 0n,
      paidBy: 'tenant',
      billable: false,
      secretId: null,
      secretVersion: null,
      tags: {},
      durationMs: null,
      responseBytes: null,
    },
  }
  const result = await insist(() => guard.settle(settle), dead)
  if (result?.ok) book.acknowledged.set(id, actual)
  else if (result) book.broken.push(`settle of ${id}: ${result.code}`)
}

/** The same request again while the store does not answer; `null` when the process has died. */
async function insist<T>(ask: () => Promise<T>, dead: () => boolean): Promise<T | null> {
  for (let tries = 0; tries < 20 && !dead(); tries++) {
    try {
      return await ask()
    } catch (error) {
      if (!TenantKeysError.isInstance(error) || !error.retryable) throw error
    }
  }
  return null
}

async function exporter(world: World, storage: Storage, book: Book): Promise<void> {
  for (let i = 0; i < 4; i++) {
    const leased = await storage.outbox.lease({ limit: 5, leaseMs: 1000 }).catch(() => null)
    if (leased === null || leased.events.length === 0) continue
    // The sink counts each id once by effect, as stable ids allow.
    note(book, leased.events)
    if (world.random(5) === 0) continue
    const ids = leased.events.map((e) => e.id)
    await storage.outbox.ack({ leaseId: leased.leaseId, ids }).catch(() => 0)
  }
}

/** Only what the ledger wrote; keys have events of their own. */
function note(book: Book, events: readonly OutboxRecord[]): void {
  const own = events.filter((e) => e.kind === 'usage' || e.kind === 'unknown_spend')
  for (const { id } of own) book.exported.set(id, (book.exported.get(id) ?? 0) + 1)
}

async function revoker(
  world: World,
  storage: Storage,
  { book, keyId }: { book: Book; keyId: string },
): Promise<void> {
  if (world.random(2) === 0) return
  const state = () => storage.keys.setState({ tenantId: 'acme', keyId, state: 'revoked' }, {})
  if (await insist(state, () => false)) book.revokedAtMs = world.clock.elapsedMs()
}

/** Lets every hold expire, empties the outbox, and compares all the books. */
async function check(
  world: World,
  storage: Storage,
  { book, keyId }: { book: Book; keyId: string },
): Promise<void> {
  const { broken } = book
  while (!world.idle) await world.step()
  world.clock.advance(3 * TTL_MS)
  while ((await storage.ledger.sweep(64)) > 0);
  const usage: UsageRecord[] = []
  for (const id of book.attempted) {
    const row = await storage.usage.get({ tenantId: 'acme', id })
    if (row) usage.push(row)
  }
  const [total] = await storage.usage.totals({
    tenantId: null,
    fromMs: null,
    untilMs: null,
    by: [],
  })
  if ((total?.calls ?? 0) !== usage.length) broken.push('a usage row of an unknown call')
  for (const [id, actual] of book.acknowledged) {
    const row = usage.find((u) => u.id === id)
    if (row?.costNanoUsd !== actual) broken.push(`acknowledged ${id} is not in the books`)
  }
  const posted = usage.reduce((sum, row) => sum + row.costNanoUsd, 0n)
  const inTime = usage
    .filter((row) => row.state === 'posted')
    .reduce((sum, row) => sum + row.costNanoUsd - row.overageNanoUsd, 0n)
  if (inTime > LIMIT) broken.push(`overspent: ${inTime} of ${LIMIT}`)
  for (const tenantId of ['acme', 'reseller']) {
    const [line] = await storage.ledger.budgets(tenantId)
    if (line?.posted !== posted) broken.push(`${tenantId}: posted ${line?.posted}, usage ${posted}`)
    if (line?.held !== 0n) broken.push(`${tenantId}: ${line?.held} still held`)
  }
  for (;;) {
    const { leaseId, events } = await storage.outbox.lease({ limit: 100, leaseMs: 1 })
    if (events.length === 0) break
    note(book, events)
    await storage.outbox.ack({ leaseId, ids: events.map((e) => e.id) })
  }
  for (const row of usage) if (!book.exported.has(row.id)) broken.push(`${row.id} was not exported`)
  const spurious = [...book.exported.keys()].filter((id) => !book.attempted.has(id.slice(0, 36)))
  if (spurious.length > 0) broken.push('an event of an unknown call')
  const key = await storage.keys.get({ tenantId: 'acme', keyId })
  if (book.revokedAtMs !== null && key?.state !== 'revoked') broken.push('a revocation was undone')
}

/** The same ids in every run, so that a replay shows the same history. */
function holdId(process: number, caller: number, n: number): string {
  const bytes = new Uint8Array(16)
  bytes.set([1, process, caller, n])
  bytes[6] = 0x70
  bytes[8] = 0x80
  return uuidFromBytes(bytes)
}
