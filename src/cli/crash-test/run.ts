/**
 * A crash test from its start to its verdict, in a scratch place of a database.
 *
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type BudgetDrift, checkBudgets } from '../../budgets/check.ts'
import { TenantKeysError } from '../../kernel/errors.ts'
import type { Storage } from '../../storage/storage.ts'
import type { Scratch, Store } from '../stores/store.ts'
import { Fleet } from './fleet.ts'
import { openJournal, readJournals } from './journal.ts'
import { judge, type Verdict } from './judge.ts'
import type { WorkerReport } from './messages.ts'
import { ROOT, setScene, topUp } from './scene.ts'

export interface CrashTestSettings {
  readonly seconds: number
  /** It does not end before so many calls are settled: a slow machine takes longer. */
  readonly calls: number
  readonly processes: number
  readonly callers: number
}

export interface CrashTestResult extends Verdict {
  readonly server: string
  /** What `tk.budgets.check` found in the end: counters, holds and usage rows that disagree. */
  readonly drifts: readonly BudgetDrift[]
  readonly kills: number
  readonly admitted: number
  readonly refused: number
  readonly voided: number
  readonly acknowledged: number
  readonly retried: number
  readonly lateSettles: number
  readonly reserveMs: Percentiles
  readonly settleMs: Percentiles
}

export interface Percentiles {
  readonly p50: number
  readonly p99: number
}

const KILL_EVERY_MS = 600
const TICK_MS = 100
/** What is compared in the end is in memory at once. */
const MAX_CALLS = 250_000
const SWEEP_BATCH = 500
/** Longer than the lease of a worker, in so many steps. */
const LEASE_MS = 1500
const DRAIN_TRIES = 5

type Context = {
  readonly settings: CrashTestSettings
  /** Of the journals. */
  readonly folder: string
  /** Ends it early; everything that was made is taken away all the same. */
  readonly signal: AbortSignal
  /** A new phase. */
  readonly progress: (text: string) => void
  /** The same phase, further on. */
  readonly tick: (text: string) => void
}

/**
 * @throws TenantKeysError TK_STORE_* when the database does not answer, or the code that a worker
 *   stopped with; the signal's reason.
 */
export async function runCrashTest(
  store: Store,
  settings: CrashTestSettings,
  told: Pick<Context, 'signal' | 'progress' | 'tick'>,
): Promise<CrashTestResult> {
  const folder = mkdtempSync(join(tmpdir(), 'tenantkeys-crash-test-'))
  const scratch = await store.scratch()
  try {
    told.progress('Making a scratch place ...')
    await scratch.store.migrate()
    return await runIn(scratch.store, { settings, folder, ...told })
  } finally {
    rmSync(folder, { recursive: true, force: true })
    told.progress('Taking the scratch place away ...')
    await remove(scratch, told)
  }
}

/** Who cannot take away what was made says what is left. */
async function remove(scratch: Scratch, { progress }: Pick<Context, 'progress'>): Promise<void> {
  try {
    await scratch.remove()
  } catch (error) {
    progress(`Could not take it away; this is left: ${scratch.name}`)
    throw error
  }
}

async function runIn(scratch: Store, context: Context): Promise<CrashTestResult> {
  const { folder, progress } = context
  const { server } = await scratch.inspect()
  const storage = await scratch.open()
  try {
    await setScene(storage)
    const work = await workInFleet(scratch, storage, context)
    await expireHolds(storage, context)
    await drain(storage, folder)
    progress('Comparing the books ...')
    const { drifts } = await checkBudgets(storage, { tenantId: ROOT })
    const snapshot = await storage.ledger.audit(ROOT)
    if (!snapshot) throw new TenantKeysError('TK_TENANT_NOT_FOUND', { tenantId: ROOT })
    return { server, ...work, drifts, ...judge(readJournals(folder), snapshot) }
  } finally {
    await storage.close()
  }
}

/** Short enough that holds of killed processes expire while others still want the money. */
const holdTtlMs = ({ seconds }: CrashTestSettings): number =>
  Math.min(10_000, Math.max(2000, Math.round((seconds * 1000) / 3)))

type Work = Omit<CrashTestResult, keyof Verdict | 'server' | 'drifts'>

async function workInFleet(scratch: Store, storage: Storage, context: Context): Promise<Work> {
  const { settings, folder, signal, progress, tick } = context
  const tally = new Tally()
  const fleet = new Fleet({
    size: settings.processes,
    taskOf: (n) => ({
      spec: scratch.spec,
      journal: join(folder, `${n}.txt`),
      callers: settings.callers,
      holdTtlMs: holdTtlMs(settings),
    }),
    onReport: (report) => tally.add(report),
  })
  let kills = 0
  try {
    fleet.fill()
    const startedMs = performance.now()
    let killedAtMs = startedMs
    for (let round = 0; tally.calls < MAX_CALLS; round++) {
      await sleep(TICK_MS, undefined, { signal })
      const nowMs = performance.now()
      const failure = fleet.failure
      if (failure)
        throw new TenantKeysError(failure, { reason: 'a worker process could not go on' })
      const inTime = (nowMs - startedMs) / 1000 / settings.seconds
      const done = Math.min(inTime, tally.settled / settings.calls)
      if (done >= 1) break
      // In the last third nothing is credited: the narrow budgets come to their end and stay there.
      if (done < 2 / 3) await topUp(storage, round)
      if (nowMs - killedAtMs >= KILL_EVERY_MS && (await fleet.killOne())) {
        kills++
        killedAtMs = nowMs
      }
      const second = Math.floor((nowMs - startedMs) / 1000)
      tick(`${second} s of ${settings.seconds}, ${tally.calls} calls, ${kills} kills`)
    }
    progress('Stopping ...')
    kills += await fleet.stop()
    return { ...tally.result(), kills }
  } finally {
    await fleet.killAll()
  }
}

/** Waits until nothing is held any more: what is left belongs to processes that were killed. */
async function expireHolds(
  storage: Storage,
  { settings, signal, progress }: Context,
): Promise<void> {
  const startedMs = performance.now()
  progress('Waiting for the holds of killed processes to expire ...')
  for (;;) {
    while ((await storage.ledger.sweep(SWEEP_BATCH)) > 0);
    const [root] = await storage.ledger.budgets(ROOT)
    const waitedMs = performance.now() - startedMs
    // What is held longer than its life is for the judge to say.
    if (root?.held === 0n || waitedMs > 2 * holdTtlMs(settings)) return
    await sleep(TICK_MS, undefined, { signal })
  }
}

/** What the last exporters left behind. Some of it may still be leased by one that was killed. */
async function drain(storage: Storage, folder: string): Promise<void> {
  const journal = openJournal(join(folder, 'drain.txt'))
  try {
    for (let empty = 0; empty < DRAIN_TRIES; ) {
      const { leaseId, events } = await storage.outbox.lease({ limit: 1000, leaseMs: 60_000 })
      for (const { id, kind } of events) journal.note('exported', id, kind)
      const acked = await storage.outbox.ack({ leaseId, ids: events.map(({ id }) => id) })
      if (acked === events.length)
        for (const { id, kind } of events) journal.note('acked', id, kind)
      if (events.length > 0) continue
      empty++
      await sleep(LEASE_MS / DRAIN_TRIES)
    }
  } finally {
    journal.close()
  }
}

/** Sums of what the workers report. */
class Tally {
  #sums = { admitted: 0, refused: 0, voided: 0, acknowledged: 0, retried: 0, lateSettles: 0 }
  readonly #reserveMs: number[] = []
  readonly #settleMs: number[] = []

  get calls(): number {
    return this.#sums.admitted
  }

  get settled(): number {
    return this.#sums.acknowledged
  }

  add({ reserveMs, settleMs, failed: _, ...counts }: WorkerReport): void {
    for (const name of Object.keys(this.#sums) as (keyof typeof counts)[]) {
      this.#sums[name] += counts[name]
    }
    for (const ms of reserveMs) this.#reserveMs.push(ms)
    for (const ms of settleMs) this.#settleMs.push(ms)
  }

  result(): Omit<Work, 'kills'> {
    const [reserveMs, settleMs] = [percentiles(this.#reserveMs), percentiles(this.#settleMs)]
    return { ...this.#sums, reserveMs, settleMs }
  }
}

function percentiles(values: number[]): Percentiles {
  const sorted = values.sort((a, b) => a - b)
  const at = (share: number): number => sorted[Math.floor((sorted.length - 1) * share)] ?? 0
  const rounded = (ms: number): number => Math.round(ms * 1000) / 1000
  return { p50: rounded(at(0.5)), p99: rounded(at(0.99)) }
}
