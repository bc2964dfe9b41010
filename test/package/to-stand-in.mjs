// Loaded before a program of the docs: what it asks of the providers of the pages goes to the stand-in
// of the test, with the host in front of the path; every other place is refused.

const PROVIDERS =
  /^https:\/\/(?:api\.(?:openai|anthropic|mistral|groq|cohere|cartesia)\.(?:com|ai)|openrouter\.ai|generativelanguage\.googleapis\.com|bedrock-runtime\.eu-central-1\.amazonaws\.com|[a-z.-]+\.example)$/

const { STAND_IN_URL } = process.env
const realFetch = globalThis.fetch

globalThis.fetch = async (input, init) => {
  const request = new Request(input, init)
  const { origin, host, pathname, search } = new URL(request.url)
  if (!PROVIDERS.test(origin)) throw new Error(`no example calls ${origin}${pathname}`)
  return realFetch(`${STAND_IN_URL}/${host}${pathname}${search}`, {
    method: request.method,
    headers: request.headers,
    body: await request.text(),
    signal: request.signal,
  })
}
