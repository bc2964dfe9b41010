/**
 * Child processes of a test: they run a bundle of today's sources and do what they are told over IPC.
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
  /** Gives an order and waits for its answer; several may be under way. @throws Error when the worker
   * failed or ended. */
  tell<T>(child: ChildProcess, order: Order): Promise<T>
  /** Waits for the next message. @throws Error when the worker ends first. */
  next(child: ChildProcess): Promise<unknown>
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

  let orders = 0
  /** Waits for the message that `is` the one. @throws Error when the process ends first. */
  const said = (child: ChildProcess, is: (message: Said) => boolean): Promise<Said> =>
    new Promise((resolve, reject) => {
      const finish = (): void => {
        child.off('message', onMessage).off('exit', onExit)
      }
      const onMessage = (message: Said): void => {
        if (!is(message)) return
        finish()
        resolve(message)
      }
      const onExit = (status: number | null, signal: string | null): void => {
        finish()
        reject(new Error(`a worker ended: ${signal ?? status}`))
      }
      child.on('message', onMessage).on('exit', onExit)
    })
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
      await said(child, (message) => message === READY)
      return child
    },
    async tell<T>(child: ChildProcess, order: Order): Promise<T> {
      const id = ++orders
      const answered = said(child, (message) => typeof message === 'object' && message.id === id)
      child.send({ id, order } satisfies Told<Order>)
      const { failed, answer } = (await answered) as Answer
      if (failed !== undefined) throw new Error(`a worker failed: ${failed}`)
      return answer as T
    },
    next: (child) => said(child, () => true),
    kill,
    killAll,
  }
}

const READY = 'ready'

interface Told<Order> {
  readonly id: number
  readonly order: Order
}

interface Answer {
  readonly id: number
  readonly answer?: unknown
  readonly failed?: string
}

type Said = Answer | string

/** For the worker: says that it is ready, obeys each order when it comes, and answers it. */
export function obeyOrders<Order>(obey: (order: Order) => Promise<unknown>): void {
  process.on('message', ({ id, order }: Told<Order>) => {
    obey(order).then(
      (answer) => process.send?.({ id, answer } satisfies Answer),
      (error: unknown) => process.send?.({ id, failed: describeError(error) } satisfies Answer),
    )
  })
  // Its parent is gone: nobody waits for it any more.
  process.on('disconnect', () => process.exit())
  process.send?.(READY)
}

function describeError(error: unknown): string {
  const { stack, code } = error as { stack?: string; code?: string }
  return `${code ?? ''} ${stack ?? error}`
}
