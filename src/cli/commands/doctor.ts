/**
 * `tenantkeys doctor`: asks everything that can tell whether an installation is well, and prints the
 * answers. The judgements are those of the adapter (`inspect`), of `tk.budgets.check` and of the audit
 * chain.
 *
 * @module
 */
import { NO_TENANT, verifyChain } from '../../audit/chain.ts'
import { checkBudgets } from '../../budgets/check.ts'
import { TenantKeysError } from '../../kernel/errors.ts'
import type { Finding, Inspection, Severity } from '../../storage/inspection.ts'
import { okFinding } from '../../storage/leftovers.ts'
import type { AuditRecord } from '../../storage/records.ts'
import type { Storage } from '../../storage/storage.ts'
import { EXIT, type ExitCode } from '../exit.ts'
import type { Output, Style } from '../output.ts'
import type { Store } from '../stores/store.ts'
import { VERSION } from '../version.ts'
import { driftFinding } from './drift-finding.ts'

export interface DoctorOptions {
  /** Mends counters, holds and usage rows, each with an audit row. */
  readonly apply: boolean
  /** Looks at the budgets of this tenant and of those below it only. */
  readonly tenant: string | undefined
  /** Who is named in the audit rows of repairs. */
  readonly actor: string
}

/** Clocks may differ by so much before anyone should care. */
const CLOCK_MS = 2000
const PAGE = 1000

export async function doctor(
  store: Store,
  options: DoctorOptions,
  output: Output,
): Promise<ExitCode> {
  output.progress(`Looking at ${store.shown} ...`)
  const first = await inspect(store)
  const books = isCurrent(first) ? await lookInside(store, first, options, output) : []
  // What a repair has taken away is not reported as waiting.
  const last = options.apply && isCurrent(first) ? await inspect(store) : first
  const findings = [schemaFinding(last), ...clockFindings(last), ...last.findings, ...books]
  const open = findings.filter(({ severity }) => severity === 'error' || severity === 'warning')
  print(store, { ...last, findings }, output)
  output.line()
  output.line(summary(open.length))
  output.document({
    command: 'doctor',
    ok: open.length === 0,
    storage: store.shown,
    server: last.server,
    package: VERSION,
    node: process.version,
    schemaVersion: last.schemaVersion,
    expectedVersion: last.expectedVersion,
    findings,
  })
  return open.length === 0 ? EXIT.ok : EXIT.findings
}

const summary = (open: number): string => {
  if (open === 0) return 'Nothing to do.'
  return open === 1 ? '1 finding needs somebody.' : `${open} findings need somebody.`
}

/** An inspection with what the clock of this machine said about the same moment. */
type Inspected = Inspection & { readonly clockDifferenceMs: number | null }

async function inspect(store: Store): Promise<Inspected> {
  const askedMs = Date.now()
  const inspection = await store.inspect()
  const { nowMs } = inspection
  // Between question and answer: which moment of it the database meant is not known.
  const [earliest, latest] = [askedMs, Date.now()]
  const away = nowMs === null ? null : Math.max(0, earliest - nowMs, nowMs - latest)
  return { ...inspection, clockDifferenceMs: away }
}

const isCurrent = ({ schemaVersion, expectedVersion }: Inspection): boolean =>
  schemaVersion === expectedVersion

function schemaFinding({ schemaVersion, expectedVersion }: Inspection): Finding {
  const subject = 'schema'
  if (schemaVersion === expectedVersion) return okFinding(subject, `version ${schemaVersion}`)
  if (schemaVersion === null || schemaVersion < expectedVersion) {
    const found = schemaVersion === null ? 'there are no tables' : `version ${schemaVersion}`
    const message = `${found}; this package works with version ${expectedVersion}`
    return { subject, severity: 'error', message, hint: 'run tenantkeys migrate' }
  }
  const message = `version ${schemaVersion}; this package works with version ${expectedVersion}`
  return { subject, severity: 'error', message, hint: 'install a later version of tenantkeys' }
}

function clockFindings({ clockDifferenceMs: ms }: Inspected): readonly Finding[] {
  if (ms === null) return []
  const subject = 'clock'
  if (ms <= CLOCK_MS) return [okFinding(subject, `${ms} ms between the database and this machine`)]
  const message = `${ms} ms between the database and this machine`
  const hint = 'the database decides, so nothing is lost; set the clocks'
  return [{ subject, severity: 'warning', message, hint }]
}

async function lookInside(
  store: Store,
  { findings }: Inspection,
  options: DoctorOptions,
  output: Output,
): Promise<readonly Finding[]> {
  const storage = await store.open()
  try {
    output.progress('Comparing counters, holds and usage rows ...')
    const ledger = await ledgerFindings(storage, options)
    output.progress('Reading the audit trail ...')
    return [...ledger, await trailFinding(storage)]
  } catch (error) {
    if (!TenantKeysError.isInstance(error)) throw error
    // Rights that were lost; with nothing found, the server itself is away.
    const isExplained =
      error.code === 'TK_STORE_UNAVAILABLE' && findings.some((f) => f.severity === 'error')
    if (!UNREADABLE.has(error.code) && !isExplained) throw error
    const { code, message, details } = error
    const found = code === 'TK_CONFIG_INVALID' ? details.reason : message
    return [{ subject: 'ledger', severity: 'error', message: `unreadable: ${found}`, hint: null }]
  } finally {
    await storage.close()
  }
}

/** A table that is missing or damaged, a role that the store refuses: findings, no reason to stop. */
const UNREADABLE: ReadonlySet<string> = new Set([
  'TK_STORE_CORRUPT',
  'TK_STORE_NOT_MIGRATED',
  'TK_CONFIG_INVALID',
])

async function ledgerFindings(
  storage: Storage,
  { apply, tenant, actor }: DoctorOptions,
): Promise<readonly Finding[]> {
  const { drifts } = await checkBudgets(storage, { tenantId: tenant, repair: apply, actor })
  if (drifts.length > 0) return drifts.map(driftFinding)
  return [okFinding('ledger', 'counters, holds and usage rows agree')]
}

/** Every chain of the trail, page by page. */
async function trailFinding(storage: Storage): Promise<Finding> {
  const subject = 'audit trail'
  let rows = 0
  for await (const rootId of roots(storage)) {
    let last: AuditRecord | null = null
    let after: string | null = null
    do {
      const page = await storage.audit.list({ rootId, after, limit: PAGE })
      const verdict = verifyChain(page.items, last)
      if (!verdict.ok) {
        const message = `the chain of ${rootId} does not hold from row ${verdict.sequence} on`
        const hint = 'rows were changed or removed by someone; compare with a backup'
        return { subject, severity: 'error', message, hint }
      }
      rows += page.items.length
      last = page.items.at(-1) ?? last
      after = page.next
    } while (after !== null)
  }
  return okFinding(subject, `${rows} rows, every chain holds`)
}

async function* roots(storage: Storage): AsyncGenerator<string> {
  yield NO_TENANT
  let after: string | null = null
  do {
    const page = await storage.tenants.list({ parentId: null, after, limit: PAGE })
    for (const { id, parentId } of page.items) if (parentId === null) yield id
    after = page.next
  } while (after !== null)
}

const STYLES: Readonly<Record<Severity, Style>> = {
  ok: 'green',
  info: 'dim',
  warning: 'yellow',
  error: 'red',
}

function print(
  store: Store,
  { server, schemaVersion, findings }: Inspection,
  output: Output,
): void {
  output.line(output.styled('bold', store.shown))
  const schema = schemaVersion === null ? 'no schema' : `schema ${schemaVersion}`
  output.line(`${server}, ${schema}, tenantkeys ${VERSION}, Node ${process.version}`)
  output.line()
  const width = Math.max(...findings.map(({ subject }) => subject.length))
  for (const { subject, severity, message, hint } of findings) {
    const head = output.styled(STYLES[severity], severity.padEnd(8))
    output.line(`${head} ${subject.padEnd(width)}  ${message}`)
    if (hint !== null) output.line(`${' '.repeat(9 + width)}  ${output.styled('dim', hint)}`)
  }
}
