/**
 * tenantkeys: multi-tenant LLM access inside your own process and your own database.
 *
 * @module
 */
export { type MemoryOptions, memory } from './adapters/memory/index.ts'
export type { Limit } from './budgets/amounts.ts'
export type { BudgetGuard, ReserveOptions } from './budgets/budget-guard.ts'
export type {
  BudgetAccount,
  BudgetRef,
  BudgetStatus,
  BudgetsApi,
  SetBudget,
} from './budgets/budgets-api.ts'
export type { BudgetDrift, CheckInput, CheckResult } from './budgets/check.ts'
export type { AdjustInput, AdjustResult, CreditInput, CreditResult } from './budgets/credit.ts'
export type { CreditPrices } from './budgets/credits.ts'
export { formatUsd, parseUsd } from './budgets/money.ts'
export {
  definePlans,
  type PlanBudgetDefinition,
  type PlanDefinition,
  type PlanDefinitions,
} from './budgets/plans.ts'
export type {
  ApplyPlan,
  AssignedPlan,
  AssignPlan,
  PlanApplication,
  PlanInfo,
  PlansApi,
  TenantPlan,
} from './budgets/plans-api.ts'
export { presets } from './budgets/presets.ts'
export type { RecommendApi, Recommendation, RecommendInput } from './budgets/recommend.ts'
export type { Drift } from './budgets/reconcile.ts'
export {
  type RebalanceInput,
  rebalance,
  type Share,
  type SharesInput,
  shares,
} from './budgets/shares.ts'
export type { RebalanceBudgets, Rebalanced, SharesApi } from './budgets/shares-api.ts'
export type { MonotonicClock, Timers, WallClock } from './kernel/clock.ts'
export {
  type CodeInfo,
  type DenialDetails,
  ERROR_CODES,
  type ErrorCode,
  type ErrorDetails,
  TenantKeysError,
} from './kernel/errors.ts'
export type { Logger, RuntimeEvent } from './kernel/events.ts'
export type { KeyMaterial } from './kernel/key-material.ts'
export { Secret } from './kernel/secret.ts'
export { generateKey, type KeyEnvironment, type ParsedKey, parseKey } from './keys/key-format.ts'
export { hashKey, type KeySecret, type PepperOptions } from './keys/key-hash.ts'
export type {
  IssueKey,
  KeyDenialCode,
  KeyInfo,
  KeyIssuer,
  KeyRef,
  KeyVerdict,
} from './keys/key-issuer.ts'
export type {
  IssueKeyInput,
  KeyRefInput,
  KeysApi,
  Verification,
  VerifyAsk,
} from './keys/keys-api.ts'
export type { TenantKeysOptions } from './options.ts'
export {
  definePolicy,
  type PolicyDefinition,
  type ScopeDefinition,
} from './policy/define-policy.ts'
export type { PolicyAsk, PolicyDecision, ScopePolicy } from './policy/scope-policy.ts'
export { type CompatibleProvider, openAiCompatible } from './providers/compatible.ts'
export { defineProvider } from './providers/define-provider.ts'
export { converseUsage } from './providers/formats/bedrock-usage.ts'
export type { ChatDialect, MaxField, UnpricedPart } from './providers/formats/openai-chat.ts'
export type * from './providers/provider.ts'
export type { JsonObject } from './providers/reading/json-object.ts'
export type { FoundUsage, UsageCounts, UsageFormat } from './providers/reading/usage-format.ts'
export type { RunningCall, ServiceCall, Spent } from './request/call-service.ts'
export type { HoldMode } from './request/hold-amounts.ts'
export type { CallContext, CallSettings } from './request/parts.ts'
export type { Authorization, AuthorizeAsk } from './request/preview.ts'
export type { BudgetLeft, Receipt } from './request/receipt.ts'
export {
  dekIdOf,
  type EnvelopeContext,
  fromText as envelopeFromText,
  MAX_PLAINTEXT_BYTES,
  type OpenInput,
  open,
  type SealInput,
  seal,
  toText as envelopeToText,
} from './secrets/envelope.ts'
export type { KekCheckValue, KeyWrapper, WrapContext, WrappedKey } from './secrets/key-wrapper.ts'
export {
  type LocalKek,
  type LocalKeyWrapper,
  localKeyWrapper,
} from './secrets/local-key-wrapper.ts'
export type { OpenedSecret, PutSecret, SecretInfo, SecretStore } from './secrets/secret-store.ts'
export type { PutSecretInput, SecretsApi } from './secrets/secrets-api.ts'
export type { Also, NewAudit, NewEvent } from './storage/also.ts'
export type * from './storage/ledger-entries.ts'
export type * from './storage/ledger-records.ts'
export type * from './storage/records.ts'
export type * from './storage/storage.ts'
export { createTenantKeys, type Health, type TenantKeys } from './tenant-keys.ts'
export type { CreateTenant, TenantsApi } from './tenants/tenants-api.ts'
export {
  createExporter,
  type Exporter,
  type ExporterOptions,
  type FlushResult,
} from './usage/exporter.ts'
export type { ExporterSettings } from './usage/exporter-options.ts'
export type { Flushed } from './usage/flush.ts'
export type { HostPrice, HostRates, HostServiceTier, HostTier } from './usage/host-price.ts'
export type { Markup } from './usage/markup.ts'
export type { OutboxApi } from './usage/outbox-api.ts'
export type {
  BundledTable,
  PriceAsk,
  PriceInfo,
  PricesApi,
  TokenPriceInfo,
  UsdPerMTok,
} from './usage/prices-api.ts'
export type { Ratio } from './usage/rate.ts'
export type { RepriceApi, RepricedUsage, RepriceInput, RepriceResult } from './usage/reprice.ts'
export type { Statement, StatementInput, StatementLine, StatementSums } from './usage/statement.ts'
export type { UnpricedOption } from './usage/unpriced.ts'
export type { UsageApi, UsageExportInput, UsageListInput, UsageRow } from './usage/usage-api.ts'
export type { ExportFormat } from './usage/usage-export.ts'
export type { UsageFilterInput, UsagePeriod, UsageQueryInput } from './usage/usage-query.ts'
export type { SinkAnswer, UsageSink } from './usage/usage-sink.ts'
