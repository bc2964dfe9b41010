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
import type { Binding } from './clients/binding.ts'
import { type Ambient, createAmbient } from './kernel/ambient.ts'
import { type ErrorCode, TenantKeysError } from './kernel/errors.ts'
import { createReporter } from './kernel/events.ts'
import { PepperRing } from './keys/key-hash.ts'
import { type KeysApi, keysApi } from './keys/keys-api.ts'
import { localKeyIssuer } from './keys/local-key-issuer.ts'
import { type ReadOptions, readOptions, type TenantKeysOptions } from './options.ts'
import { checkContext } from './request/call-context.ts'
import { callService, type RunningCall, type ServiceCall } from './request/call-service.ts'
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
import { gatedBudgetGuard } from './usage/export-gate.ts'
import { OutboxExporter } from './usage/exporter.ts'
import { drainWithin, type Flushed, flushWithin } from './usage/flush.ts'
import { GENAI_PRICES_DATE } from './usage/genai-prices.ts'
import { type OutboxApi, outboxApi } from './usage/outbox-api.ts'
import { priceTable } from './usage/price-table.ts'
import { type PricesApi, pricesApi } from './usage/prices-api.ts'
import { type RepriceApi, repriceApi } from './usage/reprice.ts'
import { type UsageApi, usageApi } from './usage/usage-api.ts'

/** Everything one installation of tenantkeys can do. Made by {@link createTenantKeys}. */
export interface TenantKeys extends AsyncDisposable {
  readonly tenants: TenantsApi
  readonly keys: KeysApi
  readonly secrets: SecretsApi
  readonly budgets: BudgetsApi & SharesApi & RecommendApi
  readonly plans: PlansApi
  readonly usage: UsageApi & RepriceApi
  readonly prices: PricesApi
  readonly outbox: OutboxApi
  /**
   * Binds an SDK client to one caller: returns a client of the same type whose calls go out with the
   * tenant's own credential, inside its policy and budget, and are metered. The given client is not
   * changed, and nothing of its identity is used.
   *
   * @param context - Left out, every call takes the one of the `tk.run` it is made in.
   * @throws TenantKeysError TK_CLIENT_NOT_BINDABLE, TK_INPUT_INVALID. Denials are thrown by the calls,
   *   and TK_CONTEXT_MISSING where no context is found.
   */
  withTenantKey<C extends object>(client: C, context?: CallContext): C
  /**
   * For services without an SDK that takes a `fetch` (voice, OCR, avatars ...): runs `fn` with the
   * tenant's credential while the estimate is held, and posts what `fn` says it cost.
   *
   * @returns what `fn` returns, after the call is settled.
   * @throws what `fn` throws; TenantKeysError for every denial, before `fn` runs.
   */
  withTenantKey<T>(call: ServiceCall, fn: (call: RunningCall) => T | Promise<T>): Promise<T>
  /**
   * The primitive below `withTenantKey`: a `fetch` for provider URLs, on behalf of a caller.
   *
   * @param context - Left out, every call takes the one of the `tk.run` it is made in.
   */
  fetch(context?: CallContext): typeof globalThis.fetch
  /**
   * Runs `fn` with a context for code that cannot pass it: `tk.fetch()` and clients bound without a
   * context find it, however deep, also in timers and promises that `fn` starts. Runs may be nested and
   * run side by side; the innermost counts. It is the host's own code that may call within it.
   *
   * @returns what `fn` returns.
   * @throws TenantKeysError TK_INPUT_INVALID; TK_CONTEXT_MISSING on a runtime without AsyncLocalStorage.
   */
  run<R>(context: CallContext, fn: () => R): R
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
  /**
   * Waits for settles that are still being retried, then exports what waits to the sinks: before a
   * serverless function returns. All of it takes at most 10 s, whatever store and sinks do.
   *
   * @returns what was left; an event says so too (`flush.incomplete`). Settles are retried further as
   *   long as the process lives, and what a sink did not take stays in the outbox. Never rejects.
   */
  flush(): Promise<Flushed>
  /** Flushes as `flush` does, also calls that end meanwhile, then closes sinks (waiting for them no longer
   * than for a write) and store. Idempotent. No call is needed for a process to end. */
  close(): Promise<void>
}

const FLUSH_MS = 10_000

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
  const exporter = exporterOf(options)
  const parts = wire(options, secrets, exporter)
  const plans = new PlanBook({ storage, plans: options.plans, defaultPlan: options.defaultPlan })
  if (options.migrate) await start(options)
  else await checkKeys(options).catch(unlessNotMigrated)
  if (options.exporter.start) exporter.start()

  const ambient = createAmbient<CallContext>()
  /** Checked now where it is given now, else looked for by every call. */
  const readContext = (context: CallContext | undefined): ContextSource => {
    if (context === undefined) return { contextOf: () => ambientContext(ambient), provider: null }
    const checked = checkContext(parts, context)
    return { contextOf: () => checked, provider: checked.provider ?? null }
  }
  function withTenantKey<C extends object>(client: C, context?: CallContext): C
  function withTenantKey<T>(
    call: ServiceCall,
    fn: (call: RunningCall) => T | Promise<T>,
  ): Promise<T>
  function withTenantKey(
    subject: object,
    second?: CallContext | ((call: RunningCall) => unknown),
  ): unknown {
    if (typeof second === 'function') return callService(parts, subject as ServiceCall, second)
    return bindClient(subject, bindingOf(parts, readContext(second)))
  }
  const flushing = { pending: parts.pending, exporter, clock, timers: options.timers }
  const told = (flushed: Flushed): Flushed => {
    const { exported, unsettled } = flushed
    if (!flushed.done) parts.reporter.emit({ kind: 'flush.incomplete', exported, unsettled })
    return flushed
  }
  const end = async (): Promise<void> => {
    told(await drainWithin(FLUSH_MS, flushing))
    await exporter.stop()
    try {
      await storage.close()
    } finally {
      secrets.forgetKeys()
    }
  }
  let ended: Promise<void> | null = null
  const close = (): Promise<void> => {
    ended ??= end()
    return ended
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
    usage: {
      ...usageApi(storage, { zone: options.zone }),
      ...repriceApi({ storage, prices: parts.prices, markups: parts.markups }),
    },
    prices: pricesApi(parts.prices, () => clock.nowMs()),
    outbox: outboxApi(storage),
    withTenantKey,
    fetch: (context) => corridorFetch(parts, readContext(context).contextOf),
    run: (context, fn) => {
      if (ambient === null) throw noContext('this runtime has no AsyncLocalStorage')
      const checked = checkContext(parts, context)
      if (checked.provider === undefined) return ambient.run(checked, fn)
      throw new TenantKeysError('TK_INPUT_INVALID', {
        field: 'context.provider',
        reason: 'inside tk.run it is the one of the client or of the URL',
      })
    },
    receiptOf: (value) => parts.receipts.of(value),
    authorize: (ask) => previewCall(parts, ask),
    migrate: () => start(options),
    health: () => health(storage),
    flush: async () => told(await flushWithin(FLUSH_MS, flushing)),
    close,
    [Symbol.asyncDispose]: close,
  }
}

function exporterOf(options: ReadOptions): OutboxExporter {
  const { storage, sinks, clock, timers, exporter } = options
  const { start: _, ...settings } = exporter
  const reporter = createReporter(options)
  return new OutboxExporter({ ...settings, storage, sinks, reporter, clock, timers })
}

function wire(options: ReadOptions, secrets: SecretStore, exporter: OutboxExporter): CorridorParts {
  const { storage, clock, timers } = options
  const reporter = createReporter(options)
  return {
    issuer: localKeyIssuer({
      storage,
      peppers: options.peppers,
      clock,
      maxStaleMs: options.maxStaleMs,
    }),
    findTenant: (tenantId) => storage.tenants.get(tenantId),
    policy: options.policy,
    guard: gatedBudgetGuard(storageBudgetGuard({ storage, clock, timers }), exporter),
    secrets,
    credits: options.creditRates,
    prices: priceTable({
      hostPrices: options.prices ?? [],
      unpriced: options.unpriced,
      now: () => clock.nowMs(),
      onStale: (ageDays) =>
        reporter.emit({ kind: 'prices.stale', date: GENAI_PRICES_DATE, ageDays }),
    }),
    markups: options.markups,
    providers: options.settings,
    allowedOrigins: options.allowedOrigins,
    reporter,
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

interface ContextSource {
  readonly contextOf: () => CallContext
  /** The provider that it names from the start. */
  readonly provider: string | null
}

function bindingOf(parts: CorridorParts, { contextOf, provider }: ContextSource): Binding {
  return {
    provider,
    fetchFor: (id) => corridorFetch(parts, () => ({ ...contextOf(), provider: id })),
    baseUrlOf: (id) => builtInBaseUrl(parts, id),
    isProvider: (id) => parts.providers.has(id),
    onAnswer: parts.receipts.noteAnswer,
    receiptOf: (value) => parts.receipts.of(value),
    onBaseUrlIgnored: (id) =>
      parts.reporter.emit({ kind: 'client.base_url_ignored', provider: id }),
  }
}

/** @throws TenantKeysError TK_CONTEXT_MISSING */
function ambientContext(ambient: Ambient<CallContext> | null): CallContext {
  const context = ambient?.get()
  if (context) return context
  throw noContext('no context was given, and this is not inside tk.run')
}

const noContext = (reason: string): TenantKeysError =>
  new TenantKeysError('TK_CONTEXT_MISSING', { reason })

function builtInBaseUrl(parts: CorridorParts, provider: string): string {
  const setting = parts.providers.get(provider)
  if (!setting)
    throw new TenantKeysError('TK_INPUT_INVALID', {
      field: 'context.provider',
      reason: 'this provider is not known',
    })
  return setting.provider.baseUrl
}
