/**
 * A key issuer on a store whose clock, faults and waits are in the hands of the test.
 *
 * @module
 */
import { crc32 } from 'node:zlib'
import { memory } from '../../src/adapters/memory/index.ts'
import { BASE62 } from '../../src/kernel/encoding.ts'
import type { Pause } from '../../src/keys/bounded-wait.ts'
import type { ParsedKey } from '../../src/keys/key-format.ts'
import type { IssueKey } from '../../src/keys/key-issuer.ts'
import { type LocalKeyIssuerOptions, localKeyIssuer } from '../../src/keys/local-key-issuer.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { type Fault, fakeClock, withFaults } from '../../src/testing/index.ts'

/** 32 bytes that pass for random and are no secret. */
export const fakePepper = (seed: number): Uint8Array =>
  Uint8Array.from({ length: 32 }, (_, i) => ((i + 1) * (i + 3) * 7 + seed * 29) & 0xff)

export const draft = (change: Partial<IssueKey> = {}): IssueKey => ({
  tenantId: 'acme',
  name: 'a key',
  scopes: ['support:chat'],
  brand: 'tk',
  environment: 'live',
  expiresAtMs: null,
  actor: 'tester',
  ...change,
})

/** The text of a key with these parts and a right checksum. */
export function keyText(parts: Omit<ParsedKey, 'environment'> & { environment: string }): string {
  const body = `${parts.brand}_${parts.environment}_${parts.keyId}_${parts.secret}`
  return body + keyChecksum(body)
}

/** CRC-32 by zlib, in six letters of base62. */
export function keyChecksum(body: string): string {
  let rest = crc32(body)
  let out = ''
  for (let i = 0; i < 6; i++) {
    out = BASE62[rest % 62] + out
    rest = Math.floor(rest / 62)
  }
  return out
}

/** Waits that end when the test says so. */
export function manualSleep() {
  const waits: { readonly ms: number; end(): void }[] = []
  const sleep = (ms: number): Pause => {
    let end = (): void => {}
    const over = new Promise<void>((resolve) => {
      end = resolve
    })
    const wait = { ms, end }
    waits.push(wait)
    return { over, cancel: () => void waits.splice(waits.indexOf(wait), 1) }
  }
  return { sleep, waits }
}

/** Lets everything run that needs no more than the event loop. */
export const idle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A promise that the test resolves. */
export function gate() {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

type Options = Partial<LocalKeyIssuerOptions> & { readonly wrap?: (storage: Storage) => Storage }

/**
 * `truth`: the store itself, as another process would change it. `calls`: the commands that the
 * issuer sent, in order. `faults`: by command, what happens to every call of it from now on.
 * With `remote` the store has no epochNow.
 */
export async function keyInstallation(kind: 'local' | 'remote', options: Options = {}) {
  const clock = fakeClock()
  const truth = memory({ clock })
  for (const id of ['acme', 'globex']) {
    await truth.tenants.create({ id, parentId: null, credentials: 'tenant' }, {})
  }
  const calls: string[] = []
  const faults = new Map<string, Fault>()
  const faulty = withFaults(truth, ({ command }) => {
    calls.push(command)
    return faults.get(command) ?? null
  })
  const { wrap = (storage) => storage, ...rest } = options
  const { epochNow } = truth
  const seen = kind === 'remote' || !epochNow ? faulty : { ...faulty, epochNow }
  const { sleep, waits } = manualSleep()
  const peppers = [{ id: 'pep-1', key: fakePepper(1) }]
  const issuer = localKeyIssuer({ storage: wrap(seen), peppers, clock, sleep, ...rest })
  return { clock, truth, calls, faults, waits, issuer }
}
