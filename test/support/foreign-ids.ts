/**
 * Questions of one tenant for what belongs to another, at least one for every function of the database
 * that takes an id, and for the tables that are read directly.
 *
 * @module
 */
import type { Connection } from '../../src/adapters/postgres/connection.ts'
import { TenantKeysError } from '../../src/kernel/errors.ts'
import type { AuditRecord } from '../../src/storage/records.ts'
import type { Storage } from '../../src/storage/storage.ts'
import {
  ask,
  codeOf,
  settleOf,
  tenantAccount,
  usd,
} from '../../src/testing/storage-conformance/ledger-bench.ts'
import {
  ALL,
  call,
  goodAlso,
  keyIdOf,
  NONE,
  newKey,
  newSecret,
  tenantWithDek,
  usage,
} from '../../src/testing/storage-conformance/samples.ts'

/** A tenant with a row of every kind. */
export interface Inhabitant {
  readonly id: string
  readonly keyId: string
  readonly dekId: string
  /** The hold of a call under way. */
  readonly live: string
  readonly settled: string
  readonly eventId: string
  /** The end of its audit trail. */
  readonly head: AuditRecord
}

const TTL_MS = 86_400_000

/** Its secret has the tenant's id for a name. */
export async function settleIn(storage: Storage, id: string, n: number): Promise<Inhabitant> {
  const dek = await tenantWithDek(storage, id)
  const keyId = keyIdOf(n)
  await storage.keys.create(newKey(id, n), goodAlso(id, `made-${id}`))
  await storage.secrets.put(newSecret(id, dek.id, { name: id }), NONE)
  const budget = { unit: 'usd', window: 'lifetime', zone: 'UTC', source: 'explicit' } as const
  const account = tenantAccount(id)
  await storage.ledger.setBudget({ ...budget, tenantId: id, account, limit: 1000n }, NONE)
  const items = [1n, 2n].map((amount) => ask(id, amount, { ttlMs: TTL_MS, call: call({ keyId }) }))
  await storage.ledger.reserve(items)
  const [live, settled] = items.map((item) => item.holdId) as [string, string]
  const settling = settleOf(id, settled, 2n)
  await storage.ledger.settle([{ ...settling, usage: usage(2n, { keyId }) }])
  const { items: trail } = await storage.audit.list({ rootId: id, ...ALL })
  return {
    id,
    keyId,
    dekId: dek.id,
    live,
    settled,
    eventId: `event-made-${id}`,
    head: trail.at(-1)!,
  }
}

interface Store {
  readonly storage: Storage
  readonly connection: Connection
}

export interface Question {
  /** The function or the table that is asked. */
  readonly of: string
  readonly name: string
  /** Asked for an id of the tenant's own it tells a row, and changes none. */
  readonly hasOwn: boolean
  /** @returns the tenants whose rows the answer told, or whose rows it would not leave alone. */
  ask(store: Store, mine: Inhabitant, theirs: Inhabitant): Promise<readonly string[]>
}

type Ask = (store: Storage, mine: Inhabitant, theirs: Inhabitant) => Promise<unknown>

/** Tells a row that carries its tenant, or none. */
const reads = (of: string, name: string, get: Ask): Question => ({
  ...{ of, name, hasOwn: true },
  ask: async ({ storage }, mine, theirs) => {
    const row = (await get(storage, mine, theirs)) as { readonly tenantId: string } | null
    return row === null ? [] : [row.tenantId]
  },
})

/** Tells rows of the tenant that asks; there is no other id in the question. */
const lists = (
  of: string,
  name: string,
  list: (storage: Storage, mine: Inhabitant) => Promise<readonly string[]>,
): Question => ({
  ...{ of, name, hasOwn: true },
  ask: ({ storage }, mine) => list(storage, mine),
})

/** Has to answer as to an id that never was: with this code or this value. */
const refuses = (of: string, name: string, never: unknown, get: Ask): Question => ({
  ...{ of, name, hasOwn: false },
  ask: async ({ storage }, mine, theirs) => {
    const answer = await get(storage, mine, theirs)
    return answer === never ? [] : [`${theirs.id} by the answer ${answer}`]
  },
})

const onlyCode = async (results: Promise<readonly Parameters<typeof codeOf>[0][]>) =>
  (await results).map(codeOf).join()

const NOT_FOUND = 'TK_BUDGET_HOLD_NOT_FOUND'
const leaseId = '01890000-0000-7000-8000-000000000000'

const tables: readonly Question[] = [
  reads('tenant_api_keys', 'keys.get', ({ keys }, { id: tenantId }, { keyId }) =>
    keys.get({ tenantId, keyId }),
  ),
  lists('tenant_api_keys', 'keys.list', async ({ keys }, { id: tenantId }) =>
    (await keys.list({ tenantId, ...ALL })).items.map((row) => row.tenantId),
  ),
  refuses('tenant_api_keys', 'keys.setState', null, ({ keys }, { id: tenantId }, { keyId }) =>
    keys.setState({ tenantId, keyId, state: 'revoked' }, goodAlso(tenantId, 'theft')),
  ),
  lists('tenant_secrets', 'secrets.list', async ({ secrets }, { id: tenantId }) =>
    (await secrets.list({ tenantId, ...ALL })).items.map((row) => row.tenantId),
  ),
  reads('tk_holds', 'ledger.hold', ({ ledger }, { id: tenantId }, { live: holdId }) =>
    ledger.hold({ tenantId, holdId }),
  ),
  reads('api_key_usage_logs', 'usage.get', (storage, { id: tenantId }, { settled: id }) =>
    storage.usage.get({ tenantId, id }),
  ),
]

const functions: readonly Question[] = [
  lists('tk_key_find_v1', 'keys.find', async ({ keys }, { keyId }) => {
    const { found } = await keys.find(keyId)
    return found === null ? [] : [found.key.tenantId, found.tenant.id]
  }),
  reads('tk_secret_get_v1', 'secrets.get', ({ secrets }, { id: tenantId }, { id: name }) =>
    secrets.get({ tenantId, provider: 'openai', name }),
  ),
  reads('tk_dek_get_v1', 'deks.get', ({ deks }, { id: tenantId }, { dekId }) =>
    deks.get({ tenantId, dekId }),
  ),
  reads('tk_dek_current_v1', 'deks.current', ({ deks }, { id }) => deks.current(id)),
  {
    ...{ of: 'tk_usage_totals_v1', name: 'usage.totals', hasOwn: true },
    ask: async ({ storage }, { id: tenantId }, { keyId: key }) => {
      const query = { tenantId, fromMs: null, untilMs: null, where: { key } }
      const rows = await storage.usage.totals({ ...query, by: ['tenant'] })
      return rows.map((row) => String(row.tenant))
    },
  },
  lists('tk_audit_list_v1', 'audit.list', async ({ audit }, { id: rootId }) =>
    (await audit.list({ rootId, ...ALL })).items.map((row) => String(row.tenantId)),
  ),
  {
    ...{ of: 'tk_audit_heads_v1', name: 'the head of a trail', hasOwn: true },
    ask: async ({ connection }, { id }) => {
      const heads = (await connection.call('tk_audit_heads_v1', [id])) as { root_id: string }[]
      return heads.map((head) => head.root_id)
    },
  },
  {
    ...{ of: 'tk_audit_append_v1', name: 'a row behind the trail of another', hasOwn: false },
    ask: async ({ connection }, { id: tenantId }, { id, head }) => {
      const { sequence, hash: previousHash } = head
      const row = { ...head, id: leaseId, tenantId, sequence: sequence + 1, previousHash }
      const answer = await connection.call('tk_audit_append_v1', [row]).then(
        () => 'it was done',
        (error: unknown) => {
          if (TenantKeysError.isInstance(error) && error.code === 'TK_STORE_CONFLICT') return null
          throw error
        },
      )
      return answer === null ? [] : [id]
    },
  },
  lists('tk_budgets_v1', 'ledger.budgets', async ({ ledger }, { id }) =>
    (await ledger.budgets(id)).map((line) => line.accountId.slice('tenant:'.length)),
  ),
  lists('tk_ledger_part_v1', 'ledger.audit', async ({ ledger }, { id }) => {
    const { tenants, holds, usage: rows } = (await ledger.audit(id))!
    return [...tenants.map((one) => one.id), ...[...holds, ...rows].map((row) => row.tenantId)]
  }),
  refuses(
    'tk_reserve_v1',
    'ledger.reserve on an account of another',
    'TK_INPUT_INVALID',
    ({ ledger }, { id }, theirs) => {
      const accounts = [tenantAccount(id), tenantAccount(theirs.id)]
      return onlyCode(ledger.reserve([ask(id, 1n, { accounts })]))
    },
  ),
  refuses(
    'tk_reserve_v1',
    'ledger.reserve by the hold id of another',
    'TK_BUDGET_HOLD_MISMATCH',
    ({ ledger }, { id }, { live: holdId }) =>
      onlyCode(ledger.reserve([ask(id, 1n, { holdId, ttlMs: TTL_MS })])),
  ),
  refuses(
    'tk_preview_v1',
    'ledger.preview',
    'TK_INPUT_INVALID',
    async ({ ledger }, { id: tenantId }, { id }) =>
      codeOf(await ledger.preview({ tenantId, accounts: [tenantAccount(id)], amounts: usd(1n) })),
  ),
  refuses(
    'tk_extend_v1',
    'ledger.extend',
    NOT_FOUND,
    ({ ledger }, { id: tenantId }, { live: holdId }) =>
      onlyCode(ledger.extend([{ holdId, tenantId, sequence: 1, amounts: usd(3n), ttlMs: TTL_MS }])),
  ),
  refuses(
    'tk_settle_v1',
    'ledger.settle of a live hold',
    NOT_FOUND,
    ({ ledger }, { id }, { live }) => onlyCode(ledger.settle([settleOf(id, live, 1n)])),
  ),
  refuses(
    'tk_settle_v1',
    'ledger.settle of a settled hold',
    NOT_FOUND,
    ({ ledger }, { id }, { settled }) => onlyCode(ledger.settle([settleOf(id, settled, 2n)])),
  ),
  refuses(
    'tk_void_v1',
    'ledger.void',
    NOT_FOUND,
    ({ ledger }, { id: tenantId }, { live: holdId }) =>
      onlyCode(ledger.void([{ holdId, tenantId }])),
  ),
  {
    // It tells the time alone; that no row was touched is seen afterwards.
    ...{ of: 'tk_lock_accounts_v1', name: 'accounts of another', hasOwn: false },
    ask: async ({ connection }, mine, theirs) => {
      const args = { accounts: `{"tenant:${theirs.id}"}`, tenants: `{${mine.id}}` }
      const answer = await connection.call('tk_lock_accounts_v1', args)
      return typeof answer === 'number' ? [] : [`${theirs.id} by the answer ${answer}`]
    },
  },
  refuses('tk_outbox_ack_v1', 'outbox.ack', 0, ({ outbox }, _, { eventId }) =>
    outbox.ack({ leaseId, ids: [eventId] }),
  ),
  refuses('tk_outbox_release_v1', 'outbox.release', 0, ({ outbox }, _, { eventId }) =>
    outbox.release({ leaseId, ids: [eventId], delayMs: 0 }),
  ),
  refuses('tk_outbox_quarantine_v1', 'outbox.quarantine', 0, ({ outbox }, _, { eventId }) =>
    outbox.quarantine({ leaseId, events: [{ id: eventId, reason: 'theft' }] }),
  ),
]

export const QUESTIONS: readonly Question[] = [...tables, ...functions]

/** Functions of no tenant, and why nobody is asked for by them. */
export const OF_NO_TENANT: Readonly<Record<string, string>> = {
  tk_day_start_v1: 'arithmetic',
  tk_offset_ms_v1: 'arithmetic',
  tk_period_v1: 'arithmetic',
  tk_time_v1: 'the clock',
  tk_epoch_v1: 'of the installation',
  tk_raise_epoch_v1: 'of the installation',
  tk_pin_v1: 'of the installation',
  tk_leftovers_v1: 'counts of the installation',
  tk_tenant_list_v1: 'lists tenants',
  tk_outbox_add_v1: 'the queue of all tenants',
  tk_outbox_lease_v1: 'the queue of all tenants',
  tk_outbox_quarantined_v1: 'the queue of all tenants',
  tk_outbox_requeue_v1: 'the queue of all tenants',
  tk_outbox_backlog_v1: 'the queue of all tenants',
  tk_sweep_v1: 'what is due, of all tenants',
  tk_prune_v1: 'what is over, of all tenants',
}
