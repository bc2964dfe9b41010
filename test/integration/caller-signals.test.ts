/**
 * A caller's own AbortSignal may live as long as the process: every call that was given it lets it go,
 * whichever way it ends.
 *
 * @module
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Installation, install } from '../support/installation.ts'
import {
  chat,
  chunkOf,
  json,
  openStream,
  type ProviderServer,
  startProvider,
} from '../support/provider-server.ts'

setFlagsFromString('--expose_gc')
const collect: () => void = runInNewContext('gc')

const URL_OF_CHAT = 'https://api.openai.com/v1/chat/completions'
const ASK = { model: 'gpt-4o-mini', messages: [{ role: 'user', content: 'Hello' }] }

let server: ProviderServer
let here: Installation

beforeEach(async () => {
  server = await startProvider(chat)
  here = await install(server.baseUrl)
})
afterEach(async () => {
  await here.tk.close()
  await server.close()
})

interface Counted {
  readonly signal: AbortSignal
  abort(reason: unknown): void
  listening(): number
}

/** Of this realm, with its listeners counted. */
function own(): Counted {
  const controller = new AbortController()
  const { signal } = controller
  return counted(signal, (reason) => controller.abort(reason))
}

/** As jsdom and older runtimes have it: no instance of our AbortSignal. */
function foreign(): Counted {
  const signal = Object.assign(new EventTarget(), { aborted: false, reason: undefined as unknown })
  expect(signal).not.toBeInstanceOf(AbortSignal)
  return counted(signal as unknown as AbortSignal, (reason) => {
    Object.assign(signal, { aborted: true, reason })
    signal.dispatchEvent(new Event('abort'))
  })
}

function counted(signal: AbortSignal, abort: Counted['abort']): Counted {
  const { addEventListener: add, removeEventListener: remove } = EventTarget.prototype
  const listeners = new Set<unknown>()
  Object.assign(signal, {
    addEventListener: (...args: Parameters<typeof add>) => {
      listeners.add(args[1])
      add.apply(signal, args)
    },
    removeEventListener: (...args: Parameters<typeof remove>) => {
      listeners.delete(args[1])
      remove.apply(signal, args)
    },
  })
  return { signal, abort, listening: () => (signal.aborted ? 0 : listeners.size) }
}

describe.each([
  ['of this realm', own],
  ['of another realm', foreign],
])('a signal %s', (_, make) => {
  let caller: Counted
  beforeEach(() => {
    caller = make()
  })
  const post = (more: object = {}): Promise<Response> =>
    here.tk.fetch({ key: here.key })(URL_OF_CHAT, {
      method: 'POST',
      body: JSON.stringify({ ...ASK, ...more }),
      signal: caller.signal,
    })

  test('is listened to while an answer is read, and let go at its end', async () => {
    const response = await post()
    expect(caller.listening()).toBe(1)
    await response.json()
    expect(caller.listening()).toBe(0)
  })

  test.each([
    ['as text', (response: Response) => response.text()],
    ['of a clone', (response: Response) => response.clone().json()],
    ['through its body', (response: Response) => new Response(response.body).text()],
    ['by cancelling it', (response: Response) => response.body!.cancel()],
  ])('is let go after an answer was read %s', async (_how, read) => {
    await read(await post())
    expect(caller.listening()).toBe(0)
  })

  test('is let go at the end of a stream, and where a caller breaks off', async () => {
    await (await post({ stream: true })).text()
    expect(caller.listening()).toBe(0)
    const reader = (await post({ stream: true })).body!.getReader()
    await reader.read()
    expect(caller.listening()).toBe(1)
    await reader.cancel()
    expect(caller.listening()).toBe(0)
  })

  test('ends a stream under way, with its own reason, and is let go', async () => {
    server.answer = async ({ body, closedEarly }, response) => {
      await openStream(response).send(chunkOf(body.model, { content: 'word' }))
      await closedEarly
    }
    const reader = (await post({ stream: true })).body!.getReader()
    await reader.read()
    const reason = new Error('no longer wanted')
    caller.abort(reason)
    await expect(reader.read()).rejects.toBe(reason)
    expect(caller.listening()).toBe(0)
  })

  test('has one listener for any number of calls, and ends each of them', async () => {
    server.answer = async ({ body, closedEarly }, response) => {
      await openStream(response).send(chunkOf(body.model, { content: 'word' }))
      await closedEarly
    }
    const opened = await Promise.all(Array.from({ length: 12 }, () => post({ stream: true })))
    expect(caller.listening()).toBe(1)
    await opened[0]!.body!.cancel()
    expect(caller.listening()).toBe(1)
    caller.abort(new Error('no longer wanted'))
    for (const response of opened.slice(1)) {
      await expect(response.text()).rejects.toThrow('no longer wanted')
    }
    expect(caller.listening()).toBe(0)
  })

  test('is let go by calls that fail or are denied', async () => {
    await expect(
      here.tk.fetch({ key: here.key, scope: 'no:such' })(URL_OF_CHAT, {
        method: 'POST',
        body: JSON.stringify(ASK),
        signal: caller.signal,
      }),
    ).rejects.toMatchObject({ name: 'TenantKeysError' })
    server.answer = async (_ask, response) => void response.destroy()
    await expect(post()).rejects.toThrow()
    expect(caller.listening()).toBe(0)
  })

  test('still ends the reading of an error', async () => {
    server.answer = async ({ closedEarly }, response) => {
      response.writeHead(500, { 'content-type': 'text/plain' })
      response.write('it ')
      await closedEarly
    }
    const begun = await post()
    const read = begun.text()
    caller.abort(new Error('no longer wanted'))
    await expect(read).rejects.toThrow('no longer wanted')
  })

  test('is let go with an error that nobody holds any more', async () => {
    server.answer = (_, response) => json(response, { error: { message: 'slow down' } }, 429)
    await (async () => {
      for (let n = 0; n < 20; n++) await (await post()).text()
    })()
    for (let round = 0; round < 200 && caller.listening() > 0; round++) {
      collect()
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(caller.listening()).toBe(0)
  })

  test('is let go when an answer is thrown away unread', async () => {
    await (async () => void (await post()))()
    await (async () => void (await post({ stream: true })))()
    for (let round = 0; round < 200 && caller.listening() > 0; round++) {
      collect()
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(caller.listening()).toBe(0)
  })

  test('is followed to the end of a callback, and let go then', async () => {
    const call = {
      key: here.key,
      provider: 'openai',
      model: 'gpt-4o-mini',
      estimate: { usd: '0.01' },
      signal: caller.signal,
    }
    const reason = new Error('no longer wanted')
    const seen = await here.tk.withTenantKey(call, async (running) => {
      await running.spent({ usd: '0.001' })
      expect(caller.listening()).toBe(1)
      caller.abort(reason)
      return running.signal.reason
    })
    expect(seen).toBe(reason)
    caller = make()
    const failing = here.tk.withTenantKey({ ...call, signal: caller.signal }, async () => {
      throw new Error('the service failed')
    })
    await expect(failing).rejects.toThrow('the service failed')
    expect(caller.listening()).toBe(0)
  })
})
