/**
 * A simulated network between processes and one store: every command is a request and a reply, and
 * the world decides, by a seed, which of all that is under way happens next. Requests and replies are
 * delayed, reordered, lost and doubled; processes crash; time jumps.
 *
 * @module
 */
import { TenantKeysError } from '../../src/kernel/errors.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { fakeClock } from '../../src/testing/fake-clock.ts'
import { seeded } from '../support/seeded.ts'

const FAMILIES = [
  'tenants',
  'keys',
  'secrets',
  'deks',
  'ledger',
  'usage',
  'outbox',
  'audit',
] as const satisfies readonly (keyof Storage)[]

/** Out of 1000 messages. */
export interface Faults {
  readonly lostRequest: number
  readonly lostReply: number
  readonly doubledRequest: number
}

interface Message {
  readonly process: number
  readonly name: string
  /** Runs the command on the real store; `null` once that has happened. */
  run: (() => Promise<unknown>) | null
  readonly deliver: () => void
  readonly lose: () => void
  /** A copy of a request: nobody waits for its reply. */
  readonly ghost: boolean
}

type Command = (...args: readonly unknown[]) => Promise<unknown>

export class World {
  readonly clock = fakeClock()
  readonly random: (below: number) => number
  readonly #faults: Faults
  readonly #pending: Message[] = []
  readonly #dead = new Set<number>()
  /** What happened, for a run that is replayed. */
  readonly trace: string[] = []
  steps = 0

  constructor(seed: number, faults: Faults) {
    this.random = seeded(seed)
    this.#faults = faults
  }

  /** The store as one process reaches it. */
  connect(storage: Storage, process: number): Storage {
    const post = (name: string, command: Command): Command => {
      return (...args) =>
        new Promise((resolve, reject) => {
          // Arguments travel as they are now; the sender may go on with its objects.
          let answer: Promise<unknown> = Promise.resolve()
          this.#pending.push({
            process,
            name,
            run: () => {
              answer = command(...args)
              answer.catch(() => {})
              return answer
            },
            deliver: () => answer.then(resolve, reject),
            lose: () =>
              reject(new TenantKeysError('TK_STORE_UNAVAILABLE', {}, { outcome: 'unknown' })),
            ghost: false,
          })
        })
    }
    const connected: Record<string, unknown> = { ...storage, epochNow: undefined }
    connected.epoch = post('epoch', () => storage.epoch())
    for (const family of FAMILIES) {
      const commands = Object.entries(storage[family]) as [string, Command][]
      connected[family] = Object.fromEntries(
        commands.map(([name, command]) => [name, post(`${family}.${name}`, command)]),
      )
    }
    return connected as unknown as Storage
  }

  isDead = (process: number): boolean => this.#dead.has(process)

  /** Its replies never arrive, and nothing it still wants to send leaves. What is on its way, stays. */
  crash(process: number): void {
    this.#dead.add(process)
    this.trace.push(`crash ${process}`)
  }

  get idle(): boolean {
    return this.#pending.length === 0
  }

  /** Lets one thing happen. @returns false when nothing is under way. */
  async step(): Promise<boolean> {
    const [message] = this.#pending.splice(this.random(Math.max(1, this.#pending.length)), 1)
    if (!message) return false
    this.steps++
    const { process, name, run } = message
    if (run === null) this.#reply(message)
    else if (this.#happens(this.#faults.lostRequest) && !message.ghost) {
      this.trace.push(`lost request ${process} ${name}`)
      if (!this.isDead(process)) message.lose()
    } else {
      this.trace.push(`${message.ghost ? 'ghost' : 'run'} ${process} ${name}`)
      await run().catch(() => {})
      if (!message.ghost) {
        if (this.#happens(this.#faults.doubledRequest)) {
          this.#pending.push({ ...message, ghost: true })
        }
        this.#pending.push({ ...message, run: null })
      }
    }
    await settled()
    return true
  }

  #reply({ process, name, deliver, lose }: Message): void {
    if (this.isDead(process)) return
    const lost = this.#happens(this.#faults.lostReply)
    this.trace.push(`${lost ? 'lost reply' : 'reply'} ${process} ${name}`)
    if (lost) lose()
    else deliver()
  }

  #happens = (perMille: number): boolean => this.random(1000) < perMille
}

/** Everything that follows from what just happened, down to the last promise. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
