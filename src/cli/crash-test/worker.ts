/**
 * A process of a crash test: callers that reserve, extend, void and settle through the same guard as
 * real calls, and an exporter that empties the outbox, until it is killed.
 *
 * @module
 */

import type { BudgetGuard } from '../../budgets/budget-guard.ts'
import { storageBudgetGuard } from '../../budgets/storage-budget-guard.ts'
import { systemMonotonicClock } from '../../kernel/clock.ts'
import { type ErrorCode, TenantKeysError } from '../../kernel/errors.ts'
import { uuidv7 } from '../../kernel/ids.ts'
import type { ReserveItem, SettleItem } from '../../storage/ledger-records.ts'
import type { Storage } from '../../storage/storage.ts'
import { storeFrom } from '../stores/index.ts'
import { type Journal, openJournal } from './journal.ts'
import { STOP, type WorkerReport, type WorkerTask } from './messages.ts'
import { MAX_ASK_NANO_USD, PATHS } from './scene.ts'

const REPORT_EVERY_MS = 200
const MAX_PROVIDER_MS = 4
const EXPORT_BATCH = 200
/** Of an exporter that was killed, others take over after this. */
const LEASE_MS = 1000
const CALL = { callId: 'crash-test', keyId: null, scope: null, priceId: null } as const
const NAMES = { provider: 'openai', model: 'crash-test' } as const
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

/** Entry of the process: waits for its task, then works until it is stopped or killed. */
export async function runWorker(): Promise<void> {
  // Ctrl-C goes to every process of a terminal; the parent decides what it means.
  process.on('SIGINT', () => {})
  process.on('disconnect', () => process.exit(0))
  let stopped = false
  let worker: Worker | null = null
  const task = await new Promise<WorkerTask>((resolve) =>
    // One listener from the start: to stop may be told before the store is open.
    process.on('message', (message: WorkerTask | typeof STOP) => {
      if (message !== STOP) return resolve(message)
      stopped = true
      worker?.stop()
    }),
  )
  worker = new Worker(task, await storeFrom(task.spec).open())
  if (stopped) worker.stop()
  await worker.run()
  process.disconnect?.()
}

class Worker {
  readonly #task: WorkerTask
  readonly #storage: Storage
  readonly #guard: BudgetGuard
  readonly #journal: Journal
  #stopped = false
  #counts = noCounts()
  #reserveMs: number[] = []
  #settleMs: number[] = []

  constructor(task: WorkerTask, storage: Storage) {
    this.#task = task
    this.#storage = storage
    this.#guard = storageBudgetGuard({ storage, clock: systemMonotonicClock })
    this.#journal = openJournal(task.journal)
  }

  stop(): void {
    this.#stopped = true
  }

  async run(): Promise<void> {
    const reports = setInterval(() => this.#report(null), REPORT_EVERY_MS)
    try {
      await this.#storage.epoch()
      const callers = Array.from({ length: this.#task.callers }, () => this.#callForEver())
      await Promise.all([...callers, this.#exportForEver()])
      this.#report(null)
    } catch (error) {
      this.#report(TenantKeysError.isInstance(error) ? error.code : 'TK_INTERNAL')
    } finally {
      clearInterval(reports)
      this.#journal.close()
      await this.#storage.close()
    }
  }

  #report(failed: ErrorCode | null): void {
    const [reserveMs, settleMs] = [this.#reserveMs, this.#settleMs]
    this.#reserveMs = []
    this.#settleMs = []
    const report: WorkerReport = { ...this.#counts, reserveMs, settleMs, failed }
    this.#counts = noCounts()
    process.send?.(report)
  }

  async #callForEver(): Promise<void> {
    while (!this.#stopped) await this.#call()
  }

  /** One call: what it costs is at most what was held, as the promise asks. */
  async #call(): Promise<void> {
    const { tenantId, path } = PATHS[below(PATHS.length)]!
    const asked = BigInt(1 + below(MAX_ASK_NANO_USD))
    const holdId = uuidv7()
    const item: ReserveItem = {
      holdId,
      tenantId,
      accounts: path,
      amounts: { usd: asked },
      ttlMs: this.#task.holdTtlMs,
      call: { ...CALL, ...NAMES },
    }
    const reserved = await this.#timed(this.#reserveMs, () => this.#guard.reserve(item))
    if (!reserved.ok) {
      this.#counts.refused++
      await pause(1 + below(4))
      return
    }
    this.#counts.admitted++
    // The provider's answer takes its time; without it a store that answers in one tick would leave
    // this process none for its timers and messages.
    await pause(below(MAX_PROVIDER_MS + 1))
    if (below(10) === 0) {
      const { ok } = await this.#insist(() => this.#guard.void({ holdId, tenantId }))
      if (ok) this.#counts.voided++
      return
    }
    const held = below(5) === 0 ? await this.#extend(item, asked) : asked
    const actual = below(4) === 0 ? held : BigInt(below(Number(held) + 1))
    await this.#settle({ holdId, tenantId, actual })
  }

  /** @returns what is held then; an extension that is refused leaves it as it was. */
  async #extend({ holdId, tenantId, ttlMs }: ReserveItem, held: bigint): Promise<bigint> {
    const more = held + BigInt(below(MAX_ASK_NANO_USD / 10))
    const item = { holdId, tenantId, sequence: 1, amounts: { usd: more }, ttlMs }
    const extended = await this.#insist(() => this.#guard.extend(item))
    return extended.ok ? more : held
  }

  async #settle({
    holdId,
    tenantId,
    actual,
  }: Pick<SettleItem, 'holdId' | 'tenantId'> & { actual: bigint }): Promise<void> {
    const item: SettleItem = {
      holdId,
      tenantId,
      actual: { usd: actual },
      usage: {
        ...CALL,
        ...NAMES,
        operation: 'chat',
        servedModel: null,
        outcome: 'completed',
        quality: 'measured',
        httpStatus: 200,
        tokens: TOKENS,
        counts: {},
        costNanoUsd: actual,
        providerCostNanoUsd: null,
        chargedNanoUsd: actual,
        paidBy: 'platform',
        billable: true,
        secretId: null,
        secretVersion: null,
        tags: {},
        durationMs: null,
        responseBytes: null,
      },
    }
    this.#journal.note('asked', holdId, String(actual))
    const settled = await this.#timed(this.#settleMs, () => this.#guard.settle(item))
    // Also when it was refused: a store that does not take what was spent has lost it.
    this.#journal.note('settled', holdId, String(actual))
    this.#counts.acknowledged++
    if (settled.ok && settled.state === 'late_posted') this.#counts.lateSettles++
  }

  /** Hands on what the outbox holds, then says so, as an exporter does. */
  async #exportForEver(): Promise<void> {
    const { outbox } = this.#storage
    while (!this.#stopped) {
      const { leaseId, events } = await this.#insist(() =>
        outbox.lease({ limit: EXPORT_BATCH, leaseMs: LEASE_MS }),
      )
      for (const { id, kind } of events) this.#journal.note('exported', id, kind)
      const ids = events.map(({ id }) => id)
      if (ids.length > 0) {
        const acked = await this.#insist(() => outbox.ack({ leaseId, ids }))
        // Of a lease that has run out meanwhile, nobody can say which were still ours.
        if (acked === ids.length) {
          for (const { id, kind } of events) this.#journal.note('acked', id, kind)
        }
      }
      await pause(ids.length < EXPORT_BATCH ? 20 : 0)
    }
  }

  async #timed<T>(into: number[], ask: () => Promise<T>): Promise<T> {
    const startedMs = performance.now()
    const answer = await this.#insist(ask)
    into.push(performance.now() - startedMs)
    return answer
  }

  /** The same request again, with the same id, while the store gives no answer. */
  async #insist<T>(ask: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await ask()
      } catch (error) {
        const again = TenantKeysError.isInstance(error) && error.retryable && tries < MAX_TRIES
        if (!again) throw error
        this.#counts.retried++
        await pause(below(50 * tries))
      }
    }
  }
}

const MAX_TRIES = 20

const noCounts = () => ({
  admitted: 0,
  refused: 0,
  voided: 0,
  acknowledged: 0,
  retried: 0,
  lateSettles: 0,
})

const below = (n: number): number => Math.floor(Math.random() * n)

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
