/**
 * Vitest's global set-up: the process that lives as long as the run starts what test files share. It
 * starts nothing by itself; a worker asks over HTTP, see postgres-server.ts.
 *
 * @module
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type PostgresCluster, startPostgres } from './postgres-cluster.ts'
import { POSTGRES_KINDS, type PostgresKind } from './postgres-kinds.ts'
import { SERVICES } from './postgres-server.ts'

export default async function setup(): Promise<() => Promise<void>> {
  const clusters = new Map<PostgresKind, Promise<PostgresCluster>>()
  const start = (kind: PostgresKind): Promise<PostgresCluster> => {
    const known = clusters.get(kind) ?? startPostgres({ kind })
    clusters.set(kind, known)
    return known
  }
  const server = createServer(async (request, response) => {
    const kind = POSTGRES_KINDS.find((name) => request.url === `/postgres/${name}`)
    try {
      if (kind === undefined) throw new Error(`no such service: ${request.url}`)
      response.end(String((await start(kind)).port))
    } catch (error) {
      response.statusCode = 500
      response.end((error as Error).message)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  server.unref()
  // Workers, and the processes that tests start, inherit it.
  process.env[SERVICES] = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return async () => {
    server.closeAllConnections()
    server.close()
    for (const cluster of await Promise.allSettled(clusters.values()))
      if (cluster.status === 'fulfilled') await cluster.value.close()
  }
}
