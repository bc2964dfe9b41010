import '../support/same-draws.ts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { localKeyIssuer } from '../../src/keys/local-key-issuer.ts'
import type { KeyState } from '../../src/storage/records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { fakeClock } from '../../src/testing/index.ts'
import { FULL, printFigures } from '../support/figures.ts'
import { draft, fakePepper } from '../support/key-issuer.ts'

const RUNS = FULL ? 20_000 : 2_000

/** How old the state that a verification goes by may be, counted from when the verification began. */
const MAX_AGE_MS = 2_000

const VERDICT_OF: Record<KeyState, string> = {
  active: 'ok',
  disabled: 'TK_KEY_DISABLED',
  revoked: 'TK_KEY_REVOKED',
}

const action = fc.record({
  who: fc.nat({ max: 1 }),
  what: fc.oneof(
    { weight: 6, arbitrary: fc.constant('verify' as const) },
    { weight: 4, arbitrary: fc.constantFrom('disable', 'enable', 'revoke') },
    { weight: 3, arbitrary: fc.constantFrom(300, 1_001, 2_001) },
  ),
  /** How many messages are delivered before the next action begins. */
  steps: fc.nat({ max: 4 }),
})

interface Version {
  readonly state: KeyState
  readonly atMs: number
}

/** Every request and every reply of this store is a message that the scheduler delivers. */
function scheduled(s: fc.Scheduler, storage: Storage): Storage {
  const wire =
    <A extends readonly unknown[], R>(name: string, run: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      await s.schedule(Promise.resolve(), `${name} request`)
      const reply = await run(...args).then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      )
      await s.schedule(Promise.resolve(), `${name} reply`)
      if ('error' in reply) throw reply.error
      return reply.value
    }
  const { epochNow: _local, ...remote } = storage
  return {
    ...remote,
    epoch: wire('epoch', storage.epoch),
    keys: {
      ...storage.keys,
      find: wire('find', storage.keys.find),
      setState: wire('setState', storage.keys.setState),
    },
  }
}

describe('verify beside changes of the same key', () => {
  it('T-K6 in every interleaving of two processes no state reverts and none is honoured too long', async () => {
    let verified = 0
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.array(action, { maxLength: 12 }), async (s, actions) => {
        const clock = fakeClock()
        const truth = memory({ clock })
        await truth.tenants.create({ id: 'acme', parentId: null, credentials: 'tenant' }, {})
        const versions: Version[] = [{ state: 'active', atMs: Number.NEGATIVE_INFINITY }]
        const spied: Storage = {
          ...truth,
          keys: {
            ...truth.keys,
            setState: async (at, also) => {
              const row = await truth.keys.setState(at, also)
              if (row !== null && row.state !== versions.at(-1)!.state) {
                versions.push({ state: row.state, atMs: clock.elapsedMs() })
              }
              return row
            },
          },
        }
        const issuers = [0, 1].map(() => ({
          issuer: localKeyIssuer({
            storage: scheduled(s, spied),
            peppers: [{ id: 'pep-1', key: fakePepper(1) }],
            clock,
            // Every reply comes in the end, so nobody's patience needs to.
            sleep: () => ({ over: new Promise(() => {}), cancel: () => {} }),
          }),
          /** The newest version that this process knows of, as its own change returned. */
          own: 0,
        }))
        const { key, info } = await issuers[0]!.issuer.issue(draft())
        const ref = { ...info, actor: 'ops' }
        const running: Promise<void>[] = []

        const verify = async (who: number): Promise<void> => {
          const { issuer, own } = issuers[who]!
          const oldestMs = clock.elapsedMs() - MAX_AGE_MS
          const oldest = versions.findLastIndex(({ atMs }) => atMs < oldestMs)
          const verdict = await issuer.verify(key)
          verified++
          const allowed = versions.slice(Math.max(oldest, own)).map((v) => VERDICT_OF[v.state])
          expect(allowed).toContain(verdict.ok ? 'ok' : verdict.code)
        }
        const change = async (
          who: number,
          what: 'disable' | 'enable' | 'revoke',
        ): Promise<void> => {
          const process = issuers[who]!
          const row = await process.issuer[what](ref).catch((error: { code: string }) => {
            expect(error.code).toBe('TK_KEY_REVOKED')
            return null
          })
          const state = row?.state ?? 'revoked'
          const version = versions.findIndex((v, i) => i >= process.own && v.state === state)
          process.own = Math.max(process.own, version)
        }

        for (const { who, what, steps } of actions) {
          if (typeof what === 'number') clock.advance(what)
          else running.push(what === 'verify' ? verify(who) : change(who, what))
          for (let i = 0; i < steps; i++) await step(s)
        }
        await s.waitIdle()
        await Promise.all(running)

        const revokedAt = versions.findIndex(({ state }) => state === 'revoked')
        if (revokedAt !== -1) expect(versions.length).toBe(revokedAt + 1)
        const stored = await truth.keys.get(info)
        expect(stored?.state).toBe(versions.at(-1)!.state)
        clock.advance(MAX_AGE_MS + 1)
        for (const who of [0, 1]) {
          const last = verify(who)
          await s.waitIdle()
          await last
        }
      }),
      { numRuns: RUNS },
    )
    printFigures({ 'T-K6': 'memory', interleavings: RUNS, verified })
    expect(verified).toBeGreaterThan(2 * RUNS)
  }, 600_000)
})

/** Delivers one message, if there is one. */
async function step(s: fc.Scheduler): Promise<void> {
  for (let i = 0; i < 8; i++) await Promise.resolve()
  if (s.count() > 0) await s.waitNext(1)
}
