/**
 * The commands and their options, as commander reads them.
 *
 * @module
 */
import { Command, InvalidArgumentError } from 'commander'
import { crashTest } from './commands/crash-test.ts'
import { doctor } from './commands/doctor.ts'
import { migrate } from './commands/migrate.ts'
import type { CrashTestSettings } from './crash-test/run.ts'
import { type ExitCode, explain } from './exit.ts'
import { createOutput, type Output } from './output.ts'
import { STORAGE_VARIABLE } from './storage-url.ts'
import { type StoreOptions, storeOf } from './stores/index.ts'
import type { Store } from './stores/store.ts'
import { VERSION } from './version.ts'

type CommonOptions = StoreOptions & { readonly json?: boolean }

const STORAGE_HELP = `Where the database is: sqlite:PATH, postgres://HOST/DATABASE, env:NAME (a variable that holds it), @FILE, or - (standard input). Default: ${STORAGE_VARIABLE} of the environment. A password is refused here: use one of the other forms, or PGPASSWORD.`

const ADMIN_HELP = `A role that may create roles and schemas, in the forms of --storage; for migrate and crash-test. Default: the role of --storage.`

const MEMBER_HELP = `A login role of your program that becomes a member of the app role; more than once for several. Default: with --admin the role of --storage.`

const CONNECTIONS_HELP =
  'How many all your processes may open together; compared with what the server allows.'

const EXIT_HELP = 'Exit code: 0 in order, 1 somebody has to act, 2 could not run.'

/** @param onExit - told the exit code of the command that ran. */
export function buildProgram(onExit: (code: ExitCode) => void): Command {
  const run = async (
    name: string,
    options: CommonOptions,
    command: (store: Store, output: Output) => Promise<ExitCode>,
  ): Promise<void> => {
    const output = createOutput({ json: options.json ?? false })
    try {
      onExit(await command(storeOf(options), output))
    } catch (error) {
      output.document({ command: name, ok: false, error: explain(error) })
      throw error
    } finally {
      output.done()
    }
  }
  const program = new Command('tenantkeys')
    .description('Look after the database of tenantkeys.')
    .version(VERSION, '-V, --version')
    .exitOverride()
    .showHelpAfterError('(tenantkeys --help tells more)')
    .allowExcessArguments(false)

  const command = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option('-s, --storage <url>', STORAGE_HELP)
      .option('--json', 'one JSON document on standard output, progress on standard error')
      .allowExcessArguments(false)
      .optionsGroup('PostgreSQL:')
      .option('--schema <name>', 'where the tables are (default: tenantkeys)')
      .option('--prefix <text>', 'put before the name of every table and function')
      .option('--single-role', 'one role for everything; no policy stands between tenants')
      .option('--owner-role <name>', 'who owns the tables (default: tk_owner)')
      .option('--app-role <name>', 'what your login role is a member of (default: tk_app)')
      .option('--admin <url>', ADMIN_HELP)

  command('migrate', 'Make or update the tables.')
    .option('--member <role>', MEMBER_HELP, collect)
    .optionsGroup('Options:')
    .option(
      '--status',
      'only say which version is there; exit code 1 when it is not the current one',
    )
    .option('--sql', 'print the SQL instead; nothing is connected to')
    .option('--out <folder>', 'with --sql: write it to files, one for each version')
    .action((options: CommonOptions & { status?: boolean; sql?: boolean; out?: string }) =>
      run('migrate', options, (store, output) =>
        migrate(
          store,
          { sql: options.sql ?? false, status: options.status ?? false, out: options.out },
          output,
        ),
      ),
    )
    .addHelpText(
      'after',
      `
Examples:
  tenantkeys migrate --storage sqlite:tenantkeys.db
  tenantkeys migrate --storage env:DATABASE_URL --status
  tenantkeys migrate --storage postgres: --sql --out migrations

${EXIT_HELP}`,
    )

  command('doctor', 'Check everything that can be checked while it runs.')
    .option('--connections <n>', CONNECTIONS_HELP, whole(1, 1_000_000))
    .optionsGroup('Options:')
    .option('--tenant <id>', 'look at the budgets of this tenant and of those below it only')
    .option('--apply', 'mend counters, holds and usage rows; each mend is an audit row')
    .option('--actor <name>', 'who is named in those audit rows', 'tenantkeys doctor')
    .action((options: CommonOptions & { tenant?: string; apply?: boolean; actor: string }) =>
      run('doctor', options, (store, output) =>
        doctor(
          store,
          { apply: options.apply ?? false, tenant: options.tenant, actor: options.actor },
          output,
        ),
      ),
    )
    .addHelpText(
      'after',
      `
It reads every usage row: a task for a quiet hour.

Examples:
  tenantkeys doctor --storage sqlite:tenantkeys.db
  tenantkeys doctor --storage env:DATABASE_URL --json
  tenantkeys doctor --storage env:DATABASE_URL --apply --actor ops@example.com

${EXIT_HELP}`,
    )

  command('crash-test', 'Prove on your own database that no dollar and no event goes astray.')
    .optionsGroup('Options:')
    .option('--seconds <n>', 'how long calls are made', whole(1, 3600), 20)
    .option('--processes <n>', 'worker processes', whole(1, 64), 4)
    .option('--callers <n>', 'callers in each of them', whole(1, 1000), 16)
    .option(
      '--calls <n>',
      'at least so many settled calls, however long it takes',
      whole(1, 100_000),
      1,
    )
    .action((options: CommonOptions & CrashTestSettings) => {
      const { seconds, calls, processes, callers } = options
      return run('crash-test', options, (store, output) =>
        crashTest(store, { seconds, calls, processes, callers }, output),
      )
    })
    .addHelpText(
      'after',
      `
Several processes reserve, extend, void and settle on paths of four budgets and export
the events, while one after the other is killed with SIGKILL. Then the books are compared
with what the processes were told. It works in a scratch place beside your tables, which is
taken away in the end, also after Ctrl-C; your own tables are not touched.

Examples:
  tenantkeys crash-test --storage sqlite:tenantkeys.db
  tenantkeys crash-test --storage env:DATABASE_URL --seconds 60 --processes 4 --callers 64

Exit code: 0 when dollars over cap, events lost, events doubled and books that disagree are
all 0; 1 when one is not; 2 could not run; 130 interrupted.`,
    )
  return program
}

const collect = (one: string, before: readonly string[] = []): string[] => [...before, one]

/** A whole number; anything else is refused with the bounds. */
function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`A whole number from ${min} to ${max} is needed.`)
  }
}
