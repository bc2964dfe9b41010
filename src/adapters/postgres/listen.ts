/**
 * LISTEN on a connection of its own: the host's pool may hand its connections to a pooler, which
 * forgets who listens. It connects when somebody wants to be told, again by itself when the
 * connection breaks, and never keeps a process alive where the client lets it.
 *
 * While it is down nothing is worse than without it: whoever uses a key looks at the epoch (see
 * keys/epoch-watch.ts).
 *
 * @module
 */
import { hasMethods, type PgliteLike } from './clients.ts'
import { identifier } from './names.ts'

/** A `Client` of pg, not connected yet. */
export interface PgClientLike {
  connect(): Promise<unknown>
  query(text: string): Promise<unknown>
  end(): Promise<unknown>
  on(event: 'notification' | 'error' | 'end', listener: () => void): unknown
  unref?(): void
}

/** The `sql` of postgres.js. It connects again by itself, and keeps the process alive until close(). */
export interface PostgresJsListenLike {
  listen(
    channel: string,
    listener: () => void,
    onListen: () => void,
  ): PromiseLike<{ unlisten(): Promise<void> }>
}

/** `() => new pg.Client(...)` with an address that leads to the server itself, postgres.js, PGlite. */
export type PostgresListen =
  | (() => PgClientLike)
  | PostgresJsListenLike
  | Pick<PgliteLike, 'listen' | 'transaction'>

export const isListen = (value: unknown): value is PostgresListen =>
  typeof value === 'function' || hasMethods(value, 'listen', 'transaction')

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000

export class Listener {
  readonly #listen: PostgresListen
  readonly #channel: string
  readonly #listeners = new Set<() => void>()
  #started = false
  #closed = false
  /** Ends the connection, or the pause before the next. */
  #end: () => Promise<void> = async () => {}

  constructor(listen: PostgresListen, channel: string) {
    this.#listen = listen
    this.#channel = channel
  }

  onEpoch(listener: () => void): () => void {
    // The same function may have been given before: each call has an end of its own.
    const own = (): void => listener()
    this.#listeners.add(own)
    if (this.#started) queueMicrotask(() => this.#listeners.has(own) && own())
    else {
      this.#started = true
      void this.#run()
    }
    return () => void this.#listeners.delete(own)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#listeners.clear()
    await this.#end()
  }

  readonly #tell = (): void => {
    for (const listener of this.#listeners) listener()
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#closed; failures++) {
      try {
        await this.#listenOnce(() => {
          failures = 0
          // What was changed while nobody listened was not heard.
          this.#tell()
        })
      } catch {
        // The server is away, or refuses us: again after a pause, as long as it takes.
      }
      if (!this.#closed) await this.#pause(failures)
    }
  }

  /** Listens until the connection ends. */
  #listenOnce(onListen: () => void): Promise<void> {
    const listen = this.#listen
    if (hasMethods(listen, 'listen', 'transaction'))
      return this.#onPglite(listen as PgliteLike, onListen)
    if (hasMethods(listen, 'listen'))
      return this.#onPostgresJs(listen as PostgresJsListenLike, onListen)
    return this.#onPgClient((listen as () => PgClientLike)(), onListen)
  }

  async #onPgClient(client: PgClientLike, onListen: () => void): Promise<void> {
    const over = new Promise<void>((resolve) => {
      client.on('end', resolve)
      client.on('error', resolve)
    })
    client.on('notification', this.#tell)
    this.#end = async () => {
      await client.end().catch(() => {})
    }
    try {
      client.unref?.()
      await client.connect()
      // With TLS the socket is another one now.
      client.unref?.()
      await client.query(`LISTEN ${identifier(this.#channel)}`)
      onListen()
      await over
    } finally {
      await client.end().catch(() => {})
    }
  }

  async #onPostgresJs(sql: PostgresJsListenLike, onListen: () => void): Promise<void> {
    const { unlisten } = await sql.listen(this.#channel, this.#tell, onListen)
    await this.#until(unlisten)
  }

  async #onPglite(db: PgliteLike, onListen: () => void): Promise<void> {
    const unlisten = await db.listen(identifier(this.#channel), this.#tell)
    onListen()
    await this.#until(unlisten)
  }

  /** Until close(), which then waits for `unlisten`. */
  #until(unlisten: () => Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      this.#end = async () => {
        resolve()
        await unlisten().catch(() => {})
      }
      if (this.#closed) void this.#end()
    })
  }

  #pause(failures: number): Promise<void> {
    const longestMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures)
    return new Promise((resolve) => {
      // Half of it at least, so that a server that refuses is not asked without a rest.
      const timer: unknown = setTimeout(resolve, longestMs * (0.5 + Math.random() / 2))
      ;(timer as { unref?: () => void }).unref?.()
      this.#end = async () => resolve()
    })
  }
}
