// Loaded before a program of the docs: answers for https://api.openai.com, refuses every other place.

const usage = { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 }
const head = (object, model) => ({ id: 'chatcmpl-docs', object, created: 1_760_000_000, model })

function plain(model) {
  const message = { role: 'assistant', content: 'Hello to you', refusal: null }
  const choices = [{ index: 0, message, logprobs: null, finish_reason: 'stop' }]
  return Response.json({ ...head('chat.completion', model), choices, usage })
}

function stream(model, withUsage) {
  const chunk = (delta, finish_reason) => ({
    ...head('chat.completion.chunk', model),
    choices: [{ index: 0, delta, logprobs: null, finish_reason }],
  })
  const chunks = [
    ...['Hello', ' to', ' you'].map((content) => chunk({ content }, null)),
    chunk({}, 'stop'),
    ...(withUsage ? [{ ...head('chat.completion.chunk', model), choices: [], usage }] : []),
  ]
  const body = [...chunks.map((data) => JSON.stringify(data)), '[DONE]'].map(
    (data) => `data: ${data}\n\n`,
  )
  return new Response(body.join(''), { headers: { 'content-type': 'text/event-stream' } })
}

globalThis.fetch = async (input, init) => {
  const request = new Request(input, init)
  const { origin, pathname } = new URL(request.url)
  if (origin !== 'https://api.openai.com' || pathname !== '/v1/chat/completions') {
    throw new Error(`no example calls ${origin}${pathname}`)
  }
  const { model, stream: streams, stream_options: options } = await request.json()
  return streams ? stream(model, options?.include_usage === true) : plain(model)
}
