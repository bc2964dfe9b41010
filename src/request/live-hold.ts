/**
 * A hold while its call is under way: extended before it expires, raised where it grows with the
 * stream, and the end of the call when that is refused. A call whose hold is gone must not go on, as
 * others may be given what it spends.
 *
 * @module
 */
import { type ErrorDetails, TenantKeysError } from '../kernel/errors.ts'
import { followSignal } from '../kernel/follow-signal.ts'
import type { Amounts, ExtendResult } from '../storage/ledger-records.ts'
import { OUTPUT_SLICE } from './hold-amounts.ts'
import type { CorridorParts, HeldCall } from './parts.ts'
import { refusal } from './reserve.ts'

/** Looks come twelve in a TTL; after four of them, a third of it, the hold is extended. */
const LOOKS_PER_TTL = 12
const EXTEND_AFTER_LOOKS = 4
/** With no extension by then, the call is ended while its hold still stands. */
const GIVE_UP_AFTER_LOOKS = 11

/** An answer that nobody asked for more of for so long is not read by anybody; 11 minutes. */
const ABANDONED_AFTER_MS = 660_000

/** A hold that grows does so when so much of it was delivered, in percent. */
const GROW_AT_PERCENT = 90

export interface LiveHold {
  /** Aborts with the caller's own signal, and with a typed error when the hold is lost. */
  readonly signal: AbortSignal
  /** The provider has answered; from now on somebody must read. */
  answered(): void
  /** Somebody waits for the answer, or more of it: how long it may take is left to the transport. */
  reading(): void
  /** So many tokens of output came so far. `null`: the hold covers them, which is nearly always; else
   * it resolves when it does, or when the call was ended. */
  delivered(outputTokens: number): Promise<void> | null
  /** Tokens of output that stand held for certain. */
  heldOutput(): number
  /** The call is over, or nobody can tell any more: the hold is left as it is. */
  stop(): void
  /** Nobody reads the answer any more: the caller's own signal is let go, which may live as long as the
   * process and would keep every call that it was given to. */
  release(): void
}

export function liveHold(
  parts: Pick<CorridorParts, 'guard' | 'holdTtlMs' | 'clock' | 'timers' | 'reporter'>,
  call: HeldCall,
): LiveHold {
  const { guard, holdTtlMs: ttlMs, clock, timers } = parts
  const { attemptId: holdId, tenant, mostOutput } = call
  const own = new AbortController()
  const release = call.signal ? followSignal(own, call.signal) : () => {}
  const lookMs = ttlMs / LOOKS_PER_TTL
  let heldOutput = call.firstOutput
  let amounts = call.amounts
  let sequence = 0
  let extending: Promise<unknown> = Promise.resolve()
  let beating = false
  let stopped = false
  /** When the newest extension was asked for: the hold lives at least a TTL longer than that. */
  let aliveMs = clock.elapsedMs()
  let readMs: number | null = null

  const stop = (): void => {
    stopped = true
    cancel()
  }
  const end = (error: TenantKeysError): void => {
    if (stopped) return
    stop()
    parts.reporter.emit({ kind: 'call.stopped', code: error.code, tenantId: tenant.id, holdId })
    own.abort(error)
  }
  const lost = (details: ErrorDetails): void =>
    end(new TenantKeysError('TK_BUDGET_HOLD_LOST', { tenantId: tenant.id, holdId, ...details }))

  /** One after the other, each with a number of its own: a lost reply leaves no doubt for the next. */
  const extend = (to: Amounts): Promise<ExtendResult> => {
    const askedMs = clock.elapsedMs()
    const ask = async (): Promise<ExtendResult> => {
      const item = { holdId, tenantId: tenant.id, sequence: ++sequence, amounts: to, ttlMs }
      const result = await guard.extend(item).catch((error: unknown) => {
        // It may have been raised, and is never lowered again.
        if (TenantKeysError.isInstance(error) && error.outcome === 'unknown') amounts = to
        throw error
      })
      if (result.ok) {
        amounts = to
        aliveMs = askedMs
      }
      return result
    }
    const result = extending.then(ask)
    extending = result.catch(() => {})
    return result
  }

  const beat = async (): Promise<void> => {
    beating = true
    try {
      // The totals are read when it is this one's turn: a growth may be under way before it.
      await extending
      const result = await extend(amounts)
      if (!result.ok) end(refusal(call, result))
    } catch {
      // The store did not answer: the next look tries again, as long as the hold stands.
    } finally {
      beating = false
    }
  }

  const look = (): void => {
    cancel = timers.after(lookMs, look, { unref: true })
    const nowMs = clock.elapsedMs()
    // Timers may come a little early.
    const looks = (nowMs - aliveMs) / lookMs + 0.5
    if (readMs !== null && nowMs - readMs >= ABANDONED_AFTER_MS) {
      lost({ reason: 'nobody read on in the answer for 11 minutes' })
    } else if (looks >= GIVE_UP_AFTER_LOOKS) {
      lost({ reason: 'the store did not extend it in time' })
    } else if (looks >= EXTEND_AFTER_LOOKS && !beating) void beat()
  }
  let cancel = timers.after(lookMs, look, { unref: true })

  /** Twice as much, else a slice more; a hold that is at the bound of the call needs no more. */
  const grow = async (delivered: number): Promise<void> => {
    const least = Math.max(delivered, heldOutput)
    const steps = [2 * least, least + OUTPUT_SLICE].map((step) => Math.min(step, mostOutput))
    let refused: TenantKeysError | null = null
    for (const step of new Set(steps)) {
      const result = await extend(call.amountsFor(step))
      if (result.ok) {
        heldOutput = step
        return
      }
      refused = refusal(call, result)
    }
    if (refused) end(refused)
  }

  return {
    signal: own.signal,
    answered: () => {
      readMs = clock.elapsedMs()
    },
    reading: () => {
      readMs = null
    },
    delivered: (outputTokens) => {
      readMs = clock.elapsedMs()
      if (stopped || heldOutput >= mostOutput) return null
      if (outputTokens * 100 < heldOutput * GROW_AT_PERCENT) return null
      return grow(outputTokens).catch((error: unknown) => {
        // The next piece tries again, as long as what is held covers what came.
        if (outputTokens < heldOutput) return
        end(TenantKeysError.isInstance(error) ? error : new TenantKeysError('TK_INTERNAL'))
      })
    },
    heldOutput: () => heldOutput,
    stop,
    release,
  }
}
