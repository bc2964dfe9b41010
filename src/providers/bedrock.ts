/**
 * AWS Bedrock, by API key (a bearer token,
 * https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html). The region of the credential
 * chooses the server. Requests that the AWS SDK signs do not pass through our fetch; for them see
 * `converseUsage` and the callback form.
 *
 * @module
 */
import { bearer } from './authorize.ts'
import { anthropicMessages } from './formats/anthropic-messages.ts'
import { bedrockConverse } from './formats/bedrock-converse.ts'
import type { Provider } from './provider.ts'

/** For example `eu-central-1`, `us-gov-west-1`. */
const REGION = /^[a-z]{2}(-[a-z]{2,16}){1,2}-\d{1,2}$/

export const bedrock: Provider = {
  id: 'bedrock',
  baseUrl: 'https://bedrock.invalid',
  credential: {
    apiKey: { kind: 'secret', required: true },
    region: { kind: 'public', required: true },
    endpoint: { kind: 'public', required: false },
  },
  server: ({ region = '' }) =>
    REGION.test(region) ? `https://bedrock-runtime.${region}.amazonaws.com` : null,
  authorize: bearer('bedrock'),
  unpricedHeaders: [
    'x-amzn-bedrock-service-tier',
    'x-amzn-bedrock-performanceconfig-latency',
    'x-amzn-bedrock-guardrailidentifier',
  ],
  operations: [
    ...bedrockConverse('bedrock'),
    // Bodies of InvokeModel are the model maker's own; these are Anthropic's. Another maker's body is
    // not a list of messages with a maximum, and is refused by the fields it has.
    anthropicMessages({ provider: 'bedrock', path: '/model/{model}/invoke', stream: false }),
    anthropicMessages({
      provider: 'bedrock',
      path: '/model/{model}/invoke-with-response-stream',
      stream: true,
    }),
  ],
}
