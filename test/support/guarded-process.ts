/**
 * Services that tests start: they end with the process that started them, however it ends.
 *
 * Beside each service stands a shell that reads from a pipe. When our process is gone, by `kill -9` too,
 * the pipe closes, and the shell ends the service and removes its folder.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Reads the id of the process to end, line by line; the last one counts. */
const WATCH = `
trap '' HUP INT TERM
service=
while read -r line; do service=$line; done
if [ -n "$service" ]; then
  kill -QUIT "$service"
  for _ in $(seq 100); do kill -0 "$service" || break; sleep 0.3; done
  kill -KILL "$service"
fi
rm -rf "$1"`

/** The user a service runs as; undefined: ours. */
export interface RunAs {
  readonly uid: number
  readonly gid: number
}

export interface GuardedFolder {
  readonly path: string
  /** Starts a program whose working folder this is; what it says is added to `log` in it. */
  run(program: string, args: readonly string[], as: RunAs | undefined): ChildProcess
  /** Ends the watch, which removes the folder; nothing may be running in it. */
  close(): Promise<void>
}

/** A new temporary folder for one service at a time. */
export function guardedFolder(name: string): GuardedFolder {
  const path = mkdtempSync(join(tmpdir(), `tenantkeys-${name}-`))
  const watcher = spawn('sh', ['-c', WATCH, 'sh', path], {
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
    detached: true,
  })
  watcher.unref()
  const pipe = watcher.stdin as Socket
  pipe.unref()
  const gone = new Promise<void>((resolve) => watcher.once('exit', () => resolve()))
  return {
    path,
    run(program, args, as) {
      const log = openSync(join(path, 'log'), 'a')
      // In a session of its own: Ctrl-C in a terminal is for the tests, which then end the service.
      const stdio: ['ignore', number, number] = ['ignore', log, log]
      const service = spawn(program, args, { cwd: path, stdio, detached: true, ...as })
      closeSync(log)
      service.unref()
      pipe.write(`${service.pid ?? ''}\n`)
      service.once('exit', () => pipe.write('\n'))
      service.once('error', () => {})
      return service
    },
    async close() {
      watcher.ref()
      pipe.end()
      await gone
    },
  }
}

/** A port of 127.0.0.1 that is free now, below those that the system gives to outgoing connections. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 17_000)
    const free = await new Promise<boolean>((resolve) => {
      const probe = createServer()
      probe.once('error', () => resolve(false))
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
    })
    if (free) return port
  }
}
