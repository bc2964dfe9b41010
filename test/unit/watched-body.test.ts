import { describe, expect, test } from 'vitest'
import { type BodyWatcher, watchBody } from '../../src/request/watched-body.ts'

interface Watched {
  readonly body: ReadableStream<Uint8Array>
  /** What the watcher and the source were told. */
  readonly log: string[]
}

/** A body of one-byte chunks. Those of 0 stay hidden, the watcher ends the body at one of 50; `breaks`:
 * reading fails at the end. */
function watched(bytes: readonly number[], breaks = false): Watched {
  const log: string[] = []
  const left = [...bytes]
  const source = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const byte = left.shift()
        if (byte !== undefined) controller.enqueue(Uint8Array.of(byte))
        else if (breaks) controller.error(new Error('broken line'))
        else controller.close()
      },
      cancel: (reason) => void log.push(`source cancelled: ${reason}`),
    },
    { highWaterMark: 0 },
  )
  const watcher: BodyWatcher = {
    waiting: () => {},
    // Every second chunk has to be waited for.
    chunk: (value) => {
      if (value[0] === 50) throw new Error('the hold is lost')
      const out = value[0] === 0 ? new Uint8Array() : value
      return value[0]! % 2 === 0 ? Promise.resolve(out) : out
    },
    end: async () => {
      log.push('end')
      return Uint8Array.of(99)
    },
    broken: async () => {
      log.push('broken')
      return new TypeError('terminated')
    },
    cancelled: async () => void log.push('cancelled'),
  }
  const response = new Response(source)
  return { body: watchBody(response, () => watcher).stream()!, log }
}

async function all(body: AsyncIterable<Uint8Array>): Promise<number[]> {
  const seen: number[] = []
  for await (const chunk of body) seen.push(...chunk)
  return seen
}

async function allByReader(body: ReadableStream<Uint8Array>): Promise<number[]> {
  const reader = body.getReader()
  const seen: number[] = []
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return seen
    seen.push(...value)
  }
}

describe('a watched body', () => {
  test('gives a loop the same as a reader: shown chunks, then what the watcher still had', async () => {
    const [looped, read] = [watched([1, 0, 2, 0, 0, 3]), watched([1, 0, 2, 0, 0, 3])]
    expect(await all(looped.body)).toEqual([1, 2, 3, 99])
    expect(await allByReader(read.body)).toEqual([1, 2, 3, 99])
    expect([looped.log, read.log]).toEqual([['end'], ['end']])
  })

  test('that its watcher ends stops the source', async () => {
    for (const read of [all, allByReader]) {
      const { body, log } = watched([1, 50, 2])
      await expect(read(body)).rejects.toThrow('terminated')
      expect(log).toEqual(['source cancelled: Error: the hold is lost', 'broken'])
    }
  })

  test('is locked while a loop runs over it, and not after', async () => {
    const { body } = watched([1, 2])
    for await (const chunk of body) {
      expect([chunk.length, body.locked]).toEqual([1, true])
      expect(() => body.getReader()).toThrow(TypeError)
      expect(() => body[Symbol.asyncIterator]()).toThrow(TypeError)
    }
    expect(body.locked).toBe(false)
    expect(await all(body)).toEqual([])
  })

  test('is cancelled once by a loop that is left', async () => {
    const { body, log } = watched([1, 2, 3])
    for await (const chunk of body) if (chunk[0] === 2) break
    expect(log).toEqual(['cancelled', 'source cancelled: undefined'])
    expect([await all(body), body.locked]).toEqual([[], false])
  })

  test('is cancelled by an iterator that is closed before its first chunk', async () => {
    const { body, log } = watched([1])
    // SDKs declare this iterator anew, each in its own way.
    const iterator = body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array, unknown>
    expect(await iterator.return?.('enough')).toEqual({ done: true, value: 'enough' })
    expect(log).toEqual(['cancelled', 'source cancelled: enough'])
    expect(await iterator.next()).toEqual({ done: true, value: undefined })
  })

  test('is not cancelled by an iterator that is closed after the end', async () => {
    const { body, log } = watched([1])
    const iterator = body[Symbol.asyncIterator]()
    while (!(await iterator.next()).done);
    expect(await iterator.return?.()).toEqual({ done: true, value: undefined })
    expect(log).toEqual(['end'])
  })

  test('answers askers in the order in which they asked', async () => {
    const { body } = watched([2, 1, 0, 4, 3])
    const iterator = body[Symbol.asyncIterator]()
    const answers = await Promise.all(Array.from({ length: 7 }, () => iterator.next()))
    expect(answers.map(({ value }) => value?.[0])).toEqual([2, 1, 4, 3, 99, undefined, undefined])
  })

  test('tells a loop and a reader alike what the watcher makes of a broken line', async () => {
    const [looped, read] = [watched([1], true), watched([1], true)]
    await expect(all(looped.body)).rejects.toThrow('terminated')
    await expect(allByReader(read.body)).rejects.toThrow('terminated')
    expect([looped.log, read.log, looped.body.locked]).toEqual([['broken'], ['broken'], false])
  })

  test('loses nothing when a reader gives up and a loop goes on', async () => {
    const { body } = watched([1, 2, 3])
    const reader = body.getReader()
    expect((await reader.read()).value?.[0]).toBe(1)
    const given = reader.read()
    reader.releaseLock()
    await expect(given).rejects.toThrow(TypeError)
    expect(await all(body)).toEqual([2, 3, 99])
  })

  test('stays open after a loop that asked for it', async () => {
    const { body, log } = watched([1, 2])
    for await (const chunk of body.values({ preventCancel: true })) if (chunk[0] === 1) break
    expect(log).toEqual([])
    expect(await allByReader(body)).toEqual([2, 99])
  })
})
