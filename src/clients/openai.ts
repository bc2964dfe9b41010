/**
 * `openai` 6 and 7: `OpenAI` for OpenAI and every server that speaks its format, `AzureOpenAI` for
 * deployments on Azure.
 *
 * @module
 */
import { type Binding, compareBaseUrl, notBindable, PLACEHOLDER, withSuffix } from './binding.ts'
import { bindStainless, isStainless, type Ours, type StainlessLike } from './stainless.ts'

export interface OpenAiLike extends StainlessLike {
  readonly chat: { readonly completions: object }
  readonly responses: object
}

interface AzureLike extends OpenAiLike {
  readonly apiVersion: string
  readonly deploymentName: string | undefined
}

export function isOpenAi(client: unknown): client is OpenAiLike {
  if (!isStainless(client)) return false
  const { chat, responses } = client as Partial<OpenAiLike>
  return typeof chat?.completions === 'object' && typeof responses === 'object'
}

const isAzure = (client: OpenAiLike): client is AzureLike =>
  'deploymentName' in client || 'apiVersion' in client

/** Options of the platform's client that a tenant's must not inherit. */
const ANONYMOUS = {
  apiKey: PLACEHOLDER,
  adminAPIKey: null,
  workloadIdentity: undefined,
  organization: null,
  project: null,
  webhookSecret: null,
}

export function bindOpenAi<C extends OpenAiLike>(
  client: C,
  binding: Binding,
  callOf?: Ours['callOf'],
): C {
  const azure = isAzure(client)
  const provider = binding.provider ?? (azure ? 'azure' : 'openai')
  const isNotAzures = azure && provider !== 'azure'
  if (isNotAzures || (!azure && provider === 'azure')) {
    throw notBindable(
      'this client and the provider azure do not go together',
      'new AzureOpenAI() is for the provider azure, and no other',
    )
  }
  const builtIn = binding.baseUrlOf(provider)
  const baseUrl = azure ? withSuffix(builtIn, '/openai') : builtIn
  if (!azure) compareBaseUrl(binding, provider, client.baseURL, baseUrl)
  const ours = {
    fetch: binding.fetchFor(provider),
    baseUrl,
    onAnswer: binding.onAnswer,
    ...(callOf ? { callOf } : {}),
  }
  return bindStainless(client, { ...ANONYMOUS, ...(azure ? deploymentOf(client) : {}) }, ours)
}

/** What the constructor of Azure's client demands and withOptions does not hand on. */
const deploymentOf = ({ apiVersion, deploymentName }: AzureLike): object => ({
  apiVersion,
  deployment: deploymentName,
})
