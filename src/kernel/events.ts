/**
 * What the host is told while things happen: one callback for events, one logger.
 *
 * @module
 */
import type { ErrorCode } from './errors.ts'

/** Events of the running process. Ids and codes only; durable facts go to the outbox instead. */
export type RuntimeEvent =
  | { readonly kind: 'key.verify_failed'; readonly code: ErrorCode; readonly keyId: string | null }
  | {
      readonly kind: 'call.denied'
      readonly code: ErrorCode
      readonly tenantId: string
      readonly keyId: string | null
      readonly callId: string
    }
  | {
      /** The store did not answer in time: the response was delivered, the settle is being retried. */
      readonly kind: 'settle.delayed'
      readonly tenantId: string
      readonly holdId: string
    }
  | {
      /** The settle was given up; the hold expires and is reported as unknown spend. */
      readonly kind: 'settle.failed'
      readonly code: ErrorCode
      readonly tenantId: string
      readonly holdId: string
    }
  | {
      /** The connection broke after sending and before an answer: the hold stays until it expires. */
      readonly kind: 'call.outcome_unknown'
      readonly tenantId: string
      readonly holdId: string
    }
  | {
      /** A call under way was ended, because its hold was lost or could not grow. */
      readonly kind: 'call.stopped'
      readonly code: ErrorCode
      readonly tenantId: string
      readonly holdId: string
    }
  | {
      readonly kind: 'budget.overage'
      readonly tenantId: string
      readonly holdId: string
      readonly overageNanoUsd: bigint
    }
  | {
      /** A server whose figures are nobody's bill claimed more than the call could use: it was charged at
       * what was held. The claim stands in the counts of the usage row. */
      readonly kind: 'usage.capped'
      readonly tenantId: string
      readonly holdId: string
      readonly provider: string
      readonly model: string
      readonly costNanoUsd: bigint
      /** By our prices, or as the server said it where that is what counts. */
      readonly claimedNanoUsd: bigint
      /** Input and output. */
      readonly tokens: number
      readonly claimedTokens: number
    }
  | {
      /** A part of what was counted is in no charge: it has no price, or nobody says what it was. */
      readonly kind: 'usage.uncharged'
      readonly tenantId: string
      readonly holdId: string
      readonly provider: string
      readonly model: string
      /** `web_search_requests`, `tier:priority`, `unattributed_tokens`, `other_model_output_tokens` ... */
      readonly parts: readonly string[]
    }
  | {
      /** What the provider says that it charged is another figure than ours, by more than rounding. */
      readonly kind: 'price.differs'
      readonly tenantId: string
      readonly holdId: string
      readonly provider: string
      readonly model: string
      readonly priceId: string
      readonly costNanoUsd: bigint
      readonly providerCostNanoUsd: bigint
    }
  | {
      /** The bundled price table is older than 90 days. Once per installation, when it is used. */
      readonly kind: 'prices.stale'
      /** The day it came out, such as `2026-09-23`. */
      readonly date: string
      readonly ageDays: number
    }
  | {
      /** A sink did not take these events; they wait in the outbox and are tried again. */
      readonly kind: 'sink.failed'
      readonly sink: string
      /** Class, code and status of its error. */
      readonly reason: string
      readonly events: number
    }
  | {
      /** No sink will get this event until it is requeued: one of them cannot take it. */
      readonly kind: 'export.quarantined'
      readonly sink: string
      readonly eventId: string
      readonly reason: string
    }
  | {
      /** The exporter could not work: the store did not answer, or a sink could not be closed. */
      readonly kind: 'export.failed'
      readonly code: ErrorCode
      /** `null`: it was the store. */
      readonly sink: string | null
    }
  | {
      /** `flush()` or `close()` came to the end of its time, or a sink failed: events may wait in the
       * outbox, and this many calls are not settled yet. */
      readonly kind: 'flush.incomplete'
      readonly exported: number
      readonly unsettled: number
    }
  | {
      /** More events wait than are allowed to; or no longer. */
      readonly kind: 'outbox.full' | 'outbox.drained'
      /** Counted to one above the maximum. */
      readonly waiting: number
      readonly maxWaiting: number
      readonly whenFull: 'report' | 'reject'
    }
  | {
      /** A bound client had a base URL of its own; tenant calls do not use it. */
      readonly kind: 'client.base_url_ignored'
      readonly provider: string
    }

/** The shape of `console` and of most loggers. Only ids and codes are ever passed. */
export interface Logger {
  debug(message: string, fields?: object): void
  info(message: string, fields?: object): void
  warn(message: string, fields?: object): void
  error(message: string, fields?: object): void
}

export interface Reporter {
  emit(event: RuntimeEvent): void
  /** Calls host code; what it throws is logged and goes no further. */
  guard(what: string, run: () => unknown): void
}

const LOUD = new Set([
  'settle.delayed',
  'settle.failed',
  'call.outcome_unknown',
  'call.stopped',
  'sink.failed',
  'export.quarantined',
  'export.failed',
  'outbox.full',
  'flush.incomplete',
  'client.base_url_ignored',
  'price.differs',
  'usage.capped',
  'usage.uncharged',
  'prices.stale',
])

export function createReporter(options: {
  readonly onEvent?: ((event: RuntimeEvent) => void) | undefined
  readonly logger?: Logger | undefined
}): Reporter {
  const { onEvent, logger } = options
  const log = (level: keyof Logger, message: string, fields?: object): void => {
    try {
      logger?.[level](message, fields)
    } catch {
      // There is nobody left to tell, and no call may fail for it.
    }
  }
  const failed = (what: string): void => log('error', `tenantkeys: ${what} threw`)
  const guard: Reporter['guard'] = (what, run) => {
    try {
      const result = run()
      if (result instanceof Promise) result.catch(() => failed(what))
    } catch {
      failed(what)
    }
  }
  return {
    guard,
    emit: (event) => {
      if (onEvent) guard('onEvent', () => onEvent(event))
      log(LOUD.has(event.kind) ? 'warn' : 'debug', `tenantkeys: ${event.kind}`, event)
    },
  }
}
