/**
 * The options of `createTenantKeys`, checked by name before anything is opened.
 *
 * @module
 */
import * as z from 'zod'
import { type CreditPrices, type CreditRates, readCreditPrices } from './budgets/credits.ts'
import { type Plan, type PlanDefinitions, readPlans } from './budgets/plans.ts'
import { isZone } from './budgets/windows.ts'
import {
  type MonotonicClock,
  systemMonotonicClock,
  systemTimers,
  systemWallClock,
  type Timers,
  type WallClock,
} from './kernel/clock.ts'
import { TenantKeysError } from './kernel/errors.ts'
import type { Logger, RuntimeEvent } from './kernel/events.ts'
import { Secret } from './kernel/secret.ts'
import { objectWith, parse, printable } from './kernel/validate.ts'
import type { PepperOptions } from './keys/key-hash.ts'
import { brandSchema } from './keys/keys-api.ts'
import type { ScopePolicy } from './policy/scope-policy.ts'
import { PROVIDERS } from './providers/catalogue.ts'
import type { HoldMode } from './request/hold-amounts.ts'
import type { ProviderSetting } from './request/parts.ts'
import type { KeyWrapper } from './secrets/key-wrapper.ts'
import type { Storage } from './storage/storage.ts'
import type { HostPrice } from './usage/price.ts'

export interface TenantKeysOptions {
  /** Where everything is kept: `memory()`, `sqlite({ file })`. */
  readonly storage: Storage
  /** Who holds the key-encryption keys: `localKeyWrapper([{ id, key }])`. */
  readonly keyWrapper: KeyWrapper
  /** Secrets under which platform keys are hashed, 32 bytes each in base64; the first hashes new keys. */
  readonly peppers: readonly PepperOptions[]
  /** What each scope allows: `definePolicy({ scopes })`. */
  readonly policy: ScopePolicy
  /** Prices of the host's own; they win over the bundled table. */
  readonly prices?: readonly HostPrice[] | undefined
  /** What a call costs in credits of your own, counted beside US dollars by budgets of the unit
   * `credits`; default: not counted. */
  readonly credits?: CreditPrices | undefined
  /** Other base URLs for providers, for example of a regional endpoint: `{ openai: { baseUrl } }`. */
  readonly providers?: Readonly<Record<string, { readonly baseUrl: string }>> | undefined
  /** The operator's own credentials, for tenants whose source is `platform`: `{ openai: { apiKey } }`. */
  readonly platformCredentials?:
    | Readonly<Record<string, Readonly<Record<string, string | Secret>>>>
    | undefined
  /** Origins that tenants may name as endpoint of their own credential; default none. */
  readonly allowedEndpoints?: readonly string[] | undefined
  /** First part of issued keys; 2 to 24 of `a-z 0-9 _`, default `tk`. */
  readonly brand?: string | undefined
  /** `production` issues `live` keys, `test` issues `test` keys; default `production`. */
  readonly environment?: 'production' | 'test' | undefined
  /** IANA time zone of budgets that name none; default `UTC`. */
  readonly zone?: string | undefined
  /** What each plan gives a tenant: `definePlans({ pro: { version: 1, budgets: [...] } })`. */
  readonly plans?: PlanDefinitions | undefined
  /** The plan of tenants that are created without one, and of those assigned to a name that `plans`
   * does not have. Default: none; then such a name is refused with TK_PLAN_UNKNOWN. */
  readonly defaultPlan?: string | undefined
  /** False leaves creating the tables to `tk.migrate()`; default true for memory and SQLite, false for
   * PostgreSQL. */
  readonly migrate?: boolean | undefined
  /**
   * Life of a hold in ms; 1,000 to 86,400,000, default 120,000. While its call is under way a hold is
   * extended at a third of it, so this is not how long a call may take: it is how long the hold of a
   * process that died stands in the way, and how long the store may be away before calls are ended.
   */
  readonly holdTtlMs?: number | undefined
  /** How long calls wait, in ms, while their budget is only held by others; 0 to 600,000, default 0. */
  readonly waitMs?: number | undefined
  /** `bound` (default): a call holds the most it can cost. `grow`: a stream begins with little and holds
   * more as it is read; a refusal ends it. */
  readonly hold?: HoldMode | undefined
  /** `durable` (default): the end of a response waits for its settle. `background`: it does not. */
  readonly settle?: 'durable' | 'background' | undefined
  /** How long it waits at most, in ms; 1 to 60,000, default 2,000. */
  readonly settleWaitMs?: number | undefined
  /** A key whose state could not be confirmed for this long is refused; 2,000 to 60,000 ms, default 5,000. */
  readonly maxStaleMs?: number | undefined
  /** Gets ids and codes only. Default: none. */
  readonly logger?: Logger | undefined
  /** Called for everything the running process notices. Default: none. */
  readonly onEvent?: ((event: RuntimeEvent) => void) | undefined
  /** The runtime's fetch, or one with a dispatcher of yours. */
  readonly fetch?: typeof globalThis.fetch | undefined
  /** For tests: the clocks of this process. The store has its own. */
  readonly clock?: (MonotonicClock & WallClock & Partial<Timers>) | undefined
}

const fn = z.custom<object>((value) => typeof value === 'function', 'expected a function')

const isContract1 = (port: object): boolean => (port as Partial<Storage>).contractVersion === 1
const FAMILIES = [
  'tenants',
  'keys',
  'secrets',
  'deks',
  'ledger',
  'usage',
  'outbox',
  'audit',
] as const satisfies readonly (keyof Storage)[]

const schema = z.strictObject({
  storage: objectWith<Storage>(
    ['migrate', 'close', 'epoch', 'pin'],
    'expected a storage of contract version 1, such as memory() or sqlite({ file })',
    (storage) => isContract1(storage) && FAMILIES.every((f) => typeof storage[f] === 'object'),
  ),
  keyWrapper: objectWith<KeyWrapper>(
    ['wrap', 'unwrap'],
    'expected a key wrapper of contract version 1, such as localKeyWrapper([...])',
    isContract1,
  ),
  peppers: z.array(z.unknown()).min(1),
  policy: objectWith<ScopePolicy>(
    ['decide', 'unknownScopes'],
    'expected a policy of contract version 1, such as definePolicy({ scopes })',
    isContract1,
  ),
  prices: z.array(z.unknown()).optional(),
  credits: z
    .strictObject({
      perCall: z.string().optional(),
      perInputToken: z.string().optional(),
      perOutputToken: z.string().optional(),
    })
    .optional(),
  providers: z.record(z.string(), z.strictObject({ baseUrl: z.string() })).optional(),
  platformCredentials: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
  allowedEndpoints: z.array(z.string()).default([]),
  brand: brandSchema.default('tk'),
  environment: z.enum(['production', 'test']).default('production'),
  zone: z.string().refine(isZone, 'not a known time zone').default('UTC'),
  plans: z.unknown().optional(),
  defaultPlan: z.string().min(1).optional(),
  migrate: z.boolean().optional(),
  holdTtlMs: z.int().min(1000).max(86_400_000).default(120_000),
  waitMs: z.int().min(0).max(600_000).default(0),
  hold: z.enum(['bound', 'grow']).default('bound'),
  settle: z.enum(['durable', 'background']).default('durable'),
  settleWaitMs: z.int().min(1).max(60_000).default(2000),
  maxStaleMs: z.int().min(2000).max(60_000).default(5000),
  logger: objectWith<Logger>(
    ['debug', 'info', 'warn', 'error'],
    'expected a logger such as console',
  ).optional(),
  onEvent: fn.optional(),
  fetch: fn.optional(),
  clock: objectWith<MonotonicClock & WallClock>(
    ['nowMs', 'elapsedMs'],
    'expected a clock with nowMs() and elapsedMs()',
  ).optional(),
})

type Defaulted =
  | 'brand'
  | 'environment'
  | 'zone'
  | 'migrate'
  | 'holdTtlMs'
  | 'waitMs'
  | 'hold'
  | 'settle'
  | 'settleWaitMs'
  | 'maxStaleMs'
  | 'clock'

/** Options with every default filled in. */
export type ReadOptions = Omit<TenantKeysOptions, Defaulted | 'plans' | 'defaultPlan'> & {
  readonly [K in Defaulted]: NonNullable<TenantKeysOptions[K]>
} & {
  readonly creditRates: CreditRates | null
  readonly timers: Timers
  readonly settings: ReadonlyMap<string, ProviderSetting>
  readonly allowedOrigins: ReadonlySet<string>
  readonly plans: ReadonlyMap<string, Plan>
  readonly defaultPlan: string | null
}

/** @throws TenantKeysError TK_CONFIG_INVALID naming the option */
export function readOptions(options: TenantKeysOptions): ReadOptions {
  const read = parse(schema, options, 'options', 'TK_CONFIG_INVALID')
  const plans = readPlans(options.plans ?? {}, { field: 'options.plans', zone: read.zone })
  if (read.defaultPlan !== undefined && !plans.has(read.defaultPlan)) {
    throw invalid('options.defaultPlan', 'no plan of this name is among options.plans')
  }
  return {
    ...options,
    brand: read.brand,
    environment: read.environment,
    zone: read.zone,
    plans,
    defaultPlan: read.defaultPlan ?? null,
    migrate: read.migrate ?? options.storage.capabilities?.migratesOnStart ?? true,
    holdTtlMs: read.holdTtlMs,
    waitMs: read.waitMs,
    hold: read.hold,
    settle: read.settle,
    settleWaitMs: read.settleWaitMs,
    maxStaleMs: read.maxStaleMs,
    clock: options.clock ?? { ...systemMonotonicClock, ...systemWallClock },
    timers: timersOf(options.clock) ?? systemTimers,
    creditRates: readCreditPrices(read.credits),
    settings: providerSettings(options),
    allowedOrigins: new Set(
      read.allowedEndpoints.map((url, i) => httpUrl(url, `options.allowedEndpoints[${i}]`).origin),
    ),
  }
}

/** A clock that stands still must have its timers stand still too. */
function timersOf({ after }: Partial<Timers> = {}): Timers | null {
  return after ? { after } : null
}

function providerSettings(options: TenantKeysOptions): ReadonlyMap<string, ProviderSetting> {
  for (const field of ['providers', 'platformCredentials'] as const) {
    for (const id of Object.keys(options[field] ?? {})) {
      if (!PROVIDERS.has(id))
        throw invalid(`options.${field}.${printable(id)}`, 'this provider is not known')
    }
  }
  const settings = [...PROVIDERS.values()].map((provider): [string, ProviderSetting] => {
    const own = options.providers?.[provider.id]?.baseUrl
    const field = `options.providers.${provider.id}.baseUrl`
    const baseUrl =
      own === undefined ? provider.baseUrl : httpUrl(own, field).href.replace(/\/+$/, '')
    return [
      provider.id,
      { provider, baseUrl, platformFields: platformFields(options, provider.id) },
    ]
  })
  return new Map(settings)
}

function platformFields(options: TenantKeysOptions, id: string): ProviderSetting['platformFields'] {
  const given = options.platformCredentials?.[id]
  if (given === undefined) return null
  const schema = PROVIDERS.get(id)?.credential ?? {}
  const fields: Record<string, Secret> = {}
  for (const [name, value] of Object.entries(given)) {
    const field = `options.platformCredentials.${id}.${printable(name)}`
    if (!Object.hasOwn(schema, name) || schema[name]?.kind !== 'secret') {
      throw invalid(field, 'this field is not known for the provider')
    }
    const text = value instanceof Secret ? value.reveal() : value
    if (typeof text !== 'string' || !/^[\x21-\x7e]{1,10240}$/.test(text)) {
      throw invalid(field, 'expected 1 to 10240 visible ASCII characters')
    }
    fields[name] = new Secret(text)
  }
  for (const [name, { required }] of Object.entries(schema)) {
    if (required && !Object.hasOwn(given, name)) {
      throw invalid(`options.platformCredentials.${id}.${name}`, 'this field is required')
    }
  }
  return fields
}

function httpUrl(text: string, field: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  const plain =
    url !== null &&
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    url.username + url.password === '' &&
    // Of the text: an empty query is '' in the URL, and yet a path put behind it would be part of it.
    !/[?#]/.test(text)
  if (!plain) throw invalid(field, 'expected an http or https URL without user, query and fragment')
  return url
}

const invalid = (field: string, reason: string): TenantKeysError =>
  new TenantKeysError('TK_CONFIG_INVALID', { field, reason })
