/**
 * What every store looks at before an item joins the others of its batch. Callers have checked what
 * they send; these keep the defect of one caller out of the sums, and out of the batch of the others.
 * An item that does not pass is answered with TK_INPUT_INVALID, and nothing of it is written.
 *
 * @module
 */
import type {
  AccountRef,
  Amounts,
  CallIds,
  ExtendItem,
  ReserveItem,
  SettleItem,
  TokenUsage,
  UsageDraft,
  VoidItem,
} from '../storage/ledger-records.ts'
import { isUnit } from '../storage/vocabulary.ts'
import { isAmount } from './money.ts'

const MAX_TTL_MS = 86_400_000
/** Ids are keys of indexes, which take no long ones. */
const MAX_ID = 256
const MAX_DEPTH = 2 ** 31 - 1

export const isReserve = (item: ReserveItem): boolean =>
  isObject(item) && isId(item.holdId) && isTtl(item.ttlMs) && isAsked(item) && isCall(item.call)

/** A reserve that takes nothing: it has neither id nor time to live. */
export const isAsked = (item: Pick<ReserveItem, 'tenantId' | 'accounts' | 'amounts' | 'paidBy'>) =>
  isObject(item) &&
  isId(item.tenantId) &&
  isPath(item.accounts) &&
  areAmounts(item.amounts) &&
  (item.paidBy === undefined || isPayer(item.paidBy))

export const isExtend = (item: ExtendItem): boolean =>
  isVoid(item) && isTtl(item.ttlMs) && isSequence(item.sequence) && areAmounts(item.amounts)

export const isSettle = (item: SettleItem): boolean =>
  isVoid(item) && areAmounts(item.actual) && isUsage(item.usage)

export const isVoid = (item: VoidItem): boolean =>
  isObject(item) && isId(item.holdId) && isId(item.tenantId)

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null
const isString = (value: unknown): boolean => typeof value === 'string'
const isStringOrNull = (value: unknown): boolean => value === null || typeof value === 'string'

/** Text that every store keeps as it is: no U+0000, no half of a surrogate pair. */
const NOT_STORED = /[\0\p{Surrogate}]/u
const isText = (value: unknown): boolean => typeof value === 'string' && !NOT_STORED.test(value)
const isId = (value: string): boolean => isText(value) && value.length > 0 && value.length <= MAX_ID

const isTtl = (ms: number): boolean => Number.isInteger(ms) && ms >= 1 && ms <= MAX_TTL_MS
const isSequence = (n: number): boolean => Number.isSafeInteger(n) && n >= 1
const isPayer = (value: unknown): boolean => value === 'tenant' || value === 'platform'

const isPath = (accounts: readonly AccountRef[]): boolean =>
  Array.isArray(accounts) &&
  accounts.every(isAccount) &&
  new Set(accounts.map((account) => account.id)).size === accounts.length

const isAccount = (account: AccountRef): boolean =>
  isObject(account) &&
  isId(account.id) &&
  Number.isInteger(account.depth) &&
  account.depth >= 0 &&
  account.depth <= MAX_DEPTH

function areAmounts(amounts: Amounts): boolean {
  if (!isObject(amounts)) return false
  for (const unit of Object.keys(amounts)) {
    if (!isUnit(unit) || !isAmount(amounts[unit])) return false
  }
  return true
}

const isCall = (call: CallIds): boolean =>
  isObject(call) &&
  isString(call.callId) &&
  isStringOrNull(call.keyId) &&
  isStringOrNull(call.scope) &&
  isString(call.provider) &&
  isString(call.model) &&
  isStringOrNull(call.priceId)

const OUTCOMES: ReadonlySet<unknown> = new Set(['completed', 'aborted', 'broken', 'unreadable'])
const QUALITIES: ReadonlySet<unknown> = new Set(['measured', 'estimated', 'unknown'])
/** What the store says of a usage row: no draft may say it in its place. */
const NOT_OF_A_DRAFT = [
  ...['id', 'tenantId', 'state', 'lines', 'amounts', 'overageNanoUsd', 'startedAtMs'],
  'settledAtMs',
]

const isUsage = (usage: UsageDraft): boolean =>
  isCall(usage) &&
  NOT_OF_A_DRAFT.every((field) => !(field in usage)) &&
  isString(usage.operation) &&
  isStringOrNull(usage.servedModel) &&
  OUTCOMES.has(usage.outcome) &&
  QUALITIES.has(usage.quality) &&
  isCountOrNull(usage.httpStatus) &&
  areTokens(usage.tokens) &&
  areCounts(usage.counts) &&
  isAmount(usage.costNanoUsd) &&
  (usage.providerCostNanoUsd === null || isAmount(usage.providerCostNanoUsd)) &&
  isAmount(usage.chargedNanoUsd) &&
  isPayer(usage.paidBy) &&
  typeof usage.billable === 'boolean' &&
  isStringOrNull(usage.secretId) &&
  isCountOrNull(usage.secretVersion) &&
  areTags(usage.tags) &&
  isCountOrNull(usage.durationMs) &&
  isCountOrNull(usage.responseBytes)

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
const isCountOrNull = (value: unknown): boolean => value === null || isCount(value)

const areTokens = (tokens: TokenUsage): boolean =>
  isObject(tokens) &&
  isCount(tokens.input) &&
  isCountOrNull(tokens.cacheRead) &&
  isCountOrNull(tokens.cacheWrite) &&
  isCountOrNull(tokens.cacheWrite1h) &&
  isCountOrNull(tokens.inputAudio) &&
  isCount(tokens.output) &&
  isCountOrNull(tokens.reasoning) &&
  isCountOrNull(tokens.outputAudio)

function areCounts(counts: UsageDraft['counts']): boolean {
  if (!isObject(counts)) return false
  for (const name of Object.keys(counts)) {
    const count = counts[name]!
    if (!isText(name) || !Number.isFinite(count) || count < 0) return false
  }
  return true
}

function areTags(tags: UsageDraft['tags']): boolean {
  if (!isObject(tags)) return false
  for (const name of Object.keys(tags)) if (!isText(name) || !isText(tags[name])) return false
  return true
}
