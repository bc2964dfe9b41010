/**
 * `createTenantKeys`: checks the options, wires the parts, returns the facade.
 *
 * @module
 */
import { type BudgetsApi, budgetsApi } from './budgets/budgets-api.ts'
import { type PlansApi, plansApi } from './budgets/plans-api.ts'
import { PlanBook } from './budgets/plans-book.ts'
import { type RecommendApi, recommendApi } from './budgets/recommend.ts'
import { type SharesApi, sharesApi } from './budgets/shares-api.ts'
import { storageBudgetGuard } from './budgets/storage-budget-guard.ts'
import { bindClient } from './clients/bind.ts'
import { type ErrorCode, TenantKeysError } from './kernel/errors.ts'
import { createReporter } from './kernel/events.ts'
import { PepperRing } from './keys/key-hash.ts'
import { type KeysApi, keysApi } from './keys/keys-api.ts'
import { localKeyIssuer } from './keys/local-key-issuer.ts'
import { type ReadOptions, readOptions, type TenantKeysOptions } from './options.ts'
import { checkContext } from './request/call-context.ts'
import { corridorFetch } from './request/corridor.ts'
import type { CallContext, CorridorParts } from './request/parts.ts'
import { type Authorization, type AuthorizeAsk, previewCall } from './request/preview.ts'
import { createReceiptBook, type Receipt } from './request/receipt.ts'
import { envelopeSecretStore } from './secrets/envelope-secret-store.ts'
import type { KekCheckValue, KeyWrapper } from './secrets/key-wrapper.ts'
import type { SecretStore } from './secrets/secret-store.ts'
import { type SecretsApi, secretsApi } from './secrets/secrets-api.ts'
import type { EpochReading, Storage } from './storage/storage.ts'
import { type TenantsApi, tenantsApi } from './tenants/tenants-api.ts'
import { priceTable } from './usage/price-table.ts'
import { type UsageApi, usageApi } from './usage/usage-api.ts'

/** Everything one installation of tenantkeys can do. Made by {@link createTenantKeys}. */
export interface TenantKeys extends AsyncDisposable {
  readonly tenants: TenantsApi
  readonly keys: KeysApi
  readonly secrets: SecretsApi
  readonly budgets: BudgetsApi & SharesApi & RecommendApi
  readonly plans: PlansApi
  readonly usage: UsageApi
  /**
   * Binds an SDK client to one caller: returns a client of the same type whose calls go out with the
   * tenant's own credential, inside its policy and budget, and are metered. The given client is not
   * changed, and nothing of its identity is used.
   *
   * @throws TenantKeysError TK_CLIENT_NOT_BINDABLE, TK_INPUT_INVALID. Denials are thrown by the calls.
   */
  withTenantKey<C extends object>(client: C, context: CallContext): C
  /** The primitive below `withTenantKey`: a `fetch` for provider URLs, on behalf of one caller. */
  fetch(context: CallContext): typeof globalThis.fetch
  /**
   * The receipt of what a wrapped client returned: an answer, a stream (after its end), a Response.
   * @throws TenantKeysError TK_RECEIPT_UNKNOWN
   */
  receiptOf(value: unknown): Promise<Receipt>
  /**
   * Would this call be allowed, by key, policy, credential, price and budget? Consumes and holds
   * nothing; a denial is a value.
   * @throws TenantKeysError TK_INPUT_INVALID; TK_KEY_STALE and TK_STORE_* when the store cannot answer.
   */
  authorize(ask: AuthorizeAsk): Promise<Authorization>
  /** Creates or updates the tables; needed with PostgreSQL, and with `migrate: false`. */
  migrate(): Promise<void>
  /** Does the store answer? Never throws. */
  health(): Promise<Health>
  /** Waits for settles that are still being retried (before a serverless function returns). */
  flush(): Promise<void>
  /** Flushes, then closes the store. Idempotent. No call is needed for a process to end. */
  close(): Promise<void>
}

export type Health =
  | ({ readonly ok: true; readonly store: string } & EpochReading)
  | { readonly ok: false; readonly store: string; readonly code: ErrorCode }

/**
 * Starts an installation. One per process is enough; any number of processes may share a store that
 * allows it.
 *
 * @throws TenantKeysError TK_CONFIG_INVALID naming the option; TK_STORE_* when the store cannot be
 *   opened; TK_KEK_MISMATCH when the store was written with another key-encryption key or pepper.
 */
export async function createTenantKeys(input: TenantKeysOptions): Promise<TenantKeys> {
  const options = readOptions(input)
  const { storage, keyWrapper, clock } = options
  const secrets = envelopeSecretStore({ storage, keyWrapper, clock })
  const parts = wire(options, secrets)
  const plans = new PlanBook({ storage, plans: options.plans, defaultPlan: options.defaultPlan })
  if (options.migrate) await start(options)
  else await checkKeys(options).catch(unlessNotMigrated)

  const corridor = (context: CallContext): typeof globalThis.fetch =>
    corridorFetch(parts, checkContext(context))
  const flush = async (): Promise<void> => {
    while (parts.pending.size > 0) await Promise.allSettled(parts.pending)
  }
  const close = async (): Promise<void> => {
    await flush()
    try {
      await storage.close()
    } finally {
      secrets.forgetKeys()
    }
  }
  return {
    tenants: tenantsApi(storage, (name) => plans.resolve(name)),
    keys: keysApi({
      issuer: parts.issuer,
      policy: parts.policy,
      storage,
      reporter: parts.reporter,
      brand: options.brand,
      environment: options.environment === 'production' ? 'live' : 'test',
    }),
    secrets: secretsApi({
      store: parts.secrets,
      providers: parts.providers,
      allowedOrigins: options.allowedOrigins,
    }),
    budgets: {
      ...budgetsApi(storage, { zone: options.zone }),
      ...sharesApi(storage),
      ...recommendApi(storage),
    },
    plans: plansApi(storage, plans),
    usage: usageApi(storage),
    withTenantKey: (client, context) => {
      const checked = checkContext(context)
      return bindClient(client, {
        provider: checked.provider ?? null,
        fetchFor: (provider) => corridorFetch(parts, { ...checked, provider }),
        baseUrlOf: (provider) => builtInBaseUrl(parts, provider),
        onAnswer: parts.receipts.noteAnswer,
        onBaseUrlIgnored: (provider) =>
          parts.reporter.emit({ kind: 'client.base_url_ignored', provider }),
      })
    },
    fetch: corridor,
    receiptOf: (value) => parts.receipts.of(value),
    authorize: (ask) => previewCall(parts, ask),
    migrate: () => start(options),
    health: () => health(storage),
    flush,
    close,
    [Symbol.asyncDispose]: close,
  }
}

function wire(options: ReadOptions, secrets: SecretStore): CorridorParts {
  const { storage, clock, timers } = options
  return {
    issuer: localKeyIssuer({
      storage,
      peppers: options.peppers,
      clock,
      maxStaleMs: options.maxStaleMs,
    }),
    policy: options.policy,
    guard: storageBudgetGuard({ storage, clock, timers }),
    secrets,
    credits: options.creditRates,
    prices: priceTable({ hostPrices: options.prices ?? [] }),
    providers: options.settings,
    allowedOrigins: options.allowedOrigins,
    reporter: createReporter(options),
    receipts: createReceiptBook(),
    clock,
    timers,
    fetch: options.fetch ?? globalThis.fetch,
    holdTtlMs: options.holdTtlMs,
    waitMs: options.waitMs,
    hold: options.hold,
    settleWaitMs: options.settleWaitMs,
    settle: options.settle,
    pending: new Set(),
  }
}

/** Creates the tables, then makes sure that this process holds the keys the store was written with. */
async function start(options: ReadOptions): Promise<void> {
  await options.storage.migrate()
  await checkKeys(options)
}

/**
 * Compares every key-encryption key and pepper with the one first seen here under its id (T-C15).
 * Older ones come first: while one of them is wrong, no new one is noted.
 *
 * @throws TenantKeysError TK_KEK_MISMATCH
 */
async function checkKeys({ storage, keyWrapper, peppers }: ReadOptions): Promise<void> {
  for (const { kekId, value } of (await checkValuesOf(keyWrapper)).reverse()) {
    if ((await storage.pin(`kek:${kekId}`, value)) === value) continue
    throw new TenantKeysError('TK_KEK_MISMATCH', { field: 'options.keyWrapper', kekId })
  }
  for (const { pepperId, value } of new PepperRing(peppers).checkValues().reverse()) {
    if ((await storage.pin(`pepper:${pepperId}`, value)) === value) continue
    throw new TenantKeysError('TK_KEK_MISMATCH', { field: 'options.peppers', pepperId })
  }
}

/** The wrapper may be the host's own: whatever else it throws is rebuilt from the allow-list. */
async function checkValuesOf(keyWrapper: KeyWrapper): Promise<KekCheckValue[]> {
  try {
    return [...((await keyWrapper.checkValues?.()) ?? [])]
  } catch (error) {
    if (TenantKeysError.isInstance(error)) throw error
    throw new TenantKeysError('TK_STORE_UNAVAILABLE', {}, { cause: error })
  }
}

/** Without tables there is nothing to compare with yet; `migrate()` will. */
function unlessNotMigrated(error: unknown): void {
  const isPending = TenantKeysError.isInstance(error) && error.code === 'TK_STORE_NOT_MIGRATED'
  if (!isPending) throw error
}

async function health(storage: Storage): Promise<Health> {
  const store = storage.capabilities.name
  try {
    return { ok: true, store, ...(await storage.epoch()) }
  } catch (error) {
    return {
      ok: false,
      store,
      code: TenantKeysError.isInstance(error) ? error.code : 'TK_STORE_UNAVAILABLE',
    }
  }
}

function builtInBaseUrl(parts: CorridorParts, provider: string): string {
  const setting = parts.providers.get(provider)
  if (!setting)
    throw new TenantKeysError('TK_INPUT_INVALID', {
      field: 'context.provider',
      reason: 'this provider is not known',
    })
  return setting.provider.baseUrl
}
