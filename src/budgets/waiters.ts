/**
 * Those who reserve: in batches, and waiting in line while what they need is only held by others.
 *
 * Waiters come first in every batch, oldest first, and are decided by the same rules as everybody: a
 * large one may be passed by a smaller one that fits, until its deadline. They are tried again when
 * this process settles or voids something, together with every newcomer that touches one of their
 * accounts, and from time to time, because other processes settle too and holds expire.
 *
 * @module
 */
import type { MonotonicClock, Timers } from '../kernel/clock.ts'
import { TenantKeysError } from '../kernel/errors.ts'
import type { ReserveItem, ReserveResult } from '../storage/ledger-records.ts'
import { MAX_BATCH, runApart } from './batches.ts'
import type { ReserveOptions } from './budget-guard.ts'

/** What happens elsewhere is looked for after 25 ms, then after twice as long, up to 250 ms. */
const FIRST_POLL_MS = 25
const MAX_POLL_MS = 250

export interface ReserveQueue {
  reserve(item: ReserveItem, options?: ReserveOptions): Promise<ReserveResult>
  /** Something that was held is free again. */
  wake(): void
}

export interface ReserveQueueParts {
  readonly run: (items: readonly ReserveItem[]) => Promise<readonly ReserveResult[]>
  /** Gives back what was admitted for a caller that has left meanwhile. */
  readonly release: (item: ReserveItem) => Promise<unknown>
  readonly clock: MonotonicClock
  readonly timers: Timers
  /** Between 0 and 1: spreads the polls of processes that met once. */
  readonly random: () => number
}

interface Caller {
  readonly item: ReserveItem
  readonly options: ReserveOptions
  readonly deadlineMs: number
  readonly resolve: (result: ReserveResult) => void
  readonly reject: (error: unknown) => void
  /** The last refusal; `null` before the first decision. */
  denial: ReserveResult | null
  /** In a batch that is under way: whoever gives up now leaves when it is decided. */
  deciding: boolean
  /** Aborted. */
  left: boolean
  /** A store error left open whether the hold was taken. */
  uncertain: boolean
  /** Frees the timer and the listener of a waiter. */
  stop: () => void
}

export function reserveQueue(parts: ReserveQueueParts): ReserveQueue {
  const newcomers: Caller[] = []
  const waiters = new Set<Caller>()
  let running = false
  let woken = false
  let pollMs = FIRST_POLL_MS
  let stopPoll: (() => void) | null = null

  const start = (): void => {
    if (running) return
    running = true
    queueMicrotask(() => void drain())
  }

  const drain = async (): Promise<void> => {
    while (newcomers.length > 0 || (woken && waiters.size > 0)) {
      const fresh = newcomers.splice(0, MAX_BATCH)
      const first = woken ? [...waiters] : sharing(waiters, fresh)
      woken = false
      const round = [...first, ...fresh]
      for (let at = 0; at < round.length; at += MAX_BATCH) {
        await decide(
          round.slice(at, at + MAX_BATCH).filter((c) => c.denial === null || waiters.has(c)),
        )
      }
    }
    running = false
    if (waiters.size > 0) stopPoll ??= pollLater()
  }

  const pollLater = (): (() => void) => {
    const ms = pollMs * (1 + parts.random()) * 0.5
    pollMs = Math.min(2 * pollMs, MAX_POLL_MS)
    return parts.timers.after(ms, () => {
      stopPoll = null
      woken = true
      start()
    })
  }

  const decide = async (callers: readonly Caller[]): Promise<void> => {
    if (callers.length === 0) return
    for (const caller of callers) caller.deciding = true
    const items = callers.map((c) => c.item)
    const answers = await runApart(parts.run, items)
    callers.forEach((caller, i) => {
      const result = answers[i]!
      caller.deciding = false
      if (result.status === 'fulfilled') answer(caller, result.value)
      else fail(caller, result.reason)
    })
  }

  const answer = (caller: Caller, result: ReserveResult): void => {
    caller.uncertain = false
    if (caller.left) leave(caller, result.ok)
    else if (result.ok || result.code !== 'TK_BUDGET_CONTENDED' || isLate(caller)) {
      finish(caller, () => caller.resolve(result))
    } else {
      caller.denial = result
      if (!waiters.has(caller)) wait(caller)
    }
  }

  /** Who waits already goes on: the same id can be sent again, whatever became of this try. */
  const fail = (caller: Caller, error: unknown): void => {
    const passing = TenantKeysError.isInstance(error) && error.retryable
    if (passing) caller.uncertain ||= error.outcome === 'unknown'
    if (caller.left) leave(caller, caller.uncertain)
    else if (!passing || caller.denial === null) finish(caller, () => caller.reject(error))
    else if (isLate(caller)) expire(caller)
  }

  const isLate = (caller: Caller): boolean => parts.clock.elapsedMs() >= caller.deadlineMs

  const wait = (caller: Caller): void => {
    const { signal } = caller.options
    const onAbort = (): void => {
      caller.left = true
      if (!caller.deciding) leave(caller, caller.uncertain)
    }
    const leftMs = caller.deadlineMs - parts.clock.elapsedMs()
    const stopTimer = parts.timers.after(leftMs, () => {
      if (!caller.deciding) expire(caller)
    })
    signal?.addEventListener('abort', onAbort, { once: true })
    caller.stop = () => {
      stopTimer()
      signal?.removeEventListener('abort', onAbort)
    }
    waiters.add(caller)
    // Aborted while the first decision was under way.
    if (signal?.aborted) onAbort()
  }

  const expire = (caller: Caller): void => {
    if (caller.uncertain) giveBack(caller).catch(() => {})
    finish(caller, () => caller.resolve(caller.denial as ReserveResult))
  }

  /** @param taken - it was, or may have been, admitted: the caller is told once that is undone. */
  const leave = (caller: Caller, taken: boolean): void => {
    const reject = (): void => caller.reject(caller.options.signal?.reason)
    // What cannot be given back now expires by itself.
    if (taken) finish(caller, () => void giveBack(caller).then(reject, reject))
    else finish(caller, reject)
  }

  const giveBack = async (caller: Caller): Promise<void> => {
    await parts.release(caller.item)
    wake()
  }

  const finish = (caller: Caller, tell: () => void): void => {
    caller.stop()
    waiters.delete(caller)
    if (waiters.size === 0) {
      stopPoll?.()
      stopPoll = null
      pollMs = FIRST_POLL_MS
    }
    tell()
  }

  const wake = (): void => {
    if (!running && waiters.size === 0) return
    woken = true
    start()
  }

  return {
    wake,
    reserve: (item, options = {}) =>
      new Promise((resolve, reject) => {
        newcomers.push({
          item,
          options,
          deadlineMs: parts.clock.elapsedMs() + (options.waitMs ?? 0),
          resolve,
          reject,
          denial: null,
          deciding: false,
          left: false,
          uncertain: false,
          stop: () => {},
        })
        start()
      }),
  }
}

/** Those that a newcomer could take something from. */
function sharing(waiters: ReadonlySet<Caller>, fresh: readonly Caller[]): readonly Caller[] {
  if (waiters.size === 0) return []
  const ids = new Set(fresh.flatMap((c) => c.item.accounts.map((account) => account.id)))
  return [...waiters].filter((w) => w.item.accounts.some((account) => ids.has(account.id)))
}
