/**
 * The way to one installation: one statement for a function, or an interactive transaction for a
 * tenant. The first command checks once that the schema is there, of a version we know, and that the
 * role we run as cannot step over the walls between tenants.
 *
 * @module
 */
import { systemMonotonicClock, type WallClock } from '../../kernel/clock.ts'
import { TenantKeysError } from '../../kernel/errors.ts'
import type { PgExecutor, PgParam, PgQueries, PgRow, TransactionMode } from './executor.ts'
import { unreadable } from './ledger-answers.ts'
import { isRetry, mapError, type Sent } from './map-error.ts'
import { LOCK_TIMEOUT_MS } from './migrations/sql.ts'
import { type Names, TENANT_SETTING } from './names.ts'
import { checkStart } from './start-check.ts'

export interface ConnectionOptions {
  readonly executor: PgExecutor
  readonly names: Names
  /** A test's clock, in place of the server's; `null`: the server's. */
  readonly clock: WallClock | null
}

/** How long a command is tried again that lost to others. */
const RETRY_MS = 10_000
const MAX_PAUSE_MS = 50
/** A process that stops inside a transaction must not keep its locks. */
const IDLE_TIMEOUT_MS = 15_000

/** The tenants whose rows a transaction may touch; `null`: of none. */
export type TenantScope = string | readonly string[] | null

/** One open transaction that reads. */
export interface ReadTx extends PgQueries {
  /** The store's time when it began. */
  readonly nowMs: number
  /** Calls a function of ours inside the transaction. */
  call(fn: string, args: unknown): Promise<unknown>
}

/** One open transaction that writes. */
export interface Tx extends ReadTx {
  /** Every change of a key or a tenant calls this (ST-5). It happens last, so that the row of the
   * epoch is locked as shortly as can be. */
  raiseEpoch(): void
}

export class Connection {
  readonly names: Names
  readonly #executor: PgExecutor
  readonly #clock: WallClock | null
  readonly #begin: string
  #checked: Promise<void> | null = null
  #closed = false
  #highWaterMs = 0
  /** Of the test's clock: it may step back, the store's time may not. */
  #testNowMs = 0

  constructor({ executor, names, clock }: ConnectionOptions) {
    this.#executor = executor
    this.names = names
    this.#clock = clock
    this.#begin = `SELECT set_config('${TENANT_SETTING}', $1::text, true),
  set_config('lock_timeout', '${LOCK_TIMEOUT_MS}', true),
  set_config('idle_in_transaction_session_timeout', '${IDLE_TIMEOUT_MS}', true),
  ${names.fn('tk_time_v1')}($2::bigint)::text AS now_ms`
  }

  /**
   * One statement, one round trip: `SELECT fn(args, test_now)`.
   *
   * @param fn - our own name of the function, for example `tk_reserve_v1`.
   * @param args - JSON; amounts are decimal strings.
   */
  call(fn: string, args: unknown, sent: Sent = 'write'): Promise<unknown> {
    return this.#attempt(sent, () => this.#callIn(this.#executor, fn, args))
  }

  /** All of what `step` writes, or nothing. It may run more than once. */
  write<T>(scope: TenantScope, step: (tx: Tx) => Promise<T>): Promise<T> {
    return this.#transaction('write', scope, async (tx) => {
      let raise = false
      const result = await step({
        ...tx,
        raiseEpoch: () => {
          raise = true
        },
      })
      if (raise) await tx.call('tk_raise_epoch_v1', null)
      return result
    })
  }

  /** Runs `step` over the rows of one moment. */
  read<T>(scope: TenantScope, step: (tx: ReadTx) => Promise<T>): Promise<T> {
    return this.#transaction('read', scope, step)
  }

  /** Holds a time of the store against those this process has seen (ST-4). */
  notBefore(nowMs: number): number {
    this.#highWaterMs = Math.max(this.#highWaterMs, nowMs)
    return this.#highWaterMs
  }

  /** Our commands are refused from now on; the client is the host's to close. */
  close(): void {
    this.#closed = true
  }

  /** @throws TenantKeysError TK_CLOSED */
  checkOpen(): void {
    if (this.#closed) throw new TenantKeysError('TK_CLOSED')
  }

  async #transaction<T>(
    mode: TransactionMode,
    scope: TenantScope,
    step: (tx: ReadTx) => Promise<T>,
  ): Promise<T> {
    return this.#attempt(mode, async () => {
      let finished = false
      try {
        return await this.#executor.transaction(mode, async (queries) => {
          const result = await step(await this.#beginIn(queries, scope))
          finished = true
          return result
        })
      } catch (error) {
        // What fails after the last statement of a step is the COMMIT.
        throw finished ? mapError(error, mode === 'write' ? 'commit' : 'read') : error
      }
    })
  }

  async #beginIn(queries: PgQueries, scope: TenantScope): Promise<ReadTx> {
    const [row] = await queries.query(this.#begin, [scopeText(scope), this.#testNow()])
    return {
      nowMs: this.notBefore(Number(row?.now_ms)),
      query: (text, params) => queries.query(text, params),
      call: (fn, args) => this.#callIn(queries, fn, args),
    }
  }

  async #callIn(queries: PgQueries, fn: string, args: unknown): Promise<unknown> {
    const sql = `SELECT ${this.names.fn(fn)}($1::text::jsonb, $2::bigint)::text AS answer`
    const [row] = await queries.query(sql, [JSON.stringify(args), this.#testNow()])
    return answerOf(row)
  }

  #testNow(): PgParam {
    if (this.#clock === null) return null
    this.#testNowMs = Math.max(this.#testNowMs, Math.floor(this.#clock.nowMs()))
    return String(this.#testNowMs)
  }

  /** Once; a check that failed is made again by the next command. */
  #ready(): Promise<void> {
    this.#checked ??= checkStart(this.#executor, this.names, {
      testClock: this.#clock !== null,
    }).catch((error: unknown) => {
      this.#checked = null
      throw mapError(error, 'read')
    })
    return this.#checked
  }

  async #attempt<T>(sent: Sent, work: () => Promise<T>): Promise<T> {
    this.checkOpen()
    await this.#ready()
    const startedMs = systemMonotonicClock.elapsedMs()
    for (let tries = 0; ; tries++) {
      this.checkOpen()
      try {
        return await work()
      } catch (error) {
        const waitedMs = systemMonotonicClock.elapsedMs() - startedMs
        if (!isRetry(error) || waitedMs >= RETRY_MS) throw mapError(error, sent)
      }
      await pause(tries)
    }
  }
}

const scopeText = (scope: TenantScope): string =>
  scope === null ? '' : typeof scope === 'string' ? scope : scope.join(',')

function answerOf(row: PgRow | undefined): unknown {
  const text = row?.answer
  if (text === null) return null
  if (typeof text === 'string') return JSON.parse(text)
  throw unreadable()
}

/** Full jitter, so that those that met once do not meet again. */
function pause(tries: number): Promise<void> {
  const longestMs = Math.min(MAX_PAUSE_MS, 2 ** (tries + 1))
  return new Promise((resolve) => setTimeout(resolve, Math.random() * longestMs))
}
