/**
 * The border: zod schemas in, one typed error out that names the field and never echoes the value.
 *
 * @module
 */
import * as z from 'zod'
import { TenantKeysError } from './errors.ts'
import { ID_PATTERN } from './ids.ts'

/**
 * Checks `value` and returns a copy with defaults filled in.
 *
 * @param root - put before the field path, for example `options`.
 * @throws TenantKeysError TK_INPUT_INVALID (or `code`) naming the first offending field.
 */
export function parse<S extends z.ZodType>(
  schema: S,
  value: unknown,
  root = '',
  code: 'TK_INPUT_INVALID' | 'TK_CONFIG_INVALID' = 'TK_INPUT_INVALID',
): z.output<S> {
  const result = attempt(schema, value)
  if (result === null)
    throw new TenantKeysError(code, { field: root || ARGUMENT, reason: NO_OBJECT })
  if (result.success) return result.data
  const issue = result.error.issues[0]!
  const extra = issue.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : []
  const field = pathOf([root, ...issue.path, ...extra])
  const known = extra.length === 0 ? [] : fieldsAt(schema, issue.path)
  const hint = known.length === 0 ? {} : { hint: `the fields here: ${known.join(', ')}` }
  throw new TenantKeysError(code, { field, reason: reasonOf(issue), ...hint })
}

/** What there is to go through in a schema: of each kind of zod's one of these. */
interface Definition {
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>
  /** Of what is optional or has a default. */
  readonly innerType?: z.core.$ZodType
  /** Of what is transformed. */
  readonly in?: z.core.$ZodType
  readonly element?: z.core.$ZodType
  readonly valueType?: z.core.$ZodType
}

/** Names of the fields of an object in a schema; none where the way there is not a plain one. */
function fieldsAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): readonly string[] {
  const { shape, innerType, in: input, element, valueType } = schema._zod.def as Definition
  const wrapped = innerType ?? input
  if (wrapped) return fieldsAt(wrapped, path)
  const [name, ...rest] = path
  if (name === undefined) return Object.keys(shape ?? {})
  const next = shape?.[String(name)] ?? element ?? valueType
  return next ? fieldsAt(next, rest) : []
}

const ARGUMENT = '(argument)'
const NO_OBJECT = 'expected an object with readable fields'

/** A Map, Date or Promise has no fields of its own, so it would pass for an object that leaves all
 * of them out. */
const isForeignObject = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  !/^\[object (Object|Module)\]$/.test(Object.prototype.toString.call(value))

/** `null` when a getter of the value throws: what it throws is the caller's, and may say anything. */
function attempt<S extends z.ZodType>(
  schema: S,
  value: unknown,
): z.ZodSafeParseResult<z.output<S>> | null {
  try {
    return isForeignObject(value) ? null : schema.safeParse(value)
  } catch {
    return null
  }
}

function pathOf(path: readonly PropertyKey[]): string {
  const text = path.reduce<string>((out, part) => {
    if (typeof part === 'number') return `${out}[${part}]`
    const name = printable(String(part))
    return out === '' || name === '' ? out + name : `${out}.${name}`
  }, '')
  return text === '' ? ARGUMENT : text
}

/** What an error says of a credential whose fields are not those of its provider, for example `the fields
 * of openai: apiKey, endpoint (optional)`. */
export function fieldsHint(provider: {
  readonly id: string
  readonly credential: Readonly<Record<string, { readonly required: boolean }>>
}): string {
  const names = Object.entries(provider.credential).map(([name, { required }]) =>
    required ? name : `${name} (optional)`,
  )
  return `the fields of ${provider.id}: ${names.join(', ')}`
}

/** Field names come from the caller too: only what an identifier may hold is repeated. */
export const printable = (name: string): string =>
  name.replace(/[^A-Za-z0-9_$:.-]/g, '?').slice(0, 64)

/** Our own texts and zod's type names; never a received value. */
function reasonOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${issue.expected}`
    case 'unrecognized_keys':
      return 'this field is not known'
    case 'too_small':
      return `must be at least ${String(issue.minimum)}${issue.origin === 'string' ? ' characters long' : ''}`
    case 'too_big':
      return `must be at most ${String(issue.maximum)}${issue.origin === 'string' ? ' characters long' : ''}`
    case 'invalid_value':
      return `expected one of ${issue.values.map(String).join(', ')}`
    case 'custom':
      return issue.message
    default:
      return issue.code === 'invalid_format' && !issue.message.startsWith('Invalid')
        ? issue.message
        : 'not of the required form'
  }
}

/** An object with these methods: a port, a clock, a logger. */
export const objectWith = <T extends object>(
  methods: readonly (keyof T & string)[],
  expected: string,
  is: (value: T) => boolean = () => true,
): z.ZodCustom<T, T> =>
  z.custom<T>(
    (value) =>
      typeof value === 'object' &&
      value !== null &&
      methods.every((name) => typeof (value as T)[name] === 'function') &&
      is(value as T),
    expected,
  )

/** Ids that the host chooses: 1 to 64 of `A-Z a-z 0-9 _ -` (T-I6, S2.44). */
export const idSchema = z.string().regex(ID_PATTERN, 'use 1 to 64 of A-Z, a-z, 0-9, _ and -')

/** Text for people, on one line: no control characters, no halves of surrogate pairs. */
export const textSchema = (max: number): z.ZodString =>
  z
    .string()
    .min(1)
    .max(max)
    .refine((text) => !/\p{Cc}|\p{Cs}/u.test(text), 'must not hold control characters')

export const nameSchema = textSchema(128)

/** Who acts, as the host names it; kept in the audit trail. */
export const actorSchema = nameSchema.default('system')

/** Milliseconds since the epoch, up to the year 9999. */
export const timeSchema = z.int().min(1).max(253_402_300_799_999)

export const pageFields = {
  /** Cursor of an earlier page. */
  after: z.string().max(256).nullable().default(null),
  limit: z.int().min(1).max(1000).default(100),
}
