// A stand-in for the providers, in a process of its own: it speaks the wire formats of OpenAI's chat
// completions (vLLM's too) and of Anthropic's messages, as JSON and as streams, counts words as tokens,
// and remembers whose credential came with each request. Not a mock inside the library: real sockets.
import { createServer } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { anthropicMessages, openAiChat } from './provider-formats.mjs'

const ANSWER =
  'A key comes in, a call goes out, and every nano-dollar of it is in your books, once.'.split(' ')
const ROUTES = { '/v1/chat/completions': openAiChat, '/v1/messages': anthropicMessages }
const seen = []

async function serve(request, response) {
  let text = ''
  for await (const part of request) text += part
  const format = ROUTES[request.url]
  const credential = format?.credentialOf(request.headers) ?? ''
  const error = { message: 'bad key', type: 'invalid_request_error' }
  if (!/^(?:sk|vllm)-/.test(credential)) return json(response, 401, { error })
  const asked = JSON.parse(text)
  const answer = text.includes('a long story') ? Array(20).fill(ANSWER).flat() : ANSWER
  const words = answer.slice(0, format.maximumOf(asked))
  const count = { input: wordsOf(asked.messages) + 7, output: words.length }
  seen.push({ credential: `...${credential.slice(-4)}`, model: asked.model, ...count })
  await wait(40) // as a model thinks
  if (!asked.stream) return json(response, 200, format.whole(asked, words, count))
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  for (const event of format.events(asked, words, count)) {
    if (response.destroyed) return // whoever asked has left
    response.write(event)
    await wait(10)
  }
  response.end()
}

function json(response, status, value) {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}

function wordsOf(messages) {
  const texts = messages.flatMap(({ content }) =>
    typeof content === 'string' ? [content] : content.map((part) => part.text ?? ''),
  )
  return texts.join(' ').split(/\s+/).length
}

const listen = () =>
  new Promise((resolve) => {
    const server = createServer(serve).listen(0, '127.0.0.1', () =>
      resolve(`http://127.0.0.1:${server.address().port}`),
    )
  })

const [providers, vllm] = [await listen(), await listen()]
process.on('message', () => process.send(seen))
process.on('disconnect', () => process.exit(0))
process.send({ openai: `${providers}/v1`, anthropic: providers, vllm: `${vllm}/v1` })
