import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'vitest'
import { ndjsonSink } from '../../src/adapters/ndjson/index.ts'
import {
  callbackSink,
  type ExportedEvent,
  memorySink,
  webhookSink,
} from '../../src/adapters/sinks/index.ts'
import { sinkConformance } from '../../src/testing/index.ts'
import { webhookReceiver } from '../support/webhook-receiver.ts'

const runner = { describe, test }

sinkConformance(runner, {
  name: 'memory',
  make: async () => {
    const sink = memorySink()
    return { sink, received: async () => sink.events, dispose: async () => {} }
  },
})

sinkConformance(runner, {
  name: 'callback',
  make: async () => {
    const events: ExportedEvent[] = []
    let broken = false
    const sink = callbackSink(async (event) => {
      if (broken) throw new Error('not now')
      events.push(event)
    })
    return {
      sink,
      received: async () => [...events],
      breakBackend: async () => {
        broken = true
      },
      dispose: async () => {},
    }
  },
})

sinkConformance(runner, {
  name: 'ndjson',
  make: async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tenantkeys-'))
    const file = join(folder, 'events.ndjson')
    let kept: readonly ExportedEvent[] | null = null
    const read = async (): Promise<readonly ExportedEvent[]> =>
      (await readFile(file, 'utf8'))
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line))
    return {
      sink: ndjsonSink({ file }),
      received: async () => kept ?? read(),
      breakBackend: async () => {
        kept = await read()
        await rm(folder, { recursive: true })
      },
      dispose: () => rm(folder, { recursive: true, force: true }),
    }
  },
})

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

sinkConformance(runner, {
  name: 'webhook',
  make: async () => {
    const receiver = await webhookReceiver([SECRET])
    return {
      // So small that a write becomes several requests.
      sink: webhookSink({ url: receiver.url, secrets: [SECRET], maxBodyBytes: 2000 }),
      received: async () => receiver.events,
      breakBackend: async () => {
        receiver.answer = () => ({ status: 500 })
      },
      dispose: () => receiver.close(),
    }
  },
})
