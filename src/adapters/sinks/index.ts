/**
 * `tenantkeys/sinks`: where usage events can go. Nothing here needs more than `fetch`.
 *
 * @module
 */
export type { ExportedEvent } from '../../usage/event-text.ts'
export { type CallbackSinkOptions, callbackSink } from './callback.ts'
export { type MemorySink, type MemorySinkOptions, memorySink } from './memory.ts'
export {
  type OtelAttributes,
  type OtelMeterLike,
  type OtelSinkOptions,
  type OtelTracerLike,
  otelSink,
} from './otel.ts'
export { type WebhookSinkOptions, webhookSink } from './webhook.ts'
export { type VerifyWebhookInput, verifyWebhook } from './webhook-signature.ts'
