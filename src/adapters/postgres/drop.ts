/**
 * Takes an installation away that was made for a trial: its schema with everything in it, and its two
 * roles. Not exported from the package: nobody should be one call away from this.
 *
 * @module
 */
import pRetry from 'p-retry'
import { TenantKeysError } from '../../kernel/errors.ts'
import type { PgExecutor } from './executor.ts'
import { mapError } from './map-error.ts'
import { beAdministratorAgain, becomeOwner } from './migrations/roles.ts'
import { LOCK_TIMEOUT_MS } from './migrations/sql.ts'
import type { Names } from './names.ts'

/** A statement of a process that was killed runs on for a while, and holds its locks. */
const PATIENCE = { retries: 8, minTimeout: 100, factor: 2, maxTimeout: 5000, randomize: true }

/**
 * Run by the role that migrated; may be called twice. Asks again while others are still at work there.
 *
 * @throws TenantKeysError TK_STORE_*; nothing was taken away then, or, after a lost answer, everything.
 */
export async function dropInstallation(executor: PgExecutor, names: Names): Promise<void> {
  const roles = [names.app, names.owner].filter((role) => role !== null)
  const statements = [
    `SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`,
    ...becomeOwner(names, { members: [] }),
    `DROP SCHEMA ${names.schema} CASCADE`,
    ...beAdministratorAgain(names),
    ...roles.map((role) => `DROP ROLE ${role}`),
  ]
  const drop = async (): Promise<void> => {
    try {
      await executor.transaction('write', async (tx) => {
        for (const statement of statements) await tx.query(statement)
      })
    } catch (error) {
      throw mapError(error, 'write')
    }
  }
  const shouldRetry = ({ error }: { readonly error: Error }): boolean =>
    TenantKeysError.isInstance(error) && error.code === 'TK_STORE_BUSY'
  await pRetry(drop, { ...PATIENCE, shouldRetry })
}
