/**
 * `@aws-sdk/client-bedrock-runtime` 3, with a bearer token (an API key of Bedrock). The SDK has no
 * `fetch`; a request handler of ours stands in the place of its own.
 *
 * @module
 */
import { joinedSignal } from '../kernel/follow-signal.ts'
import { uuidv7 } from '../kernel/ids.ts'
import { CALL_ID } from '../request/read-request.ts'
import { type Binding, notBindable, PLACEHOLDER } from './binding.ts'

/** The slice of the client that we use (https://github.com/aws/aws-sdk-js-v3, clients/client-bedrock-runtime). */
export interface BedrockLike {
  readonly config: Config
  readonly middlewareStack: {
    add(middleware: Middleware, options: { readonly step: 'build'; readonly name: string }): void
  }
  send(...args: never[]): unknown
}

interface Config {
  readonly serviceId?: string
  readonly requestHandler: unknown
  readonly region: () => Promise<string>
  readonly maxAttempts?: () => Promise<number>
}

type Middleware = (next: (args: Args) => Promise<Result>) => (args: Args) => Promise<Result>

interface Result {
  readonly response: object
  readonly output: object
}

interface Args {
  readonly request: SmithyRequest
}

interface SmithyRequest {
  readonly method: string
  readonly protocol: string
  readonly hostname: string
  readonly port?: number
  readonly path: string
  readonly query?: Readonly<Record<string, string | readonly string[] | null>>
  readonly headers: Record<string, string>
  readonly body?: BodyInit
}

interface SmithyResponse {
  readonly statusCode: number
  readonly reason: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: ReadableStream<Uint8Array> | null
}

export function isBedrock(client: unknown): client is BedrockLike {
  if (typeof client !== 'object' || client === null) return false
  const { config, middlewareStack, send } = client as Partial<BedrockLike>
  return (
    typeof send === 'function' &&
    typeof middlewareStack?.add === 'function' &&
    config?.serviceId === 'Bedrock Runtime'
  )
}

/** Carries the id of a call to each of its attempts. It does not leave the process. */
const CALL_HEADER = 'x-tenantkeys-call'

export function bindBedrock<C extends BedrockLike>(client: C, binding: Binding): C {
  const provider = binding.provider ?? 'bedrock'
  const running = new WeakMap<object, AbortController>()
  const requestHandler = handlerOver(binding.fetchFor(provider), running)
  const { region, maxAttempts } = client.config
  const Client = client.constructor as new (options: object) => C
  const bound = new Client({
    region,
    endpoint: binding.baseUrlOf(provider),
    token: async () => ({ token: PLACEHOLDER }),
    authSchemePreference: ['httpBearerAuth'],
    requestHandler,
    ...(maxAttempts ? { maxAttempts } : {}),
  })
  if (bound.config.requestHandler !== requestHandler) {
    throw notBindable(
      'a client made like it does not keep its request handler',
      'bind a plain BedrockRuntimeClient',
    )
  }
  // Once for each call: the retries of the SDK come after this step.
  bound.middlewareStack.add(
    (next) => async (args) => {
      args.request.headers[CALL_HEADER] = uuidv7()
      const result = await next(args)
      return { ...result, output: endingWhenLeft(result.output, running.get(result.response)) }
    },
    { step: 'build', name: 'tenantkeysCall' },
  )
  return bound
}

/** Its streams do not tell the connection that their loop was left: here that ends the call. */
function endingWhenLeft(output: object, running: AbortController | undefined): object {
  for (const [name, value] of Object.entries(output)) {
    if (running && typeof value?.[Symbol.asyncIterator] === 'function') {
      return { ...output, [name]: left(value, running) }
    }
  }
  return output
}

async function* left<T>(events: AsyncIterable<T>, running: AbortController): AsyncIterable<T> {
  let over = false
  try {
    yield* events
    over = true
  } finally {
    if (!over) running.abort()
  }
}

/** @param running - By response: what ends it. */
function handlerOver(corridor: typeof fetch, running: WeakMap<object, AbortController>): object {
  return {
    metadata: { handlerProtocol: 'http/1.1' },
    handle: async (
      request: SmithyRequest,
      options: { readonly abortSignal?: AbortSignal } = {},
    ): Promise<{ readonly response: SmithyResponse }> => {
      const { [CALL_HEADER]: callId, ...headers } = request.headers
      const own = new AbortController()
      const response = await corridor(urlOf(request), {
        method: request.method,
        headers,
        body: request.body ?? null,
        signal: joinedSignal(own, options.abortSignal),
        ...(callId ? { [CALL_ID]: callId } : {}),
      })
      const { status, statusText, body } = response
      const given = Object.fromEntries(response.headers)
      const answer = { statusCode: status, reason: statusText, headers: given, body }
      running.set(answer, own)
      return { response: answer }
    },
    updateHttpClientConfig: () => {},
    httpHandlerConfigs: () => ({}),
    destroy: () => {},
  }
}

function urlOf({ protocol, hostname, port, path, query = {} }: SmithyRequest): URL {
  const url = new URL(`${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}`)
  for (const [name, value] of Object.entries(query)) {
    for (const one of typeof value === 'string' ? [value] : (value ?? [''])) {
      url.searchParams.append(name, one)
    }
  }
  return url
}
