/**
 * A PostgreSQL server of one's own, for tests that stop, kill or starve it. Tests that only need a
 * database share one: postgres-server.ts.
 *
 * @module
 */
import { type ChildProcess, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, guardedFolder, type RunAs } from './guarded-process.ts'
import {
  binariesOf,
  missingPostgres,
  type PostgresKind,
  reachable,
  serviceUser,
} from './postgres-kinds.ts'
import { type PostgresServer, serverAt } from './postgres-server.ts'

export interface PostgresOptions {
  readonly kind: PostgresKind
  /** Default false: what a killed server had acknowledged survives, what a lost power had need not. */
  readonly fsync?: boolean
  /** Lines of postgresql.conf. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** An existing folder for the data, such as a small file system; default: a temporary one. */
  readonly dataIn?: string
}

/** `fast` rolls back what runs and writes a checkpoint; `immediate` and `kill -9` recover from the log
 * at the next start. `kill -9` takes every process of the server at once. */
export type PostgresStop = 'fast' | 'immediate' | 'kill -9'

export interface PostgresCluster extends PostgresServer, AsyncDisposable {
  /** Where its data are. */
  readonly folder: string
  stop(how: PostgresStop): Promise<void>
  /** Starts it again: the same data, the same port. */
  start(): Promise<void>
  /** All that the server has said since the first start. */
  logs(): string
  /** Stops it if it runs, and removes its data. */
  close(): Promise<void>
}

const START_MS = 60_000

export async function startPostgres(options: PostgresOptions): Promise<PostgresCluster> {
  const { kind, fsync = false } = options
  const found = binariesOf(kind)
  if (found === null) throw missingPostgres(kind)
  const as = serviceUser()
  const folder = guardedFolder('postgres')
  try {
    own(folder.path, as)
    const binaries = reachable(found, as, folder.path)
    const data = join(options.dataIn ?? folder.path, 'data')
    mkdirSync(data)
    own(data, as)
    initialise(kind, binaries, data, as)
    const port = await freePort()
    const settings = { ...ordinary(kind, fsync), ...options.settings, port }
    const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    let server: ChildProcess | null = null

    const start = async (): Promise<void> => {
      for (const until = Date.now() + START_MS; ; ) {
        server = folder.run(join(binaries, 'postgres'), ['-D', data, ...args], as)
        if (await answers(server, port, until)) return
        // After `kill -9` the shared memory may be in use for a moment.
        if (Date.now() > until) throw new Error(`PostgreSQL ${kind} does not start:\n${logs()}`)
        await new Promise((next) => setTimeout(next, 100))
      }
    }
    const stop = async (how: PostgresStop): Promise<void> => {
      const running = server
      server = null
      if (running === null || running.exitCode !== null || running.signalCode !== null) return
      running.ref()
      const gone = once(running, 'exit')
      if (how === 'kill -9') killWithChildren(running.pid!)
      else running.kill(how === 'fast' ? 'SIGINT' : 'SIGQUIT')
      await gone
    }
    const logs = (): string => readFileSync(join(folder.path, 'log'), 'utf8')
    const close = async (): Promise<void> => {
      await stop('immediate')
      await folder.close()
    }

    await start()
    const shared = serverAt(kind, port)
    return { ...shared, folder: data, start, stop, logs, close, [Symbol.asyncDispose]: close }
  } catch (error) {
    await folder.close()
    throw error
  }
}

function own(folder: string, as: RunAs | undefined): void {
  chmodSync(folder, 0o700)
  if (as !== undefined) chownSync(folder, as.uid, as.gid)
}

function initialise(
  kind: PostgresKind,
  binaries: string,
  data: string,
  as: RunAs | undefined,
): void {
  const newer = readVersion(binaries, as) >= 15
  // Two orders of text: that of the bytes, and one in which 'a' < 'B' < 'c', as most hosts have it.
  const locale =
    kind === 'debian-15' && newer
      ? ['--locale-provider=icu', '--icu-locale=en-US', '--locale=C.UTF-8']
      : ['--locale=C']
  const args = ['-D', data, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--no-sync']
  const done = spawnSync(join(binaries, 'initdb'), [...args, ...locale], { ...as, cwd: data })
  if (done.status !== 0) throw new Error(`initdb failed: ${done.error ?? done.stderr}`)
}

function readVersion(binaries: string, as: RunAs | undefined): number {
  const { stdout } = spawnSync(join(binaries, 'postgres'), ['--version'], { ...as, cwd: '/' })
  return Number(/\d+/.exec(String(stdout))?.[0])
}

const ordinary = (kind: PostgresKind, fsync: boolean) => ({
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: 300,
  shared_buffers: '64MB',
  max_wal_size: '512MB',
  fsync: fsync ? 'on' : 'off',
  full_page_writes: fsync ? 'on' : 'off',
  // A zone that no result may depend on.
  timezone: kind === 'debian-15' ? 'Asia/Kathmandu' : 'UTC',
})

/** Waits until the server answers. @returns false when it has ended instead, or time is up. */
async function answers(server: ChildProcess, port: number, until: number): Promise<boolean> {
  const asked = serverAt('embedded-18', port)
  while (Date.now() < until) {
    if (server.pid === undefined || server.exitCode !== null || server.signalCode !== null)
      return false
    try {
      await asked.query('SELECT 1')
      return true
    } catch {
      await new Promise((next) => setTimeout(next, 30))
    }
  }
  return false
}

function killWithChildren(pid: number): void {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
  process.kill(pid, 'SIGKILL')
  for (const child of children.filter(Boolean)) {
    try {
      process.kill(Number(child), 'SIGKILL')
    } catch {
      // It has seen the end of its parent first.
    }
  }
}
