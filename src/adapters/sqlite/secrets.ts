/**
 * Sealed secrets and wrapped data keys in SQLite.
 *
 * @module
 */

import { TenantKeysError } from '../../kernel/errors.ts'
import type { DekRecord, SecretRecord } from '../../storage/records.ts'
import {
  type DekCommands,
  MAX_SEALS_PER_DEK,
  type SecretCommands,
  type SecretRef,
} from '../../storage/storage.ts'
import { pageOf } from '../../storage/stored-records.ts'
import { writeAlso } from './also.ts'
import type { SqliteClient, SqliteValue } from './client.ts'
import type { Connection } from './connection.ts'
import { dekOf, needTenant, secretOf } from './rows.ts'

const PUT_SECRET = `INSERT OR REPLACE INTO tenant_secrets
  (tenant_id, provider, name, id, version, origin, public_fields, masked, dek_id, envelope,
   created_at_ms, updated_at_ms)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
const GET_SECRET = 'SELECT * FROM tenant_secrets WHERE tenant_id = ? AND provider = ? AND name = ?'
const LIST_SECRETS = `SELECT * FROM tenant_secrets
  WHERE tenant_id = ? AND provider || '/' || name > ?
  ORDER BY provider || '/' || name LIMIT ?`
const DELETE_SECRET = 'DELETE FROM tenant_secrets WHERE tenant_id = ? AND provider = ? AND name = ?'

const place = (ref: SecretRef): SqliteValue[] => [ref.tenantId, ref.provider, ref.name]

function getSecret(client: SqliteClient, ref: SecretRef): SecretRecord | null {
  const row = client.get(GET_SECRET, ...place(ref))
  return row && secretOf(row)
}

export function secretCommands(connection: Connection): SecretCommands {
  return {
    put: (given, also) =>
      connection.write((tx) => {
        needTenant(tx.client, given.tenantId)
        const before = getSecret(tx.client, given)
        if (given.version !== (before?.version ?? 0) + 1) {
          throw new TenantKeysError('TK_STORE_CONFLICT', { reason: 'another version is stored' })
        }
        countSeal(tx.client, given.tenantId, given.dekId)
        const secret: SecretRecord = {
          ...given,
          publicFields: { ...given.publicFields },
          envelope: Uint8Array.from(given.envelope),
          createdAtMs: before?.createdAtMs ?? tx.nowMs,
          updatedAtMs: tx.nowMs,
        }
        putSecret(tx.client, secret)
        writeAlso(tx, also)
        return secret
      }),
    get: (ref) => connection.read(({ client }) => getSecret(client, ref)),
    list: ({ tenantId, after, limit }) =>
      connection.read(({ client }) => {
        const rows = client.all(LIST_SECRETS, tenantId, after ?? '', limit + 1)
        return pageOf(rows, secretOf, ({ provider, name }) => `${provider}/${name}`, limit)
      }),
    delete: (ref, also) =>
      connection.write((tx) => {
        if (tx.client.run(DELETE_SECRET, ...place(ref)) === 0) return false
        writeAlso(tx, also)
        return true
      }),
  }
}

function putSecret(client: SqliteClient, secret: SecretRecord): void {
  client.run(
    PUT_SECRET,
    ...place(secret),
    secret.id,
    secret.version,
    secret.origin,
    JSON.stringify(secret.publicFields),
    secret.masked,
    secret.dekId,
    secret.envelope,
    secret.createdAtMs,
    secret.updatedAtMs,
  )
}

const GET_DEK = 'SELECT * FROM tk_data_keys WHERE tenant_id = ? AND id = ?'
const GET_GENERATION = 'SELECT * FROM tk_data_keys WHERE tenant_id = ? AND generation = ?'
const NEWEST_DEK = 'SELECT * FROM tk_data_keys WHERE tenant_id = ? ORDER BY generation DESC LIMIT 1'
const ADD_DEK = `INSERT INTO tk_data_keys
  (tenant_id, id, generation, kek_id, wrapped, seals, created_at_ms) VALUES (?, ?, ?, ?, ?, 0, ?)`
const COUNT_SEAL = 'UPDATE tk_data_keys SET seals = seals + 1 WHERE tenant_id = ? AND id = ?'

function getDek(client: SqliteClient, tenantId: string, dekId: string): DekRecord | null {
  const row = client.get(GET_DEK, tenantId, dekId)
  return row && dekOf(row)
}

/** Counts the seal that made an envelope, in the transaction that stores the envelope. */
function countSeal(client: SqliteClient, tenantId: string, dekId: string): void {
  const dek = getDek(client, tenantId, dekId)
  if (!dek) throw new TenantKeysError('TK_STORE_CONFLICT', { reason: 'the data key is not there' })
  if (dek.seals >= MAX_SEALS_PER_DEK) throw new TenantKeysError('TK_DEK_EXHAUSTED', { tenantId })
  client.run(COUNT_SEAL, tenantId, dekId)
}

export function dekCommands(connection: Connection): DekCommands {
  return {
    current: (tenantId) =>
      connection.read(({ client }) => {
        const row = client.get(NEWEST_DEK, tenantId)
        return row && dekOf(row)
      }),
    get: ({ tenantId, dekId }) => connection.read(({ client }) => getDek(client, tenantId, dekId)),
    create: (given, also) =>
      connection.write((tx) => {
        const { client, nowMs } = tx
        const { tenantId, id, generation, kekId, wrapped } = given
        needTenant(client, tenantId)
        const first = client.get(GET_GENERATION, tenantId, generation)
        if (first) return dekOf(first)
        client.run(ADD_DEK, tenantId, id, generation, kekId, wrapped, nowMs)
        writeAlso(tx, also)
        return { ...given, wrapped: Uint8Array.from(wrapped), seals: 0, createdAtMs: nowMs }
      }),
  }
}
