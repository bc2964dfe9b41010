/**
 * Files that are no store, and rows that somebody edited: what each method says of them.
 *
 * @module
 */
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import type { ErrorCode } from '../../../src/kernel/errors.ts'
import type { TenantKeys } from '../../../src/tenant-keys.ts'
import { tamper } from '../sqlite.ts'
import { CANARY } from './row.ts'

/** What an act may use: an installation over the damaged file, with a key issued before the damage. */
export interface Damaged {
  readonly tk: TenantKeys
  readonly key: string
  readonly keyId: string
  /** Asks the provider through `tk.fetch`. */
  call(): Promise<unknown>
}

type Act = (damaged: Damaged) => Promise<unknown>

export interface DamageRow {
  readonly method: string
  readonly what: string
  /** SQL that edits rows behind the store's back, while nobody has the file open. */
  readonly sql: string
  readonly act: Act
  readonly code: ErrorCode
  /** True when the method answers with a denial as a value. */
  readonly asValue?: boolean
  /** True when the failure comes after the hold, which is then voided. */
  readonly voids?: boolean
}

const acme = { tenantId: 'acme' }
const month = { account: acme, window: 'month' } as const
const entry = { account: acme, idempotencyKey: 'entry-1' }
const openai = { ...acme, provider: 'openai' }

/** Every method of the facade that reads rows, with good input. */
const ACTS = {
  'tenants.create': ({ tk }) => tk.tenants.create({ id: 'child', parentId: 'acme' }),
  'tenants.get': ({ tk }) => tk.tenants.get('acme'),
  'tenants.list': ({ tk }) => tk.tenants.list(),
  'keys.issue': ({ tk }) => tk.keys.issue({ ...acme, name: 'new', scopes: ['support:chat'] }),
  'keys.verify': ({ tk, key }) => tk.keys.verify(key),
  'keys.get': ({ tk, keyId }) => tk.keys.get({ ...acme, keyId }),
  'keys.list': ({ tk }) => tk.keys.list(acme),
  'keys.disable': ({ tk, keyId }) => tk.keys.disable({ ...acme, keyId }),
  'keys.enable': ({ tk, keyId }) => tk.keys.enable({ ...acme, keyId }),
  'keys.revoke': ({ tk, keyId }) => tk.keys.revoke({ ...acme, keyId }),
  'secrets.put': ({ tk }) => tk.secrets.put({ ...openai, value: { apiKey: `sk-${CANARY}` } }),
  'secrets.get': ({ tk }) => tk.secrets.get(openai),
  'secrets.list': ({ tk }) => tk.secrets.list(acme),
  'secrets.delete': ({ tk }) => tk.secrets.delete(openai),
  'budgets.set': ({ tk }) => tk.budgets.set({ ...month, limit: { usd: '7.00' } }),
  'budgets.get': ({ tk }) => tk.budgets.get(month),
  'budgets.list': ({ tk }) => tk.budgets.list(acme),
  'budgets.remove': ({ tk }) => tk.budgets.remove(month),
  'budgets.credit': ({ tk }) => tk.budgets.credit({ ...entry, amount: { usd: '1.00' } }),
  'budgets.adjust': ({ tk }) =>
    tk.budgets.adjust({ ...month, ...entry, amount: { usd: '0.01' }, reason: 'a correction' }),
  'budgets.check': ({ tk }) => tk.budgets.check({ repair: true }),
  'budgets.prune': ({ tk }) => tk.budgets.prune(),
  'budgets.rebalance': ({ tk, keyId }) =>
    tk.budgets.rebalance({
      parent: acme,
      window: 'month',
      members: [{ account: { ...acme, keyId }, guaranteed: { usd: '0.10' }, observedValue: 1 }],
    }),
  'budgets.recommend': ({ tk }) => tk.budgets.recommend(month),
  'plans.assign': ({ tk }) => tk.plans.assign({ ...acme, plan: null }),
  'plans.apply': ({ tk }) => tk.plans.apply({ plan: 'pro' }),
  'plans.of': ({ tk }) => tk.plans.of('acme'),
  'usage.query': ({ tk }) => tk.usage.query({ by: ['model'] }),
  authorize: ({ tk, key }) => tk.authorize({ key, model: 'gpt-4o-mini' }),
  fetch: ({ call }) => call(),
  migrate: ({ tk }) => tk.migrate(),
  health: ({ tk }) => tk.health(),
} satisfies Readonly<Record<string, Act>>

type Method = keyof typeof ACTS

const rows = (
  what: string,
  sql: string,
  code: ErrorCode,
  methods: readonly Method[],
): DamageRow[] => methods.map((method) => ({ method, what, sql, act: ACTS[method], code }))

const corrupt = (what: string, sql: string, ...methods: readonly Method[]): DamageRow[] =>
  rows(what, sql, 'TK_STORE_CORRUPT', methods)

/** Failures that only the opening of the secret can find: the hold is there, and is voided. */
const unopened = (
  what: string,
  sql: string,
  code: ErrorCode = 'TK_ENVELOPE_OPEN_FAILED',
): DamageRow[] => rows(what, sql, code, ['fetch']).map((row) => ({ ...row, voids: true }))

const denied = (what: string, sql: string, code: ErrorCode): DamageRow[] => [
  { ...rows(what, sql, code, ['keys.verify'])[0]!, asValue: true },
  { ...rows(what, sql, code, ['authorize'])[0]!, asValue: true },
  ...rows(what, sql, code, ['fetch']),
]

const zeros = (column: string): string => `${column} = zeroblob(length(${column}))`

export const damageRows: readonly DamageRow[] = [
  ...corrupt(
    'a tenant whose path is no JSON',
    `UPDATE tk_tenants SET path = '{${CANARY}' WHERE id = 'acme'`,
    'tenants.create',
    'tenants.get',
    'tenants.list',
    'keys.issue',
    'keys.verify',
    'secrets.put',
    'budgets.set',
    'budgets.remove',
    'budgets.credit',
    'budgets.adjust',
    'budgets.check',
    'budgets.rebalance',
    'budgets.recommend',
    'plans.assign',
    'plans.of',
    'authorize',
    'fetch',
  ),
  ...corrupt(
    'a key whose scopes are no list',
    `UPDATE tenant_api_keys SET scopes = '{"a":"${CANARY}"}'`,
    'keys.verify',
    'keys.get',
    'keys.list',
    'keys.disable',
    'keys.enable',
    'keys.revoke',
    'authorize',
    'fetch',
  ),
  ...corrupt(
    'a key in a state that is none',
    `UPDATE tenant_api_keys SET state = '${CANARY}'`,
    'keys.verify',
    'keys.enable',
    'fetch',
  ),
  ...corrupt(
    'a key with half a hash',
    "UPDATE tenant_api_keys SET hash = x'00'",
    'keys.verify',
    'fetch',
  ),
  ...corrupt(
    'a secret whose public fields are no record',
    `UPDATE tenant_secrets SET public_fields = '["${CANARY}"]'`,
    'secrets.put',
    'secrets.get',
    'secrets.list',
    'secrets.delete',
    'authorize',
    'fetch',
  ),
  ...corrupt(
    'a data key of generation 2^60',
    'UPDATE tk_data_keys SET generation = 1 << 60',
    'secrets.put',
  ),
  ...corrupt(
    'a budget of a window that is none',
    `UPDATE tk_counters SET period = '${CANARY}'`,
    'budgets.get',
    'budgets.list',
    'budgets.set',
    'budgets.adjust',
    'budgets.check',
    'budgets.rebalance',
    'plans.assign',
    'authorize',
    'fetch',
  ),
  ...corrupt(
    'usage of 2^60 tokens',
    'UPDATE api_key_usage_logs SET input_tokens = 1 << 60',
    'usage.query',
  ),
  ...corrupt(
    'an audit row that is no record',
    `UPDATE tk_audit SET detail = '${CANARY}'`,
    'tenants.create',
    'keys.issue',
    'secrets.put',
    'budgets.set',
    'budgets.remove',
    'budgets.credit',
    'budgets.adjust',
    'plans.assign',
  ),
  ...denied('a hash of zeros', `UPDATE tenant_api_keys SET ${zeros('hash')}`, 'TK_KEY_UNKNOWN'),
  ...denied(
    'a key moved to another tenant',
    "UPDATE tenant_api_keys SET tenant_id = 'reseller'",
    'TK_KEY_UNKNOWN',
  ),
  ...rows(
    'a pepper that nobody has',
    "UPDATE tenant_api_keys SET pepper_id = 'pep-9'",
    'TK_PEPPER_UNKNOWN',
    ['keys.verify', 'authorize', 'fetch'],
  ),
  ...rows(
    'a pepper id that is none',
    `UPDATE tenant_api_keys SET pepper_id = '<${CANARY}>'`,
    'TK_PEPPER_UNKNOWN',
    ['keys.verify'],
  ),
  ...rows(
    'a data key of zeros',
    `UPDATE tk_data_keys SET ${zeros('wrapped')}`,
    'TK_ENVELOPE_OPEN_FAILED',
    ['secrets.put'],
  ),
  ...unopened(
    'a KEK that nobody has',
    "UPDATE tk_data_keys SET kek_id = 'kek-9'",
    'TK_KEK_UNKNOWN',
  ),
  ...unopened(
    'a KEK id that is none',
    `UPDATE tk_data_keys SET kek_id = '<${CANARY}>'`,
    'TK_KEK_UNKNOWN',
  ),
  ...unopened('a data key of zeros', `UPDATE tk_data_keys SET ${zeros('wrapped')}`),
  ...unopened('a data key of another generation', 'UPDATE tk_data_keys SET generation = 2'),
  ...unopened('a data key that is cut', 'UPDATE tk_data_keys SET wrapped = substr(wrapped, 1, 20)'),
  ...unopened('an envelope of zeros', `UPDATE tenant_secrets SET ${zeros('envelope')}`),
  ...unopened('an envelope that is empty', "UPDATE tenant_secrets SET envelope = x''"),
  ...unopened(
    'an envelope that is cut',
    'UPDATE tenant_secrets SET envelope = substr(envelope, 1, length(envelope) - 1)',
  ),
  ...unopened(
    'an envelope of text',
    `UPDATE tenant_secrets SET envelope = CAST('${CANARY}' AS BLOB)`,
  ),
  ...unopened('a secret of another version', 'UPDATE tenant_secrets SET version = 7'),
  ...unopened(
    'a secret under another row id',
    "UPDATE tenant_secrets SET id = '018f3c1e-7b1a-7cc3-9a55-0000000005ec'",
  ),
  ...rows(
    'a secret with an origin that nobody listed',
    `UPDATE tenant_secrets SET origin = 'https://evil.example'`,
    'TK_ORIGIN_DENIED',
    ['fetch'],
  ),
]

export interface FileRow {
  readonly what: string
  prepare(file: string): void
  readonly code: ErrorCode
  readonly field: string | null
}

/** Files that an installation cannot start on. */
export const fileRows: readonly FileRow[] = [
  {
    what: 'a text',
    prepare: (file) => writeFileSync(file, `Dear diary, ${CANARY}\n`.repeat(500)),
    code: 'TK_STORE_CORRUPT',
    field: null,
  },
  {
    what: 'random bytes, as of an encrypted database',
    prepare: (file) =>
      writeFileSync(
        file,
        Buffer.from(CANARY.repeat(1000), 'latin1').map((b, i) => (b * 31 + i * 17) & 255),
      ),
    code: 'TK_STORE_CORRUPT',
    field: null,
  },
  {
    what: 'a folder',
    prepare: (file) => mkdirSync(file),
    code: 'TK_STORE_UNAVAILABLE',
    field: null,
  },
  {
    what: 'a database of a later version',
    prepare: (file) =>
      tamper(
        file,
        'CREATE TABLE tk_meta (id INTEGER PRIMARY KEY, schema_version INTEGER, epoch INTEGER, clock_ms INTEGER)',
        'INSERT INTO tk_meta VALUES (1, 99, 1, 0)',
      ),
    code: 'TK_STORE_NOT_MIGRATED',
    field: null,
  },
  {
    what: "a host's database with a table of our name",
    prepare: (file) => tamper(file, `CREATE TABLE tk_audit (mine TEXT DEFAULT '${CANARY}')`),
    code: 'TK_CONFIG_INVALID',
    field: 'database',
  },
  {
    what: 'a database that is cut',
    prepare: (file) => {
      tamper(
        file,
        'CREATE TABLE a (b TEXT)',
        ...Array.from({ length: 50 }, () => `INSERT INTO a VALUES ('${CANARY.repeat(100)}')`),
      )
      truncateSync(file, 5000)
    },
    code: 'TK_STORE_CORRUPT',
    field: null,
  },
]

export interface LaterRow {
  readonly method: string
  readonly what: string
  damage(file: string): void
  readonly act: Act
  readonly codes: readonly ErrorCode[]
}

/** What every method says when the file goes bad under a running installation. */
export const laterRows: readonly LaterRow[] = Object.entries(ACTS).flatMap(
  ([method, act]: [string, Act]): LaterRow[] => [
    {
      method,
      what: 'a file that was overwritten',
      damage: (file) => {
        for (const name of ['', '-wal', '-shm']) writeFileSync(file + name, CANARY.repeat(5000))
      },
      act,
      codes: ['TK_STORE_CORRUPT', 'TK_STORE_UNAVAILABLE', 'TK_STORE_BUSY'],
    },
    {
      method,
      what: 'tables of a later version',
      damage: (file) => tamper(file, 'UPDATE tk_meta SET schema_version = 99'),
      act,
      codes: ['TK_STORE_NOT_MIGRATED'],
    },
  ],
)
