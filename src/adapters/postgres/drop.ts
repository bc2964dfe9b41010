/**
 * Takes an installation away that was made for a trial: its schema with everything in it, and its two
 * roles. Not exported from the package: nobody should be one call away from this.
 *
 * @module
 */
import type { PgExecutor } from './executor.ts'
import { mapError } from './map-error.ts'
import type { Names } from './names.ts'

/** May be called twice. @throws TenantKeysError TK_STORE_* */
export async function dropInstallation(executor: PgExecutor, names: Names): Promise<void> {
  const roles = [names.app, names.owner].filter((role) => role !== null)
  try {
    await executor.query(`DROP SCHEMA IF EXISTS ${names.schema} CASCADE`)
    for (const role of roles) await executor.query(`DROP ROLE IF EXISTS ${role}`)
  } catch (error) {
    throw mapError(error, 'write')
  }
}
