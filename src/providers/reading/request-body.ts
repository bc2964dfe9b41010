/**
 * The JSON body of a request, read field by field. Each reader refuses what has the wrong form by the
 * name of the field; no refusal repeats what stood in it.
 *
 * @module
 */
import { TenantKeysError } from '../../kernel/errors.ts'
import { asObject, isGiven, type JsonObject } from './json-object.ts'

/** What a model id may be: visible ASCII, so that no look-alike and no blank passes a policy (T-I5). */
const MAX_MODEL_LENGTH = 200

export class RequestBody {
  /** Id of the provider, for errors. */
  readonly provider: string
  readonly json: JsonObject

  /** @throws TenantKeysError TK_REQUEST_INVALID unless `text` is a JSON object. */
  constructor(provider: string, text: string) {
    this.provider = provider
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      throw this.invalid('body', 'expected JSON')
    }
    const json = asObject(value)
    if (json === null) throw this.invalid('body', 'expected a JSON object')
    this.json = json
  }

  /** The id of the model, from the field `model`. */
  model(): string {
    const { model } = this.json
    if (typeof model === 'string' && model !== '' && model.length <= MAX_MODEL_LENGTH) return model
    throw this.invalid('model', 'expected a model id')
  }

  /** False when absent. */
  flag(field: string): boolean {
    const value = this.json[field]
    if (!isGiven(value)) return false
    if (typeof value !== 'boolean') throw this.invalid(field, 'expected true or false')
    return value
  }

  /** A whole number of at least 1; `null` when absent. */
  positive(field: string, value = this.json[field]): number | null {
    if (!isGiven(value)) return null
    if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value
    throw this.invalid(field, 'expected a whole number of at least 1')
  }

  /** Empty when absent. */
  list(field: string, value = this.json[field]): readonly unknown[] {
    return isGiven(value) ? this.listOf(value, field) : []
  }

  listOf(value: unknown, field: string): readonly unknown[] {
    if (!Array.isArray(value)) throw this.invalid(field, 'expected a list')
    return value
  }

  /** Empty when absent. */
  object(field: string, value = this.json[field]): JsonObject {
    if (!isGiven(value)) return {}
    const read = asObject(value)
    if (read === null) throw this.invalid(field, 'expected an object')
    return read
  }

  /** The first field that is given and not on the list; `null`: all of them are. */
  unlisted(known: ReadonlySet<string>): string | null {
    for (const name of Object.keys(this.json)) {
      if (!known.has(name) && isGiven(this.json[name])) return printable(name)
    }
    return null
  }

  /** @throws TenantKeysError TK_REQUEST_INVALID for a value nested too deeply to be written. */
  toJson(value: unknown): string {
    try {
      return JSON.stringify(value)
    } catch {
      throw this.invalid('body', 'nested too deeply')
    }
  }

  invalid(field: string, reason: string): TenantKeysError {
    return new TenantKeysError('TK_REQUEST_INVALID', { provider: this.provider, field, reason })
  }

  /** Something that is charged, and that prices of tokens leave out. */
  unpriced(model: string, field: string, hint: string): TenantKeysError {
    return new TenantKeysError('TK_PRICE_MISSING', { provider: this.provider, model, field, hint })
  }

  /** @param missing - the field of a price row that would give the bound; else a hint of its own. */
  unbounded(model: string, field: string, missing: string | { hint: string }): TenantKeysError {
    const hint =
      typeof missing === 'string' ? `give ${missing} in a price row for this model` : missing.hint
    return new TenantKeysError('TK_BUDGET_UNBOUNDED', {
      provider: this.provider,
      model,
      field,
      hint,
    })
  }
}

/** Names of fields come from the caller: only what looks like one is repeated. */
export const printable = (name: string): string => (/^[A-Za-z_]{1,40}$/.test(name) ? name : 'body')

/** Words between blanks, as a set: lists of fields are easier to read so. */
export const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/))
