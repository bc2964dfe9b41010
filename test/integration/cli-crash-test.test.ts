import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { UNGUARDED } from '../mutants/ledger-bank.ts'
import { buildCli, type Cli } from '../support/cli.ts'
import { Mutant, type Sabotage } from '../support/mutant.ts'
import { temporaryFiles } from '../support/sqlite.ts'

const fileOf = temporaryFiles()
let cli: Cli
beforeAll(async () => {
  cli = await buildCli(fileOf('.'))
})

/** However long so many calls take: what is broken shows in them. */
const SMALL = ['--seconds', '4', '--calls', '600', '--processes', '3', '--callers', '6']
/** Where the command puts its journals, and nobody else anything. */
const TMPDIR = fileOf('tmp')
mkdirSync(TMPDIR)
const left = (): string[] => [
  ...readdirSync(TMPDIR),
  ...readdirSync(fileOf('.')).filter((name) => name.includes('.db')),
]

describe('tenantkeys crash-test on SQLite', () => {
  test('T-B3 T-U3 finds all four figures zero, with kills, and leaves nothing behind', async () => {
    const args = ['crash-test', ...SMALL, '-s', 'sqlite:mine.db']
    const { code, doc, stderr } = await cli.json(args, { env: { TMPDIR } })
    expect(stderr).toContain('of 4, ')
    expect(doc).toMatchObject({
      ok: true,
      storage: 'sqlite:mine.db',
      overCapUsd: '0.00',
      eventsLost: 0,
      eventsDoubled: 0,
      drifts: 0,
    })
    const { settled, kills, refused, exported, reserveMs } = doc as Record<string, number>
    for (const figure of [settled, kills, refused, exported]) expect(figure).toBeGreaterThan(0)
    expect(Object.keys(reserveMs as unknown as object)).toEqual(['p50', 'p99'])
    expect(code).toBe(0)
    expect(left()).toEqual([])
  })

  test('Ctrl-C ends it with 130, and everything is taken away all the same', async () => {
    const { code } = await cli.run(['crash-test', '--seconds', '600', '-s', 'sqlite:mine.db'], {
      env: { TMPDIR },
      onStart: (child) => {
        child.stderr?.on('data', (text: string) => {
          if (/ of 600, [1-9]/.test(text)) child.kill('SIGINT')
        })
      },
    })
    expect(code).toBe(130)
    expect(left()).toEqual([])
  })
})

/** Each is a program whose store breaks one promise, and the figure that must show it. */
const SABOTAGES: readonly (readonly [string, Sabotage, string])[] = [
  ['a reserve that no longer asks for room', UNGUARDED, 'overCapUsd'],
  [
    'a settle that forgets the event',
    {
      file: 'budgets/ledger.ts',
      from: `  rows.addEvent({
    id: hold.id,
    kind: 'usage',`,
      to: `  if (hold.id.endsWith('7')) rows.addEvent({
    id: hold.id,
    kind: 'usage',`,
    },
    'eventsLost',
  ],
  [
    'a settle that is acknowledged and not written',
    {
      file: 'adapters/sqlite/connection.ts',
      from: `    client.run('COMMIT')
    return result`,
      // Of workers only: the world that the callers need is there.
      to: `    const seen = globalThis as unknown as { commits?: number }
    if (process.argv[2] === 'crash-test-worker') seen.commits = (seen.commits ?? 0) + 1
    client.run(seen.commits && seen.commits % 20 === 0 ? 'ROLLBACK' : 'COMMIT')
    return result`,
    },
    'eventsLost',
  ],
  [
    'an outbox that does not let go of what was confirmed',
    {
      file: 'adapters/sqlite/outbox.ts',
      from: "'DELETE FROM tk_outbox WHERE id = ? AND lease_id = ?'",
      to: "'UPDATE tk_outbox SET attempts = 1 WHERE id = ? AND lease_id = ?'",
    },
    'eventsDoubled',
  ],
  [
    'a settle that charges one line of the path only',
    {
      file: 'budgets/ledger.ts',
      from: 'changeLine(rows, hold, line, { held, posted: postedOn(line), untilMs: 0 })',
      to: "changeLine(rows, hold, line, { held, posted: line.accountId.includes('leaf') ? postedOn(line) : 0n, untilMs: 0 })",
    },
    'drifts',
  ],
]

describe('a crash test of a store that breaks a promise', () => {
  test.each(SABOTAGES)('fails on %s', async (_, sabotage, figure) => {
    const mutant = new Mutant(sabotage, [
      'kernel',
      'storage',
      'budgets',
      'audit',
      'adapters',
      'cli',
    ])
    try {
      const folder = join(fileOf('.'), `mutant-${figure}-${Math.random().toString(36).slice(2)}`)
      const broken = await buildCli(folder, mutant.path('cli/main.ts'))
      const { code, doc } = await broken.json(['crash-test', ...SMALL, '-s', 'sqlite:a.db'], {
        cwd: folder,
      })
      expect(Number(doc[figure])).toBeGreaterThan(0)
      expect([code, doc.ok]).toEqual([1, false])
    } finally {
      mutant.dispose()
    }
  })
})
