/**
 * A provider in memory: the `fetch` that answers chat completions, for the bare client and for the
 * wrapped one alike.
 *
 * @module
 */
const HEAD = { id: 'chatcmpl-bench', created: 1_760_000_000, model: 'gpt-4o-mini' }

const JSON_ANSWER = JSON.stringify({
  ...HEAD,
  object: 'chat.completion',
  system_fingerprint: 'fp_bench',
  choices: [
    {
      index: 0,
      message: {
        role: 'assistant',
        content: 'The quick brown fox jumps over the lazy dog. '.repeat(8),
        refusal: null,
      },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage: usage(25, 80),
})

function usage(input, output) {
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0 },
  }
}

/**
 * A `fetch` that answers like the API: whole, or as a stream where the request asks for one. A stream
 * has one event a chunk, handed out when it is asked for.
 *
 * @param {number} count - events of a stream, the one with the usage and the end marker included.
 */
export function provider(count) {
  const chunks = events(count)
  return async (_url, { body }) =>
    body.includes('"stream":true')
      ? new Response(streamOf(chunks), { headers: { 'content-type': 'text/event-stream' } })
      : new Response(JSON_ANSWER, { headers: { 'content-type': 'application/json' } })
}

function streamOf(chunks) {
  let at = 0
  return new ReadableStream(
    {
      pull(controller) {
        if (at < chunks.length) controller.enqueue(chunks[at++])
        else controller.close()
      },
    },
    { highWaterMark: 0 },
  )
}

function events(count) {
  const chunk = (choices, used = null) => ({
    ...HEAD,
    object: 'chat.completion.chunk',
    system_fingerprint: 'fp_bench',
    choices,
    usage: used,
  })
  const choice = (delta, finish = null) => [
    { index: 0, delta, logprobs: null, finish_reason: finish },
  ]
  const words = count - 4
  const data = [
    chunk(choice({ role: 'assistant', content: '' })),
    ...Array.from({ length: words }, (_, i) => chunk(choice({ content: ` word${i % 97}` }))),
    chunk(choice({}, 'stop')),
    chunk([], usage(25, words)),
  ]
  const encoder = new TextEncoder()
  return [...data.map((value) => JSON.stringify(value)), '[DONE]'].map((line) =>
    encoder.encode(`data: ${line}\n\n`),
  )
}
