/**
 * Looks at a SQLite file from outside: is it whole, are our tables and indexes there, does anything
 * wait that nobody takes away. Reads the whole file and changes nothing.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { MIN_HOLD_AGE_MS } from '../../budgets/prune.ts'
import { systemWallClock } from '../../kernel/clock.ts'
import { TenantKeysError } from '../../kernel/errors.ts'
import type { Finding, Inspection } from '../../storage/inspection.ts'
import {
  type Leftovers,
  leftoverFindings,
  okFinding,
  SWEEP_GRACE_MS,
} from '../../storage/leftovers.ts'
import { SqliteClient } from './client.ts'
import { openFile } from './connection.ts'
import { SqliteRowReader } from './decode.ts'
import { mapError } from './map-error.ts'
import { SCHEMA_NAMES, SCHEMA_VERSION } from './schema.ts'

const BLOCK_MS = 20
/** A stored time may be ahead of this machine's by so much before anyone should care. */
const CLOCK_MS = 2000

const LEFTOVERS = `SELECT
  (SELECT count(*) FROM tk_holds WHERE state = 'held' AND expires_at_ms < ?) AS due,
  (SELECT count(*) FROM tk_holds WHERE state <> 'held' AND expires_at_ms < ?) AS finished,
  (SELECT count(*) FROM tk_outbox) AS events,
  (SELECT coalesce(min(at_ms), 0) FROM tk_outbox) AS oldest,
  (SELECT coalesce(max(attempts), 0) FROM tk_outbox) AS attempts`

/**
 * The file has to be there; it is not made.
 * @throws TenantKeysError TK_STORE_UNAVAILABLE when there is no such file, TK_STORE_CORRUPT when it is
 *   no database, TK_STORE_BUSY, TK_STORE_DRIVER_MISSING.
 */
export async function inspectSqlite({ file }: { readonly file: string }): Promise<Inspection> {
  if (!existsSync(file)) {
    throw new TenantKeysError('TK_STORE_UNAVAILABLE', { reason: 'there is no such file' })
  }
  const client = new SqliteClient(await openFile(file))
  try {
    client.exec(`PRAGMA busy_timeout = ${BLOCK_MS}`)
    return inspect(client)
  } catch (error) {
    throw mapError(error)
  } finally {
    client.close()
  }
}

function inspect(client: SqliteClient): Inspection {
  const names = new Set(client.all('SELECT name FROM sqlite_schema').map(({ name }) => name))
  const schemaVersion = names.has('tk_meta')
    ? Number(client.get('SELECT schema_version FROM tk_meta')?.schema_version)
    : null
  const isOurs = schemaVersion === SCHEMA_VERSION
  const missing = SCHEMA_NAMES.filter((name) => !names.has(name))
  return {
    server: `SQLite ${String(client.get('SELECT sqlite_version() AS version')?.version)}`,
    schemaVersion,
    expectedVersion: SCHEMA_VERSION,
    nowMs: null,
    findings: [
      integrity(client),
      ...(isOurs ? [completeness(missing)] : []),
      ...(isOurs && missing.length === 0
        ? [journal(client), clock(client), ...leftoverFindings(leftovers(client))]
        : []),
    ],
  }
}

function integrity(client: SqliteClient): Finding {
  const subject = 'integrity'
  const [first] = client.all('PRAGMA quick_check(1)')
  const orphans = client.all('PRAGMA foreign_key_check').length
  if (first && Object.values(first)[0] !== 'ok') {
    const hint = 'restore a backup, or save what can be read with the .recover command of sqlite3'
    return { subject, severity: 'error', message: 'the file is damaged', hint }
  }
  if (orphans > 0) {
    const message = `${orphans} rows refer to rows that are not there`
    return { subject, severity: 'error', message, hint: 'find out who wrote to these tables' }
  }
  return okFinding(subject, 'pages and references are whole')
}

function completeness(missing: readonly string[]): Finding {
  const subject = 'tables and indexes'
  if (missing.length === 0) return okFinding(subject, `all ${SCHEMA_NAMES.length} are there`)
  return {
    subject,
    severity: 'error',
    message: `missing: ${missing.join(', ')}`,
    hint: 'create them again with the statements of tenantkeys migrate --sql',
  }
}

function journal(client: SqliteClient): Finding {
  const mode = String(client.get('PRAGMA journal_mode')?.journal_mode)
  const message = `journal mode ${mode}`
  if (mode === 'wal') return okFinding('journal', message)
  // The store sets it at its next start; until then readers block writers.
  return { subject: 'journal', severity: 'info', message: `${message}, not wal`, hint: null }
}

/** Time never goes back in a store: one that has seen a later time stands still until it is reached. */
function clock(client: SqliteClient): Finding {
  const aheadMs = int(client, 'SELECT clock_ms AS n FROM tk_meta') - systemWallClock.nowMs()
  if (aheadMs <= CLOCK_MS) return okFinding('clock', 'the store has seen no later time than now')
  return {
    subject: 'clock',
    severity: 'error',
    message: `the store has seen a time ${Math.round(aheadMs / 1000)} s later than this machine's; until then holds do not expire and periods do not end`,
    hint: 'set the clock of this machine, and find out which process had the wrong one',
  }
}

function leftovers(client: SqliteClient): Leftovers {
  const nowMs = systemWallClock.nowMs()
  const row = new SqliteRowReader(
    'leftovers',
    client.get(LEFTOVERS, nowMs - SWEEP_GRACE_MS, nowMs - MIN_HOLD_AGE_MS) ?? {},
  )
  return {
    nowMs,
    dueHolds: row.int('due'),
    finishedHolds: row.int('finished'),
    events: row.int('events'),
    oldestEventMs: row.int('oldest'),
    attempts: row.int('attempts'),
  }
}

const int = (client: SqliteClient, sql: string, ...params: readonly number[]): number =>
  new SqliteRowReader('sqlite', client.get(sql, ...params) ?? {}).int('n')
