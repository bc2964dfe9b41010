/**
 * The callback form: a call that the host makes itself, to whatever service, with the tenant's
 * credential, inside its policy and its budget. What it holds and what it cost is said by the host.
 *
 * - said to have cost something: posted, `measured`
 * - returned without a word: posted at the estimate, `estimated`
 * - thrown before the credential was looked at, or said to be unsent: void
 * - thrown after that: posted at the estimate, `unknown`, since the service may have been reached
 *
 * @module
 */
import * as z from 'zod'
import { creditsOf } from '../budgets/credits.ts'
import { parseUsd } from '../budgets/money.ts'
import { TenantKeysError } from '../kernel/errors.ts'
import { uuidv7 } from '../kernel/ids.ts'
import type { Secret } from '../kernel/secret.ts'
import { parse, textSchema } from '../kernel/validate.ts'
import type { Amounts, CallOutcome, UsageQuality } from '../storage/ledger-records.ts'
import { authenticate } from './authenticate.ts'
import { accountPath, allowedScope, scopesOf } from './authorize.ts'
import { checkCaller, checkProvider, contextFields } from './call-context.ts'
import { chooseCredential } from './choose-credential.ts'
import { denials, stillAllowed } from './corridor.ts'
import { liveHold } from './live-hold.ts'
import type { CallContext, CorridorParts, HeldCall } from './parts.ts'
import { NO_TOKENS, type Receipt } from './receipt.ts'
import { reserve } from './reserve.ts'
import { openFields } from './resolve-credential.ts'
import { createSettler, type Settler } from './settle.ts'

/** A call in a callback: who makes it, to which service, and what it can cost. */
export type ServiceCall = Omit<CallContext, 'hold' | 'provider' | 'key' | 'tenantId'> & {
  /** The platform key, or `tenantId`; as in {@link CallContext}. */
  readonly key?: string | Secret | undefined
  readonly tenantId?: string | undefined
  /** `cartesia`, `elevenlabs`, `tavus`, `openai`, or one of the option `services`. */
  readonly provider: string
  /** For policy and usage rows; default: a call without a model. */
  readonly model?: string | undefined
  /** What is held: the most that the call can cost. */
  readonly estimate: { readonly usd: string }
  /** Ends the call from outside. */
  readonly signal?: AbortSignal | undefined
}

/** What a call cost, as the service or its price list says. */
export interface Spent {
  /** In US dollars, for example `'0.013'`. */
  readonly usd: string
  /** What it was for, for example `{ characters: 412 }` or `{ seconds: 3.5 }`; at most 16, each 0 to 1e12. */
  readonly counts?: Readonly<Record<string, number>> | undefined
}

/** What a callback is given. */
export interface RunningCall {
  /** Fields of the credential that pays, for example `apiKey`; each opens with `reveal()`. Looking at
   * them counts as the start of the call. */
  readonly credential: Readonly<Record<string, Secret>>
  /** Fields of it that are no secret, for example `region`. */
  readonly settings: Readonly<Record<string, string>>
  /** Aborts with the caller's own signal, and when the hold is lost. Hand it to the service's client. */
  readonly signal: AbortSignal
  readonly callId: string
  /**
   * Posts what it cost, also when that is more than was held. Once.
   * @throws TenantKeysError TK_INPUT_INVALID; nothing is posted then, and it can be said again.
   */
  spent(spent: Spent): Promise<Receipt>
  /** Says that nothing was sent: the hold is released and nothing is charged. Once. */
  unsent(): Promise<Receipt>
}

const { onReceipt, tags, waitMs, ...caller } = contextFields
const schema = z.strictObject({
  ...caller,
  onReceipt,
  tags,
  waitMs,
  provider: z.string(),
  model: textSchema(256).optional(),
  estimate: z.strictObject({ usd: z.unknown() }),
  signal: z
    .custom<AbortSignal>(
      (value) => typeof (value as AbortSignal | null)?.addEventListener === 'function',
      'expected an AbortSignal',
    )
    .optional(),
})

const MAX_COUNTS = 16
const spentSchema = z.strictObject({
  usd: z.unknown(),
  counts: z
    .record(z.string().regex(/^[a-z][a-z0-9_]{0,63}$/), z.number().min(0).max(1e12))
    .refine((counts) => Object.keys(counts).length <= MAX_COUNTS, 'at most 16 counts may be given')
    .optional(),
})

/** How usage rows call these calls, and those of them that name no model. */
const OPERATION = 'callback'
const NO_MODEL = 'none'

/**
 * @returns what `run` returns, after the call is settled.
 * @throws what `run` throws; every denial, before anything is held.
 */
export async function callService<T>(
  parts: CorridorParts,
  input: ServiceCall,
  run: (call: RunningCall) => T | Promise<T>,
): Promise<T> {
  const {
    key,
    tenantId,
    provider,
    model = null,
    estimate,
    signal,
    ...rest
  } = parse(schema, input, 'call')
  const context = { ...rest, ...checkCaller({ key, tenantId, scope: rest.scope }, 'call') }
  checkProvider(provider, parts.providers, 'call.provider')
  const usd = parseUsd(estimate.usd, 'call.estimate.usd')
  const amounts = {
    usd,
    tokens: 0n,
    requests: 1n,
    ...creditsOf(parts.credits, { input: 0, output: 0 }),
    calls: 1n,
  }
  const ask = { context, provider, model, amounts, signal }
  const call = await held(parts, ask)
  const hold = liveHold(parts, call)
  const settler = createSettler(parts, call, hold)
  try {
    if (call.waitMs > 0) await stillAllowed(parts, context, settler)
    const fields = await credentialFields(parts, call, settler)
    return await finish(run, { call, settler, fields, estimateNanoUsd: usd, signal: hold.signal })
  } finally {
    hold.release()
  }
}

interface Ask {
  readonly context: CallContext
  readonly provider: string
  readonly model: string | null
  readonly amounts: Amounts
  readonly signal: AbortSignal | undefined
}

/** Steps 1 to 3 of the corridor. */
async function held(parts: CorridorParts, ask: Ask): Promise<HeldCall> {
  const { context, provider, model, amounts, signal } = ask
  const caller = await authenticate(parts, context)
  const callId = uuidv7()
  return denials(parts, caller, callId, async () => {
    const decision = parts.policy.decide({
      keyScopes: scopesOf(caller, context),
      scope: context.scope ?? null,
      provider,
      model,
    })
    const setting = parts.providers.get(provider)
    if (!setting) throw new TenantKeysError('TK_PROVIDER_DENIED', { provider })
    const call: HeldCall = {
      ...caller,
      callId,
      attemptId: uuidv7(),
      provider,
      operation: OPERATION,
      model: model ?? NO_MODEL,
      scope: allowedScope(decision, { provider, model }),
      credential: await chooseCredential(parts, context, caller.tenant, setting),
      price: null,
      markup: parts.markups.of({ id: caller.tenant.id, plan: caller.tenant.plan?.name ?? null }),
      // What it cost is said by the host itself.
      cap: null,
      amounts,
      firstOutput: 0,
      mostOutput: 0,
      amountsFor: () => amounts,
      waitMs: context.waitMs ?? parts.waitMs,
      accounts: accountPath(caller),
      context,
      signal,
      startedMs: parts.clock.elapsedMs(),
    }
    await reserve(parts, call)
    return call
  })
}

async function credentialFields(
  parts: CorridorParts,
  call: HeldCall,
  settler: Settler,
): Promise<Readonly<Record<string, Secret>>> {
  try {
    return await openFields(parts, call)
  } catch (error) {
    await settler.void()
    throw error
  }
}

interface Started {
  readonly call: HeldCall
  readonly settler: Settler
  readonly fields: Readonly<Record<string, Secret>>
  readonly estimateNanoUsd: bigint
  readonly signal: AbortSignal
}

async function finish<T>(
  run: (call: RunningCall) => T | Promise<T>,
  { call, settler, fields, estimateNanoUsd, signal }: Started,
): Promise<T> {
  let started = false
  let said = false
  const post = (
    outcome: CallOutcome,
    quality: UsageQuality,
    costNanoUsd: bigint,
    counts: Readonly<Record<string, number>> = {},
  ): Promise<void> =>
    settler.settle({
      outcome,
      quality,
      costNanoUsd,
      counts,
      providerCostNanoUsd: null,
      httpStatus: null,
      tokens: NO_TOKENS,
      servedModel: null,
      serviceTier: null,
    })
  const once = (): void => {
    if (said) {
      const reason = 'what this call cost was said already'
      throw new TenantKeysError('TK_INPUT_INVALID', { field: 'call', reason })
    }
    said = true
  }
  const running: RunningCall = {
    get credential() {
      started = true
      return fields
    },
    settings: call.credential.secret?.publicFields ?? {},
    signal,
    callId: call.callId,
    spent: async (spent) => {
      const { usd, counts } = parse(spentSchema, spent, 'spent')
      const costNanoUsd = parseUsd(usd, 'spent.usd')
      once()
      await post('completed', 'measured', costNanoUsd, counts)
      return settler.receipt
    },
    unsent: async () => {
      once()
      await settler.void()
      return settler.receipt
    },
  }
  try {
    if (signal.aborted) throw signal.reason
    const result = await run(running)
    if (!said) await post('completed', 'estimated', estimateNanoUsd)
    return result
  } catch (error) {
    if (!said) {
      const outcome = signal.aborted ? 'aborted' : 'broken'
      await (started ? post(outcome, 'unknown', estimateNanoUsd) : settler.void())
    }
    throw error
  }
}
