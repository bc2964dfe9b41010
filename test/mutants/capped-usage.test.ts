/**
 * Guards against servers that lie about usage taken out, one at a time: what they stop must then happen.
 *
 * @module
 */
import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { createTenantKeys } from '../../src/tenant-keys.ts'
import { type CappedCharge, chargeWithin } from '../../src/usage/cap.ts'
import type { ChargeInput } from '../../src/usage/charge.ts'
import { type Lie, lyingAnswer, lyingScene, type Scene } from '../support/lying-scene.ts'
import { Mutant, type Sabotage } from '../support/mutant.ts'
import { priceRow, rates, used } from '../support/prices.ts'
import { startProvider } from '../support/provider-server.ts'

/** Everything. */
const ALL = readdirSync(new URL('../../src', import.meta.url))

const lie = (more: Partial<Lie>): Lie => ({
  liar: 'vllm',
  usage: { prompt_tokens: 1_000_000_000, completion_tokens: 1_000_000_000 },
  deltas: null,
  hold: 'bound',
  maxTokens: 500,
  ...more,
})

/** A budget went past its limit, or more was posted than was held. */
async function overspent({ books, receipts }: Scene): Promise<boolean> {
  const over = (await books()).some(({ used, limit }) => used > limit)
  return over || receipts.some(({ overageNanoUsd }) => overageNanoUsd > 0n)
}

type So = (scene: Scene) => Promise<boolean> | boolean

/** @returns true when the attack succeeds: the lie is told, and then something is so. */
async function told(create: typeof createTenantKeys, one: Lie, so: So): Promise<boolean> {
  await using server = await startProvider(lyingAnswer([one]))
  const scene = await lyingScene(create, memory(), server)
  try {
    await scene.tell(one)
    if (scene.receipts.length !== 1) throw new Error('the call was not made')
    return await so(scene)
  } finally {
    await scene.tk.close()
  }
}

const CHOOSE = 'request/choose-credential.ts'
const grown = { usage: { prompt_tokens: 300, completion_tokens: 4000 }, deltas: 3 } as const

/** In the corridor: what is taken out, and the attack that succeeds only then. */
const CORRIDOR: readonly (readonly [string, Sabotage, Lie, So])[] = [
  [
    'every server is believed',
    {
      file: 'request/authorize.ts',
      from: 'credential.capsUsage ? reading.bound : null',
      to: 'null',
    },
    lie({}),
    overspent,
  ],
  [
    "a tenant's own server is believed",
    { file: CHOOSE, from: '|| !isProviders(', to: '|| isProviders(' },
    lie({ liar: 'openai' }),
    overspent,
  ],
  [
    "the operator's own server is believed",
    { file: CHOOSE, from: 'provider.selfHosted === true', to: 'false' },
    lie({ liar: 'ollama' }),
    overspent,
  ],
  [
    'a growing hold is taken for the bound of its call',
    { file: 'request/settle.ts', from: 'hold.heldOutput()', to: 'call.mostOutput' },
    lie({ ...grown, hold: 'grow', maxTokens: 5000 }),
    overspent,
  ],
  [
    'nobody is told',
    { file: 'request/settle.ts', from: '  reportCap(parts, call, said, capped)\n', to: '' },
    lie({}),
    ({ events }) => !events.some(({ kind }) => kind === 'usage.capped'),
  ],
]

describe.each(CORRIDOR)('without its guard: %s', (_, sabotage, one, so) => {
  test('the attack succeeds, and with it it does not', async () => {
    expect(await told(createTenantKeys, one, so)).toBe(false)
    const mutant = new Mutant(sabotage, ALL)
    try {
      const loaded = await mutant.load<typeof import('../../src/tenant-keys.ts')>('tenant-keys.ts')
      expect(await told(loaded.createTenantKeys, one, so)).toBe(true)
    } finally {
      mutant.dispose()
    }
  })
})

const FILE = 'usage/cap.ts'
const MOST = { input: 1000, output: 100, counts: {}, nanoUsd: 1_200_000n }
const claim = (more: Partial<ChargeInput>): ChargeInput => ({
  row: priceRow({
    rates: rates({ input: 1_000_000n, output: 2_000_000n, outputAudio: 80_000_000n }),
  }),
  tokens: used({ input: 1e9, output: 1e9 }),
  counts: {},
  quality: 'measured',
  markup: { id: null, ratio: [1, 1] },
  billable: false,
  endMs: 0,
  ...more,
})

/** In the rule: what is taken out, what is claimed, and what becomes of it only then. */
const RULE: readonly (readonly [
  string,
  Omit<Sabotage, 'file'>,
  ChargeInput,
  (made: CappedCharge) => boolean,
])[] = [
  [
    'a dear class costs what it costs',
    { from: 'charge.costNanoUsd > cap.nanoUsd\n', to: 'false\n' },
    claim({ tokens: used({ input: 10, output: 100, outputAudio: 100 }) }),
    ({ charge }) => charge.costNanoUsd > MOST.nanoUsd,
  ],
  [
    'output is not cut',
    { from: 'Math.min(tokens.output, cap.output)', to: 'tokens.output' },
    claim({}),
    ({ tokens }) => tokens.output > MOST.output,
  ],
  [
    'input is not cut',
    { from: 'Math.min(tokens.input, cap.input)', to: 'tokens.input' },
    claim({}),
    ({ tokens }) => tokens.input > MOST.input,
  ],
  [
    'what is charged by the piece is not cut',
    { from: 'cap.counts[name]! : 0', to: 'cap.counts[name]! : Number.MAX_VALUE' },
    claim({ tokens: used({ input: 1, output: 1 }), counts: { web_search_requests: 9 } }),
    ({ counts }) => counts.web_search_requests === 9,
  ],
  [
    'a capped figure is a measurement',
    { from: "? 'estimated' : input.quality", to: '? input.quality : input.quality' },
    claim({}),
    ({ charge }) => charge.quality === 'measured',
  ],
  [
    'a capped figure is not marked',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: text of the source
    { from: '`${charge.priceId} ${CAPPED}`', to: 'charge.priceId' },
    claim({}),
    ({ charge }) => !charge.priceId.endsWith(' capped'),
  ],
  [
    'what was claimed is forgotten',
    { from: ', ...claims(claimed, tokens) }', to: ' }' },
    claim({ quality: 'estimated' }),
    ({ counts }) => counts.claimed_output_tokens === undefined,
  ],
]

describe.each(RULE)('without its guard: %s', (_, sabotage, claimed, so) => {
  test('the lie is charged, and with it it is not', async () => {
    expect(so(chargeWithin(MOST, claimed))).toBe(false)
    const mutant = new Mutant({ file: FILE, ...sabotage }, [
      'kernel',
      'storage',
      'usage',
      'budgets',
    ])
    try {
      const loaded = await mutant.load<typeof import('../../src/usage/cap.ts')>(FILE)
      expect(so(loaded.chargeWithin(MOST, claimed))).toBe(true)
    } finally {
      mutant.dispose()
    }
  })
})
