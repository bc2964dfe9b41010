/**
 * Step 2: may this caller make this call, who pays, where does it go, what can it cost at most.
 * Everything is decided from metadata; no secret is opened and nothing is held yet.
 *
 * @module
 */
import { TenantKeysError } from '../kernel/errors.ts'
import { uuidv7 } from '../kernel/ids.ts'
import type { PolicyDecision } from '../policy/scope-policy.ts'
import type { AccountRef, Amounts } from '../storage/ledger-records.ts'
import { chooseCredential } from './choose-credential.ts'
import { firstOutput, holdAmounts } from './hold-amounts.ts'
import type {
  CallContext,
  Caller,
  CallPlan,
  CorridorParts,
  OutgoingRequest,
  Target,
} from './parts.ts'

/**
 * @throws TenantKeysError TK_REQUEST_INVALID, TK_SCOPE_*, TK_PROVIDER_DENIED, TK_MODEL_DENIED,
 *   TK_SECRET_NOT_FOUND, TK_ORIGIN_DENIED, TK_PRICE_MISSING, TK_BUDGET_UNBOUNDED
 */
export async function authorize(
  parts: CorridorParts,
  context: CallContext,
  caller: Caller,
  target: Target,
  request: OutgoingRequest,
): Promise<CallPlan> {
  const { id: provider, unpricedHeaders = [] } = target.setting.provider
  const draft = target.operation.read(request.body, target.path)
  const { model } = draft
  const header = unpricedHeaders.find((name) => request.headers.has(name))
  if (header !== undefined) {
    const hint = 'it asks for a class of service that has a price of its own'
    throw new TenantKeysError('TK_PRICE_MISSING', { provider, model, field: header, hint })
  }
  const scope = allowedScope(
    parts.policy.decide({
      keyScopes: scopesOf(caller, context),
      scope: context.scope ?? null,
      provider,
      model,
    }),
    { provider, model },
  )
  const credential = await chooseCredential(parts, context, caller.tenant, target.setting)
  const price = await parts.prices.find({ provider, model, atMs: parts.clock.nowMs() })
  if (!price) throw new TenantKeysError('TK_PRICE_MISSING', { provider, model })
  const reading = draft.bound(price)
  const output = firstOutput(context.hold ?? parts.hold, target.operation, reading)
  const amountsFor = (tokens: number): Amounts =>
    holdAmounts(reading, tokens, { price, credits: parts.credits })
  return {
    key: caller.key,
    tenant: caller.tenant,
    request,
    target,
    reading,
    callId: request.callId,
    attemptId: uuidv7(),
    provider,
    operation: target.operation.name,
    model: reading.model,
    scope,
    credential,
    price,
    markup: parts.markups.of({ id: caller.tenant.id, plan: caller.tenant.plan?.name ?? null }),
    cap: credential.capsUsage ? reading.bound : null,
    amounts: amountsFor(output),
    firstOutput: output,
    mostOutput: reading.bound.output,
    amountsFor,
    waitMs: context.waitMs ?? parts.waitMs,
    accounts: accountPath(caller),
    context,
    signal: request.signal,
    startedMs: parts.clock.elapsedMs(),
  }
}

/** A tenant that the host vouches for may use any scope, and has to name it. */
export function scopesOf(
  { key }: Caller,
  { scope }: Pick<CallContext, 'scope'>,
): readonly string[] {
  return key ? key.scopes : scope === undefined ? [] : [scope]
}

/** @throws TenantKeysError with the policy's code. */
export function allowedScope(
  decision: PolicyDecision,
  asked: { readonly provider: string; readonly model: string | null },
): string {
  if (decision.ok) return decision.scope
  throw new TenantKeysError(decision.code, {
    ...(decision.scope === null ? {} : { scope: decision.scope }),
    ...(decision.scopes.length === 0 ? {} : { scopes: decision.scopes }),
    ...(decision.code === 'TK_SCOPE_REQUIRED' ? {} : { provider: asked.provider }),
    ...(decision.code === 'TK_MODEL_DENIED' && asked.model !== null ? { model: asked.model } : {}),
  })
}

/** The accounts a call is charged to, leaf first: key, tenant, its parents, root. */
export function accountPath({ key, tenant }: Caller): readonly AccountRef[] {
  const tenants = tenant.path.map((id, depth) => ({ id: `tenant:${id}`, depth })).reverse()
  return key ? [{ id: `key:${key.keyId}`, depth: tenant.path.length }, ...tenants] : tenants
}
