/**
 * `tk.authorize`: would this call be allowed? The same decisions as the corridor's first steps, as
 * values, without holding or consuming anything.
 *
 * @module
 */
import * as z from 'zod'
import { creditsOf } from '../budgets/credits.ts'
import { parseUsd } from '../budgets/money.ts'
import { type ErrorCode, type ErrorDetails, TenantKeysError } from '../kernel/errors.ts'
import { Secret } from '../kernel/secret.ts'
import { idSchema, parse } from '../kernel/validate.ts'
import type { KeyInfo } from '../keys/key-issuer.ts'
import type { CredentialSource } from '../storage/records.ts'
import { authenticateKey } from './authenticate.ts'
import { accountPath, allowedScope } from './authorize.ts'
import { chooseCredential } from './choose-credential.ts'
import { explainDenial } from './explain-denial.ts'
import type { CorridorParts } from './parts.ts'
import { type BudgetLeft, budgetLeft } from './receipt.ts'

export interface AuthorizeAsk {
  readonly key: string | Secret
  readonly scope?: string | undefined
  /** Default `openai`. */
  readonly provider?: string | undefined
  readonly model: string
  /** Which of the tenant's credentials; default `default`. */
  readonly credential?: string | undefined
  /** What the call may cost; default nothing: the budget is only asked whether it is spent. */
  readonly estimate?: { readonly usd: string } | undefined
}

export type Authorization =
  | {
      readonly ok: true
      readonly key: KeyInfo
      readonly scope: string
      readonly paidBy: CredentialSource
      readonly reason: string
      readonly budgets: readonly BudgetLeft[]
    }
  | {
      readonly ok: false
      readonly code: ErrorCode
      readonly message: string
      readonly details: ErrorDetails
    }

const schema = z.strictObject({
  key: z.custom<string | Secret>(
    (v) => typeof v === 'string' || v instanceof Secret,
    'expected the platform key as text',
  ),
  scope: z.string().min(1).max(64).optional(),
  provider: z.string().min(1).max(64).default('openai'),
  model: z.string().min(1).max(256),
  credential: idSchema.optional(),
  estimate: z.strictObject({ usd: z.unknown() }).optional(),
})

/** @throws TenantKeysError TK_INPUT_INVALID, and TK_STORE_* when the store cannot answer. */
export async function previewCall(
  parts: CorridorParts,
  input: AuthorizeAsk,
): Promise<Authorization> {
  const ask = parse(schema, input, 'ask')
  const usd = ask.estimate === undefined ? 0n : parseUsd(ask.estimate.usd, 'ask.estimate.usd')
  try {
    return await decide(parts, ask, usd)
  } catch (error) {
    // A denial is a value here; a store that cannot answer is not a denial.
    if (!TenantKeysError.isInstance(error) || error.retryable || error.httpStatus >= 500)
      throw error
    return { ok: false, code: error.code, message: error.message, details: error.details }
  }
}

async function decide(
  parts: CorridorParts,
  ask: z.output<typeof schema>,
  usd: bigint,
): Promise<Authorization> {
  const { provider, model, scope = null } = ask
  const setting = parts.providers.get(provider)
  if (!setting)
    throw new TenantKeysError('TK_PROVIDER_DENIED', { reason: 'this provider is not known' })
  const caller = await authenticateKey(parts, ask.key)
  const allowed = allowedScope(
    parts.policy.decide({ keyScopes: caller.key.scopes, scope, provider, model }),
    { provider, model },
  )
  const credential = await chooseCredential(parts, ask, caller.tenant, setting)
  if (!(await parts.prices.find({ provider, model, atMs: parts.clock.nowMs() })))
    throw new TenantKeysError('TK_PRICE_MISSING', { provider, model })
  const { tenant, key } = caller
  const amounts = {
    usd: usd > 0n ? usd : 1n,
    tokens: 1n,
    requests: 1n,
    calls: 1n,
    // The least that a call asks for.
    ...creditsOf(parts.credits, { input: 1, output: 0 }),
  }
  const result = await parts.guard.preview({
    tenantId: tenant.id,
    accounts: accountPath(caller),
    amounts,
    paidBy: credential.source,
  })
  if (!result.ok) {
    const details = result.denial ? explainDenial(result.denial) : {}
    const error = new TenantKeysError(result.code, {
      tenantId: tenant.id,
      keyId: key.keyId,
      ...details,
    })
    return { ok: false, code: error.code, message: error.message, details: error.details }
  }
  const { source: paidBy, reason } = credential
  return { ok: true, key, scope: allowed, paidBy, reason, budgets: result.lines.map(budgetLeft) }
}
