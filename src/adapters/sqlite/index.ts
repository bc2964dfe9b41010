/**
 * `sqlite()`: the store in one SQLite file, shared by the processes of one host. Every transaction
 * runs in one synchronous tick; with `synchronous: 'FULL'` a committed settle survives a power cut.
 *
 * @module
 */
import * as z from 'zod'
import { systemWallClock, type WallClock } from '../../kernel/clock.ts'
import { objectWith, parse } from '../../kernel/validate.ts'
import type { Storage } from '../../storage/storage.ts'
import type { SqliteDatabaseLike } from './client.ts'
import { Connection } from './connection.ts'
import { ledgerCommands } from './ledger.ts'
import { outboxCommands } from './outbox.ts'
import { pinCommand } from './pins.ts'
import { dekCommands, secretCommands } from './secrets.ts'
import { keyCommands, tenantCommands } from './tenants-keys.ts'
import { auditCommands, usageCommands } from './usage.ts'

export type { Finding, Inspection, MigrationFile, Severity } from '../../storage/inspection.ts'
export type { SqliteDatabaseLike, SqliteStatementLike, SqliteValue } from './client.ts'
export { inspectSqlite } from './inspect.ts'
export { sqliteMigrations } from './schema.ts'

export interface CommonOptions {
  /** `FULL` (default): flushed to the disk with every commit. `NORMAL`: a power cut may take back the
   * last commits, a crash of the process does not; about 20 times faster. */
  readonly synchronous?: 'FULL' | 'NORMAL' | undefined
  /** How long a command waits for other processes, in ms, 0 to 600,000; default 10,000. Then
   * TK_STORE_BUSY. The thread is never blocked for more than 20 ms of it at a time. */
  readonly busyTimeoutMs?: number | undefined
  /** Where the store takes its time from; for tests. Default: the system's clock. */
  readonly clock?: WallClock | undefined
}

export type SqliteOptions =
  | (CommonOptions & {
      /** Path of the file; made when it is not there. `:memory:` keeps nothing. */
      readonly file: string
    })
  | (CommonOptions & {
      /** An open better-sqlite3, libsql or node:sqlite database. We set its journal mode (WAL), busy
       * timeout, `synchronous` and `foreign_keys`, and leave closing it to you. */
      readonly database: SqliteDatabaseLike
    })

const optionsSchema = z
  .strictObject({
    file: z
      .string()
      .min(1)
      .refine((path) => !path.includes('\0'), 'expected a path')
      .optional(),
    database: objectWith<SqliteDatabaseLike>(
      ['exec', 'prepare', 'close'],
      'expected an open better-sqlite3, libsql or node:sqlite database',
    ).optional(),
    synchronous: z.enum(['FULL', 'NORMAL']).default('FULL'),
    busyTimeoutMs: z.int().min(0).max(600_000).default(10_000),
    clock: objectWith<WallClock>(['nowMs'], 'expected a clock with nowMs()').default(
      systemWallClock,
    ),
  })
  .refine((o) => (o.file === undefined) !== (o.database === undefined), {
    path: ['file'],
    error: 'give either file or database',
  })

/**
 * Nothing is opened before the first command.
 *
 * @throws TenantKeysError TK_CONFIG_INVALID naming the option.
 */
export function sqlite(options: SqliteOptions): Storage {
  const { file, database, ...rest } = parse(optionsSchema, options, 'options', 'TK_CONFIG_INVALID')
  const source = database ? { database } : { file: file! }
  const connection = new Connection({ source, ...rest })
  const kept = file !== ':memory:'
  return {
    contractVersion: 1,
    capabilities: { name: 'sqlite', durable: kept, multiProcess: kept, multiHost: false },
    migrate: () => connection.migrate(),
    close: () => connection.close(),
    epoch: () => connection.read(({ epoch, nowMs }) => ({ epoch, nowMs })),
    epochNow: () => connection.epochNow(),
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
