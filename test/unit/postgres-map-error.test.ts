import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { isRetry, mapError, type Sent } from '../../src/adapters/postgres/map-error.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'

const CANARY = 'canary-7f3a'

/** What pg, postgres.js and PGlite throw: the server's answer as properties of an Error. */
const answered = (code: string, over: object = {}): Error =>
  Object.assign(new Error(`duplicate key (${CANARY})`), {
    code,
    detail: `Key (name)=(${CANARY}) already exists.`,
    hint: CANARY,
    where: CANARY,
    internalQuery: CANARY,
    query: `INSERT INTO x VALUES ('${CANARY}')`,
    parameters: [CANARY],
    ...over,
  })

const broken = (code: string | undefined, text = 'gone'): Error =>
  Object.assign(new Error(text), { code })

describe('errors of PostgreSQL', () => {
  it.each([
    ['23505', 'TK_STORE_CONFLICT'],
    ['23503', 'TK_STORE_CONFLICT'],
    ['23514', 'TK_INPUT_INVALID'],
    ['22P02', 'TK_INPUT_INVALID'],
    ['22P05', 'TK_INPUT_INVALID'],
    ['22003', 'TK_INPUT_INVALID'],
    ['40001', 'TK_STORE_BUSY'],
    ['40P01', 'TK_STORE_BUSY'],
    ['55P03', 'TK_STORE_BUSY'],
    ['57014', 'TK_STORE_BUSY'],
    ['TKTRY', 'TK_STORE_BUSY'],
    ['42P01', 'TK_STORE_NOT_MIGRATED'],
    ['42883', 'TK_STORE_NOT_MIGRATED'],
    ['3F000', 'TK_STORE_NOT_MIGRATED'],
    ['42501', 'TK_STORE_UNAVAILABLE'],
    ['25006', 'TK_STORE_UNAVAILABLE'],
    ['0A000', 'TK_STORE_UNAVAILABLE'],
    ['28000', 'TK_STORE_UNAVAILABLE'],
    ['3D000', 'TK_STORE_UNAVAILABLE'],
    ['53100', 'TK_STORE_UNAVAILABLE'],
    ['53300', 'TK_STORE_UNAVAILABLE'],
    ['57P03', 'TK_STORE_UNAVAILABLE'],
    ['XX001', 'TK_STORE_CORRUPT'],
    ['42601', 'TK_INTERNAL'],
  ] as const)('SQLSTATE %s is %s, and what the server refused was not written', (state, code) => {
    expect(mapError(answered(state), 'write')).toMatchObject({ code, outcome: 'none' })
  })

  it.each<[string, Error, Sent, string]>([
    ['a reset connection', broken('ECONNRESET'), 'write', 'unknown'],
    ['a reset connection', broken('ECONNRESET'), 'commit', 'unknown'],
    ['a reset connection', broken('ECONNRESET'), 'read', 'none'],
    ['an end without a word', broken(undefined, 'Connection terminated'), 'write', 'unknown'],
    ['a client that lost patience', broken(undefined, 'Query read timeout'), 'write', 'unknown'],
    ['a server that is shut down', answered('57P01'), 'write', 'unknown'],
    ['a server that has crashed', answered('57P02'), 'commit', 'unknown'],
    ['a protocol violation', answered('08P01'), 'write', 'unknown'],
    ['a refused connection', broken('ECONNREFUSED'), 'write', 'none'],
    ['an unknown host', broken('ENOTFOUND'), 'write', 'none'],
    ['postgres.js without a connection', broken('CONNECT_TIMEOUT'), 'write', 'none'],
    [
      'a pool without a free connection',
      broken(undefined, 'timeout exceeded when trying to connect'),
      'write',
      'none',
    ],
    [
      'a pool that was ended',
      broken(undefined, 'Cannot use a pool after calling end on the pool'),
      'write',
      'none',
    ],
    ['a PGlite that was closed', broken(undefined, 'PGlite is closed'), 'write', 'none'],
  ])('%s: TK_STORE_UNAVAILABLE, outcome of a %3$s: %4$s', (_, error, sent, outcome) => {
    expect(mapError(error, sent)).toMatchObject({ code: 'TK_STORE_UNAVAILABLE', outcome })
  })

  it('a COMMIT that the server answered with a conflict has not happened', () => {
    expect(mapError(answered('40001'), 'commit')).toMatchObject({ outcome: 'none' })
  })

  it('an error code that our own function raised is believed only if it is one of ours', () => {
    const raised = (message: string, detail?: string): Error =>
      Object.assign(new Error(message), { code: 'TKERR', detail })
    expect(mapError(raised('TK_STORE_CONFLICT'), 'write').code).toBe('TK_STORE_CONFLICT')
    const refused = mapError(raised('TK_CONFIG_INVALID', 'clock'), 'write')
    expect(refused).toMatchObject({ code: 'TK_CONFIG_INVALID', details: { field: 'clock' } })
    expect(mapError(raised('toString', CANARY), 'write')).toMatchObject({
      code: 'TK_INTERNAL',
      details: {},
    })
  })

  it('the SQLSTATE is found when a query builder has wrapped the error', () => {
    const wrapped = new Error('Failed query', { cause: answered('23505') })
    expect(mapError(wrapped, 'write').code).toBe('TK_STORE_CONFLICT')
    expect(isRetry(new Error('Failed query', { cause: answered('40P01') }))).toBe(true)
  })

  it('five letters of an operating system are no SQLSTATE', () => {
    expect(mapError(broken('EPIPE'), 'write')).toMatchObject({
      code: 'TK_STORE_UNAVAILABLE',
      outcome: 'unknown',
    })
  })

  it('ST-12 no text of the server or the client survives, in any form', () => {
    for (const error of [answered('23505'), answered('XX000'), broken('ECONNRESET', CANARY)]) {
      const mapped = mapError(error, 'write')
      const cause = mapped.cause as Error
      const forms = [
        inspect(mapped, { depth: 20, showHidden: true }),
        JSON.stringify(mapped),
        `${mapped.stack} ${cause.message} ${cause.stack}`,
      ]
      expect(forms.join('\n')).not.toContain(CANARY)
    }
  })

  it('only what the server has rolled back is tried again', () => {
    expect(['40001', '40P01', 'TKTRY'].map((code) => isRetry(answered(code)))).toEqual([
      true,
      true,
      true,
    ])
    for (const error of [answered('57P01'), answered('55P03'), broken('ECONNRESET'), null, 'x']) {
      expect(isRetry(error)).toBe(false)
    }
  })

  it('an error of ours passes as it is', () => {
    const ours = new TenantKeysError('TK_KEY_REVOKED')
    expect(mapError(ours, 'write')).toBe(ours)
  })
})
