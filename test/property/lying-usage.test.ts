import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { createTenantKeys } from '../../src/tenant-keys.ts'
import { LIARS, type Lie, lyingAnswer, lyingScene } from '../support/lying-scene.ts'
import { startProvider } from '../support/provider-server.ts'

const RUNS = process.env.TENANTKEYS_FORCE === '1' ? 1000 : 25

const tokens = fc.oneof(
  fc.constantFrom(0, 1, 1_000_000_000),
  fc.integer({ min: 0, max: 20_000 }),
  fc.integer({ min: 0, max: 1_000_000_000 }),
)
/** In hundredths of its total. */
const part = fc.option(fc.integer({ min: 0, max: 50 }), { nil: 0 })

const usage = fc
  .record({
    input: tokens,
    output: tokens,
    cached: part,
    written: part,
    audioIn: part,
    audioOut: part,
    reasoning: part,
    searches: fc.constantFrom(0, 0, 3, 1_000_000_000),
    cost: fc.constantFrom(undefined, 0, 0.000001, 12.5, 900_000),
  })
  .map(({ input, output, cost, searches, ...parts }) => {
    const of = (total: number, percent: number): number => Math.floor((total * percent) / 100)
    return {
      prompt_tokens: input,
      completion_tokens: output,
      prompt_tokens_details: {
        cached_tokens: of(input, parts.cached),
        cache_write_tokens: of(input, parts.written),
        audio_tokens: of(input, parts.audioIn),
      },
      completion_tokens_details: {
        reasoning_tokens: of(output, parts.reasoning),
        audio_tokens: of(output, parts.audioOut),
      },
      server_tool_use: { web_search_requests: searches },
      ...(cost === undefined ? {} : { cost }),
    }
  })

const lie: fc.Arbitrary<Lie> = fc.record({
  liar: fc.constantFrom(...LIARS),
  usage,
  tier: fc.constantFrom(undefined, undefined, 'priority', 'unheard-of'),
  deltas: fc.constantFrom(null, 0, 1, 40, 300),
  hold: fc.constantFrom('bound', 'grow'),
  maxTokens: fc.integer({ min: 1, max: 6000 }),
  leavesAfter: fc.constantFrom(undefined, undefined, 1, 30),
})
const lies = fc.uniqueArray(lie, {
  minLength: 1,
  maxLength: 6,
  selector: ({ maxTokens }) => maxTokens,
})

describe('a server that is not the provider’s own may lie about usage', () => {
  test('T-B7 and no budget on the path ever passes its limit, in any unit', async () => {
    await using server = await startProvider()
    let capped = 0
    await fc.assert(
      fc.asyncProperty(lies, fc.boolean(), async (told, atOnce) => {
        server.answer = lyingAnswer(told)
        const { tk, tell, books, events, receipts } = await lyingScene(
          createTenantKeys,
          memory(),
          server,
        )
        try {
          if (atOnce) await Promise.all(told.map(tell))
          else for (const one of told) await tell(one)
          for (const { name, used, limit, held } of await books()) {
            expect(used <= limit, `${name}: ${used} of ${limit}`).toBe(true)
            expect(held, name).toBe(0n)
          }
          const said = events.filter(({ kind }) => kind === 'usage.capped')
          const marked = receipts.filter(({ priceId }) => priceId.endsWith(' capped'))
          capped += marked.length
          // Never silent, and never taken for a measurement.
          expect(said.length).toBe(marked.length)
          expect(marked.filter(({ quality }) => quality === 'measured')).toEqual([])
          expect(receipts.filter((one) => one.overageNanoUsd > 0n)).toEqual([])
          expect(events.filter(({ kind }) => kind === 'budget.overage')).toEqual([])
        } finally {
          await tk.close()
        }
      }),
      { numRuns: RUNS },
    )
    // The generator reaches what is claimed here.
    expect(capped).toBeGreaterThan(RUNS / 5)
  })
})
