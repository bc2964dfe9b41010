/**
 * Services that tenants bring credentials for and that are called in callbacks, not through our fetch:
 * voice, OCR, avatars. What a call cost is said by whoever made it, so all there is to know of one is
 * which fields its credential has.
 *
 * @module
 */
import type { CredentialField, Provider } from './provider.ts'

const secret: CredentialField = { kind: 'secret', required: true }
const setting: CredentialField = { kind: 'public', required: false }

/** Fields of one API key, and where the account lives if that matters. */
const API_KEY = { apiKey: secret, region: setting }

/** Services known by name; an installation can add its own (option `services`). */
export const SERVICES: ReadonlyMap<string, Provider> = new Map(
  Object.entries({
    // https://docs.cartesia.ai (X-API-Key), https://elevenlabs.io/docs (xi-api-key),
    // https://docs.tavus.io (x-api-key), https://developers.deepgram.com (Authorization: Token)
    cartesia: API_KEY,
    elevenlabs: API_KEY,
    tavus: API_KEY,
    deepgram: API_KEY,
    // https://cloud.google.com/vision/docs: an API key, as a query parameter or x-goog-api-key.
    'google-vision': API_KEY,
    // https://docs.aws.amazon.com/textract: requests are signed.
    textract: {
      accessKeyId: secret,
      secretAccessKey: secret,
      sessionToken: { kind: 'secret', required: false } as const,
      region: setting,
    },
  }).map(([id, credential]) => [id, service(id, credential)]),
)

/** A provider without operations: every request to it through our fetch is refused. */
export function service(id: string, credential: Provider['credential']): Provider {
  return {
    id,
    // Reserved for what does not exist (RFC 6761 section 6.4).
    baseUrl: `https://${id}.invalid`,
    credential,
    authorize: () => ({}),
    operations: [],
  }
}
