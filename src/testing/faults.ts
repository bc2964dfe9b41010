/**
 * A fault injector around any Storage: stands for the network that loses a request or its reply,
 * where there is no network.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import type { Storage } from '../storage/storage.ts'

/** One call of one command, as a plan sees it. */
export interface FaultyCall {
  /** For example `ledger.settle` or `migrate`. */
  readonly command: string
  /** 1 for the first call of this command. */
  readonly count: number
}

/**
 * - `lost-request`: the command never runs; TK_STORE_UNAVAILABLE with outcome `none`.
 * - `lost-reply`: the command runs, its answer is lost; TK_STORE_UNAVAILABLE with outcome `unknown`.
 * - a promise: the command runs when it resolves.
 */
export type Fault = 'lost-request' | 'lost-reply' | Promise<void>

/** Decides the fault of each call; `null`: none. */
export type FaultPlan = (call: FaultyCall) => Fault | null

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

type Command = (...args: readonly unknown[]) => Promise<unknown>

/** The same store with the faults of `plan`. `epochNow` and `onEpoch` are left out: the one never
 * waits and the other may be silent, so their users fall back to `epoch`. */
export function withFaults(storage: Storage, plan: FaultPlan): Storage {
  const counts = new Map<string, number>()

  const wrap =
    <A extends readonly unknown[], R>(command: string, run: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      const count = (counts.get(command) ?? 0) + 1
      counts.set(command, count)
      const fault = plan({ command, count })
      if (fault === 'lost-request') throw lost('none')
      if (fault !== 'lost-reply') await fault
      const answer = await run(...args)
      if (fault === 'lost-reply') throw lost('unknown')
      return answer
    }

  const wrapFamily = <F extends (typeof FAMILIES)[number]>(family: F): [F, Storage[F]] => {
    const commands: [string, Command][] = Object.entries(storage[family])
    const faulty = commands.map(([name, run]) => [name, wrap(`${family}.${name}`, run)])
    return [family, Object.fromEntries(faulty) as Storage[F]]
  }

  const families = Object.fromEntries(FAMILIES.map(wrapFamily)) as Pick<
    Storage,
    (typeof FAMILIES)[number]
  >
  return {
    contractVersion: storage.contractVersion,
    capabilities: storage.capabilities,
    migrate: wrap('migrate', () => storage.migrate()),
    close: () => storage.close(),
    epoch: wrap('epoch', () => storage.epoch()),
    pin: wrap('pin', (name: string, value: string) => storage.pin(name, value)),
    ...families,
  }
}

const lost = (outcome: 'none' | 'unknown'): TenantKeysError =>
  new TenantKeysError('TK_STORE_UNAVAILABLE', { reason: 'injected' }, { outcome })
