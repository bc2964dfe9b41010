/**
 * The worker processes of a crash test: started, killed, replaced, stopped.
 *
 * @module
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { ErrorCode } from '../../kernel/errors.ts'
import { STOP, type WorkerReport, type WorkerTask } from './messages.ts'

/** The hidden command under which the same program is a worker. */
export const WORKER_COMMAND = 'crash-test-worker'

const STOP_WITHIN_MS = 30_000

export class Fleet {
  readonly #size: number
  readonly #taskOf: (n: number) => WorkerTask
  readonly #onReport: (report: WorkerReport) => void
  readonly #workers = new Set<ChildProcess>()
  /** Those that have work behind them: a process that is still starting proves nothing by its death. */
  readonly #working = new Set<ChildProcess>()
  #started = 0
  #stopping = false
  #failure: ErrorCode | null = null

  constructor(options: {
    readonly size: number
    readonly taskOf: (n: number) => WorkerTask
    readonly onReport: (report: WorkerReport) => void
  }) {
    this.#size = options.size
    this.#taskOf = options.taskOf
    this.#onReport = options.onReport
  }

  /** A code of ours, when a worker could not go on. */
  get failure(): ErrorCode | null {
    return this.#failure
  }

  /** Starts as many as are missing. */
  fill(): void {
    while (!this.#stopping && this.#workers.size < this.#size) this.#start()
  }

  /** SIGKILL for one that works, chosen at random, and another in its place. @returns false: too few
   * of them work yet; a slow machine must not spend its time on starting processes only. */
  async killOne(): Promise<boolean> {
    const victims = [...this.#working]
    const victim = victims[Math.floor(Math.random() * victims.length)]
    if (!victim || victims.length < this.#size / 2) return false
    await this.#kill(victim)
    this.fill()
    return true
  }

  /** Every second one is killed, the others end what they do. @returns how many were killed. */
  async stop(): Promise<number> {
    this.#stopping = true
    const workers = [...this.#workers]
    const killed = workers.filter((worker, i) => i % 2 === 1 && this.#working.has(worker))
    for (const worker of workers) if (!killed.includes(worker)) send(worker, STOP)
    const late = setTimeout(() => void this.killAll(), STOP_WITHIN_MS)
    await Promise.all(workers.map((w) => (killed.includes(w) ? this.#kill(w) : gone(w))))
    clearTimeout(late)
    return killed.length
  }

  async killAll(): Promise<void> {
    this.#stopping = true
    await Promise.all([...this.#workers].map((worker) => this.#kill(worker)))
  }

  #start(): void {
    // The worker is this very program, so that it is found wherever the package lies.
    const worker = fork(process.argv[1]!, [WORKER_COMMAND], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    this.#workers.add(worker)
    worker.on('message', (message) => this.#hear(worker, message as WorkerReport))
    worker.on('exit', (code) => {
      this.#workers.delete(worker)
      this.#working.delete(worker)
      if (code !== 0 && code !== null) this.#failure ??= 'TK_INTERNAL'
    })
    send(worker, this.#taskOf(this.#started++))
  }

  #hear(worker: ChildProcess, report: WorkerReport): void {
    if (report.failed !== null) this.#failure ??= report.failed
    if (report.acknowledged > 0) this.#working.add(worker)
    this.#onReport(report)
  }

  async #kill(worker: ChildProcess): Promise<void> {
    const ended = gone(worker)
    worker.kill('SIGKILL')
    await ended
  }
}

async function gone(worker: ChildProcess): Promise<void> {
  if (worker.exitCode === null && worker.signalCode === null) await once(worker, 'exit')
}

/** One that has died meanwhile cannot be told anything. */
function send(worker: ChildProcess, message: WorkerTask | typeof STOP): void {
  if (worker.connected) worker.send(message, () => {})
}
