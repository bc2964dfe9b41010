import { describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import type { UsageDraft } from '../../src/storage/ledger-records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { type FakeClock, fakeClock } from '../../src/testing/fake-clock.ts'
import { ask, settleOf } from '../../src/testing/storage-conformance/ledger-bench.ts'
import { tenants, usage } from '../../src/testing/storage-conformance/samples.ts'
import { type UsageApi, usageApi } from '../../src/usage/usage-api.ts'

interface Bench {
  readonly storage: Storage
  readonly clock: FakeClock
  readonly api: UsageApi
  /** Settles one call, now or at a moment. */
  settle(cost: bigint, over?: Partial<UsageDraft>, tenantId?: string): Promise<void>
}

async function bench(at = '2026-03-10T12:00:00Z', zone = 'UTC'): Promise<Bench> {
  const clock = fakeClock(Date.parse(at))
  const storage = memory({ clock })
  await tenants(storage, 'acme', 'other')
  return {
    storage,
    clock,
    api: usageApi(storage, { zone }),
    settle: async (cost, over = {}, tenantId = 'acme') => {
      const item = ask(tenantId, cost)
      await storage.ledger.reserve([item])
      const draft = usage(cost, over)
      await storage.ledger.settle([{ ...settleOf(tenantId, item.holdId, cost), usage: draft }])
    },
  }
}

const billed = (chargedNanoUsd: bigint): Partial<UsageDraft> => ({
  paidBy: 'platform',
  billable: true,
  chargedNanoUsd,
})

/** Settles 1, 2, 4 ... nano-USD at these moments. */
async function settleAt(here: Bench, ...moments: readonly string[]): Promise<void> {
  for (const [n, moment] of moments.entries()) {
    here.clock.set(Date.parse(moment))
    await here.settle(1n << BigInt(n))
  }
}

const costs = async (here: Bench, input: Parameters<UsageApi['query']>[0]): Promise<unknown[]> =>
  (await here.api.query(input)).map((row) => [row.day, row.costNanoUsd])

const tagsOf = (count: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`tag${n}`, 'x']))

async function text(parts: AsyncIterable<string>): Promise<string> {
  let all = ''
  for await (const part of parts) all += part
  return all
}

describe('usage.query', () => {
  test('S0.9 yesterday, today, this month and the last are those of the zone, by the clock of the store', async () => {
    const here = await bench('2026-02-20T00:00:00Z')
    await settleAt(
      here,
      '2026-02-28T23:30:00Z', // 1 March 00:30 in Berlin
      '2026-03-01T22:30:00Z',
      '2026-03-01T23:30:00Z', // 2 March 00:30 in Berlin
      '2026-03-02T12:00:00Z',
    )
    const sum = async (period: 'today', zone?: string): Promise<bigint | undefined> =>
      (await here.api.query({ period, zone }))[0]?.costNanoUsd
    expect(await sum('today')).toBe(8n)
    expect(await sum('yesterday' as 'today')).toBe(2n + 4n)
    expect(await sum('this_month' as 'today')).toBe(2n + 4n + 8n)
    expect(await sum('last_month' as 'today')).toBe(1n)
    expect(await sum('yesterday' as 'today', 'Europe/Berlin')).toBe(1n + 2n)
    expect(await sum('today', 'Europe/Berlin')).toBe(4n + 8n)
    expect(await sum('last_month' as 'today', 'Europe/Berlin')).toBe(undefined)
  })

  test('days are those of the zone, also those of 23 and 25 hours', async () => {
    const here = await bench('2026-03-28T00:00:00Z', 'Europe/Berlin')
    await settleAt(
      here,
      '2026-03-28T22:59:59Z',
      '2026-03-28T23:00:00Z', // midnight, 23 hours follow
      '2026-03-29T21:59:59Z',
      '2026-03-29T22:00:00Z', // the next midnight
    )
    const range = { fromMs: Date.parse('2026-03-28T00:00:00Z'), by: ['day'] as const }
    expect(await costs(here, range)).toEqual([
      ['2026-03-28', 1n],
      ['2026-03-29', 2n + 4n],
      ['2026-03-30', 8n],
    ])
    expect(await costs(here, { ...range, zone: 'UTC' })).toEqual([
      ['2026-03-28', 1n + 2n],
      ['2026-03-29', 4n + 8n],
    ])
  })

  test('the first and last day are cut by the range', async () => {
    const here = await bench()
    await settleAt(here, '2026-03-10T12:00:00Z', '2026-03-11T12:00:00Z', '2026-03-12T12:00:00Z')
    const range = {
      fromMs: Date.parse('2026-03-10T12:00:01Z'),
      untilMs: Date.parse('2026-03-12T12:00:00Z'),
    }
    expect(await costs(here, { ...range, by: ['day'] })).toEqual([['2026-03-11', 2n]])
  })

  test('S3.3 sums by key, scope, provider, model, tag and payer equal one another', async () => {
    const here = await bench()
    for (let n = 0; n < 60; n++) {
      await here.settle(BigInt(n * 7919), {
        model: `m${n % 3}`,
        scope: n % 4 === 0 ? null : `scope:${n % 4}`,
        provider: n % 2 === 0 ? 'openai' : 'anthropic',
        keyId: `k${n % 5}`,
        tags: n % 2 === 0 ? { team: `t${n % 6}` } : {},
        ...(n % 3 === 0 ? billed(BigInt(n * 9000)) : {}),
      })
    }
    const [whole] = await here.api.query()
    const dimensions = [
      'key',
      'scope',
      'provider',
      'model',
      'operation',
      'billable',
      'tag:team',
    ] as const
    for (const by of dimensions.map((dimension) => [dimension])) {
      const rows = await here.api.query({ by })
      for (const figure of ['calls', 'inputTokens', 'billableCalls'] as const) {
        expect(rows.reduce((sum, row) => sum + row[figure], 0)).toBe(whole![figure])
      }
      for (const figure of ['costNanoUsd', 'billableCostNanoUsd', 'chargedNanoUsd'] as const) {
        expect(rows.reduce((sum, row) => sum + row[figure], 0n)).toBe(whole![figure])
      }
    }
    expect(whole?.chargedNanoUsd).toBeGreaterThan(0n)
  })

  test('filters meet: every one given has to fit', async () => {
    const here = await bench()
    await here.settle(1n, { tags: { team: 'red' }, model: 'm1' })
    await here.settle(2n, { tags: { team: 'red' }, model: 'm2' })
    await here.settle(4n, { model: 'm1', keyId: null })
    await here.settle(8n, { model: 'm1', ...billed(9n) }, 'other')
    const sum = async (input: Parameters<UsageApi['query']>[0]): Promise<bigint | undefined> =>
      (await here.api.query(input))[0]?.costNanoUsd
    expect(await sum({ tags: { team: 'red' } })).toBe(3n)
    expect(await sum({ tags: { team: 'red' }, model: 'm1' })).toBe(1n)
    expect(await sum({ tags: { team: null }, tenantId: 'acme' })).toBe(4n)
    expect(await sum({ keyId: null })).toBe(4n)
    expect(await sum({ billable: true })).toBe(8n)
    expect(await sum({ billable: false, model: 'm1' })).toBe(5n)
    expect(await sum({ provider: 'nobody' })).toBe(undefined)
  })

  test('S2.33 a row has the figures of its calls, and is JSON with decimal strings', async () => {
    const here = await bench()
    await here.settle(1_500_000_000n, {
      durationMs: 100,
      responseBytes: 10,
      ...billed(2_000_000_001n),
    })
    await here.settle(1n, { durationMs: 201, responseBytes: 5, quality: 'estimated' })
    const [row] = await here.api.query({ by: ['tenant'] })
    expect(JSON.parse(JSON.stringify(row))).toMatchObject({
      tenant: 'acme',
      calls: 2,
      estimatedCalls: 1,
      costNanoUsd: '1500000001',
      costUsd: '1.500000001',
      billableCostUsd: '1.50',
      chargedUsd: '2.000000001',
      averageDurationMs: 150.5,
      responseBytes: 15,
    })
  })

  test('pages hold all groups once, in order; a foreign cursor is refused', async () => {
    const here = await bench()
    for (let n = 0; n < 7; n++) await here.settle(1n, { keyId: n === 3 ? null : `k${n}` })
    const seen: (string | null)[] = []
    let after: string | null = null
    do {
      const page: Awaited<ReturnType<UsageApi['page']>> = await here.api.page({
        by: ['key'],
        after,
        limit: 2,
      })
      seen.push(...page.items.map((row) => row.key))
      after = page.next
    } while (after !== null)
    expect(seen).toEqual([null, 'k0', 'k1', 'k2', 'k4', 'k5', 'k6'])
    const { next } = await here.api.page({ by: ['key'], limit: 1 })
    const forged = Buffer.from('["a\\u0000"]').toString('base64url')
    for (const bad of ['x', 'e30', next!.slice(1), forged]) {
      const asked = here.api.page({ by: ['key'], after: bad })
      await expect(asked).rejects.toMatchObject({ details: { field: 'after' } })
    }
    await expect(here.api.page({ by: [], after: next })).rejects.toMatchObject({
      details: { field: 'after' },
    })
  })

  test.each([
    ['by day without a beginning', 'fromMs', { by: ['day'] }],
    ['more than 400 days', 'by', { by: ['day'], fromMs: Date.parse('2020-01-01') }],
    ['a period and a range', 'period', { period: 'today', fromMs: 1 }],
    ['an unknown zone', 'zone', { zone: 'Mars/Olympus' }],
    ['an unknown period', 'period', { period: 'always' }],
    ['a tag with a quote', 'by[0]', { by: ['tag:a"b'] }],
    ['a tag of no name', 'by[0]', { by: ['tag:'] }],
    ['a filter by such a tag', 'tags.a?b', { tags: { 'a"b': 'x' } }],
    ['more tags than a call can have', 'tags', { tags: tagsOf(17) }],
    ['a text that no database keeps', 'model', { model: 'a\u0000b' }],
    ['half of a character', 'tags.team', { tags: { team: '\ud800' } }],
    ['nothing after something', 'untilMs', { fromMs: 5, untilMs: 5 }],
  ])('%s is refused by name', async (_, field, input) => {
    const { api } = await bench()
    await expect(api.query(input as never)).rejects.toMatchObject({
      code: 'TK_INPUT_INVALID',
      details: { field },
    })
  })
})

describe('usage.list', () => {
  test('rows come in order of settlement, page by page, as JSON with decimal strings', async () => {
    const here = await bench()
    for (let n = 0; n < 5; n++) {
      await here.settle(BigInt(n), { tags: { n: String(n) } })
      here.clock.advance(1)
    }
    await here.settle(99n, {}, 'other')
    const first = await here.api.list({ tenantId: 'acme', limit: 3 })
    const rest = await here.api.list({ tenantId: 'acme', limit: 3, after: first.next })
    expect([...first.items, ...rest.items].map((row) => row.costNanoUsd)).toEqual([
      0n,
      1n,
      2n,
      3n,
      4n,
    ])
    expect(rest.next).toBe(null)
    expect(JSON.parse(JSON.stringify(first.items[1]))).toMatchObject({
      costNanoUsd: '1',
      amounts: { usd: '1' },
      tags: { n: '1' },
    })
  })
})

describe('usage.export', () => {
  test('CSV has a line of names, exact decimals and a line for every row', async () => {
    const here = await bench()
    await here.settle(1_234_567_891n, { ...billed(1_300_000_000n), durationMs: 7 })
    here.clock.advance(1)
    await here.settle(0n, { scope: null, priceId: null })
    const lines = (await text(here.api.export({ tenantId: 'acme', format: 'csv' }))).split('\r\n')
    expect(lines).toHaveLength(4)
    const [names, first, second] = lines.map((line) => line.split(','))
    const at = (cells: readonly string[], name: string): string => cells[names!.indexOf(name)]!
    expect(at(first!, 'cost_usd')).toBe('1.234567891')
    expect(at(first!, 'charged_usd')).toBe('1.30')
    expect(at(first!, 'duration_ms')).toBe('7')
    expect(at(first!, 'settled_at')).toBe('2026-03-10T12:00:00.000Z')
    expect(at(second!, 'cost_usd')).toBe('0.00')
    expect(at(second!, 'scope')).toBe('')
    expect(at(second!, 'billable')).toBe('false')
  })

  test.each([
    ['=1+1', "'=1+1"],
    ['+1', "'+1"],
    ['-1', "'-1"],
    ['@cf/model', "'@cf/model"],
    ['\t=1', "'\t=1"],
    ['\r=1', `"'\r=1"`],
    ['＝1', "'＝1"],
    ['=HYPERLINK("http://a","b")', `"'=HYPERLINK(""http://a"",""b"")"`],
    ['a,b', '"a,b"'],
    ['a"b', '"a""b"'],
    ['a\nb', '"a\nb"'],
    ['plain', 'plain'],
  ])('a spreadsheet runs no formula: %j is written %j', async (model, cell) => {
    const here = await bench()
    await here.settle(1n, { model, servedModel: null })
    const csv = await text(here.api.export({ format: 'csv' }))
    expect(csv).toContain(`,chat,${cell},,`)
  })

  test('NDJSON has what sinks get, tenant by tenant, over more than one page', async () => {
    const here = await bench()
    for (let n = 0; n < 1001; n++) await here.settle(BigInt(n))
    await here.settle(7n, {}, 'other')
    const ndjson = await text(here.api.export({ format: 'ndjson' }))
    const rows = ndjson
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(rows).toHaveLength(1002)
    expect(rows.at(-1)).toMatchObject({ tenantId: 'other', costNanoUsd: '7' })
    const { events } = await here.storage.outbox.lease({ limit: 1, leaseMs: 1 })
    expect(rows.find(({ id }) => id === events[0]?.id)).toEqual(JSON.parse(events[0]!.payload))
  })

  test('of no rows it is empty, but for the names of the columns', async () => {
    const { api } = await bench()
    expect(await text(api.export({ format: 'ndjson' }))).toBe('')
    expect((await text(api.export({ format: 'csv' }))).split('\r\n')).toHaveLength(2)
  })
})

describe('usage.statement', () => {
  test('S3.5 S3.27 lines by scope, provider and model add up to the total, exactly; own credentials are shown and not charged', async () => {
    const here = await bench('2026-03-31T23:00:00Z')
    await here.settle(1_000_000_001n, { scope: 'agents', ...billed(1_500_000_002n) })
    await here.settle(3n, { scope: 'agents', ...billed(4n), quality: 'estimated' })
    await here.settle(7_000_000_000n, { scope: 'agents' })
    await here.settle(500_000_000n, { scope: 'voice', model: 'tts', ...billed(1_004_999_994n) })
    await here.settle(9n, { scope: null, quality: 'unknown' })
    await here.settle(99n, billed(99n), 'other')
    here.clock.set(Date.parse('2026-04-01T00:00:00Z'))
    await here.settle(77n, billed(77n))

    const statement = await here.api.statement({ tenantId: 'acme', month: '2026-03' })
    const lines = statement.lines.map((l) => [
      l.scope,
      l.billable,
      l.calls,
      l.chargedNanoUsd,
      l.costNanoUsd,
    ])
    expect(lines).toEqual([
      [null, false, 1, 0n, 9n],
      ['agents', false, 1, 0n, 7_000_000_000n],
      ['agents', true, 2, 1_500_000_006n, 1_000_000_004n],
      ['voice', true, 1, 1_004_999_994n, 500_000_000n],
    ])
    expect(statement.total).toMatchObject({
      calls: 5,
      estimatedCalls: 1,
      unknownCalls: 1,
      chargedNanoUsd: 2_505_000_000n,
      chargedUsd: '2.505',
      costUsd: '8.500000013',
    })
    expect(statement.scopes.map((s) => [s.scope, s.chargedUsd])).toEqual([
      [null, '0.00'],
      ['agents', '1.500000006'],
      ['voice', '1.004999994'],
    ])
    expect(statement.invoiceUsd).toBe('2.51')
    expect(statement.final).toBe(true)
    const april = await here.api.statement({ tenantId: 'acme', month: '2026-04' })
    expect(april).toMatchObject({ final: false, total: { calls: 1, chargedNanoUsd: 77n } })
    expect(JSON.parse(JSON.stringify(april)).total.chargedNanoUsd).toBe('77')
  })

  test.each([
    [0n, '0.00'],
    [4_999_999n, '0.00'],
    [5_000_000n, '0.01'],
    [14_999_999n, '0.01'],
    [9_999_999_995_000_000n, '10000000.00'],
  ])(
    'the invoice is rounded half up to the cent, once: %s nano-USD are %s',
    async (charged, invoiceUsd) => {
      const here = await bench()
      await here.settle(1n, billed(charged))
      expect(await here.api.statement({ tenantId: 'acme', month: '2026-03' })).toMatchObject({
        invoiceUsd,
      })
    },
  )

  test('the month is one of the zone; of an unknown tenant there is no statement', async () => {
    const here = await bench('2026-02-28T23:30:00Z')
    await here.settle(1n)
    const statement = (month: string): Promise<unknown> =>
      here.api.statement({ tenantId: 'acme', month, zone: 'Europe/Berlin' })
    expect(await statement('2026-03')).toMatchObject({ total: { calls: 1 } })
    expect(await statement('2026-02')).toMatchObject({
      total: { calls: 0 },
      lines: [],
      invoiceUsd: '0.00',
    })
    const nobody = here.api.statement({ tenantId: 'nobody', month: '2026-03' })
    await expect(nobody).rejects.toMatchObject({ code: 'TK_TENANT_NOT_FOUND' })
    for (const month of ['2026-13', '0050-01', '1969-12'])
      await expect(statement(month)).rejects.toMatchObject({ details: { field: 'month' } })
  })
  test('a month that is over changes only by the price that a call of it lacked', async () => {
    const here = await bench('2026-02-10T12:00:00Z')
    await here.settle(500n, { priceId: 'unpriced:openai/x@0.50', quality: 'estimated' })
    here.clock.set(Date.parse('2026-03-01T00:00:00Z'))
    const february = () => here.api.statement({ tenantId: 'acme', month: '2026-02' })
    expect(await february()).toMatchObject({ final: true, total: { estimatedCalls: 1 } })
    const [row] = (await here.api.list({ tenantId: 'acme' })).items
    const { id, priceId, costNanoUsd } = row!
    await here.storage.ledger.reprice(
      {
        tenantId: 'acme',
        id,
        was: { priceId, costNanoUsd },
        becomes: {
          priceId: 'host:openai/x@1',
          costNanoUsd: 3n,
          chargedNanoUsd: 0n,
          quality: 'measured',
        },
      },
      {},
    )
    expect(await february()).toMatchObject({
      final: true,
      total: { calls: 1, estimatedCalls: 0, costNanoUsd: 3n },
    })
  })
})
