import { expect, test } from 'vitest'
import { periodOf } from '../../src/budgets/windows.ts'
import { WINDOWS } from '../../src/storage/vocabulary.ts'
import { reusedPostgres } from '../support/postgres-reused.ts'
import { POSTGRES_KINDS, skipsPostgres } from '../support/postgres-server.ts'
import { seeded } from '../support/seeded.ts'

const TRIPLES = 10_000
const FROM = Date.UTC(2000, 0, 1)
const UNTIL = Date.UTC(2040, 0, 1)

for (const kind of POSTGRES_KINDS) {
  test.skipIf(skipsPostgres(kind))(
    `T-B17 PostgreSQL (${kind}) finds the periods that windows.ts finds, in every zone that both know`,
    async () => {
      const reused = await reusedPostgres(kind)
      try {
        const known = await reused.database.query('SELECT name FROM pg_timezone_names')
        const there = new Set(known.map((row) => String(row.name)))
        const zones = Intl.supportedValuesOf('timeZone').filter((zone) => there.has(zone))
        expect(zones.length).toBeGreaterThan(300)
        const random = seeded(17)
        const triples = Array.from({ length: TRIPLES }, (_, n) => ({
          n,
          window: WINDOWS[random(WINDOWS.length)]!,
          // Each zone, again and again.
          zone: zones[n % zones.length]!,
          at:
            FROM + random(2 ** 31 - 1) * Math.floor((UNTIL - FROM) / 2 ** 31) + random(86_400_000),
        }))
        const found = await reused.database.query(
          `SELECT p.start_ms, p.end_ms FROM jsonb_to_recordset($1::jsonb)
             AS t ("window" text, zone text, at bigint, n integer),
           LATERAL ${reused.store.schema}.tk_period_v1(t."window", t.zone, t.at) p ORDER BY t.n`,
          [JSON.stringify(triples)],
        )
        const differ = triples.flatMap(({ window, zone, at }, n) => {
          const { startMs, endMs } = periodOf(window, zone, at)
          const row = found[n]!
          const end = row.end_ms === null ? null : Number(row.end_ms)
          return Number(row.start_ms) === startMs && end === endMs
            ? []
            : [
                `${window} ${zone} ${new Date(at).toISOString()}: ${row.start_ms} ${end}, not ${startMs} ${endMs}`,
              ]
        })
        console.log(`${kind}: ${TRIPLES} triples, ${zones.length} zones, ${differ.length} differ`)
        expect(differ).toEqual([])
      } finally {
        await reused.close()
      }
    },
    300_000,
  )
}
