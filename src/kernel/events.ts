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
  'client.base_url_ignored',
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
