/**
 * The services that tests use, for work by hand: `npm run services` starts what this machine has, says
 * what it lacks, and runs until Ctrl-C. Nothing outlives it.
 *
 * @module
 */
import { pgBouncerPath, skipsPgBouncer, startPgBouncer } from './pgbouncer.ts'
import { type PostgresCluster, startPostgres } from './postgres-cluster.ts'
import { binariesOf, POSTGRES_KINDS, skipsPostgres } from './postgres-kinds.ts'

const clusters: PostgresCluster[] = []
const ends: (() => Promise<void>)[] = []

for (const kind of POSTGRES_KINDS) {
  if (binariesOf(kind) === null) {
    skipsPostgres(kind)
    continue
  }
  const cluster = await startPostgres({ kind })
  clusters.push(cluster)
  ends.unshift(cluster.close)
  const [row] = await cluster.query('SHOW server_version')
  console.log(`PostgreSQL ${row?.server_version}: ${cluster.url('postgres')}`)
}
if (pgBouncerPath() === null) skipsPgBouncer()
else if (clusters[0] !== undefined) {
  const bouncer = await startPgBouncer(clusters[0])
  ends.unshift(bouncer.close)
  console.log(`PgBouncer before the first: ${bouncer.url('postgres')}`)
}
const awake = setInterval(() => {}, 60_000)
await new Promise<void>((resolve) => {
  process.once('SIGINT', resolve).once('SIGTERM', resolve)
})
clearInterval(awake)
for (const end of ends) await end()
