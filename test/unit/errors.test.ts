import { describe, expect, test } from 'vitest'
import {
  type DenialDetails,
  ERROR_CODES,
  type ErrorCode,
  scrubCause,
  TenantKeysError,
} from '../../src/kernel/errors.ts'
import { type Canaries, leaks } from '../support/canaries.ts'

const TEXT = 'sk-CANARY-0123456789abcdef'
const canaries: Canaries = { text: TEXT }

describe('TenantKeysError', () => {
  test.each(Object.keys(ERROR_CODES) as ErrorCode[])('%s carries what the table says', (code) => {
    const error = new TenantKeysError(code)
    const { retryable, httpStatus, message } = ERROR_CODES[code]
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({
      code,
      retryable,
      httpStatus,
      message,
      outcome: 'none',
      details: {},
    })
    expect(error.name).toBe('TenantKeysError')
    expect(error.stack).toContain(message)
    expect(error.docsUrl).toContain(code.toLowerCase())
    expect(Object.hasOwn(error, 'cause')).toBe(false)
  })

  test('says field, reason and hint in its message, as sentences', () => {
    const details = { field: 'limit.usd', reason: 'it is no amount', hint: 'write 20.00' }
    expect(new TenantKeysError('TK_INPUT_INVALID', details).message).toBe(
      'An argument is not valid. Field: limit.usd. It is no amount. Write 20.00.',
    )
  })

  test('keeps a frozen copy of its details', () => {
    const details = { field: 'a' }
    const error = new TenantKeysError('TK_INPUT_INVALID', details)
    details.field = 'b'
    expect(error.details).toEqual({ field: 'a' })
    expect(Object.isFrozen(error.details)).toBe(true)
  })

  test('as JSON has no stack and no cause, and amounts as text', () => {
    const denial = { limit: 10n, asked: 2n ** 62n } as unknown as DenialDetails
    const error = new TenantKeysError(
      'TK_BUDGET_EXHAUSTED',
      { denial },
      { cause: new Error(TEXT), outcome: 'unknown' },
    )
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      code: 'TK_BUDGET_EXHAUSTED',
      message: 'The budget cannot cover this call.',
      details: { denial: { limit: '10', asked: String(2n ** 62n) } },
      retryable: false,
      outcome: 'unknown',
      docsUrl: error.docsUrl,
    })
  })

  test('is known across copies of the package by its mark, and nothing else is', () => {
    const copy = Object.defineProperty(new Error('x'), Symbol.for('tenantkeys.error'), {
      value: true,
    })
    const refusing = new Proxy(
      {},
      {
        has: () => {
          throw new Error(TEXT)
        },
      },
    )
    expect(TenantKeysError.isInstance(new TenantKeysError('TK_CLOSED'))).toBe(true)
    expect(TenantKeysError.isInstance(copy)).toBe(true)
    for (const other of [
      undefined,
      null,
      'TK_CLOSED',
      7,
      {},
      new Error('x'),
      { code: 'TK_CLOSED' },
      refusing,
    ]) {
      expect(TenantKeysError.isInstance(other)).toBe(false)
    }
  })
})

/** Foreign errors as drivers, SDKs and runtimes make them, each with the secret somewhere. */
const foreign: Readonly<Record<string, unknown>> = {
  'in its message': new Error(TEXT),
  'in its stack': Object.assign(new Error('x'), { stack: TEXT }),
  'in its name': Object.assign(new Error('x'), { name: TEXT }),
  'in its code': Object.assign(new Error('x'), { code: TEXT }),
  'in its errno': Object.assign(new Error('x'), { errno: TEXT }),
  'in its syscall': Object.assign(new Error('x'), { syscall: `connect ${TEXT}` }),
  'in its status': Object.assign(new Error('x'), { status: TEXT }),
  'in its input': Object.assign(new TypeError('Invalid URL'), { input: TEXT }),
  'in the arguments of a command': Object.assign(new Error('x'), { command: { args: [TEXT] } }),
  'in the detail of a driver': Object.assign(new Error('x'), {
    detail: TEXT,
    hint: TEXT,
    where: TEXT,
  }),
  'in headers': Object.assign(new Error('x'), { config: { headers: { authorization: TEXT } } }),
  'in a request': Object.assign(new Error('x'), {
    request: new Request('http://a.example', { headers: { a: TEXT } }),
  }),
  'in its cause': new Error('x', { cause: new Error(TEXT, { cause: { key: TEXT } }) }),
  'in an inner error': new AggregateError([new Error(TEXT)], TEXT),
  'in a name behind an Error': Object.assign(new Error('x'), { name: `${TEXT}Error` }),
  'thrown as text': TEXT,
  'thrown as an object': { message: TEXT, toString: () => TEXT, toJSON: () => TEXT },
  'thrown as bytes': new TextEncoder().encode(TEXT),
  'thrown as a function': () => TEXT,
  'in a class of its own': new (class extends Error {
    readonly key = TEXT
    get [Symbol.toStringTag]() {
      return TEXT
    }
  })('x'),
  'from every getter': new Proxy(new Error('x'), {
    get: () => {
      throw new Error(TEXT)
    },
  }),
  'from every property': new Proxy(new Error('x'), { get: () => TEXT }),
}

describe('T-L3 scrubCause', () => {
  test.each(Object.entries(foreign))('leaves behind a secret %s', (_, error) => {
    const clean = scrubCause(error)
    expect(clean).toBeInstanceOf(Error)
    expect(leaks(clean, canaries)).toEqual([])
    expect(leaks(new TenantKeysError('TK_INTERNAL', {}, { cause: error }), canaries)).toEqual([])
  })

  test.each([
    ['a base64 key', 'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo5OTk5OTk'],
    ['a key of capitals and digits', 'AKIAIOSFODNN7EXAMPLE'],
    ['a key in base32', 'JBSWY3DPEHPK3PXP'],
    ['a key of lower-case letters and digits', 'tklive0123456789abcdef'],
    ['a long word', 'correcthorsebatterystaple'],
    ['hex digits', 'DEADBEEF0123456789ABCDEF'],
    ['a platform key', 'tk_live_0123456789ABCDEF_secret'],
  ])('takes no %s for a code, a name or a call', (_, secret) => {
    const error = Object.assign(new Error('x'), {
      name: secret,
      code: secret,
      errno: secret,
      syscall: secret,
      status: secret,
    })
    expect(leaks(scrubCause(error), { secret })).toEqual([])
  })

  test('keeps what tells failures apart', () => {
    const kept: readonly object[] = [
      { name: 'Error', code: 'ECONNRESET', errno: -104, syscall: 'read' },
      { name: 'SqliteError', code: 'SQLITE_CONSTRAINT_PRIMARYKEY' },
      { name: 'ConnectTimeoutError', code: 'UND_ERR_CONNECT_TIMEOUT' },
      { name: 'TypeError', code: 'ERR_HTTP2_STREAM_ERROR' },
      { name: 'TypeError', code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' },
      { name: 'AuthenticationError', code: 'invalid_api_key', status: 401 },
      { name: 'DOMException', code: 20 },
      { name: 'ThrottlingException' },
    ]
    for (const fields of kept) {
      expect(scrubCause(Object.assign(new Error('x'), fields))).toMatchObject(fields)
    }
  })

  test('keeps the chain of causes, three deep, and ends where it is a circle', () => {
    const circle = Object.assign(new Error('x'), { code: 'ECIRCLE' })
    circle.cause = circle
    const codes: unknown[] = []
    for (let at: unknown = scrubCause(circle); at instanceof Error; at = at.cause) {
      codes.push((at as { code?: unknown }).code)
    }
    expect(codes).toEqual(['ECIRCLE', 'ECIRCLE', 'ECIRCLE', 'ECIRCLE'])
  })

  test('hands on an error of ours as it is', () => {
    const ours = new TenantKeysError('TK_STORE_BUSY')
    expect(scrubCause(ours)).toBe(ours)
    expect(new TenantKeysError('TK_INTERNAL', {}, { cause: ours }).cause).toBe(ours)
  })

  test('its patterns take no time on hostile texts', () => {
    const long = `${'A'.repeat(50_000)}!`
    const words = `${'A_'.repeat(25_000)}!`
    for (const text of [long, words, long.toLowerCase(), words.toLowerCase()]) {
      const error = Object.assign(new Error('x'), { name: text, code: text, syscall: text })
      expect(scrubCause(error)).not.toHaveProperty('code')
    }
  })
})
