// initech, with the AI SDK, OpenAI and Anthropic, until its budget is used up.
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import { generateText, streamText } from 'ai'
import { TenantKeysError } from 'tenantkeys'
import { line, promise, row } from './print.mjs'

export async function askWithAiSdk(tk, key, provider) {
  const openai = tk.withTenantKey(createOpenAI, { key })()
  const anthropic = tk.withTenantKey(createAnthropic, { key })()

  const { providerMetadata } = await generateText({
    model: openai.chat('gpt-4o-mini'),
    prompt: 'How small is a nano-dollar?',
    maxOutputTokens: 200,
  })
  row('generateText', `receipt in its metadata: ${providerMetadata.tenantkeys.costUsd} USD`)
  const ask = {
    model: anthropic('claude-haiku-4-5'),
    prompt: 'And how many of them are left?',
    maxOutputTokens: 40,
    maxRetries: 0,
  }
  const stream = streamText(ask)
  let parts = 0
  for await (const _ of stream.textStream) parts += 1
  const { tenantkeys } = await stream.providerMetadata
  row('streamText', `${parts} parts; ${tenantkeys.costUsd} USD`)

  const before = (await provider.seen()).length
  const ends = await Promise.all(Array.from({ length: 12 }, () => outcomeOf(generateText(ask))))
  const answered = ends.filter((end) => end === null).length
  const codes = [...new Set(ends.filter((end) => end !== null).map(({ code }) => code))]
  row('12 at once', `${answered} answered, ${12 - answered} refused: ${codes.join(', ')}`)

  let more = 0
  let denial = null
  while (denial === null && more < 100) {
    denial = await outcomeOf(generateText(ask))
    if (denial === null) more += 1
  }
  row('one by one', `${more} more answered, then a TenantKeysError:`)
  const { used, limit, asked, wouldFit } = denial.details.denial
  row('', `code       ${denial.code} (HTTP ${denial.httpStatus})`)
  row('', `budget     ${used} of ${limit} USD used`)
  row('', `this call  may cost up to ${asked} USD; up to ${wouldFit} would fit`)
  line('')
  const reached = (await provider.seen()).length - before
  promise('what was refused never reached the provider', reached === answered + more)
  promise('the limit was not passed', Number(used) <= Number(limit))
}

/** `null`: answered. Anything that is not a denial of ours is an error of the demo. */
async function outcomeOf(call) {
  try {
    await call
    return null
  } catch (error) {
    if (TenantKeysError.isInstance(error)) return error
    throw error
  }
}
