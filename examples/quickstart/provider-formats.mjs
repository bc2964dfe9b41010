// The two wire formats of the stand-in: how a request is read, and what whole answers and streams of
// events look like. https://platform.openai.com/docs/api-reference/chat and
// https://docs.anthropic.com/en/api/messages describe them.

const data = (value) => `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`

/** OpenAI's chat completions; vLLM's server speaks the same. */
export const openAiChat = {
  credentialOf: ({ authorization = '' }) => authorization.replace('Bearer ', ''),
  maximumOf: (asked) => asked.max_completion_tokens ?? asked.max_tokens,
  whole(asked, words, count) {
    const message = { role: 'assistant', content: words.join(' '), refusal: null }
    const choices = [{ index: 0, finish_reason: 'stop', logprobs: null, message }]
    return { ...head(asked, 'chat.completion'), choices, usage: openAiUsage(count) }
  },
  *events(asked, words, count) {
    const chunk = (choices, more) =>
      data({ ...head(asked, 'chat.completion.chunk'), choices, ...more })
    const choice = (delta, finish_reason = null) => [{ index: 0, delta, finish_reason }]
    for (const word of words) yield chunk(choice({ content: `${word} ` }))
    yield chunk(choice({}, 'stop'))
    if (asked.stream_options?.include_usage) yield chunk([], { usage: openAiUsage(count) })
    yield data('[DONE]')
  },
}

const head = ({ model }, object) => ({
  id: 'chatcmpl-demo',
  object,
  created: Math.floor(Date.now() / 1000),
  model,
})

const openAiUsage = ({ input, output }) => ({
  prompt_tokens: input,
  completion_tokens: output,
  total_tokens: input + output,
})

/** Anthropic's messages. A stream says the input first, and the output when it is known. */
export const anthropicMessages = {
  credentialOf: (headers) => headers['x-api-key'],
  maximumOf: (asked) => asked.max_tokens,
  whole: ({ model }, words, { input, output }) => ({
    ...message(model, { input_tokens: input, output_tokens: output }),
    content: [{ type: 'text', text: words.join(' ') }],
    stop_reason: 'end_turn',
  }),
  *events({ model }, words, { input, output }) {
    const event = (type, more) => `event: ${type}\n${data({ type, ...more })}`
    const usage = { input_tokens: input, output_tokens: 1 }
    yield event('message_start', { message: message(model, usage) })
    yield event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } })
    for (const word of words) {
      const delta = { type: 'text_delta', text: `${word} ` }
      yield event('content_block_delta', { index: 0, delta })
    }
    yield event('content_block_stop', { index: 0 })
    const delta = { stop_reason: 'end_turn', stop_sequence: null }
    yield event('message_delta', { delta, usage: { output_tokens: output } })
    yield event('message_stop', {})
  },
}

const message = (model, usage) => ({
  id: 'msg_demo',
  type: 'message',
  role: 'assistant',
  model,
  content: [],
  stop_reason: null,
  stop_sequence: null,
  usage,
})
