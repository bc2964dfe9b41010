/**
 * The columns of a usage row that a settle says something about, and their types.
 *
 * @module
 */

export const USAGE_COLUMNS = {
  call_id: 'text',
  key_id: 'text',
  scope: 'text',
  operation: 'text',
  provider: 'text',
  model: 'text',
  served_model: 'text',
  price_id: 'text',
  outcome: 'text',
  quality: 'text',
  http_status: 'bigint',
  input_tokens: 'bigint',
  cache_read_tokens: 'bigint',
  cache_write_tokens: 'bigint',
  cache_write_1h_tokens: 'bigint',
  input_audio_tokens: 'bigint',
  output_tokens: 'bigint',
  reasoning_tokens: 'bigint',
  output_audio_tokens: 'bigint',
  counts: 'text',
  cost_nano_usd: 'bigint',
  provider_cost_nano_usd: 'bigint',
  charged_nano_usd: 'bigint',
  billable: 'boolean',
  paid_by: 'text',
  secret_id: 'text',
  secret_version: 'bigint',
  tags: 'text',
  duration_ms: 'bigint',
  response_bytes: 'bigint',
} as const

export type UsageColumn = keyof typeof USAGE_COLUMNS
