import { describe, expect, test } from 'vitest'
import { createReporter, type Logger, type RuntimeEvent } from '../../src/kernel/events.ts'

const delayed: RuntimeEvent = { kind: 'settle.delayed', tenantId: 'acme', holdId: 'h' }
const denied: RuntimeEvent = {
  kind: 'call.denied',
  code: 'TK_MODEL_DENIED',
  tenantId: 'acme',
  keyId: 'k',
  callId: 'c',
}

function recorder(): { readonly lines: unknown[][]; readonly logger: Logger } {
  const lines: unknown[][] = []
  const level =
    (name: string) =>
    (...args: unknown[]): void =>
      void lines.push([name, ...args])
  const logger = {
    debug: level('debug'),
    info: level('info'),
    warn: level('warn'),
    error: level('error'),
  }
  return { lines, logger }
}

describe('createReporter', () => {
  test('hands every event to the callback and to the log: warnings loud, the rest quiet', () => {
    const events: RuntimeEvent[] = []
    const { lines, logger } = recorder()
    const reporter = createReporter({ onEvent: (event) => events.push(event), logger })
    reporter.emit(delayed)
    reporter.emit(denied)
    expect(events).toEqual([delayed, denied])
    expect(lines).toEqual([
      ['warn', 'tenantkeys: settle.delayed', delayed],
      ['debug', 'tenantkeys: call.denied', denied],
    ])
  })

  test('works without callback and log', () => {
    const reporter = createReporter({})
    expect(() => reporter.emit(delayed)).not.toThrow()
    expect(() => reporter.guard('x', () => Promise.reject(new Error('y')))).not.toThrow()
  })

  test.each([
    [
      'throws',
      () => {
        throw new Error('canary-5f1c9e')
      },
    ],
    ['rejects', () => Promise.reject(new Error('canary-5f1c9e'))],
  ])('a callback that %s stops nothing, and its error is not repeated', async (_, onEvent) => {
    const { lines, logger } = recorder()
    createReporter({ onEvent, logger }).emit(denied)
    await Promise.resolve()
    await Promise.resolve()
    expect(lines).toContainEqual(['error', 'tenantkeys: onEvent threw', undefined])
    expect(JSON.stringify(lines)).not.toContain('canary')
  })

  test('a log that throws stops nothing', () => {
    const fail = (): never => {
      throw new Error('canary-5f1c9e')
    }
    const logger = { debug: fail, info: fail, warn: fail, error: fail }
    const events: RuntimeEvent[] = []
    const reporter = createReporter({ logger, onEvent: (event) => events.push(event) })
    reporter.emit(delayed)
    reporter.emit(denied)
    reporter.guard('onReceipt', fail)
    expect(events).toEqual([delayed, denied])
  })
})
