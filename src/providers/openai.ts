/**
 * OpenAI.
 *
 * @module
 */
import { bearer } from './authorize.ts'
import { openAiChat } from './formats/openai-chat.ts'
import type { Provider } from './provider.ts'

/** Models that search the web on every call, for a fee per call. */
const SEARCHING = /-search-(preview|api)(-|$)/

/** The o series and gpt-5 think in tokens that are charged as output and never shown. */
const REASONING = /^(ft:)?(o\d|gpt-[5-9])/

export const openaiChat = openAiChat({
  provider: 'openai',
  maxField: 'max_completion_tokens',
  hidesReasoning: REASONING,
  // Small models count an image several times (33.4, 2.46 and up to 1.72), and OpenAI does not say
  // that their window limits the figure that is charged. A fine-tuned model counts as its base does.
  imageFactors: [
    [/gpt-4o-mini/, 34],
    [/-nano/, 3],
    [/-mini/, 2],
  ],
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
  operations: [openaiChat],
}
