/**
 * What waits in a store that nobody takes away, as findings: the same judgement for every database,
 * over numbers that each counts in its own way.
 *
 * @module
 */
import type { Finding } from './inspection.ts'

/** How long after its expiry a hold may wait for a sweep; as `tk.budgets.check` has it. */
export const SWEEP_GRACE_MS = 60_000
const DAY_MS = 86_400_000
/** Finished holds that nobody would notice. */
const FEW_HOLDS = 100_000

export interface Leftovers {
  readonly nowMs: number
  /** Live holds that expired more than {@link SWEEP_GRACE_MS} ago. */
  readonly dueHolds: number
  /** Finished holds that may be pruned. */
  readonly finishedHolds: number
  /** Events in the outbox. */
  readonly events: number
  /** When the oldest of them was written; 0: none. */
  readonly oldestEventMs: number
  /** How often one of them was leased, at most. */
  readonly attempts: number
}

export function leftoverFindings(found: Leftovers): readonly Finding[] {
  return [expired(found), finished(found), outbox(found)]
}

export const okFinding = (subject: string, message: string): Finding => ({
  subject,
  severity: 'ok',
  message,
  hint: null,
})

function expired({ dueHolds }: Leftovers): Finding {
  const subject = 'expired holds'
  if (dueHolds === 0) return okFinding(subject, 'none waits to be swept')
  const hint = 'they go with the next calls, or with tenantkeys doctor --apply'
  return { subject, severity: 'warning', message: `${dueHolds} wait to be swept`, hint }
}

function finished({ finishedHolds }: Leftovers): Finding {
  const subject = 'finished holds'
  const message = `${finishedHolds} are finished for more than 48 h`
  if (finishedHolds <= FEW_HOLDS) return okFinding(subject, message)
  return { subject, severity: 'info', message, hint: 'call tk.budgets.prune() now and then' }
}

function outbox({ events, oldestEventMs, attempts, nowMs }: Leftovers): Finding {
  const subject = 'outbox'
  if (events === 0) return okFinding(subject, 'empty')
  const ageMs = nowMs - oldestEventMs
  const waits = `${events} events wait, the oldest for ${Math.max(0, Math.floor(ageMs / 3_600_000))} h`
  if (ageMs < DAY_MS) return okFinding(subject, waits)
  if (attempts === 0) {
    const hint = 'no exporter of usage events is running'
    return { subject, severity: 'info', message: `${waits}; nobody has asked for them`, hint }
  }
  const message = `${waits}; one was handed out ${attempts} times`
  return { subject, severity: 'warning', message, hint: 'see why your exporter does not go on' }
}
