/**
 * What keeps secrets from leaking taken out, one piece at a time: the canaries must be found.
 *
 * @module
 */
import { expect, test } from 'vitest'
import { leaks } from '../support/canaries.ts'
import { foreignError } from '../support/leak-failures-calls.ts'
import { TENANT_SECRET } from '../support/leak-scene.ts'
import { Mutant, type Sabotage } from '../support/mutant.ts'

type Errors = typeof import('../../src/kernel/errors.ts')
type Holder = typeof import('../../src/kernel/secret.ts')
type Transport = typeof import('../../src/request/transport-error.ts')

const ERRORS = 'kernel/errors.ts'
const SECRET = 'kernel/secret.ts'
const canaries = { secret: TENANT_SECRET }

async function found(sabotage: Sabotage): Promise<readonly string[]> {
  const mutant = new Mutant(sabotage, ['kernel', 'request'])
  try {
    const { TenantKeysError } = await mutant.load<Errors>(ERRORS)
    const { Secret } = await mutant.load<Holder>(SECRET)
    const { transportError } = await mutant.load<Transport>('request/transport-error.ts')
    const cause = foreignError(TENANT_SECRET)
    return [
      new TenantKeysError('TK_INTERNAL', {}, { cause }),
      new TenantKeysError(
        'TK_INTERNAL',
        {},
        { cause: Object.assign(new Error('x'), { name: `${TENANT_SECRET} Error`, cause }) },
      ),
      new Secret(TENANT_SECRET),
      transportError('fetch failed', cause, undefined),
    ].flatMap((value) => leaks(value, canaries))
  } finally {
    mutant.dispose()
  }
}

const sabotages: Readonly<Record<string, Sabotage>> = {
  'causes are carried as they are': {
    file: ERRORS,
    from: ': scrubCause(options.cause)',
    to: ': (options.cause as Error)',
  },
  'the message of a cause is kept': {
    file: ERRORS,
    from: '  clean.name = name\n',
    to: '  clean.name = name\n  clean.message = String(source.message)\n',
  },
  'the stack of a cause is kept': {
    file: ERRORS,
    from: '  for (const [field, pattern] of KEPT) {\n',
    to: '  clean.stack = String(source.stack)\n  for (const [field, pattern] of KEPT) {\n',
  },
  'any name passes for a class': {
    file: ERRORS,
    from: '/^(?:[A-Z][A-Za-z0-9]{0,30})?(?:Error|Exception)$/',
    to: '/^/',
  },
  'any text passes for a code': {
    file: ERRORS,
    from: "['code', CODE]",
    to: "['code', /^/]",
  },
  'inner causes are carried as they are': {
    file: ERRORS,
    from: 'clean.cause = scrubCause(inner, depth - 1)',
    to: 'clean.cause = inner',
  },
  'a Secret holds its text in a field': {
    file: SECRET,
    from: '    Object.freeze(this)\n',
    to: '    Object.assign(this, { text })\n',
  },
  'a Secret prints its text': {
    file: SECRET,
    from: '  toString(): string {\n    return MASK',
    to: '  toString(): string {\n    return this.#text',
  },
  'a Secret writes its text as JSON': {
    file: SECRET,
    from: '  toJSON(): string {\n    return MASK',
    to: '  toJSON(): string {\n    return this.#text',
  },
  'a Secret is worth its text': {
    file: SECRET,
    from: '  valueOf(): string {\n    return MASK',
    to: '  valueOf(): string {\n    return this.#text',
  },
  'a Secret turns into its text': {
    file: SECRET,
    from: '  [Symbol.toPrimitive](): string {\n    return MASK',
    to: '  [Symbol.toPrimitive](): string {\n    return this.#text',
  },
  'a Secret shows its text to inspect': {
    file: SECRET,
    from: '  [INSPECT](): string {\n    return MASK',
    to: '  [INSPECT](): string {\n    return this.#text',
  },
  'errors of the network go on as they are': {
    file: 'request/transport-error.ts',
    from: '{ cause: scrubCause(innermost(error)) }',
    to: '{ cause: innermost(error) }',
  },
}

test('T-L1 T-L3 with nothing taken out nothing is found', async () => {
  const nothing = {
    file: ERRORS,
    from: "const MARK = Symbol.for('tenantkeys.error')",
    to: "const MARK = Symbol.for('tenantkeys.error') ",
  }
  expect(await found(nothing)).toEqual([])
})

test.each(Object.entries(sabotages))('T-L1 T-L3 it is found that %s', async (_, sabotage) => {
  expect(await found(sabotage)).not.toEqual([])
})
