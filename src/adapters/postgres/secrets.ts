/**
 * Sealed secrets and wrapped data keys in PostgreSQL. What a call needs on its way is one round trip.
 *
 * @module
 */

import { toHex } from '../../kernel/encoding.ts'
import { TenantKeysError } from '../../kernel/errors.ts'
import type { SecretRecord } from '../../storage/records.ts'
import {
  type DekCommands,
  MAX_SEALS_PER_DEK,
  type SecretCommands,
  type SecretRef,
} from '../../storage/storage.ts'
import { pageOf } from '../../storage/stored-records.ts'
import { writeAlso } from './also.ts'
import type { Connection, Tx } from './connection.ts'
import type { PgParam } from './executor.ts'
import { DEK_COLUMNS, dekOf, needTenant, rowIn, SECRET_COLUMNS, secretOf } from './rows.ts'

const place = (ref: SecretRef): PgParam[] => [ref.tenantId, ref.provider, ref.name]

export function secretCommands(connection: Connection): SecretCommands {
  const { names } = connection
  const table = names.table('tenant_secrets')
  const lock = `SELECT ${SECRET_COLUMNS} FROM ${table}
    WHERE tenant_id = $1 AND provider = $2 AND name = $3 FOR UPDATE`
  const put = `INSERT INTO ${table} (tenant_id, provider, name, id, version, origin, public_fields,
      masked, dek_id, envelope, created_at_ms, updated_at_ms)
    VALUES ($1, $2, $3, $4, $5::bigint, $6, $7, $8, $9, decode($10::text, 'hex'), $11::bigint,
      $12::bigint)`
  const replace = `${put} ON CONFLICT (tenant_id, provider, name) DO UPDATE SET id = excluded.id,
    version = excluded.version, origin = excluded.origin, public_fields = excluded.public_fields,
    masked = excluded.masked, dek_id = excluded.dek_id, envelope = excluded.envelope,
    updated_at_ms = excluded.updated_at_ms`
  const list = `SELECT ${SECRET_COLUMNS} FROM ${table}
    WHERE tenant_id = $1 AND (provider || '/' || name) COLLATE "C" > $2
    ORDER BY (provider || '/' || name) COLLATE "C" LIMIT $3::bigint`
  const remove = `DELETE FROM ${table} WHERE tenant_id = $1 AND provider = $2 AND name = $3
    RETURNING id`
  return {
    put: (given, also) =>
      connection.write(given.tenantId, async (tx) => {
        await needTenant(tx, names, given.tenantId)
        const [stored] = await tx.query(lock, place(given))
        const before = stored ? secretOf(stored) : null
        if (given.version !== (before?.version ?? 0) + 1) {
          throw new TenantKeysError('TK_STORE_CONFLICT', { reason: 'another version is stored' })
        }
        await countSeal(connection, tx, given)
        const secret: SecretRecord = {
          ...given,
          publicFields: { ...given.publicFields },
          envelope: Uint8Array.from(given.envelope),
          createdAtMs: before?.createdAtMs ?? tx.nowMs,
          updatedAtMs: tx.nowMs,
        }
        // Of two first versions the second finds the row of the first: TK_STORE_CONFLICT.
        await tx.query(before ? replace : put, columnsOf(secret))
        await writeAlso(tx, also)
        return secret
      }),
    get: async (ref) => {
      const { tenantId, provider, name } = ref
      const row = await connection.call('tk_secret_get_v1', { tenantId, provider, name }, 'read')
      return row === null ? null : secretOf(rowIn(row))
    },
    list: ({ tenantId, after, limit }) =>
      connection.read(tenantId, async (tx) => {
        const rows = await tx.query(list, [tenantId, after ?? '', String(limit + 1)])
        return pageOf(rows, secretOf, ({ provider, name }) => `${provider}/${name}`, limit)
      }),
    delete: (ref, also) =>
      connection.write(ref.tenantId, async (tx) => {
        if ((await tx.query(remove, place(ref))).length === 0) return false
        await writeAlso(tx, also)
        return true
      }),
  }
}

const columnsOf = (secret: SecretRecord): PgParam[] => [
  ...place(secret),
  secret.id,
  String(secret.version),
  secret.origin,
  JSON.stringify(secret.publicFields),
  secret.masked,
  secret.dekId,
  toHex(secret.envelope),
  String(secret.createdAtMs),
  String(secret.updatedAtMs),
]

/** Counts the seal that made an envelope, in the transaction that stores the envelope. */
async function countSeal(
  { names }: Connection,
  tx: Tx,
  { tenantId, dekId }: Pick<SecretRecord, 'tenantId' | 'dekId'>,
): Promise<void> {
  const table = names.table('tk_data_keys')
  const lock = `SELECT ${DEK_COLUMNS} FROM ${table} WHERE tenant_id = $1 AND id = $2 FOR UPDATE`
  const count = `UPDATE ${table} SET seals = seals + 1 WHERE tenant_id = $1 AND id = $2`
  const [row] = await tx.query(lock, [tenantId, dekId])
  if (!row) throw new TenantKeysError('TK_STORE_CONFLICT', { reason: 'the data key is not there' })
  if (dekOf(row).seals >= MAX_SEALS_PER_DEK) {
    throw new TenantKeysError('TK_DEK_EXHAUSTED', { tenantId })
  }
  await tx.query(count, [tenantId, dekId])
}

export function dekCommands(connection: Connection): DekCommands {
  const { names } = connection
  const table = names.table('tk_data_keys')
  const add = `INSERT INTO ${table} (tenant_id, id, generation, kek_id, wrapped, seals, created_at_ms)
    VALUES ($1, $2, $3::bigint, $4, decode($5::text, 'hex'), 0, $6::bigint)
    ON CONFLICT (tenant_id, generation) DO NOTHING RETURNING id`
  const first = `SELECT ${DEK_COLUMNS} FROM ${table} WHERE tenant_id = $1 AND generation = $2::bigint`
  return {
    current: async (tenantId) => {
      const row = await connection.call('tk_dek_current_v1', { tenantId }, 'read')
      return row === null ? null : dekOf(rowIn(row))
    },
    get: async ({ tenantId, dekId }) => {
      const row = await connection.call('tk_dek_get_v1', { tenantId, dekId }, 'read')
      return row === null ? null : dekOf(rowIn(row))
    },
    create: (given, also) =>
      connection.write(given.tenantId, async (tx) => {
        const { tenantId, id, generation, kekId, wrapped } = given
        await needTenant(tx, names, tenantId)
        const values = [tenantId, id, String(generation), kekId, toHex(wrapped), String(tx.nowMs)]
        if ((await tx.query(add, values)).length === 0) {
          const [row] = await tx.query(first, [tenantId, String(generation)])
          return dekOf(rowIn(row))
        }
        await writeAlso(tx, also)
        return { ...given, wrapped: Uint8Array.from(wrapped), seals: 0, createdAtMs: tx.nowMs }
      }),
  }
}
