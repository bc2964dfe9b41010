/**
 * `tenantkeys migrate`: makes the tables, or prints the SQL, or says which version is there.
 *
 * @module
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { MigrationFile } from '../../storage/inspection.ts'
import { EXIT, type ExitCode, UsageError } from '../exit.ts'
import type { Output } from '../output.ts'
import type { Store } from '../stores/store.ts'

export interface MigrateOptions {
  /** Prints the SQL, or with `out` writes it; connects to nothing. */
  readonly sql: boolean
  readonly out: string | undefined
  /** Only says which version is there. */
  readonly status: boolean
}

export async function migrate(
  store: Store,
  options: MigrateOptions,
  output: Output,
): Promise<ExitCode> {
  if (options.out !== undefined && !options.sql) throw new UsageError('--out goes with --sql.')
  if (options.sql && options.status) throw new UsageError('Use either --sql or --status.')
  if (options.sql) return printSql(store.migrations(), options.out, output)
  return options.status ? status(store, output) : apply(store, output)
}

function printSql(
  migrations: readonly MigrationFile[],
  out: string | undefined,
  output: Output,
): ExitCode {
  if (out !== undefined) {
    mkdirSync(out, { recursive: true })
    for (const migration of migrations) {
      const path = join(out, migration.name)
      writeNew(path, migration.sql)
      output.line(path)
    }
  } else {
    for (const migration of migrations) {
      output.line(`-- ${migration.name}`)
      output.line(migration.sql.trimEnd())
    }
  }
  output.document({ command: 'migrate', ok: true, files: migrations })
  return EXIT.ok
}

/** Files of migrations are kept under version control, perhaps edited: none is written over. */
function writeNew(path: string, text: string): void {
  try {
    writeFileSync(path, text, { flag: 'wx' })
  } catch (error) {
    const isThere = (error as { code?: unknown }).code === 'EEXIST'
    if (isThere && readFileSync(path, 'utf8') === text) return
    throw new UsageError(
      isThere
        ? `${path} is there already with another text and was left as it is.`
        : `${path} cannot be written.`,
    )
  }
}

async function status(store: Store, output: Output): Promise<ExitCode> {
  const { server, schemaVersion, expectedVersion } = await store.inspect()
  const current = schemaVersion === expectedVersion
  output.line(`${store.shown} (${server})`)
  output.line(
    schemaVersion === null
      ? `No tables yet; this package works with version ${expectedVersion}.`
      : `Version ${schemaVersion} of the schema; this package works with version ${expectedVersion}.`,
  )
  if (!current) output.line('Run tenantkeys migrate.')
  output.document({
    command: 'migrate',
    storage: store.shown,
    server,
    schemaVersion,
    expectedVersion,
    current,
  })
  return current ? EXIT.ok : EXIT.findings
}

async function apply(store: Store, output: Output): Promise<ExitCode> {
  output.progress(`Migrating ${store.shown} ...`)
  await store.migrate()
  const { server, schemaVersion } = await store.inspect()
  output.line(`${store.shown} (${server})`)
  output.line(`Version ${schemaVersion} of the schema is there.`)
  output.document({
    command: 'migrate',
    storage: store.shown,
    server,
    schemaVersion,
    current: true,
  })
  return EXIT.ok
}
