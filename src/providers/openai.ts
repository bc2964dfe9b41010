/**
 * OpenAI.
 *
 * @module
 */
import { bearer } from './authorize.ts'
import { openAiChat } from './formats/openai-chat.ts'
import { openAiCompletions } from './formats/openai-completions.ts'
import { openAiEmbeddings } from './formats/openai-embeddings.ts'
import { openAiImages } from './formats/openai-images.ts'
import { openAiResponses } from './formats/openai-responses.ts'
import { openAiSpeech } from './formats/openai-speech.ts'
import type { Provider } from './provider.ts'

/** Models that search the web on every call, for a fee per call. */
const SEARCHING = /-search-(preview|api)(-|$)/

/**
 * Models that do not reason when a request says so: `gpt-5.1` and later "does not perform reasoning" at
 * `none`, and earlier ones refuse the word (https://platform.openai.com/docs/api-reference/chat/create,
 * `reasoning_effort`). Those with a word behind their size (codex, pro, chat) take no `none`.
 */
const MAY_STOP_REASONING = /^(ft:)?gpt-5\.[1-9]\d*(-mini|-nano)?(-\d{4}-\d{2}-\d{2})?(:|$)/

/** What OpenAI's models do wherever they are served; Azure has the same. */
export const OPENAI_MODELS = {
  /** The o series and gpt-5 think in tokens that are charged as output and never shown. */
  hidesReasoning: /^(ft:)?(o\d|gpt-[5-9])/,
  stopsReasoning: MAY_STOP_REASONING,
  /** Small models count an image several times (33.4, 2.46 and up to 1.72), and OpenAI does not say
   * that their window limits the figure that is charged. A fine-tuned model counts as its base does. */
  imageFactors: [
    [/gpt-4o-mini/, 34],
    [/-nano/, 3],
    [/-mini/, 2],
  ],
} as const

export const openaiChat = openAiChat({
  provider: 'openai',
  maxField: 'max_completion_tokens',
  ...OPENAI_MODELS,
  unpriced: [
    {
      field: 'web_search_options',
      when: (request, model) =>
        (request.web_search_options ?? null) !== null || SEARCHING.test(model),
      hint: 'web searches are charged by the call',
    },
  ],
})

export const openai: Provider = {
  id: 'openai',
  baseUrl: 'https://api.openai.com/v1',
  credential: {
    apiKey: { kind: 'secret', required: true },
    /** A base URL of the tenant's own, admitted only where the operator listed its origin. */
    endpoint: { kind: 'public', required: false },
  },
  authorize: bearer('openai'),
  operations: [
    openaiChat,
    openAiResponses({ provider: 'openai', ...OPENAI_MODELS }),
    openAiEmbeddings({ provider: 'openai' }),
    openAiCompletions({ provider: 'openai' }),
    openAiImages('openai'),
    openAiSpeech('openai'),
  ],
}
