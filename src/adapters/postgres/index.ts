/**
 * `postgres()`: the store in a PostgreSQL database, shared by any number of processes and hosts. It
 * runs on the client that the host has, and works behind PgBouncer in transaction mode.
 *
 * @module
 */
import * as z from 'zod'
import type { WallClock } from '../../kernel/clock.ts'
import { objectWith, parse } from '../../kernel/validate.ts'
import type { Inspection } from '../../storage/inspection.ts'
import type { Storage } from '../../storage/storage.ts'
import { executorOf, type PostgresClient } from './clients.ts'
import { Connection } from './connection.ts'
import { inspect } from './inspect.ts'
import { ledgerCommands } from './ledger.ts'
import { isListen, Listener, type PostgresListen } from './listen.ts'
import { type MigrationFile, migrate, migrationFiles } from './migrate.ts'
import { Names } from './names.ts'
import { outboxCommands } from './outbox.ts'
import { pinCommand } from './pins.ts'
import { rowIn } from './rows.ts'
import { dekCommands, secretCommands } from './secrets.ts'
import { keyCommands, readingOf, tenantCommands } from './tenants-keys.ts'
import { auditCommands, usageCommands } from './usage.ts'

export type { Finding, Inspection, Severity } from '../../storage/inspection.ts'
export type {
  DrizzleLike,
  KyselyLike,
  PgliteLike,
  PgPoolClientLike,
  PgPoolLike,
  PostgresClient,
  PostgresJsLike,
} from './clients.ts'
export type { PgClientLike, PostgresJsListenLike, PostgresListen } from './listen.ts'
export type { MigrationFile } from './migrate.ts'

/** Where the tables are and whose they are. Every process of an installation says the same. */
export interface PostgresSchemaOptions {
  /** Default `tenantkeys`; 1 to 40 of `A-Z a-z 0-9 _`. */
  readonly schema?: string | undefined
  /** Put before the name of every table and function; at most 16 of `A-Z a-z 0-9 _`, default none. */
  readonly tablePrefix?: string | undefined
  /**
   * Roles of the cluster: `owner` (default `tk_owner`) owns the tables and cannot log in, `app`
   * (default `tk_app`) sees the rows of one tenant at a time. The role that you connect as has to be a
   * member of `app`; migrate() makes those in `members` so.
   *
   * `single`: the role that migrates and the role that runs are one, and no policy holds it back.
   */
  readonly roles?:
    | {
        readonly owner?: string | undefined
        readonly app?: string | undefined
        readonly members?: readonly string[] | undefined
      }
    | 'single'
    | undefined
  /** For tests: commands bring their own time. Default false; then a `clock` is refused. */
  readonly testClock?: boolean | undefined
}

export interface PostgresOptions extends PostgresSchemaOptions {
  /** A pg `Pool`, the `sql` of postgres.js, a PGlite, Kysely or Drizzle. Closing it stays yours. */
  readonly client: PostgresClient
  /** The client that `migrate()` uses, of a role that may create roles and schemas; default `client`. */
  readonly admin?: PostgresClient | undefined
  /**
   * A connection that changes are pushed on, so that a revoked key is refused everywhere within
   * milliseconds: `() => new pg.Client(url)`, postgres.js or PGlite. It must lead to the server itself,
   * not to a pooler. Default: none; then changes show within 2 s.
   */
  readonly listen?: PostgresListen | undefined
  /** Where the store takes its time from; for tests. Default: the server's clock. */
  readonly clock?: WallClock | undefined
}

const name = (max: number): z.ZodString =>
  z.string().regex(new RegExp(`^[A-Za-z_][A-Za-z0-9_]{0,${max - 1}}$`), 'use A-Z, a-z, 0-9 and _')

/** Any name that a role can have, but for the mark that ends a block of ours. */
const memberName = z
  .string()
  .min(1)
  .max(63)
  .refine((text) => !/\0|\$tk\$/.test(text), 'not the name of a role')

const schemaFields = {
  schema: name(40)
    .refine((text) => !/^pg_/i.test(text), 'pg_ is reserved')
    .default('tenantkeys'),
  tablePrefix: z.union([z.literal(''), name(16)]).default(''),
  roles: z
    .union([
      z.literal('single'),
      z.strictObject({
        owner: name(63).default('tk_owner'),
        app: name(63).default('tk_app'),
        members: z.array(memberName).default([]),
      }),
    ])
    .default({ owner: 'tk_owner', app: 'tk_app', members: [] }),
  testClock: z.boolean().default(false),
}

const clientSchema = z.custom<PostgresClient>(
  (value) => executorOf(value) !== null,
  'expected a pg Pool (not a Client), postgres.js, PGlite, Kysely or Drizzle',
)

const optionsSchema = z.strictObject({
  ...schemaFields,
  client: clientSchema,
  admin: clientSchema.optional(),
  listen: z
    .custom<PostgresListen>(
      isListen,
      'expected a function that makes a pg Client, postgres.js or PGlite',
    )
    .optional(),
  clock: objectWith<WallClock>(['nowMs'], 'expected a clock with nowMs()').optional(),
})

/**
 * Nothing is asked of the database before the first command, or the first listener.
 *
 * @throws TenantKeysError TK_CONFIG_INVALID naming the option. Commands throw it too when the role
 *   they run as is a superuser, has BYPASSRLS or may become the owner.
 */
export function postgres(options: PostgresOptions): Storage {
  const read = parse(optionsSchema, options, 'options', 'TK_CONFIG_INVALID')
  const names = new Names(read)
  const executor = executorOf(read.client)!
  const admin = read.admin === undefined ? executor : executorOf(read.admin)!
  const connection = new Connection({ executor, names, clock: read.clock ?? null })
  const listener = read.listen && new Listener(read.listen, names.channel)
  return {
    contractVersion: 1,
    capabilities: {
      name: 'postgres',
      ...executor.reach,
      migratesOnStart: false,
      pushes: listener !== undefined,
    },
    migrate: async () => {
      connection.checkOpen()
      await migrate(admin, names, migrateOptions(read))
    },
    close: async () => {
      connection.close()
      await listener?.close()
    },
    ...(listener && { onEpoch: (told: () => void) => listener.onEpoch(told) }),
    epoch: async () =>
      readingOf(connection, rowIn(await connection.call('tk_epoch_v1', null, 'read'))),
    pin: pinCommand(connection),
    tenants: tenantCommands(connection),
    keys: keyCommands(connection),
    secrets: secretCommands(connection),
    deks: dekCommands(connection),
    ledger: ledgerCommands(connection),
    usage: usageCommands(connection),
    outbox: outboxCommands(connection),
    audit: auditCommands(connection),
  }
}

/**
 * The migrations as SQL, in order, for those who apply theirs with psql or a tool: each file once, as
 * a role that `migrate()` could use too. `tk.migrate()` finds nothing to do afterwards.
 *
 * @throws TenantKeysError TK_CONFIG_INVALID naming the option.
 */
export function postgresMigrations(options: PostgresSchemaOptions = {}): readonly MigrationFile[] {
  const read = parse(z.strictObject(schemaFields), options, 'options', 'TK_CONFIG_INVALID')
  return migrationFiles(new Names(read), migrateOptions(read))
}

export interface InspectPostgresOptions extends PostgresSchemaOptions {
  /** As in {@link PostgresOptions}: the one that your program uses, so that its role is looked at. */
  readonly client: PostgresClient
  /** Connections that all your processes may open together, to be held against what the server allows;
   * 1 to 1,000,000, default: not compared. */
  readonly connections?: number | undefined
}

const inspectSchema = z.strictObject({
  ...schemaFields,
  client: clientSchema,
  connections: z.int().min(1).max(1_000_000).optional(),
})

/**
 * Server and settings, versions, roles and walls, missing indexes, connections, leftovers. Changes
 * nothing and reads no row of a tenant.
 *
 * @throws TenantKeysError TK_CONFIG_INVALID naming the option; TK_STORE_UNAVAILABLE when the server
 *   does not answer or the role may not even read the version.
 */
export async function inspectPostgres(options: InspectPostgresOptions): Promise<Inspection> {
  const read = parse(inspectSchema, options, 'options', 'TK_CONFIG_INVALID')
  const connections = read.connections ?? null
  return inspect(executorOf(read.client)!, new Names(read), { connections })
}

type ReadSchema = z.output<z.ZodObject<typeof schemaFields>>

const migrateOptions = ({ roles, testClock }: ReadSchema) => ({
  members: roles === 'single' ? [] : roles.members,
  testClock,
})
