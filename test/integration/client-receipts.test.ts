/**
 * Where the receipt of a call is found, client by client, as docs/clients.md says: by `tk.receiptOf`, in
 * the metadata of the result, or told to the context of the call.
 *
 * @module
 */
import { BedrockRuntimeClient, ConverseCommand } from '@aws-sdk/client-bedrock-runtime'
import { GoogleGenAI } from '@google/genai'
import { ChatOpenAI } from '@langchain/openai'
import { Mistral } from '@mistralai/mistralai'
import { OpenRouter } from '@openrouter/sdk'
import { CohereClientV2 } from 'cohere-ai'
import Groq from 'groq-sdk'
import OpenAI, { AzureOpenAI } from 'openai'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Receipt } from '../../src/request/receipt.ts'
import { type ClientBench, COST_NANO, MODEL, openClientBench } from '../support/client-bench.ts'
import {
  answering,
  bedrockConverse,
  cohereChat,
  gemini,
  openaiChat,
  openaiChatInline,
  openaiResponses,
  type Wire,
} from '../support/wire.ts'

const messages = [{ role: 'user' as const, content: 'Hello' }]
const chat = { model: MODEL, messages }
const unused = { apiKey: 'unused' }

let bench: ClientBench
beforeEach(async () => {
  bench = await openClientBench()
})
afterEach(() => bench[Symbol.asyncDispose]())

/** The client, bound; in a run of the test. */
const bound = <C extends object>(client: C): C => bench.tk.withTenantKey(client)

type Ask = () => Promise<unknown>

test.each<[string, Wire, Ask]>([
  ['openai', openaiChat, () => bound(new OpenAI(unused)).chat.completions.create(chat)],
  [
    'a stream of openai',
    openaiChat,
    async () => {
      const stream = await bound(new OpenAI(unused)).chat.completions.create({
        ...chat,
        stream: true,
      })
      for await (const _ of stream);
      return stream
    },
  ],
  [
    'Responses',
    openaiResponses,
    () => bound(new OpenAI(unused)).responses.create({ model: MODEL, input: 'Hello' }),
  ],
  [
    'AzureOpenAI',
    openaiChat,
    () => {
      const azure = { ...unused, apiVersion: '2024-10-21', endpoint: 'https://azure.example' }
      return bound(new AzureOpenAI(azure)).chat.completions.create(chat)
    },
  ],
  ['groq-sdk', openaiChatInline, () => bound(new Groq(unused)).chat.completions.create(chat)],
  [
    'fetch',
    openaiChat,
    async () => {
      const init = { method: 'POST', body: JSON.stringify(chat) }
      const response = await bench.tk.fetch()('https://api.openai.com/v1/chat/completions', init)
      await response.json()
      return response
    },
  ],
])('receiptOf finds the receipt of an answer of %s', async (_, wire, ask) => {
  bench.server.answer = answering(wire)
  const answer = await bench.tk.run(bench.context(), ask)
  expect(await bench.tk.receiptOf(answer)).toEqual(bench.receipts[0])
  expect(bench.receipts).toHaveLength(1)
})

test.each<[string, Wire, Ask]>([
  [
    '@google/genai',
    gemini,
    () =>
      bound(new GoogleGenAI(unused)).models.generateContent({ model: MODEL, contents: 'Hello' }),
  ],
  ['@mistralai/mistralai', openaiChatInline, () => bound(new Mistral(unused)).chat.complete(chat)],
  [
    '@openrouter/sdk',
    openaiChatInline,
    () => bound(new OpenRouter(unused)).chat.send({ chatRequest: { ...chat, stream: false } }),
  ],
  ['cohere-ai', cohereChat, () => bound(new CohereClientV2({ token: 'unused' })).chat(chat)],
  [
    '@aws-sdk/client-bedrock-runtime',
    bedrockConverse,
    () =>
      bound(new BedrockRuntimeClient({ region: 'eu-west-1' })).send(
        new ConverseCommand({
          modelId: MODEL,
          messages: [{ role: 'user', content: [{ text: 'Hello' }] }],
        }),
      ),
  ],
  [
    '@langchain/openai',
    openaiChat,
    () => bound(new ChatOpenAI({ ...unused, model: MODEL })).invoke('Hi'),
  ],
])(
  '%s makes answers of its own: onReceipt tells the receipt, receiptOf does not guess',
  async (_, wire, ask) => {
    bench.server.answer = answering(wire)
    const receipts: Receipt[] = []
    const onReceipt = (receipt: Receipt): void => void receipts.push(receipt)
    const answer = await bench.tk.run(bench.context({ onReceipt }), ask)
    expect(receipts).toMatchObject([{ costNanoUsd: COST_NANO, quality: 'measured' }])
    await expect(bench.tk.receiptOf(answer)).rejects.toMatchObject({ code: 'TK_RECEIPT_UNKNOWN' })
  },
)
