/**
 * A streaming replica of a server, whose replay can be paused: what it shows is then as old as the
 * pause. Needs `pg_basebackup`, which only Debian's packages bring.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, guardedFolder } from './guarded-process.ts'
import type { PostgresCluster } from './postgres-cluster.ts'
import { binariesOf, serviceUser } from './postgres-kinds.ts'
import { type PostgresServer, serverAt } from './postgres-server.ts'

export interface PostgresStandby extends PostgresServer {
  /** Until what the primary has now is shown here. */
  catchUp(): Promise<void>
  pause(): Promise<void>
  close(): Promise<void>
}

export async function startStandby(primary: PostgresCluster): Promise<PostgresStandby> {
  const binaries = binariesOf('debian-15')
  if (binaries === null) throw new Error('pg_basebackup is missing: apt-get install postgresql')
  const as = serviceUser()
  const folder = guardedFolder('standby')
  const data = join(folder.path, 'data')
  if (as !== undefined) chownSync(folder.path, as.uid, as.gid)
  chmodSync(folder.path, 0o700)
  const copy = ['-D', data, '-R', '-X', 'stream', '-c', 'fast', '-d', primary.url('postgres')]
  const done = spawnSync(join(binaries, 'pg_basebackup'), copy, { ...as, cwd: folder.path })
  if (done.status !== 0) throw new Error(`pg_basebackup failed: ${done.error ?? done.stderr}`)
  const port = await freePort()
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 300,
  }
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const server = folder.run(join(binaries, 'postgres'), ['-D', data, ...args], as)
  const standby = serverAt('debian-15', port)
  const until = async (ready: () => Promise<boolean>): Promise<void> => {
    for (const end = Date.now() + 60_000; !(await ready().catch(() => false)); ) {
      if (Date.now() > end || server.exitCode !== null)
        throw new Error('the standby does not follow')
      await new Promise((next) => setTimeout(next, 30))
    }
  }
  await until(async () => (await standby.query('SELECT 1')).length === 1)
  return {
    ...standby,
    catchUp: async () => {
      const [here] = await primary.query('SELECT pg_current_wal_lsn()::text AS lsn')
      const behind = 'SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS caught_up'
      await until(async () => (await standby.query(behind, [here!.lsn]))[0]?.caught_up === true)
    },
    pause: async () => {
      await standby.query('SELECT pg_wal_replay_pause()')
      const state = "SELECT pg_get_wal_replay_pause_state() = 'paused' AS paused"
      await until(async () => (await standby.query(state))[0]?.paused === true)
    },
    close: async () => {
      server.kill('SIGQUIT')
      await folder.close()
    },
  }
}
