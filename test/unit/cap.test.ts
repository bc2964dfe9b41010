import { describe, expect, test } from 'vitest'
import type { TokenUsage } from '../../src/storage/ledger-records.ts'
import { chargeWithin, type UsageCap } from '../../src/usage/cap.ts'
import { type ChargeInput, chargeFor, openPrice } from '../../src/usage/charge.ts'
import { priceRow, rates, used } from '../support/prices.ts'

/** 1 USD and 2 USD per million tokens; audio that is written 80; a search a cent. */
const ROW = priceRow({
  rates: rates({ input: 1_000_000n, output: 2_000_000n, outputAudio: 80_000_000n }),
  units: { web_search_requests: 10_000_000_000n },
})
const MARKUP = { id: null, ratio: [1, 1] } as const
/** What a hold of 1,000 and 100 tokens stands for. */
const CAP: UsageCap = { input: 1000, output: 100, counts: {}, nanoUsd: 1_200_000n }

const input = (tokens: Partial<TokenUsage>, more: Partial<ChargeInput> = {}): ChargeInput => ({
  row: ROW,
  tokens: used(tokens),
  counts: {},
  quality: 'measured',
  markup: MARKUP,
  billable: false,
  endMs: 0,
  ...more,
})

describe('usage within the cap', () => {
  test('is charged as ever, to the token', () => {
    const honest = input({ input: 1000, cacheRead: 400, output: 100, reasoning: 60 })
    const { charge, tokens, counts, claimedNanoUsd } = chargeWithin(CAP, honest)
    expect(charge).toEqual(chargeFor(honest))
    expect({ tokens, counts, claimedNanoUsd }).toEqual({
      tokens: honest.tokens,
      counts: {},
      claimedNanoUsd: null,
    })
  })

  test('counts that only say more about tokens are left alone', () => {
    const said = input(
      { input: 10, output: 10 },
      { counts: { unattributed_tokens: 1e9, billed_input: 10 } },
    )
    expect(chargeWithin(CAP, said)).toMatchObject({ counts: said.counts, claimedNanoUsd: null })
  })
})

describe('usage above the cap', () => {
  test('is charged at the cap, is no measurement, and what was claimed is kept', () => {
    const lie = input({ input: 1e9, cacheRead: 4e8, output: 5000, reasoning: 3000 })
    const { charge, tokens, counts, claimedNanoUsd } = chargeWithin(CAP, lie)
    expect(charge).toMatchObject({ costNanoUsd: 1_200_000n, quality: 'estimated' })
    expect(charge.priceId).toBe(`${ROW.id} capped`)
    expect(tokens).toEqual(used({ input: 1000, cacheRead: 1000, output: 100, reasoning: 100 }))
    expect(counts).toEqual({
      claimed_input_tokens: 1e9,
      claimed_cache_read_tokens: 4e8,
      claimed_output_tokens: 5000,
      claimed_reasoning_tokens: 3000,
    })
    expect(claimedNanoUsd).toBe(1_000_010_000_000n)
  })

  test('an honest total keeps its figure beside a lie about the other', () => {
    const { charge, tokens } = chargeWithin(CAP, input({ input: 50, output: 1e9 }))
    expect(tokens).toMatchObject({ input: 50, output: 100 })
    expect(charge.costNanoUsd).toBe(50_000n + 200_000n)
  })

  test('a class that the request cannot reach costs no more than was held', () => {
    const { charge, tokens, claimedNanoUsd } = chargeWithin(
      CAP,
      input({ input: 10, output: 100, outputAudio: 100 }),
    )
    expect(claimedNanoUsd).toBe(8_010_000n)
    expect(charge).toMatchObject({ costNanoUsd: 1_200_000n, quality: 'estimated' })
    expect(tokens.outputAudio).toBe(100)
  })

  test("a server's own figure for the call counts up to what was held, and is kept", () => {
    const own = input(
      { input: 10, output: 10 },
      { row: { ...ROW, use: 'provider' }, providerCostNanoUsd: 9_000_000_000n },
    )
    expect(chargeWithin(CAP, own)).toMatchObject({
      charge: { costNanoUsd: 1_200_000n, providerCostNanoUsd: 9_000_000_000n },
      claimedNanoUsd: 9_000_000_000n,
    })
  })

  test('what is charged by the piece counts as often as the request allows it', () => {
    const said = input({ input: 10, output: 10 }, { counts: { web_search_requests: 1e9 } })
    expect(chargeWithin(CAP, said)).toMatchObject({
      charge: { costNanoUsd: 30_000n },
      counts: { claimed_web_search_requests: 1e9 },
    })
    const cap = { ...CAP, counts: { web_search_requests: 2 }, nanoUsd: 21_200_000n }
    expect(chargeWithin(cap, said)).toMatchObject({
      charge: { costNanoUsd: 20_030_000n },
      counts: { claimed_web_search_requests: 1e9, web_search_requests: 2 },
    })
  })

  test('billed units are tokens, and cannot stand for more of them', () => {
    const said = input({ input: 10, output: 10 }, { counts: { billed_input: 1e9 } })
    const { charge, counts } = chargeWithin(CAP, said)
    expect(charge.costNanoUsd).toBe(1_000_000n + 20_000n)
    expect(counts).toEqual({ billed_input: 1000, claimed_billed_input: 1e9 })
  })

  test('a markup is one of what is charged, not of what was claimed', () => {
    const markup = { id: 'm@1', ratio: [3, 2] } as const
    const lie = input({ input: 10, output: 100, outputAudio: 100 }, { markup, billable: true })
    expect(chargeWithin(CAP, lie).charge).toMatchObject({
      costNanoUsd: 1_200_000n,
      chargedNanoUsd: 1_800_000n,
    })
  })

  test('the lie gets no price later: reprice sees only what was left of it', () => {
    const unpriced = { ...ROW, units: {} }
    const said = input(
      { input: 10, output: 1e9 },
      { row: unpriced, counts: { web_search_requests: 7 } },
    )
    const { charge } = chargeWithin(CAP, said)
    expect(openPrice(charge.priceId)).toBeNull()
  })

  test('a part without a price stays open, and a price makes no measurement of it', () => {
    const said = input({ input: 10, output: 1e9 }, { serviceTier: 'priority' })
    const { charge } = chargeWithin(CAP, said)
    expect(charge.priceId).toBe(`${ROW.id} tier:priority? capped`)
    expect(openPrice(charge.priceId)).toEqual({ serviceTier: 'priority', wasCounted: false })
  })

  test('what is not known stays unknown', () => {
    const said = input({ input: 10, output: 1e9 }, { quality: 'unknown' })
    expect(chargeWithin(CAP, said).charge.quality).toBe('unknown')
  })
})
