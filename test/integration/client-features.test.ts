/**
 * What single SDKs have beyond a call and a stream: helpers, runners, objects, metadata.
 *
 * @module
 */
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import Anthropic from '@anthropic-ai/sdk'
// biome-ignore lint/suspicious/noDeprecatedImports: hosts still call it, so it has to work.
import { embed, generateObject, generateText, streamText } from 'ai'
import OpenAI from 'openai'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { type ClientBench, COST_NANO, MODEL, openClientBench } from '../support/client-bench.ts'
import { json } from '../support/provider-server.ts'
import {
  answering,
  anthropicMessages,
  openaiChat,
  openaiResponses,
  WORDS,
} from '../support/wire.ts'

const messages = [{ role: 'user' as const, content: 'Hello' }]

let bench: ClientBench
beforeEach(async () => {
  bench = await openClientBench()
})
afterEach(() => bench[Symbol.asyncDispose]())

const metered = { costNanoUsd: String(COST_NANO), quality: 'measured', provider: 'openai' }

describe('the AI SDK', () => {
  const openai = () => bench.tk.withTenantKey(createOpenAI, bench.context())()

  test('carries the receipt of generateText in provider metadata, as JSON', async () => {
    bench.server.answer = answering(openaiChat)
    const { providerMetadata } = await generateText({ model: openai().chat(MODEL), prompt: 'Hi' })
    expect(providerMetadata?.tenantkeys).toMatchObject(metered)
  })

  test('carries it after streamText', async () => {
    bench.server.answer = answering(openaiResponses)
    const result = streamText({ model: openai()(MODEL), prompt: 'Hi' })
    await result.consumeStream()
    expect((await result.providerMetadata)?.tenantkeys).toMatchObject(metered)
  })

  test('makes objects', async () => {
    bench.server.answer = (_request, response) => json(response, openaiChat.json(MODEL, '{"a":7}'))
    const { object, providerMetadata } = await generateObject({
      model: openai().chat(MODEL),
      prompt: 'Hi',
      schema: z.object({ a: z.number() }),
    })
    expect(object).toEqual({ a: 7 })
    expect(providerMetadata?.tenantkeys).toMatchObject(metered)
  })

  test('embeds', async () => {
    bench.server.answer = (_request, response) =>
      json(response, {
        object: 'list',
        model: MODEL,
        data: [{ object: 'embedding', index: 0, embedding: [0.5] }],
        usage: { prompt_tokens: 100, total_tokens: 100 },
      })
    const { embedding } = await embed({ model: openai().embedding(MODEL), value: 'Hi' })
    expect(embedding).toEqual([0.5])
    expect(bench.receipts).toMatchObject([{ operation: 'embeddings', tokens: { input: 100 } }])
  })

  test.each(['apiKey', 'organization', 'project', 'fetch'])(
    'a bound factory does not take %s',
    (name) => {
      const make = bench.tk.withTenantKey(createOpenAI, bench.context())
      expect(() => make({ [name]: name === 'fetch' ? fetch : 'x' })).toThrow(
        expect.objectContaining({ code: 'TK_INPUT_INVALID' }),
      )
    },
  )

  test('a factory for several providers needs to know which', () => {
    const make = bench.tk.withTenantKey(createOpenAICompatible, bench.context())
    expect(() => make({ name: 'mine', baseURL: 'https://own.example/v1' })).toThrow(
      expect.objectContaining({ code: 'TK_INPUT_INVALID' }),
    )
  })
})

describe('helpers and runners', () => {
  test('the stream helper of Responses', async () => {
    bench.server.answer = answering(openaiResponses)
    const client = bench.tk.withTenantKey(new OpenAI({ apiKey: 'unused' }), bench.context())
    await client.responses.stream({ model: MODEL, input: 'Hi' }).finalResponse()
    expect(bench.receipts).toMatchObject([{ operation: 'responses', costNanoUsd: COST_NANO }])
  })

  test('embeddings of openai: input only, by the count of the provider', async () => {
    bench.server.answer = (_request, response) =>
      json(response, {
        object: 'list',
        model: MODEL,
        data: [{ object: 'embedding', index: 0, embedding: [0.5, 0.25] }],
        usage: { prompt_tokens: 100, total_tokens: 100 },
      })
    const client = bench.tk.withTenantKey(new OpenAI({ apiKey: 'unused' }), bench.context())
    const ask = { model: MODEL, input: 'Hi', encoding_format: 'float' as const }
    const answer = await client.embeddings.create(ask)
    expect(answer.data[0]?.embedding).toEqual([0.5, 0.25])
    expect(await bench.tk.receiptOf(answer)).toMatchObject({
      operation: 'embeddings',
      quality: 'measured',
      tokens: { input: 100, output: 0 },
      costNanoUsd: 100_000n,
    })
    expect(await bench.budget()).toEqual({ used: 100_000n, held: 0n })
  })

  test('a form with a file is refused, and the refusal names the form that can take it', async () => {
    const client = bench.tk.withTenantKey(new OpenAI({ apiKey: 'unused' }), bench.context())
    const file = new File([new Uint8Array([0xff, 0xfe, 0])], 'a.wav')
    const work = client.audio.transcriptions.create({ file, model: MODEL })
    await expect(work).rejects.toMatchObject({
      code: 'TK_REQUEST_INVALID',
      details: { field: 'body', hint: expect.stringContaining('callback form') },
    })
    expect(bench.server.requests).toEqual([])
    expect(await bench.budget()).toEqual({ used: 0n, held: 0n })
  })

  test('receiptOf an answer and of a stream of Anthropic', async () => {
    bench.server.answer = answering(anthropicMessages)
    const client = bench.tk.withTenantKey(new Anthropic({ apiKey: 'unused' }), bench.context())
    const ask = { model: MODEL, max_tokens: 64, messages }
    const answer = await client.messages.create(ask)
    expect((await bench.tk.receiptOf(answer)).costNanoUsd).toBe(COST_NANO)
    const stream = await client.messages.create({ ...ask, stream: true })
    for await (const _ of stream);
    expect((await bench.tk.receiptOf(stream)).costNanoUsd).toBe(COST_NANO)
    expect(await client.messages.stream(ask).finalText()).toBe(WORDS.join(''))
    expect(bench.receipts).toHaveLength(3)
  })

  test('each call of a tool runner of Anthropic is a call of its own', async () => {
    bench.server.answer = (_request, response, count) => {
      const whole = anthropicMessages.json(MODEL, 'sunny')
      const use = { type: 'tool_use', id: 'tool-1', name: 'weather', input: {} }
      json(response, count > 1 ? whole : { ...whole, content: [use], stop_reason: 'tool_use' })
    }
    const client = bench.tk.withTenantKey(new Anthropic({ apiKey: 'unused' }), bench.context())
    const weather = {
      name: 'weather',
      description: 'w',
      input_schema: { type: 'object' as const, properties: {} },
      run: async () => 'sunny',
      parse: (value: unknown) => value,
    }
    await client.beta.messages.toolRunner({
      model: MODEL,
      max_tokens: 64,
      messages,
      tools: [weather as never],
    })
    expect(new Set(bench.receipts.map((r) => r.callId)).size).toBe(2)
    expect(await bench.budget()).toEqual({ used: 2n * COST_NANO, held: 0n })
  })
})
