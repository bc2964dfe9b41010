import { describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import type { ReserveItem } from '../../src/storage/ledger-records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { withFaults } from '../../src/testing/faults.ts'
import { codeOf } from '../../src/testing/storage-conformance/ledger-bench.ts'
import { calm, line } from '../support/line.ts'

const WAIT = { waitMs: 60_000 }

describe('BG-8 only a contended reserve waits, and never past its deadline', () => {
  test('without waitMs a contended caller is refused at once', async () => {
    const { reserve, answers, bench } = await line(100n)
    reserve('first', 90n)
    reserve('second', 20n)
    await calm()
    expect(answers).toEqual(['first ok', 'second TK_BUDGET_CONTENDED'])
    await bench.expect(0n, 90n)
  })

  test('an exhausted caller never waits', async () => {
    const { reserve, answers } = await line(100n)
    reserve('too much', 101n, WAIT)
    await calm()
    expect(answers).toEqual(['too much TK_BUDGET_EXHAUSTED'])
  })

  test('at its deadline, not a millisecond before, a waiter gets the last refusal', async () => {
    const { reserve, answers, clock, settle } = await line(100n)
    const first = reserve('first', 60n)
    reserve('second', 40n)
    const waiter = reserve('waiter', 50n, { waitMs: 30_000 })
    await calm()
    await settle(first, 40n)
    await calm()
    clock.advance(29_999)
    await calm()
    expect(answers).toEqual(['first ok', 'second ok'])
    clock.advance(1)
    expect(codeOf(await waiter.result)).toBe('TK_BUDGET_CONTENDED')
  })

  test('the refusal at the deadline is the newest one: it says what is held now', async () => {
    const { reserve, clock, settle } = await line(100n)
    const first = reserve('first', 60n)
    reserve('second', 40n)
    const waiter = reserve('waiter', 65n, { waitMs: 30_000 })
    await calm()
    await settle(first, 5n)
    await calm()
    clock.advance(30_000)
    expect(await waiter.result).toMatchObject({
      code: 'TK_BUDGET_CONTENDED',
      denial: { posted: 5n, held: 40n, wouldFit: 55n },
    })
  })

  test('a waiter whose budget becomes exhausted is refused at once', async () => {
    const { reserve, answers, settle } = await line(100n)
    const first = reserve('first', 60n)
    reserve('waiter', 50n, WAIT)
    await calm()
    await settle(first, 51n)
    await calm()
    expect(answers).toEqual(['first ok', 'waiter TK_BUDGET_EXHAUSTED'])
  })

  test('what expires meanwhile makes room without any settle', async () => {
    const { reserve, answers, clock, bench } = await line(100n)
    reserve('dead', 100n)
    reserve('waiter', 50n, { waitMs: 120_000 })
    await calm()
    clock.advance(59_999)
    await calm()
    expect(answers).toEqual(['dead ok'])
    clock.advance(250)
    await calm()
    expect(answers).toEqual(['dead ok', 'waiter ok'])
    await bench.expect(0n, 50n)
  })
})

describe('BG-10 the line', () => {
  test('waiters are admitted in the order they came', async () => {
    const { reserve, answers, settle } = await line(100n)
    const first = reserve('first', 100n)
    for (const name of ['a', 'b', 'c', 'd']) reserve(name, 30n, WAIT)
    await calm()
    await settle(first, 5n)
    await calm()
    expect(answers).toEqual(['first ok', 'a ok', 'b ok', 'c ok'])
  })

  test('a newcomer in the same batch comes after every waiter, also when it asks for less', async () => {
    const { reserve, answers, settle } = await line(100n)
    const first = reserve('first', 100n)
    reserve('waiter', 95n, WAIT)
    await calm()
    // The settle and the newcomer are under way at once: whichever batch comes first, the waiter
    // is in it before the newcomer.
    const settled = settle(first, 1n)
    reserve('newcomer', 10n)
    await settled
    await calm()
    expect(answers).toEqual(['first ok', 'waiter ok', 'newcomer TK_BUDGET_CONTENDED'])
  })

  test('room that another process made goes to the waiter, not to the newcomer who finds it', async () => {
    const { reserve, answers, bench } = await line(100n)
    const first = reserve('first', 100n)
    reserve('waiter', 95n, WAIT)
    await calm()
    await bench.settle(first.item.holdId, 1n)
    reserve('newcomer', 10n)
    await calm()
    expect(answers.slice(1).sort()).toEqual(['newcomer TK_BUDGET_CONTENDED', 'waiter ok'])
  })

  test('a large waiter may be passed by a smaller one that fits, and keeps its place', async () => {
    const { reserve, answers, settle } = await line(100n)
    const first = reserve('first', 50n)
    const second = reserve('second', 50n)
    reserve('large', 80n, WAIT)
    const small = reserve('small', 30n, WAIT)
    await calm()
    await settle(first, 1n)
    await calm()
    expect(answers).toEqual(['first ok', 'second ok', 'small ok'])
    await settle(second, 1n)
    await settle(small, 1n)
    await calm()
    expect(answers.at(-1)).toBe('large ok')
  })

  test('callers on other accounts are not delayed by a line they have no part in', async () => {
    const seen: number[] = []
    const base = memory()
    const storage: Storage = {
      ...base,
      ledger: {
        ...base.ledger,
        reserve: (items: readonly ReserveItem[]) => {
          seen.push(items.length)
          return base.ledger.reserve(items)
        },
      },
    }
    const { reserve, guard } = await line(100n, { storage: () => storage })
    reserve('first', 100n)
    for (let n = 0; n < 10; n++) reserve('waiter', 50n, WAIT)
    await calm()
    seen.length = 0
    const other = reserve('unused', 0n).item
    await calm()
    expect(seen).toEqual([11])
    seen.length = 0
    const elsewhere = { ...other, holdId: 'x'.repeat(8), accounts: [{ id: 'tenant:o', depth: 0 }] }
    await guard.reserve(elsewhere)
    expect(seen).toEqual([1])
  })

  test('more waiters than a batch holds are all decided, in order', async () => {
    const { reserve, answers, settle } = await line(1000n)
    const first = reserve('first', 1000n)
    for (let n = 0; n < 600; n++) reserve(`w${n}`, 1n, WAIT)
    await calm()
    await settle(first, 0n)
    await calm()
    expect(answers.slice(1)).toEqual(Array.from({ length: 600 }, (_, n) => `w${n} ok`))
  })
})

describe('BG-11 a release in this process wakes the line at once', () => {
  test('a settle does, no time passes', async () => {
    const { reserve, answers, settle } = await line(100n)
    const first = reserve('first', 100n)
    reserve('waiter', 90n, WAIT)
    await calm()
    await settle(first, 10n)
    await calm()
    expect(answers).toEqual(['first ok', 'waiter ok'])
  })

  test('a void does, no time passes', async () => {
    const { reserve, answers, guard, bench } = await line(100n)
    const { item } = reserve('first', 100n)
    reserve('waiter', 100n, WAIT)
    await calm()
    await guard.void({ holdId: item.holdId, tenantId: bench.tenantId })
    await calm()
    expect(answers).toEqual(['first ok', 'waiter ok'])
  })

  test('what another process frees is found within 250 ms, and polls become no more frequent', async () => {
    const batches: number[] = []
    const { reserve, answers, bench, clock } = await line(100n, {
      storage: (clock) => {
        const base = memory({ clock })
        const reserve: Storage['ledger']['reserve'] = (items) => {
          batches.push(clock.elapsedMs())
          return base.ledger.reserve(items)
        }
        return { ...base, ledger: { ...base.ledger, reserve } }
      },
    })
    const first = reserve('first', 100n)
    reserve('waiter', 50n, WAIT)
    await calm()
    batches.length = 0
    for (let ms = 0; ms < 1000; ms += 25) {
      clock.advance(25)
      await calm()
    }
    expect(batches).toEqual([25, 75, 175, 375, 625, 875])
    await bench.settle(first.item.holdId, 1n)
    clock.advance(250)
    await calm()
    expect(answers).toEqual(['first ok', 'waiter ok'])
    batches.length = 0
    clock.advance(10_000)
    await calm()
    expect(batches).toEqual([])
  })
})

describe('BG-12 a waiter whose signal aborts', () => {
  test('leaves the line at once, with the reason, and holds nothing', async () => {
    const { reserve, answers, settle, bench } = await line(100n)
    const abort = new AbortController()
    const first = reserve('first', 100n)
    const gone = reserve('gone', 90n, { ...WAIT, signal: abort.signal })
    reserve('next', 90n, WAIT)
    await calm()
    const reason = new Error('no longer wanted')
    abort.abort(reason)
    await expect(gone.result).rejects.toBe(reason)
    await settle(first, 1n)
    await calm()
    expect(answers).toEqual(['first ok', 'gone threw Error', 'next ok'])
    await bench.expect(1n, 90n)
  })

  test('while its batch is under way, gives back what that batch gave it before it is told', async () => {
    let open = (): void => {}
    const gate = new Promise<void>((resolve) => {
      open = resolve
    })
    // The second batch is the one after the settle.
    const { reserve, answers, settle, bench, guard } = await line(100n, {
      storage: (clock) =>
        withFaults(memory({ clock }), ({ command, count }) =>
          command === 'ledger.reserve' && count === 2 ? gate : null,
        ),
    })
    const abort = new AbortController()
    const first = reserve('first', 100n)
    const gone = reserve('gone', 90n, { ...WAIT, signal: abort.signal })
    reserve('next', 80n, WAIT)
    await calm()
    await settle(first, 1n)
    await calm()
    abort.abort(new Error('no longer wanted'))
    await calm()
    expect(answers).toEqual(['first ok'])
    open()
    await expect(gone.result).rejects.toThrow('no longer wanted')
    expect(await guard.reserve({ ...gone.item, holdId: 'h-other' })).toMatchObject({ ok: false })
    await calm()
    expect(answers).toEqual(['first ok', 'gone threw Error', 'next ok'])
    await bench.expect(1n, 80n)
  })

  test('listens to its signal only while it waits', async () => {
    const { reserve, settle } = await line(100n)
    const abort = new AbortController()
    let listening = 0
    const { addEventListener: add, removeEventListener: remove } = AbortSignal.prototype
    Object.assign(abort.signal, {
      addEventListener: (...args: Parameters<typeof add>) => {
        listening++
        add.apply(abort.signal, args)
      },
      removeEventListener: (...args: Parameters<typeof remove>) => {
        listening--
        remove.apply(abort.signal, args)
      },
    })
    const first = reserve('first', 100n, { ...WAIT, signal: abort.signal })
    await calm()
    expect(listening).toBe(0)
    const waiter = reserve('waiter', 50n, { ...WAIT, signal: abort.signal })
    await calm()
    expect(listening).toBe(1)
    await settle(first, 1n)
    await waiter.result
    expect(listening).toBe(0)
  })
})

describe('a store that fails', () => {
  test('BG-8 does not throw waiters out of the line when the failure passes', async () => {
    const { reserve, answers, settle, clock } = await line(100n, {
      storage: (clock) =>
        withFaults(memory({ clock }), ({ command, count }) =>
          command === 'ledger.reserve' && count === 2 ? 'lost-request' : null,
        ),
    })
    const first = reserve('first', 100n)
    reserve('waiter', 50n, WAIT)
    await calm()
    await settle(first, 1n)
    await calm()
    expect(answers).toEqual(['first ok'])
    clock.advance(250)
    await calm()
    expect(answers).toEqual(['first ok', 'waiter ok'])
  })

  test('BG-7 a waiter that leaves while a lost reply may have admitted it gives that back', async () => {
    const { reserve, settle, bench } = await line(100n, {
      storage: (clock) =>
        withFaults(memory({ clock }), ({ command, count }) =>
          command === 'ledger.reserve' && count === 2 ? 'lost-reply' : null,
        ),
    })
    const abort = new AbortController()
    const first = reserve('first', 100n)
    const waiter = reserve('waiter', 50n, { ...WAIT, signal: abort.signal })
    await calm()
    await settle(first, 1n)
    await calm()
    await bench.expect(1n, 50n)
    abort.abort(new Error('no longer wanted'))
    await expect(waiter.result).rejects.toThrow('no longer wanted')
    await bench.expect(1n, 0n)
  })

  test('BG-4 a lost reply is asked for again with the same id, and held once', async () => {
    const { reserve, settle, bench, clock } = await line(100n, {
      storage: (clock) =>
        withFaults(memory({ clock }), ({ command, count }) =>
          command === 'ledger.reserve' && count === 2 ? 'lost-reply' : null,
        ),
    })
    const first = reserve('first', 100n)
    const waiter = reserve('waiter', 50n, WAIT)
    await calm()
    await settle(first, 1n)
    await calm()
    clock.advance(250)
    expect(await waiter.result).toMatchObject({ ok: true, replayed: true })
    await bench.expect(1n, 50n)
  })
})
