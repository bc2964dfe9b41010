/**
 * `tk.keys`: platform keys, with their input checked at the border.
 *
 * @module
 */
import * as z from 'zod'
import { TenantKeysError } from '../kernel/errors.ts'
import type { Reporter } from '../kernel/events.ts'
import { Secret } from '../kernel/secret.ts'
import {
  actorSchema,
  idSchema,
  nameSchema,
  pageFields,
  parse,
  timeSchema,
} from '../kernel/validate.ts'
import type { PolicyDecision, ScopePolicy } from '../policy/scope-policy.ts'
import type { Page, Storage } from '../storage/storage.ts'
import type { KeyInfo, KeyIssuer, KeyVerdict } from './key-issuer.ts'

export interface IssueKeyInput {
  readonly tenantId: string
  /** For people; 1 to 128 characters. S0.34 suggests `{environment}-{service}-{purpose}-{date}`. */
  readonly name: string
  /** What the key may do; each must be defined in the policy, wildcards such as `support:*` allowed. */
  readonly scopes: readonly string[]
  /** Milliseconds since the epoch, in the future; default `null`: never. */
  readonly expiresAtMs?: number | null | undefined
  /** First part of the key text, for example the name of an integration; default the installation's. */
  readonly brand?: string | undefined
  /** Second part: `live` or `test`; default the installation's. */
  readonly environment?: 'live' | 'test' | undefined
  readonly actor?: string | undefined
}

export interface KeyRefInput {
  readonly tenantId: string
  readonly keyId: string
  readonly actor?: string | undefined
}

/** What a caller wants to do with a key. With nothing named, only the key is looked at. */
export interface VerifyAsk {
  readonly scope?: string | undefined
  readonly provider?: string | undefined
  /** Only together with `provider`; left out: a call without a model. */
  readonly model?: string | undefined
}

export type Verification =
  | (KeyVerdict & { ok: true } & { readonly scope: string | null })
  | (KeyVerdict & { ok: false })
  | (Omit<PolicyDecision & { ok: false }, 'scope'> & {
      readonly keyId: string
      readonly scope: string | null
    })

export interface KeysApi {
  /** The key text is in this result and nowhere else, ever. @throws TenantKeysError TK_INPUT_INVALID, TK_TENANT_NOT_FOUND */
  issue(input: IssueKeyInput): Promise<{ readonly key: string; readonly info: KeyInfo }>
  /**
   * Is this key good, and may it do this? Consumes nothing; a denial is a value.
   * @param ask - with `scope` or `provider`, the policy decides too.
   * @throws TenantKeysError TK_STORE_* when the store cannot answer.
   */
  verify(key: string | Secret, ask?: VerifyAsk): Promise<Verification>
  get(at: { tenantId: string; keyId: string }): Promise<KeyInfo | null>
  list(query: { tenantId: string; after?: string | null; limit?: number }): Promise<Page<KeyInfo>>
  disable(ref: KeyRefInput): Promise<KeyInfo>
  enable(ref: KeyRefInput): Promise<KeyInfo>
  /** Terminal. @throws TenantKeysError TK_KEY_NOT_FOUND */
  revoke(ref: KeyRefInput): Promise<KeyInfo>
}

export const brandSchema = z
  .string()
  .regex(/^[a-z][a-z0-9_]{1,23}$/, 'use a-z, then 1 to 23 of a-z, 0-9 and _')
const keyIdSchema = z.string().regex(/^[0-9A-Za-z]{16}$/, 'expected 16 letters and digits')
const scopeSchema = z.string().min(1).max(64)

const issueSchema = z.strictObject({
  tenantId: idSchema,
  name: nameSchema,
  scopes: z.array(scopeSchema).min(1).max(64),
  expiresAtMs: timeSchema.nullable().default(null),
  brand: brandSchema.optional(),
  environment: z.enum(['live', 'test']).optional(),
  actor: actorSchema,
})
const refSchema = z.strictObject({ tenantId: idSchema, keyId: keyIdSchema, actor: actorSchema })
const atSchema = z.strictObject({ tenantId: idSchema, keyId: keyIdSchema })
const listSchema = z.strictObject({ ...pageFields, tenantId: idSchema })
const askSchema = z
  .strictObject({
    scope: scopeSchema.optional(),
    provider: z.string().min(1).max(64).optional(),
    model: z.string().min(1).max(256).optional(),
  })
  .refine(({ provider, model }) => model === undefined || provider !== undefined, {
    path: ['provider'],
    error: 'a model is asked about together with its provider',
  })

export function keysApi(options: {
  readonly issuer: KeyIssuer
  readonly policy: ScopePolicy
  readonly storage: Pick<Storage, 'epoch'>
  readonly reporter: Reporter
  readonly brand: string
  readonly environment: 'live' | 'test'
}): KeysApi {
  const { issuer, policy, storage } = options
  return {
    issue: async (input) => {
      const asked = parse(issueSchema, input)
      const unknown = policy.unknownScopes(asked.scopes)
      if (unknown.length > 0) {
        throw new TenantKeysError('TK_INPUT_INVALID', {
          field: 'scopes',
          reason: 'a scope is not defined in the policy',
        })
      }
      if (asked.expiresAtMs !== null && asked.expiresAtMs <= (await storage.epoch()).nowMs) {
        throw new TenantKeysError('TK_INPUT_INVALID', {
          field: 'expiresAtMs',
          reason: 'must be in the future',
        })
      }
      const { brand = options.brand, environment = options.environment } = asked
      return issuer.issue({ ...asked, scopes: [...new Set(asked.scopes)], brand, environment })
    },
    verify: async (key, ask) => {
      const wanted = ask === undefined ? null : parse(askSchema, ask, 'ask')
      const verdict = await issuer.verify(key instanceof Secret ? key.reveal() : key)
      if (!verdict.ok) {
        const { code, keyId } = verdict
        options.reporter.emit({ kind: 'key.verify_failed', code, keyId })
        return verdict
      }
      const { key: info, tenant } = verdict
      const { scope = null, provider = null, model = null } = wanted ?? {}
      if (scope === null && provider === null) return { ok: true, key: info, tenant, scope }
      const decision = policy.decide({ keyScopes: info.scopes, scope, provider, model })
      if (decision.ok) return { ok: true, key: info, tenant, scope: decision.scope }
      return { ...decision, keyId: info.keyId }
    },
    get: async (at) => issuer.get(parse(atSchema, at)),
    list: async (query) => issuer.list(parse(listSchema, query)),
    disable: async (ref) => issuer.disable(parse(refSchema, ref)),
    enable: async (ref) => issuer.enable(parse(refSchema, ref)),
    revoke: async (ref) => issuer.revoke(parse(refSchema, ref)),
  }
}
