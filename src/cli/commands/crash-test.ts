/**
 * `tenantkeys crash-test`: the proof of the ledger against the user's own database.
 *
 * @module
 */
import { formatUsd } from '../../budgets/money.ts'
import {
  type CrashTestResult,
  type CrashTestSettings,
  type Percentiles,
  runCrashTest,
} from '../crash-test/run.ts'
import { EXIT, type ExitCode } from '../exit.ts'
import type { Output } from '../output.ts'
import type { Store } from '../stores/store.ts'
import { driftFinding } from './drift-finding.ts'

export async function crashTest(
  store: Store,
  settings: CrashTestSettings,
  output: Output,
): Promise<ExitCode> {
  const interrupt = new AbortController()
  const stop = (): void => interrupt.abort()
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  try {
    const { progress, tick } = output
    const { signal } = interrupt
    const result = await runCrashTest(store, settings, { signal, progress, tick })
    const passed = isClean(result)
    print(store, settings, result, output)
    output.line()
    output.line(passed ? output.styled('green', 'PASSED') : output.styled('red', 'FAILED'))
    if (passed && result.settled < FEW)
      output.line('With so few calls that says little: use --seconds or --calls.')
    output.document(documentOf(store, settings, result))
    return passed ? EXIT.ok : EXIT.findings
  } catch (error) {
    // Something that went wrong meanwhile is told: what was made may still be there.
    if (!interrupt.signal.aborted || !isAbort(error)) throw error
    output.progress('Interrupted; everything was taken away again.')
    return EXIT.interrupted
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
}

const isAbort = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError'

/** Calls below which a pass is no news. */
const FEW = 1000

/** Of what disagrees, so many are shown. */
const SHOWN = 10

const isClean = (r: CrashTestResult): boolean =>
  r.overCapNanoUsd === 0n && r.eventsLost === 0 && r.eventsDoubled === 0 && r.drifts.length === 0

function documentOf(store: Store, settings: CrashTestSettings, result: CrashTestResult): object {
  const { server, overCapNanoUsd, drifts, ...figures } = result
  return {
    command: 'crash-test',
    ok: isClean(result),
    storage: store.shown,
    server,
    ...settings,
    overCapUsd: formatUsd(overCapNanoUsd),
    ...figures,
    drifts: drifts.length,
    disagreements: drifts.slice(0, SHOWN).map((drift) => driftFinding(drift).message),
  }
}

function print(
  store: Store,
  { seconds, processes, callers }: CrashTestSettings,
  r: CrashTestResult,
  output: Output,
): void {
  const row = (name: string, value: string): void => output.line(`${name.padEnd(22)}${value}`)
  const mustBeZero = (name: string, value: string): void => {
    const isZero = Number(value) === 0
    row(name, output.styled(isZero ? 'green' : 'red', isZero ? '0' : value))
  }
  output.line(output.styled('bold', `${store.shown} (${r.server})`))
  output.line(
    `${processes} processes x ${callers} callers, ${seconds} s, ${r.kills} kills (SIGKILL)`,
  )
  output.line()
  mustBeZero('dollars over cap', formatUsd(r.overCapNanoUsd))
  mustBeZero('events lost', String(r.eventsLost))
  mustBeZero('events doubled', String(r.eventsDoubled))
  mustBeZero('books that disagree', String(r.drifts.length))
  for (const drift of r.drifts.slice(0, SHOWN)) output.line(`  ${driftFinding(drift).message}`)
  if (r.drifts.length > SHOWN) output.line(`  and ${r.drifts.length - SHOWN} more`)
  output.line()
  row('calls settled', `${r.settled}, ${r.lateSettles} of them late`)
  row('calls voided', String(r.voided))
  row('calls refused', String(r.refused))
  row('holds of the killed', `${r.expiredHolds} expired`)
  row('events exported', `${r.exported}, ${r.redelivered} handed out again after a kill`)
  row('asked again', `${r.retried} times, because the store gave no answer`)
  row('reserve', times(r.reserveMs))
  row('settle', times(r.settleMs))
}

const times = ({ p50, p99 }: Percentiles): string =>
  `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`
