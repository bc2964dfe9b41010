/**
 * Values that are written once and stay.
 *
 * @module
 */
import { TenantKeysError } from '../../kernel/errors.ts'
import type { Storage } from '../../storage/storage.ts'
import type { Connection } from './connection.ts'

export function pinCommand(connection: Connection): Storage['pin'] {
  return async (name, value) => {
    const first = await connection.call('tk_pin_v1', { name, value })
    if (typeof first === 'string') return first
    throw new TenantKeysError('TK_STORE_CORRUPT', { reason: 'a pinned value cannot be read' })
  }
}
