/**
 * Bad values, and rows that try them on one field of a method.
 *
 * @module
 */
import type { TenantKeys } from '../../../src/tenant-keys.ts'
import { type Bench, CANARY, type Row } from './row.ts'

export type Call = (tk: TenantKeys, value: unknown, bench: Bench) => unknown

/** Rows of one method that differ in one value. */
export function rows(
  method: string,
  field: string,
  values: Readonly<Record<string, unknown>>,
  call: Call,
): Row[] {
  return Object.entries(values).map(([what, value]) => ({
    method,
    what: `${field}: ${what}`,
    run: (bench) => call(bench.tk, value, bench),
    code: 'TK_INPUT_INVALID',
    field,
  }))
}

export const row = (
  method: string,
  what: string,
  field: string,
  run: Row['run'],
  code: Row['code'] = 'TK_INPUT_INVALID',
): Row => ({
  method,
  what,
  run,
  code,
  field,
})

/** T-I6: what no id may be. */
export const BAD_IDS: Readonly<Record<string, unknown>> = {
  missing: undefined,
  null: null,
  empty: '',
  'a number': 7,
  'an object': { toString: () => CANARY },
  'an array': [CANARY],
  'a blank inside': `a ${CANARY}`,
  'a blank in front': ` ${CANARY}`,
  'a line break behind': `${CANARY}\n`,
  NUL: `${CANARY}\0`,
  'a slash': `a/${CANARY}`,
  'a path upwards': `../${CANARY}`,
  'an escape': `%2e%2e${CANARY}`,
  dots: '..',
  'a letter of another script': `\u0430${CANARY}`,
  'a composed letter': `e\u0301${CANARY}`,
  'a mark that turns the direction': `\u202e${CANARY}`,
  'half a surrogate pair': `\ud800${CANARY}`,
  'braces of a Redis key': `{${CANARY}}`,
  'a quote of SQL': `'; DROP TABLE tk_tenants; --${CANARY}`,
  '65 letters': CANARY.padEnd(65, 'x'),
  '64 kB': CANARY.padEnd(65_536, 'x'),
}

export const SOME_BAD_IDS = Object.fromEntries(
  ['missing', 'null', 'a number', 'a path upwards', 'NUL', '65 letters'].map((name) => [
    name,
    BAD_IDS[name],
  ]),
)

export const NO_OBJECTS: Readonly<Record<string, unknown>> = {
  null: null,
  'a text': CANARY,
  'a number': 1,
  'an array': [],
  'a Map': new Map([['tenantId', CANARY]]),
  'a Date': new Date(0),
  'a function': () => CANARY,
}

/** An object as JSON.parse makes it: with own fields of names that mean something to prototypes. */
export const withField = (name: string, rest: object): unknown =>
  JSON.parse(
    `${JSON.stringify(rest).slice(0, -1)},${JSON.stringify(name)}:{"polluted":"${CANARY}"}}`,
  )

export const POLLUTERS = ['__proto__', 'constructor', 'prototype']

export const unknownFields = (method: string, good: object, call: Call): Row[] =>
  ['unknown', ...POLLUTERS].map((name) =>
    row(method, `T-I7 the field ${name}`, name, ({ tk, ...bench }) =>
      call(tk, withField(name, good), { tk, ...bench }),
    ),
  )

export const BAD_ACTORS = {
  empty: '',
  'a number': 7,
  'a control character': `a\u0007${CANARY}`,
  'a line break': `a\n${CANARY}`,
  'half a surrogate pair': `\udc00${CANARY}`,
  '129 letters': CANARY.padEnd(129, 'x'),
}
export const BAD_NAMES = { missing: undefined, ...BAD_ACTORS }

export const BAD_KEY_IDS = {
  missing: undefined,
  'a number': 7,
  '15 letters': CANARY.padEnd(15, 'x'),
  'other letters': '0123456789abcde-',
  'a whole key': `tk_live_${CANARY}`,
}

const BAD_LIMITS = {
  zero: 0,
  negative: -1,
  fraction: 1.5,
  text: CANARY,
  NaN: Number.NaN,
  '1001': 1001,
  bigint: 1n,
}

/** For lists of thresholds. */
export const NO_PERCENTS = {
  null: null,
  'a number': 80,
  '17 of them': Array.from({ length: 17 }, (_, i) => i + 1),
}
export const BAD_PERCENTS = { zero: 0, negative: -1, '1001': 1001, fraction: 0.8, text: '80' }

export const pages = (method: string, rest: object, call: Call): Row[] => [
  ...rows(method, 'limit', BAD_LIMITS, (tk, limit, bench) => call(tk, { ...rest, limit }, bench)),
  ...rows(
    method,
    'after',
    { 'a number': 7, '257 letters': CANARY.padEnd(257, 'x'), 'an object': {} },
    (tk, after, bench) => call(tk, { ...rest, after }, bench),
  ),
]

export const NO_CONTEXTS = {
  missing: undefined,
  null: null,
  'a key': `tk_live_${CANARY}`,
  'a list': [],
  'a Map': new Map([['key', CANARY]]),
}
