/**
 * Child processes of a test: they run a bundle of today's sources and do what they are told over IPC,
 * one order at a time.
 *
 * @module
 */
import { type ChildProcess, type ForkOptions, fork } from 'node:child_process'
import { once } from 'node:events'
import { symlinkSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, afterEach, beforeAll } from 'vitest'
import { bundle } from './bundle.ts'
import { temporaryFiles } from './sqlite.ts'

export interface Workers<Order> {
  /** Starts one and waits until it says that it is ready. */
  start(args: readonly string[], options?: ForkOptions): Promise<ChildProcess>
  /** Gives an order and waits for the answer. @throws Error when the worker failed or ended. */
  tell<T>(child: ChildProcess, order: Order): Promise<T>
  kill(child: ChildProcess): Promise<void>
  killAll(): Promise<void>
}

/** Call it at the top of a test file: it bundles `entry` before the tests and kills what is left after
 * each. */
export function workersOf<Order extends object>(entry: string): Workers<Order> {
  const fileOf = temporaryFiles()
  const children = new Set<ChildProcess>()
  let script = ''
  beforeAll(async () => {
    script = await bundle(entry, fileOf('built'), 'worker')
    // A worker finds its drivers as a host would: in the node_modules above it.
    symlinkSync(resolve('node_modules'), fileOf('node_modules'))
  })

  const said = async (child: ChildProcess): Promise<unknown> => {
    const ended = new AbortController()
    try {
      const [message] = await Promise.race([
        once(child, 'message', ended),
        once(child, 'exit', ended).then(([status, signal]) => {
          throw new Error(`a worker ended: ${signal ?? status}`)
        }),
      ])
      return message
    } finally {
      ended.abort()
    }
  }
  const kill = async (child: ChildProcess): Promise<void> => {
    children.delete(child)
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  const killAll = async (): Promise<void> => {
    await Promise.all([...children].map(kill))
  }
  afterEach(killAll)
  afterAll(killAll)
  return {
    async start(args, options = {}) {
      const child = fork(script, [...args], options)
      children.add(child)
      await said(child)
      return child
    },
    async tell<T>(child: ChildProcess, order: Order): Promise<T> {
      const answer = said(child)
      child.send(order)
      const message = (await answer) as T & { failed?: string }
      if (message.failed) throw new Error(`the worker failed: ${message.failed}`)
      return message
    },
    kill,
    killAll,
  }
}

/** For the worker: obeys orders one after the other, and says so. */
export function obeyOrders<Order>(obey: (order: Order) => Promise<unknown>): void {
  process.on('message', (order: Order) => {
    obey(order).then(
      (answer) => process.send?.(answer ?? 'done'),
      (error: unknown) => process.send?.({ failed: describeError(error) }),
    )
  })
  // Its parent is gone: nobody waits for it any more.
  process.on('disconnect', () => process.exit())
  process.send?.('ready')
}

function describeError(error: unknown): string {
  const { stack, code } = error as { stack?: string; code?: string }
  return `${code ?? ''} ${stack ?? error}`
}
