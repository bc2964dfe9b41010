/**
 * Rows 17 and 18: what wrapping a call of the OpenAI client adds, in process. `fetch` answers from
 * memory, for the bare client and the wrapped one alike, so only the processor's time counts; the
 * wrapped client runs the whole corridor on memory(), which does all the work of a store and no I/O.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import OpenAI from 'openai'
import { provider } from './baselines/openai-answers.mjs'
import { compareBytes, LARGE_YOUNG_GENERATION } from './lib/bytes.mjs'
import { compare, inTurn, LONG } from './lib/measure.mjs'
import { row } from './lib/rows.mjs'
import { importPackage } from './lib/subject.mjs'

/** Of each client. V8 goes on optimising for some thousands more; each thousand costs all ten processes a second or so. */
const WARM_UP_CALLS = 4_000

/** `canned`: reserve and settle say yes and keep nothing; see {@link cannedLedger}. */
const CALLS = [
  { row: 17, name: 'a JSON call', chunks: 1 },
  { row: 17, name: 'a JSON call, ledger answered at once', chunks: 1, canned: true },
  { row: 18, name: 'SSE, 200 chunks, each', stream: true, chunks: 200, usage: true },
  { row: 18, name: 'SSE, 200 chunks, usage hidden, each', stream: true, chunks: 200 },
  { row: 18, name: 'SSE, 2000 chunks, each', stream: true, chunks: 2000, usage: true },
]

/** A process each: none runs in a heap that another call has filled. */
export const parts = Object.fromEntries([
  ...CALLS.map((call) => [`${call.name}, time`, { run: (settings) => time(call, settings) }]),
  ...CALLS.map((call) => [
    `${call.name}, bytes`,
    { flags: LARGE_YOUNG_GENERATION, run: (settings) => bytes(call, settings) },
  ]),
])

const NOTES = [
  'Per call: one key, one tenant below a reseller, its own credential sealed in memory(), one monthly budget; verify, authorize, reserve, open the credential, call, settle with usage row and event.',
  '"Ledger answered at once": reserve and settle say yes and keep nothing, to show what the corridor itself adds.',
  `Measured after ${WARM_UP_CALLS} calls and two seconds of the very call: in a process that has just started the first ones cost several times as much.`,
  'memory() keeps every hold, usage row and event of the run, as a store does.',
  'SSE: one event a chunk; "usage hidden" is a request that did not ask for the usage chunk, so that the events are written again without it. Its bare client gets the chunk and looks at it.',
]

async function time(call, { rounds, quick }) {
  const { ours, bare } = await pairFor(call, quick)
  const figures = await compare(
    { ours: { waits: true, run: ours }, bare: { waits: true, run: bare } },
    { rounds, quick, slicing: LONG },
  )
  return { rows: [rowOf(call, figures, 'ns', 1.3)], notes: call === CALLS[0] ? NOTES : [] }
}

async function bytes(call, { rounds, quick }) {
  const figures = await compareBytes(await pairFor(call, quick), { rounds, quick })
  return { rows: [rowOf(call, figures, 'B', 1.15)] }
}

function rowOf({ row: number, name, chunks, canned }, { ours, bare }, unit, maximum) {
  const each = (figures) => figures.map((figure) => figure / chunks)
  const operation = `wrap ${name}, ${unit === 'ns' ? 'time' : 'bytes allocated'}`
  const baselineName = 'bare openai client'
  const targets = canned ? {} : { gate: maximum, moonshot: 1.1 }
  const spec = { row: number, operation, baselineName, unit, ...targets }
  return row(spec, each(ours), each(bare))
}

/**
 * The same call through the bare client and through a wrapped one, both warm: V8 optimises what a
 * call runs through only after some thousands of calls, which streams would take minutes to reach.
 */
async function pairFor({ chunks, stream = false, usage = false, canned = false }, quick) {
  const fetch = provider(chunks)
  const clients = {
    ours: await wrapped(fetch, canned),
    bare: new OpenAI({ apiKey: 'sk-not-a-real-key', fetch }),
  }
  const whole = inTurn(bodies({}))
  for (let i = 0; i < (quick ? 1 : WARM_UP_CALLS); i++) {
    for (const client of Object.values(clients)) await client.chat.completions.create(whole())
  }
  const next = inTurn(
    bodies({
      ...(stream ? { stream } : {}),
      ...(usage ? { stream_options: { include_usage: true } } : {}),
    }),
  )
  const call = async (client) => {
    const answer = await client.chat.completions.create(next())
    if (!stream) return answer
    let count = 0
    for await (const chunk of answer) count += chunk.choices.length
    return count
  }
  return { ours: () => call(clients.ours), bare: () => call(clients.bare) }
}

function bodies(more) {
  return Array.from({ length: 64 }, (_, i) => ({
    model: 'gpt-4o-mini',
    max_completion_tokens: 4096,
    messages: [
      { role: 'system', content: 'You are a helpful assistant.' },
      { role: 'user', content: `${i}. ${'Tell me about foxes. '.repeat(10)}` },
    ],
    ...more,
  }))
}

async function wrapped(fetch, canned) {
  const { createTenantKeys, definePolicy, localKeyWrapper, memory } = await importPackage()
  const storage = memory()
  const tk = await createTenantKeys({
    storage: canned ? { ...storage, ledger: cannedLedger(storage.ledger) } : storage,
    keyWrapper: localKeyWrapper([{ id: 'kek', key: randomBytes(32) }]),
    peppers: [{ id: 'pep', key: randomBytes(32) }],
    policy: definePolicy({
      scopes: { 'support:chat': { providers: ['openai'], models: ['gpt-4o-mini'] } },
    }),
    fetch,
  })
  await tk.tenants.create({ id: 'reseller' })
  await tk.tenants.create({ id: 'acme', parentId: 'reseller' })
  const value = { apiKey: 'sk-bench-0000000000000000000000000000' }
  await tk.secrets.put({ tenantId: 'acme', provider: 'openai', value })
  const limit = { usd: '1000000.00' }
  await tk.budgets.set({ account: { tenantId: 'acme' }, window: 'month', limit })
  const { key } = await tk.keys.issue({ tenantId: 'acme', name: 'bench', scopes: ['support:chat'] })
  return tk.withTenantKey(new OpenAI({ apiKey: 'unused' }), { key, scope: 'support:chat' })
}

/** Says yes to everything and keeps nothing: what is left is the corridor's own. */
function cannedLedger(ledger) {
  const amounts = { limit: 10n ** 15n, posted: 0n, held: 0n }
  const account = { accountId: 'tenant:acme', unit: 'usd', window: 'month' }
  const lines = [{ ...account, ...amounts, resetsAtMs: 2e12 }]
  const answer = { ok: true, lines, replayed: false }
  return {
    ...ledger,
    reserve: async (items) => items.map(({ holdId }) => ({ ...answer, holdId, expiresAtMs: 2e12 })),
    settle: async (items) =>
      items.map(() => ({ ...answer, state: 'posted', overage: { usd: 0n } })),
  }
}
