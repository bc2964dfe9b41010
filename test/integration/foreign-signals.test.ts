/**
 * Signals of another realm, as jsdom and older runtimes have them, given to clients that join a signal of
 * their own with the caller's: an abort reaches the provider all the same.
 *
 * @module
 */
import { createOpenAI } from '@ai-sdk/openai'
import { BedrockRuntimeClient, ConverseCommand } from '@aws-sdk/client-bedrock-runtime'
import { GoogleGenAI } from '@google/genai'
import { generateText } from 'ai'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { TenantKeys } from '../../src/tenant-keys.ts'
import { type ClientBench, MODEL, openClientBench } from '../support/client-bench.ts'

let bench: ClientBench
beforeEach(async () => {
  bench = await openClientBench()
})
afterEach(() => bench[Symbol.asyncDispose]())

type Ask = (tk: TenantKeys, abortSignal: AbortSignal) => Promise<unknown>

test.each<[string, Ask]>([
  [
    '@google/genai',
    (tk, abortSignal) =>
      tk
        .withTenantKey(new GoogleGenAI({ apiKey: 'unused' }))
        .models.generateContentStream({ model: MODEL, contents: 'Hello', config: { abortSignal } }),
  ],
  [
    '@aws-sdk/client-bedrock-runtime',
    (tk, abortSignal) => {
      const credentials = { accessKeyId: 'unused', secretAccessKey: 'unused' }
      const client = new BedrockRuntimeClient({ region: 'eu-central-1', credentials })
      const messages = [{ role: 'user' as const, content: [{ text: 'Hello' }] }]
      const command = new ConverseCommand({
        modelId: MODEL,
        messages,
        inferenceConfig: { maxTokens: 50 },
      })
      return tk.withTenantKey(client).send(command, { abortSignal })
    },
  ],
  [
    'ai',
    (tk, abortSignal) => {
      const openai = tk.withTenantKey(createOpenAI)()
      return generateText({
        model: openai.chat(MODEL),
        prompt: 'Hello',
        maxOutputTokens: 50,
        maxRetries: 0,
        abortSignal,
      })
    },
  ],
])('%s: the call ends, and is settled as aborted', async (_, ask) => {
  const foreign = Object.assign(new EventTarget(), {
    aborted: false,
    reason: undefined as unknown,
    throwIfAborted: () => {},
  })
  expect(foreign).not.toBeInstanceOf(AbortSignal)
  bench.server.answer = async () => {
    Object.assign(foreign, { aborted: true, reason: new DOMException('left', 'AbortError') })
    foreign.dispatchEvent(new Event('abort'))
  }
  const asked = bench.tk.run(bench.context(), () =>
    ask(bench.tk, foreign as unknown as AbortSignal),
  )
  await expect(asked).rejects.toThrow()
  expect(bench.receipts).toMatchObject([{ outcome: 'aborted', quality: 'estimated' }])
})
