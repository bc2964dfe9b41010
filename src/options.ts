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
import { fieldsHint, objectWith, parse, printable } from './kernel/validate.ts'
import type { PepperOptions } from './keys/key-hash.ts'
import { brandSchema } from './keys/keys-api.ts'
import type { ScopePolicy } from './policy/scope-policy.ts'
import { PROVIDERS } from './providers/catalogue.ts'
import { isDefined } from './providers/define-provider.ts'
import type { CredentialField, Provider } from './providers/provider.ts'
import { SERVICES, service } from './providers/services.ts'
import type { HoldMode } from './request/hold-amounts.ts'
import type { ProviderSetting } from './request/parts.ts'
import type { KeyWrapper } from './secrets/key-wrapper.ts'
import type { Storage } from './storage/storage.ts'
import { type ExporterSettings, exporterSchema, sinksSchema } from './usage/exporter-options.ts'
import type { HostPrice } from './usage/host-price.ts'
import { type Markup, type MarkupBook, readMarkups } from './usage/markup.ts'
import { type ReadUnpriced, readUnpriced, type UnpricedOption } from './usage/unpriced.ts'
import type { UsageSink } from './usage/usage-sink.ts'

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
  /** What tenants are billed beyond the cost of a call; default: the cost. Budgets count the cost. */
  readonly markups?: readonly Markup[] | undefined
  /** Lets models without a price through, at a maximum per call: `{ maxUsdPerCall: '0.50' }`. Default:
   * their calls are refused with TK_PRICE_MISSING. */
  readonly unpriced?: UnpricedOption | undefined
  /** What a call costs in credits of your own, counted beside US dollars by budgets of the unit
   * `credits`; default: not counted. */
  readonly credits?: CreditPrices | undefined
  /** Other base URLs for providers, for example of a regional endpoint: `{ openai: { baseUrl } }`; and
   * providers of the host's own under their id: `{ acme: defineProvider({ id: 'acme', ... }) }`. */
  readonly providers?: Readonly<Record<string, { readonly baseUrl: string } | Provider>> | undefined
  /** The operator's own credentials, for tenants whose source is `platform`: `{ openai: { apiKey } }`.
   * All fields of the credential but `endpoint`, whose place `providers` takes. */
  readonly platformCredentials?:
    | Readonly<Record<string, Readonly<Record<string, string | Secret>>>>
    | undefined
  /** Fields of the credentials of services that only callbacks call, besides the ones known by name
   * (`cartesia`, `elevenlabs`, `tavus`, `deepgram`, `google-vision`, `textract`):
   * `{ heygen: { secret: ['apiKey'] } }`. All secret fields are required. */
  readonly services?:
    | Readonly<
        Record<
          string,
          { readonly secret: readonly string[]; readonly public?: readonly string[] | undefined }
        >
      >
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
  /** Who gets usage events; default nobody: they wait in the outbox. Exporting begins at once and
   * never keeps the process alive. */
  readonly sinks?: readonly UsageSink[] | undefined
  /** How sinks are served. `start: false` leaves it to `tk.flush()`, for functions that are frozen
   * between requests. */
  readonly exporter?: (ExporterSettings & { readonly start?: boolean | undefined }) | undefined
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

/** `endpoint` would say where our fetch goes, which calls none of them. */
const fieldName = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_]{0,63}$/, 'expected the name of a field')
  .refine((name) => name !== 'endpoint', 'a service has no endpoint of ours')

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

const serverSchema = z.strictObject({ baseUrl: z.string() })

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
  markups: z.array(z.unknown()).optional(),
  unpriced: z.unknown().optional(),
  credits: z
    .strictObject({
      perCall: z.string().optional(),
      perInputToken: z.string().optional(),
      perOutputToken: z.string().optional(),
    })
    .optional(),
  providers: z.record(z.string(), z.unknown()).optional(),
  services: z
    .record(
      z.string().regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, 'expected the id of a service'),
      z.strictObject({
        secret: z.array(fieldName).min(1).max(16),
        public: z.array(fieldName).max(16).default([]),
      }),
    )
    .default({}),
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
  sinks: sinksSchema.default([]),
  exporter: exporterSchema.prefault({}),
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
  | 'sinks'
  | 'clock'

/** Options with every default filled in. */
export type ReadOptions = Omit<
  TenantKeysOptions,
  Defaulted | 'plans' | 'defaultPlan' | 'markups' | 'unpriced' | 'exporter' | 'services'
> & {
  readonly [K in Defaulted]: NonNullable<TenantKeysOptions[K]>
} & {
  readonly creditRates: CreditRates | null
  readonly markups: MarkupBook
  readonly unpriced: ReadUnpriced | null
  readonly timers: Timers
  readonly settings: ReadonlyMap<string, ProviderSetting>
  readonly allowedOrigins: ReadonlySet<string>
  readonly plans: ReadonlyMap<string, Plan>
  readonly defaultPlan: string | null
  readonly exporter: z.output<typeof exporterSchema>
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
    sinks: read.sinks,
    exporter: read.exporter,
    clock: options.clock ?? { ...systemMonotonicClock, ...systemWallClock },
    timers: timersOf(options.clock) ?? systemTimers,
    creditRates: readCreditPrices(read.credits),
    markups: readMarkups(options.markups),
    unpriced: readUnpriced(options.unpriced),
    settings: providerSettings(options, knownProviders(read.services)),
    allowedOrigins: new Set(
      read.allowedEndpoints.map((url, i) => httpUrl(url, `options.allowedEndpoints[${i}]`).origin),
    ),
  }
}

/** A clock that stands still must have its timers stand still too. */
function timersOf({ after }: Partial<Timers> = {}): Timers | null {
  return after ? { after } : null
}

/** The catalogue, the services known by name, and the installation's own. */
function knownProviders(services: z.output<typeof schema>['services']): Map<string, Provider> {
  const known = new Map([...PROVIDERS, ...SERVICES])
  for (const [id, fields] of Object.entries(services)) {
    if (known.has(id)) throw invalid(`options.services.${id}`, 'this name is taken')
    const credential: Record<string, CredentialField> = {}
    for (const name of fields.secret) credential[name] = { kind: 'secret', required: true }
    for (const name of fields.public) credential[name] = { kind: 'public', required: false }
    known.set(id, service(id, credential))
  }
  return known
}

function providerSettings(
  options: TenantKeysOptions,
  known: Map<string, Provider>,
): ReadonlyMap<string, ProviderSetting> {
  const baseUrls = new Map<string, string>()
  for (const [id, given] of Object.entries(options.providers ?? {})) {
    const field = `options.providers.${printable(id)}`
    if (!isDefined(given)) {
      if (!known.has(id)) throw invalid(field, 'this provider is not known')
      const { baseUrl } = parse(serverSchema, given, field, 'TK_CONFIG_INVALID')
      baseUrls.set(id, httpUrl(baseUrl, `${field}.baseUrl`).href.replace(/\/+$/, ''))
    } else {
      if (given.id !== id) throw invalid(field, 'its id is another one')
      if (known.has(id)) throw invalid(field, 'a provider with this id is built in')
      known.set(id, given)
    }
  }
  for (const id of Object.keys(options.platformCredentials ?? {})) {
    if (!known.has(id))
      throw invalid(`options.platformCredentials.${printable(id)}`, 'this provider is not known')
  }
  const settings = [...known.values()].map((provider): [string, ProviderSetting] => {
    const own = baseUrls.get(provider.id)
    const baseUrl = own ?? provider.baseUrl
    const credential = platformCredential(options, provider, own !== undefined)
    return [provider.id, { provider, baseUrl, ...credential }]
  })
  return new Map(settings)
}

function platformCredential(
  options: TenantKeysOptions,
  provider: Provider,
  hasBaseUrl: boolean,
): Pick<ProviderSetting, 'platformFields' | 'platformPublic'> {
  const { id, credential: schema } = provider
  const given = options.platformCredentials?.[id]
  if (given === undefined) return { platformFields: null, platformPublic: {} }
  const platformFields: Record<string, Secret> = {}
  const platformPublic: Record<string, string> = {}
  for (const [name, value] of Object.entries(given)) {
    const field = `options.platformCredentials.${id}.${printable(name)}`
    const known = Object.hasOwn(schema, name) ? schema[name] : undefined
    if (name === 'endpoint' && known)
      throw invalid(field, `give the server as options.providers.${id}.baseUrl`)
    if (!known)
      throw invalid(field, 'this field is not known for the provider', fieldsHint(provider))
    const text = value instanceof Secret ? value.reveal() : value
    if (typeof text !== 'string' || !/^[\x21-\x7e]{1,10240}$/.test(text)) {
      throw invalid(field, 'expected 1 to 10240 visible ASCII characters')
    }
    if (known.kind === 'secret') platformFields[name] = new Secret(text)
    else platformPublic[name] = text
  }
  for (const [name, { required }] of Object.entries(schema)) {
    if (!required || Object.hasOwn(given, name) || (name === 'endpoint' && hasBaseUrl)) continue
    const field = `options.platformCredentials.${id}.${name}`
    throw invalid(field, 'this field is required', fieldsHint(provider))
  }
  return { platformFields, platformPublic }
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

const invalid = (field: string, reason: string, hint?: string): TenantKeysError =>
  new TenantKeysError('TK_CONFIG_INVALID', { field, reason, ...(hint && { hint }) })
