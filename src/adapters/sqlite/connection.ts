/**
 * One connection to one file: opened on the first command, every transaction in one synchronous
 * tick, waiting for other processes without stopping the event loop.
 *
 * SQLite's own waiting blocks the thread, so it may last 20 ms at most; after that the command
 * sleeps a random while and tries again. While one command of this process sleeps, the others queue
 * behind it instead of each blocking the thread in turn.
 *
 * @module
 */
import { systemMonotonicClock, type WallClock } from '../../kernel/clock.ts'
import { TenantKeysError } from '../../kernel/errors.ts'
import type { EpochReading } from '../../storage/storage.ts'
import { SqliteClient, type SqliteDatabaseLike } from './client.ts'
import { SqliteRowReader } from './decode.ts'
import { findDriver } from './drivers.ts'
import { isBusy, mapError } from './map-error.ts'
import { checkVersion, createTables } from './schema.ts'

export interface ConnectionOptions {
  readonly source: { readonly file: string } | { readonly database: SqliteDatabaseLike }
  readonly clock: WallClock
  readonly synchronous: 'FULL' | 'NORMAL'
  readonly busyTimeoutMs: number
}

/** How long SQLite itself may block the thread for a lock. */
const BLOCK_MS = 20
const MAX_PAUSE_MS = 50
/** How old the reading of `epochNow` may be. */
const EPOCH_AGE_MS = 100
/** The stored high-water mark may lag the clock by this much. */
const CLOCK_LAG_MS = 1000

const META = 'SELECT schema_version, epoch, clock_ms FROM tk_meta WHERE id = 1'
const SET_META = 'UPDATE tk_meta SET epoch = ?, clock_ms = ? WHERE id = 1'

/** What a command that reads is given. */
export interface ReadTx {
  readonly client: SqliteClient
  /** The store's time; in a transaction, read after the lock was taken. */
  readonly nowMs: number
  readonly epoch: number
  /** The stored high-water mark of time. */
  readonly clockMs: number
}

/** One open transaction that writes. */
export interface Tx extends ReadTx {
  /** Every change of a key or a tenant calls this (ST-5). */
  raiseEpoch(): void
  /** Makes the stored high-water mark reach the present. */
  keepClock(): void
}

export class Connection {
  readonly #options: ConnectionOptions
  #client: SqliteClient | null = null
  #configured = false
  #closed = false
  /** Set while a command of ours sleeps because the file was locked. */
  #pause: Promise<void> | null = null
  #highWaterMs = 0
  /** As last read; 0 before the first. */
  #epoch = 0
  #epochReadAtMs = Number.NEGATIVE_INFINITY
  #dataVersion: unknown = null

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  migrate(): Promise<void> {
    return this.#attempt((client) => transaction(client, 'IMMEDIATE', () => createTables(client)))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    // A database that the host gave us stays the host's to close.
    if ('file' in this.#options.source) this.#client?.close()
    this.#client = null
  }

  /** Runs `step` in one transaction: all of what it writes, or nothing. It must not await. */
  write<T>(step: (tx: Tx) => T): Promise<T> {
    return this.#attempt((client) => {
      const done = transaction(client, 'IMMEDIATE', () => this.#writeStep(client, step))
      this.#epoch = done.epoch
      return done.result
    })
  }

  #writeStep<T>(client: SqliteClient, step: (tx: Tx) => T): { result: T; epoch: number } {
    const before = this.#begin(client)
    let { epoch } = before
    let keep = before.nowMs - before.clockMs >= CLOCK_LAG_MS
    const result = step({
      client,
      nowMs: before.nowMs,
      epoch: before.epoch,
      clockMs: before.clockMs,
      raiseEpoch: () => {
        epoch = before.epoch + 1
      },
      keepClock: () => {
        keep = true
      },
    })
    if (keep || epoch !== before.epoch) client.run(SET_META, epoch, before.nowMs)
    return { result, epoch }
  }

  /** Runs `step` over the rows of one moment. Nothing is locked; it must not write. */
  snapshot<T>(step: (tx: ReadTx) => T): Promise<T> {
    return this.#attempt((client) =>
      transaction(client, 'DEFERRED', () => step(this.#begin(client))),
    )
  }

  /** Runs statements that read, each over the rows of its own moment; the epoch is read first. */
  read<T>(step: (tx: ReadTx) => T): Promise<T> {
    return this.#attempt((client) => step(this.#begin(client)))
  }

  /**
   * Without waiting. Other processes are looked at through `PRAGMA data_version`, at most every
   * 100 ms; the epoch row is read again only when the file was changed.
   *
   * @throws TenantKeysError TK_STORE_UNAVAILABLE before a first command has opened the file.
   */
  epochNow(): EpochReading {
    if (this.#closed) throw new TenantKeysError('TK_CLOSED')
    const client = this.#configured ? this.#client : null
    if (!client) {
      throw new TenantKeysError('TK_STORE_UNAVAILABLE', { reason: 'the file is not open yet' })
    }
    const elapsedMs = systemMonotonicClock.elapsedMs()
    if (elapsedMs - this.#epochReadAtMs > EPOCH_AGE_MS) {
      try {
        // The version is read first: a change between the two reads is seen the next time.
        const version = client.get('PRAGMA data_version')?.data_version
        if (this.#epoch === 0 || version !== this.#dataVersion) this.#begin(client)
        this.#dataVersion = version
        this.#epochReadAtMs = elapsedMs
      } catch (error) {
        throw mapError(error)
      }
    }
    return { epoch: this.#epoch, nowMs: this.#nowMs() }
  }

  #begin(client: SqliteClient): ReadTx {
    const row = client.get(META)
    if (!row) throw new TenantKeysError('TK_STORE_NOT_MIGRATED')
    checkVersion(row.schema_version)
    const meta = new SqliteRowReader('tk_meta', row)
    const clockMs = meta.int('clock_ms')
    this.#epoch = meta.int('epoch')
    this.#highWaterMs = Math.max(this.#highWaterMs, clockMs)
    return { client, nowMs: this.#nowMs(), epoch: this.#epoch, clockMs }
  }

  /** Whole, and never backwards, also when the host's clock is, also over restarts (ST-4, T-K8). */
  #nowMs(): number {
    this.#highWaterMs = Math.max(this.#highWaterMs, Math.floor(this.#options.clock.nowMs()))
    return this.#highWaterMs
  }

  /** Runs `body` in one tick; as long as the file is locked, again after a pause. */
  async #attempt<T>(body: (client: SqliteClient) => T): Promise<T> {
    const startedMs = systemMonotonicClock.elapsedMs()
    for (let tries = 0; ; tries++) {
      while (this.#pause) await this.#pause
      if (this.#closed) throw new TenantKeysError('TK_CLOSED')
      // No await when it is open: of those that a pause kept, the next must see whether this one
      // failed again before it tries.
      const client = this.#client ?? (await this.#open())
      try {
        this.#configure(client)
        return body(client)
      } catch (error) {
        const waitedMs = systemMonotonicClock.elapsedMs() - startedMs
        if (!isBusy(error) || waitedMs >= this.#options.busyTimeoutMs) throw mapError(error)
      }
      this.#pause ??= pause(tries).finally(() => {
        this.#pause = null
      })
    }
  }

  async #open(): Promise<SqliteClient> {
    const { source } = this.#options
    const database = 'file' in source ? await openFile(source.file) : source.database
    // Several first commands, or close(), may have come here meanwhile: one database is enough.
    if (this.#closed || this.#client) {
      if ('file' in source) database.close()
      if (this.#closed) throw new TenantKeysError('TK_CLOSED')
    }
    this.#client ??= new SqliteClient(database)
    return this.#client
  }

  #configure(client: SqliteClient): void {
    if (this.#configured) return
    // Inside its owner's transaction two of these would do nothing, silently.
    if (client.inTransaction) throw new TenantKeysError('TK_STORE_BUSY')
    // The timeout comes first: switching to WAL takes a lock that concurrent starts fight for.
    client.exec(`PRAGMA busy_timeout = ${Math.min(BLOCK_MS, this.#options.busyTimeoutMs)}`)
    client.get('PRAGMA journal_mode = WAL')
    client.exec(`PRAGMA synchronous = ${this.#options.synchronous}`)
    client.exec('PRAGMA foreign_keys = ON')
    this.#configured = true
  }
}

/** All of `body` in this tick, or nothing of it. */
function transaction<T>(client: SqliteClient, mode: 'IMMEDIATE' | 'DEFERRED', body: () => T): T {
  client.run(`BEGIN ${mode}`)
  let committing = false
  try {
    const result = body()
    committing = true
    client.run('COMMIT')
    return result
  } catch (error) {
    rollBack(client)
    if (committing && !isBusy(error)) throw mapError(error, true)
    throw error
  }
}

function rollBack(client: SqliteClient): void {
  try {
    client.run('ROLLBACK')
  } catch {
    // SQLite has rolled back by itself, as it does when the disk is full.
  }
}

/** Full jitter, so that processes that met once do not meet again. */
function pause(tries: number): Promise<void> {
  const longestMs = Math.min(MAX_PAUSE_MS, 2 ** (tries + 1))
  return new Promise((resolve) => setTimeout(resolve, Math.random() * longestMs))
}

/** @throws TenantKeysError TK_STORE_DRIVER_MISSING, TK_STORE_UNAVAILABLE */
export async function openFile(file: string): Promise<SqliteDatabaseLike> {
  const open = await findDriver()
  try {
    return open(file)
  } catch (error) {
    // libsql and better-sqlite3 give these no code: no such folder, no permission, not a file.
    throw new TenantKeysError(
      'TK_STORE_UNAVAILABLE',
      { reason: 'the file cannot be opened' },
      { cause: error },
    )
  }
}
