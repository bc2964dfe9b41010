import { describe, expect, it } from 'vitest'
import { StoreTime } from '../../src/keys/store-time.ts'

const START = 1_700_000_000_000

describe('StoreTime', () => {
  it('is infinite before the first answer, so that nothing with an end is honoured', () => {
    expect(new StoreTime().at(5)).toBe(Number.POSITIVE_INFINITY)
  })

  it('is exact when the answer came at once', () => {
    const time = new StoreTime()
    time.observe(START, { afterMs: 10, beforeMs: 10 })
    expect([10, 11, 3_600_010].map((ms) => time.at(ms) - START)).toEqual([0, 1, 3_600_000])
  })

  it('takes the latest possible time when the answer was slow', () => {
    const time = new StoreTime()
    time.observe(START, { afterMs: 0, beforeMs: 400 })
    expect(time.at(400)).toBe(START + 400)
  })

  it('a slow answer does not spoil what a quick one taught, and a quick one corrects a slow one', () => {
    const quickFirst = new StoreTime()
    quickFirst.observe(START, { afterMs: 0, beforeMs: 0 })
    quickFirst.observe(START + 300, { afterMs: 100, beforeMs: 500 })
    expect(quickFirst.at(500)).toBe(START + 500)

    const slowFirst = new StoreTime()
    slowFirst.observe(START + 400, { afterMs: 0, beforeMs: 400 })
    expect(slowFirst.at(400)).toBe(START + 800)
    slowFirst.observe(START + 500, { afterMs: 500, beforeMs: 500 })
    expect(slowFirst.at(500)).toBe(START + 500)
  })

  it('follows a store whose clock was set forward', () => {
    const time = new StoreTime()
    time.observe(START, { afterMs: 0, beforeMs: 0 })
    time.observe(START + 60_000, { afterMs: 5, beforeMs: 5 })
    expect(time.at(6)).toBe(START + 60_001)
  })
})
