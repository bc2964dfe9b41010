/**
 * ST-12: no error and no log holds a value that was stored or should have been.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import type { Also } from '../../storage/also.ts'
import type { Storage } from '../../storage/storage.ts'
import { type ConformanceCase, failure } from './case.ts'
import { everyCommand } from './every-command.ts'
import { ask, ledgerBench, settleOf } from './ledger-bench.ts'
import { call, NONE, newDek, newKey, newSecret, tenants, usage } from './samples.ts'

const CANARY = 'canary-7f3a'
const LETTERS = new TextEncoder().encode(CANARY.padEnd(32, '!'))

const key = (n: number) =>
  newKey('acme', n, {
    name: CANARY,
    scopes: [CANARY],
    hash: LETTERS,
    pepperId: CANARY,
    last4: CANARY.slice(-4),
  })

const secretOver = { publicFields: { [CANARY]: CANARY }, masked: CANARY, envelope: LETTERS }

const circle = (): Record<string, unknown> => {
  const payload: Record<string, unknown> = { [CANARY]: CANARY }
  payload[CANARY] = payload
  return payload
}

const bad = (): Also => ({
  audit: [
    {
      tenantId: 'acme',
      actor: CANARY,
      action: CANARY,
      target: CANARY,
      detail: { [CANARY]: CANARY },
    },
  ],
  events: [{ id: CANARY, kind: CANARY, tenantId: 'acme', payload: circle() }],
})

/** Everything a store refuses, with the canary in every value. */
async function refusals(storage: Storage): Promise<readonly Promise<unknown>[]> {
  await tenants(storage, 'acme')
  const dek = newDek('acme', 1, { kekId: CANARY, wrapped: LETTERS })
  await storage.deks.create(dek, NONE)
  await storage.keys.create(key(1), NONE)
  await storage.secrets.put(newSecret('acme', dek.id, secretOver), NONE)
  const account = { id: 'tenant:acme', depth: 0 }
  const budget = { tenantId: 'acme', account, unit: 'usd', window: 'month', limit: 5n } as const
  const stored = { ...budget, zone: 'UTC', source: CANARY }
  await storage.ledger.setBudget(stored, NONE)
  return [
    storage.keys.create(key(1), NONE),
    storage.keys.create(key(2), bad()),
    storage.keys.create({ ...key(3), tenantId: 'nobody' }, NONE),
    storage.secrets.put(newSecret('acme', dek.id, secretOver), NONE),
    storage.secrets.put(newSecret('acme', dek.id, { ...secretOver, version: 2 }), bad()),
    storage.secrets.put(newSecret('acme', 'no-dek', { ...secretOver, version: 2 }), NONE),
    storage.deks.create(newDek('acme', 2, { id: dek.id, wrapped: LETTERS }), NONE),
    storage.deks.create(newDek('acme', 2, { wrapped: LETTERS, kekId: CANARY }), bad()),
    storage.ledger.setBudget({ ...stored, zone: 'Europe/Berlin' }, NONE),
    storage.ledger.setBudget(stored, bad()),
  ]
}

/** All that a log or an error tracker could make of an error. */
function everyForm(error: unknown): string {
  const forms = [
    inspect(error, { depth: 20, showHidden: true, getters: true }),
    JSON.stringify(error),
    String(error),
    error instanceof Error ? `${error.stack} ${error.message} ${everyForm(error.cause ?? '')}` : '',
  ]
  return forms.join('\n')
}

const METHODS = ['debug', 'error', 'info', 'log', 'trace', 'warn'] as const

/** Runs `work` and returns what it printed. */
async function printed(work: () => Promise<void>): Promise<string> {
  const lines: string[] = []
  const { console: output } = globalThis
  const before = METHODS.map((method) => [method, output[method]] as const)
  for (const method of METHODS) output[method] = (...args) => lines.push(inspect(args))
  try {
    await work()
  } finally {
    for (const [method, original] of before) output[method] = original
  }
  return lines.join('\n')
}

const clean = (text: string): void => {
  const forms = [CANARY, btoa(CANARY).slice(0, 12), Buffer.from(CANARY).toString('hex')]
  // Buffers print as pairs of hex digits, typed arrays as numbers.
  forms.push(
    Buffer.from(CANARY)
      .toString('hex')
      .replaceAll(/(..)(?!$)/g, '$1 '),
  )
  forms.push([...Buffer.from(CANARY)].join(', '))
  for (const form of forms) assert.ok(!text.includes(form), 'a stored value leaked')
}

export const secrecyCases: readonly ConformanceCase[] = [
  {
    title:
      'ST-12 errors of refused commands hold no stored value, in any form, and nothing is logged',
    run: async ({ storage }) => {
      const log = await printed(async () => {
        const work = await refusals(storage)
        assert.ok(work.length > 5)
        for (const error of await Promise.all(work.map(failure))) clean(everyForm(error))
      })
      clean(log)
    },
  },
  {
    title: 'ST-12 a settle that cannot be written fails without the values it was given',
    run: async ({ storage }) => {
      const bench = await ledgerBench(storage, { limit: 100n })
      const holdId = await bench.hold(50n)
      const draft = usage(10n, { servedModel: CANARY, tokens: circle() as never })
      const item = { ...settleOf('acme', holdId, 10n), usage: draft }
      const outcome = await storage.ledger.settle([item]).catch((error: unknown) => error)
      clean(everyForm(outcome))
    },
  },
  {
    title: 'ST-12 a closed store says nothing of what it was asked to write',
    run: async ({ storage }) => {
      await tenants(storage, 'acme')
      await storage.close()
      clean(everyForm(await failure(storage.keys.create(key(1), NONE))))
      const item = ask('acme', 1n, { call: call({ model: CANARY }) })
      clean(everyForm(await failure(storage.ledger.reserve([item]))))
    },
  },
  {
    title: 'ST-12 a store that cannot answer says nothing of what it holds',
    needs: 'durable',
    run: async ({ storage, breakBackend }) => {
      await Promise.allSettled(await refusals(storage))
      await breakBackend()
      clean(everyForm(await failure(storage.keys.create(key(9), NONE))))
      for (const { run } of everyCommand(storage)) clean(everyForm(await failure(run())))
    },
  },
]
