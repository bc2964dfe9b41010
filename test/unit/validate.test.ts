import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import {
  actorSchema,
  idSchema,
  nameSchema,
  objectWith,
  parse,
  timeSchema,
} from '../../src/kernel/validate.ts'

const schema = z.strictObject({
  id: idSchema,
  name: nameSchema.optional(),
  actor: actorSchema,
  at: timeSchema.nullable().default(null),
  list: z
    .array(z.strictObject({ n: z.int().min(1).max(9) }))
    .max(2)
    .optional(),
  kind: z.enum(['a', 'b']).optional(),
})

const refusal = (
  value: unknown,
  root?: string,
): { code: string; field?: string | undefined; reason?: string | undefined } => {
  try {
    parse(schema, value, root)
  } catch (error) {
    if (!TenantKeysError.isInstance(error)) throw error
    const { field, reason } = error.details
    return { code: error.code, field, reason }
  }
  throw new Error('was accepted')
}

describe('parse', () => {
  test('gives a copy with defaults', () => {
    const input = { id: 'a' }
    const read = parse(schema, input)
    expect(read).toEqual({ id: 'a', actor: 'system', at: null })
    expect(read).not.toBe(input)
  })

  test.each<[string, unknown, string]>([
    ['at the top', { id: 'a', nmae: 'b' }, 'the fields here: id, name, actor, at, list, kind'],
    ['inside of a list', { id: 'a', list: [{ n: 1, m: 2 }] }, 'the fields here: n'],
  ])('a field that is not known gets the names of those that are: %s', (_, value, hint) => {
    expect(() => parse(schema, value)).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ hint }) }),
    )
  })

  test('what is behind defaults, records and transforms is found as well; no value is repeated', () => {
    const inner = z.strictObject({ a: z.string().optional() })
    const around = z.strictObject({
      record: z.record(z.string(), inner).default({}),
      piped: inner.transform(String).optional(),
      maybe: z.union([inner, z.string()]).optional(),
    })
    const secret = 'sk-obviously-fake-0123456789'
    const hintOf = (value: unknown): unknown => {
      try {
        return parse(around, value)
      } catch (error) {
        expect(JSON.stringify(error)).not.toContain(secret)
        return TenantKeysError.isInstance(error) && (error.details.hint ?? null)
      }
    }
    expect(hintOf({ record: { x: { b: secret } } })).toBe('the fields here: a')
    expect(hintOf({ piped: { b: secret } })).toBe('the fields here: a')
    expect(hintOf({ maybe: { b: secret } })).toBeNull()
  })

  test.each<[string, unknown, string, string]>([
    ['nothing', undefined, '(argument)', 'expected object'],
    ['a list', [], '(argument)', 'expected object'],
    ['a missing field', {}, 'id', 'expected string'],
    ['a wrong type', { id: 7 }, 'id', 'expected string'],
    ['a text of another form', { id: 'a b' }, 'id', 'use 1 to 64 of A-Z, a-z, 0-9, _ and -'],
    [
      'a text that is too long',
      { id: 'a', name: 'x'.repeat(129) },
      'name',
      'must be at most 128 characters long',
    ],
    [
      'a text that is too short',
      { id: 'a', name: '' },
      'name',
      'must be at least 1 characters long',
    ],
    [
      'a number that is too small',
      { id: 'a', list: [{ n: 0 }] },
      'list[0].n',
      'must be at least 1',
    ],
    [
      'a number that is too big',
      { id: 'a', list: [{ n: 1 }, { n: 10 }] },
      'list[1].n',
      'must be at most 9',
    ],
    ['a fraction', { id: 'a', list: [{ n: 1.5 }] }, 'list[0].n', 'expected int'],
    [
      'a list that is too long',
      { id: 'a', list: [{ n: 1 }, { n: 1 }, { n: 1 }] },
      'list',
      'must be at most 2',
    ],
    ['another word', { id: 'a', kind: 'canary' }, 'kind', 'expected one of a, b'],
    ['an unknown field', { id: 'a', other: 1 }, 'other', 'this field is not known'],
    [
      'an unknown field inside',
      { id: 'a', list: [{ n: 1, m: 1 }] },
      'list[0].m',
      'this field is not known',
    ],
    ['a time before 1970', { id: 'a', at: 0 }, 'at', 'must be at least 1'],
    [
      'a time after the year 9999',
      { id: 'a', at: 253_402_300_800_000 },
      'at',
      'must be at most 253402300799999',
    ],
  ])('names the field and the reason: %s', (_, value, field, reason) => {
    expect(refusal(value)).toEqual({ code: 'TK_INPUT_INVALID', field, reason })
  })

  test('puts the root in front of the path', () => {
    expect(refusal({}, 'context').field).toBe('context.id')
    expect(refusal(null, 'context').field).toBe('context')
  })

  test('repeats of a field name only what an identifier may hold, and 64 letters of it', () => {
    expect(refusal({ id: 'a', 'x\n<b>\u202e': 1 }).field).toBe('x??b??')
    expect(refusal({ id: 'a', ['x'.repeat(1000)]: 1 }).field).toBe('x'.repeat(64))
  })

  test.each<[string, unknown]>([
    ['a Map', new Map([['id', 'a']])],
    ['a Date', new Date()],
    ['a promise', Promise.resolve({ id: 'a' })],
    ['an error', new Error('a')],
    [
      'a Proxy that throws',
      new Proxy(
        {},
        {
          get: () => {
            throw new Error('canary')
          },
          ownKeys: () => {
            throw new Error('canary')
          },
        },
      ),
    ],
    [
      'a getter that throws',
      {
        get id() {
          throw new Error('canary')
        },
      },
    ],
  ])('T-I7 %s passes for no object', (_, value) => {
    expect(refusal(value, 'ask')).toMatchObject({ code: 'TK_INPUT_INVALID', field: 'ask' })
  })

  test('takes instances of classes and objects without a prototype', () => {
    class Dto {
      id = 'a'
    }
    const bare = Object.assign(Object.create(null), { id: 'a' })
    expect([parse(schema, new Dto()).id, parse(schema, bare).id]).toEqual(['a', 'a'])
  })

  test('T-I7 fields that mean something to prototypes are unknown fields', () => {
    for (const name of ['__proto__', 'constructor', 'prototype']) {
      expect(refusal(JSON.parse(`{"id":"a","${name}":{"polluted":1}}`)).field).toBe(name)
    }
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })
})

describe('the shared schemas', () => {
  test('T-I6 an id is 1 to 64 of A-Z a-z 0-9 _ -', () => {
    for (const id of ['a', 'Z9_-', 'x'.repeat(64), '__proto__', 'constructor'])
      expect(idSchema.parse(id)).toBe(id)
    for (const id of [
      '',
      'x'.repeat(65),
      'a b',
      'a/b',
      '.',
      '..',
      '\u00e4',
      'a\0',
      'a\n',
      '%2e',
      7,
      null,
    ]) {
      expect(idSchema.safeParse(id).success, String(id)).toBe(false)
    }
  })

  test('a name may be in any script, without control characters and broken letters', () => {
    for (const name of ['Zo\u00eb', '\u6771\u4eac', '\ud83d\ude80', 'a b', '<b>'])
      expect(nameSchema.parse(name)).toBe(name)
    for (const name of ['', 'a\nb', 'a\0', '\u009b', '\ud800', 'x'.repeat(129)]) {
      expect(nameSchema.safeParse(name).success, JSON.stringify(name)).toBe(false)
    }
  })

  test('objectWith asks for methods by name, and for what else is asked', () => {
    const port = objectWith<{ a(): void; b(): void; v: number }>(
      ['a', 'b'],
      'expected a port',
      ({ v }) => v === 1,
    )
    const good = { a() {}, b() {}, v: 1 }
    expect(port.parse(good)).toBe(good)
    for (const bad of [
      undefined,
      null,
      () => 0,
      {},
      { a() {} },
      { ...good, b: 7 },
      { ...good, v: 2 },
    ]) {
      expect(port.safeParse(bad).success).toBe(false)
    }
  })
})
