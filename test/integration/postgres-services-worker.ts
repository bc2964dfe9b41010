/**
 * The child process of postgres-services.test.ts: starts servers and is killed.
 *
 * @module
 */
import { startPgBouncer } from '../support/pgbouncer.ts'
import { startPostgres } from '../support/postgres-cluster.ts'
import type { PostgresKind } from '../support/postgres-kinds.ts'

const cluster = await startPostgres({ kind: process.argv[2] as PostgresKind })
const bouncer = await startPgBouncer(cluster)
process.send?.([cluster.port, bouncer.port])
setInterval(() => {}, 1000)
