/**
 * PgBouncer in transaction mode before a PostgreSQL server: each transaction may run on another
 * connection, so that nothing a session holds can be relied on.
 *
 * @module
 */
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import pg from 'pg'
import { freePort, guardedFolder } from './guarded-process.ts'
import { serviceUser } from './postgres-kinds.ts'
import type { PostgresServer } from './postgres-server.ts'

export interface PgBouncer extends AsyncDisposable {
  readonly port: number
  url(database: string, user?: string): string
  /** An admin command, such as `SHOW POOLS`, `PAUSE` or `RECONNECT`. */
  admin(command: string): Promise<Record<string, unknown>[]>
  logs(): string
  close(): Promise<void>
}

export interface PgBouncerOptions {
  /** Roles that may log in besides `postgres`, without a password. */
  readonly users?: readonly string[]
  /** Lines of pgbouncer.ini. Default: `pool_mode = transaction`, 20 server connections for each
   * database and role, 1000 clients. */
  readonly settings?: Readonly<Record<string, string | number>>
}

/** @returns path of the program; null when this machine has none. */
export function pgBouncerPath(): string | null {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']
  return folders.map((folder) => join(folder, 'pgbouncer')).find((file) => existsSync(file)) ?? null
}

/** As `skipsPostgres`, for PgBouncer. */
export function skipsPgBouncer(): boolean {
  if (pgBouncerPath() !== null) return false
  console.warn('SKIPPED: PgBouncer; apt-get install pgbouncer')
  return process.env.TENANTKEYS_REQUIRE_ALL !== '1'
}

/** As for PostgreSQL: only so that one that cannot start says so. */
const START_MS = 60_000

export async function startPgBouncer(
  server: PostgresServer,
  { users = [], settings = {} }: PgBouncerOptions = {},
): Promise<PgBouncer> {
  const program = pgBouncerPath()
  if (program === null) throw new Error('PgBouncer is missing: apt-get install pgbouncer')
  const as = serviceUser()
  const port = await freePort()
  const folder = guardedFolder('pgbouncer')
  const file = (name: string): string => join(folder.path, name)
  const lines = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'trust',
    auth_file: file('users'),
    admin_users: 'postgres',
    pool_mode: 'transaction',
    default_pool_size: 20,
    max_client_conn: 1000,
    ...settings,
  }
  const ini = [
    '[databases]',
    `* = host=127.0.0.1 port=${server.port}`,
    '[pgbouncer]',
    ...Object.entries(lines).map(([name, value]) => `${name} = ${value}`),
  ]
  writeFileSync(file('ini'), `${ini.join('\n')}\n`)
  writeFileSync(file('users'), ['postgres', ...users].map((user) => `"${user}" ""\n`).join(''))
  for (const path of [folder.path, file('ini'), file('users')]) {
    if (as !== undefined) chownSync(path, as.uid, as.gid)
    chmodSync(path, 0o700)
  }
  const bouncer = folder.run(program, [file('ini')], as)

  const url = (database: string, user = 'postgres'): string =>
    `postgres://${encodeURIComponent(user)}@127.0.0.1:${port}/${encodeURIComponent(database)}`
  const admin = async (command: string): Promise<Record<string, unknown>[]> => {
    const client = new pg.Client({ connectionString: url('pgbouncer') })
    client.on('error', () => {})
    await client.connect()
    try {
      return (await client.query(command)).rows ?? []
    } finally {
      await client.end()
    }
  }
  const logs = (): string => readFileSync(file('log'), 'utf8')
  const close = async (): Promise<void> => {
    if (bouncer.exitCode === null && bouncer.signalCode === null) {
      bouncer.ref()
      const gone = once(bouncer, 'exit')
      bouncer.kill('SIGTERM')
      await gone
    }
    await folder.close()
  }
  for (const until = Date.now() + START_MS; ; ) {
    try {
      await admin('SHOW VERSION')
      return { port, url, admin, logs, close, [Symbol.asyncDispose]: close }
    } catch (error) {
      if (Date.now() > until || bouncer.exitCode !== null) {
        const said = logs()
        await close()
        throw new Error(`PgBouncer does not start:\n${said}`, { cause: error })
      }
      await new Promise((next) => setTimeout(next, 20))
    }
  }
}
