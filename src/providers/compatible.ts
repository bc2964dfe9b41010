/**
 * Providers that speak OpenAI's formats: a few lines of data each. See docs/adding-a-provider.md.
 *
 * @module
 */
import { bearer, optionalBearer } from './authorize.ts'
import { type ChatDialect, openAiChat } from './formats/openai-chat.ts'
import { openAiCompletions } from './formats/openai-completions.ts'
import { openAiEmbeddings } from './formats/openai-embeddings.ts'
import { openAiResponses } from './formats/openai-responses.ts'
import type { Operation, Provider } from './provider.ts'
import type { UsageFormat } from './reading/usage-format.ts'

export interface CompatibleProvider {
  /** For example `groq`; the name used in policies, secrets and prices. */
  readonly id: string
  /** Without a trailing slash. Default: none; the operator or the tenant names the server. */
  readonly baseUrl?: string
  /** `required` (default), or `optional` for servers of one's own that check none. */
  readonly apiKey?: 'required' | 'optional'
  /** As in {@link Provider}. */
  readonly selfHosted?: boolean
  /** What its chat completions do in their own way. */
  readonly chat?: Omit<ChatDialect, 'provider'>
  /** Which other operations it has; default none. */
  readonly has?: readonly ('embeddings' | 'completions' | 'responses')[]
  /** How its Responses report usage; default: as OpenAI's. */
  readonly responsesUsage?: UsageFormat
  /** Operations of its own. */
  readonly operations?: readonly Operation[]
}

export function openAiCompatible(given: CompatibleProvider): Provider {
  const { id, chat, has = [], responsesUsage } = given
  const provider = id
  const hidesReasoning = chat?.hidesReasoning ? { hidesReasoning: chat.hidesReasoning } : {}
  const others = {
    embeddings: () => openAiEmbeddings({ provider }),
    completions: () => openAiCompletions({ provider }),
    responses: () =>
      openAiResponses({
        provider,
        ...hidesReasoning,
        ...(responsesUsage ? { usage: responsesUsage } : {}),
      }),
  }
  const isOptional = given.apiKey === 'optional'
  return {
    id,
    baseUrl: given.baseUrl ?? `https://${id}.invalid/v1`,
    selfHosted: given.selfHosted ?? false,
    credential: {
      apiKey: { kind: 'secret', required: !isOptional },
      /** A base URL of the tenant's own, admitted only where the operator listed its origin. */
      endpoint: { kind: 'public', required: false },
    },
    authorize: isOptional ? optionalBearer : bearer(id),
    operations: [
      openAiChat({ provider, ...chat }),
      ...has.map((name) => others[name]()),
      ...(given.operations ?? []),
    ],
  }
}
