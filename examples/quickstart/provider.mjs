// A stand-in for the provider, in a process of its own: it speaks the wire format of OpenAI's chat
// completions (JSON and SSE), counts words as tokens, and prints the last letters of the credential
// it was given, so that one sees whose key arrived. Not a mock inside the library: a real socket.
import { createServer } from 'node:http'

const WORDS =
  'A tenant brings a key, a call goes out, and every nano-dollar it spent is in your own database once.'.split(
    ' ',
  )

const server = createServer(async (request, response) => {
  let text = ''
  for await (const part of request) text += part
  const key = (request.headers.authorization ?? '').replace('Bearer ', '')
  process.send?.({ sawKey: `...${key.slice(-4)}` })
  if (request.url !== '/v1/chat/completions' || !key.startsWith('sk-')) {
    response.writeHead(401, { 'content-type': 'application/json' })
    return response.end(
      JSON.stringify({ error: { message: 'bad key', type: 'invalid_request_error' } }),
    )
  }
  const {
    model,
    messages,
    stream,
    stream_options: options,
    max_completion_tokens: most,
  } = JSON.parse(text)
  const words = WORDS.slice(0, most)
  const asked =
    messages
      .map((m) => m.content)
      .join(' ')
      .split(/\s+/).length + 7
  const usage = {
    prompt_tokens: asked,
    completion_tokens: words.length,
    total_tokens: asked + words.length,
  }
  const base = { id: 'chatcmpl-demo', created: Math.floor(Date.now() / 1000), model }
  if (!stream) {
    const message = { role: 'assistant', content: words.join(' '), refusal: null }
    response.writeHead(200, { 'content-type': 'application/json' })
    const choices = [{ index: 0, finish_reason: 'stop', logprobs: null, message }]
    return response.end(JSON.stringify({ ...base, object: 'chat.completion', choices, usage }))
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const send = (data) =>
    response.write(`data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`)
  const chunk = (delta, finish_reason = null) => ({
    ...base,
    object: 'chat.completion.chunk',
    choices: [{ index: 0, delta, finish_reason }],
  })
  for (const word of words) {
    if (response.destroyed) return
    send(chunk({ content: `${word} ` }))
    await new Promise((resolve) => setTimeout(resolve, 15))
  }
  send(chunk({}, 'stop'))
  if (options?.include_usage) send({ ...base, object: 'chat.completion.chunk', choices: [], usage })
  send('[DONE]')
  response.end()
})

server.listen(0, '127.0.0.1', () => process.send?.({ port: server.address().port }))
process.on('disconnect', () => process.exit(0))
