import { existsSync } from 'node:fs'
import { appendFile, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { ndjsonSink } from '../../src/adapters/ndjson/index.ts'
import type { OutboxRecord } from '../../src/storage/records.ts'
import { createExporter } from '../../src/usage/exporter.ts'
import { fillOutbox } from '../support/outbox.ts'

let folder: string
let file: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tenantkeys-'))
  file = join(folder, 'events.ndjson')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const event = (n: number): OutboxRecord => ({
  id: `event-${n}`,
  kind: 'sample',
  tenantId: 'acme',
  atMs: 1_768_435_200_000,
  payload: JSON.stringify({ n, text: 'häßlich \u2603' }),
  attempts: 1,
})

const idsIn = async (path: string): Promise<string[]> =>
  (await readFile(path, 'utf8'))
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line).id)

describe('the NDJSON sink', () => {
  test('T-U8 a file that was cut at any byte of its last line: earlier lines stay, and the event is written again once', async () => {
    await ndjsonSink({ file }).write([event(0), event(1), event(2)])
    const whole = await readFile(file)
    const lastLine = whole.lastIndexOf(0x0a, whole.length - 2) + 1
    expect(whole.length - lastLine).toBeGreaterThan(50)
    for (let cut = lastLine; cut <= whole.length; cut++) {
      await writeFile(file, whole.subarray(0, cut))
      const isWhole = cut === whole.length
      // As after a crash: what was not acknowledged comes again, through a new sink.
      await ndjsonSink({ file }).write(isWhole ? [event(3)] : [event(2), event(3)])
      expect(await idsIn(file)).toEqual(['event-0', 'event-1', 'event-2', 'event-3'])
    }
  })

  test('T-U8 a torn line longer than what is read at once is cut off whole', async () => {
    const sink = ndjsonSink({ file })
    await sink.write([event(0)])
    await appendFile(file, `{"id":"torn","data":"${'x'.repeat(200_000)}`)
    await sink.write([event(1)])
    expect(await idsIn(file)).toEqual(['event-0', 'event-1'])
    await writeFile(file, 'y'.repeat(200_000))
    await sink.write([event(2)])
    expect(await idsIn(file)).toEqual(['event-2'])
  })

  test('is readable by its owner only, and may be rotated by renaming it', async () => {
    const sink = ndjsonSink({ file })
    await sink.write([event(0)])
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    await rename(file, `${file}.1`)
    await sink.write([event(1)])
    expect(await idsIn(`${file}.1`)).toEqual(['event-0'])
    expect(await idsIn(file)).toEqual(['event-1'])
  })

  test('writes that overlap do not mix', async () => {
    const sink = ndjsonSink({ file })
    await Promise.all(
      Array.from({ length: 20 }, (_, n) => sink.write([event(2 * n), event(2 * n + 1)])),
    )
    expect(await idsIn(file)).toEqual(Array.from({ length: 40 }, (_, n) => `event-${n}`))
  })

  test.skipIf(!existsSync('/dev/full'))(
    'T-U9 a disk that is full: events wait in the outbox, are told of, and arrive when there is room',
    async () => {
      const storage = memory()
      await fillOutbox(storage, 0, 3)
      let path = '/dev/full'
      const sink = {
        contractVersion: 1 as const,
        name: 'ndjson',
        write: (events: readonly OutboxRecord[]) => ndjsonSink({ file: path }).write(events),
      }
      const told: string[] = []
      const exporter = createExporter({
        storage,
        sinks: [sink],
        retryMs: 1,
        onEvent: (e) => told.push('reason' in e ? `${e.kind} ${e.reason}` : e.kind),
      })
      expect(await exporter.flush()).toEqual({ exported: 0, done: false })
      expect(told).toEqual(['sink.failed Error ENOSPC'])
      expect((await storage.outbox.backlog({ limit: 9 })).waiting).toBe(3)
      path = file
      // What waits was given back with a short delay.
      await new Promise((resolve) => setTimeout(resolve, 20))
      expect(await exporter.flush()).toEqual({ exported: 3, done: true })
      expect(await idsIn(file)).toHaveLength(3)
    },
  )

  test.each([
    ['options.file', { file: '' }],
    ['options.file', { file: 'a\0b' }],
    ['options.name', { file: 'a', name: 'a b' }],
  ])('%s is refused by name', (field, wrong) => {
    expect(() => ndjsonSink(wrong)).toThrow(
      expect.objectContaining({
        code: 'TK_CONFIG_INVALID',
        details: expect.objectContaining({ field }),
      }),
    )
  })
})
