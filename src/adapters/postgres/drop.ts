/**
 * Takes an installation away that was made for a trial: its schema with everything in it, and its two
 * roles. Not exported from the package: nobody should be one call away from this.
 *
 * @module
 */
import type { PgExecutor } from './executor.ts'
import { mapError } from './map-error.ts'
import { beAdministratorAgain, becomeOwner } from './migrations/roles.ts'
import type { Names } from './names.ts'

/** Run by the role that migrated; may be called twice. @throws TenantKeysError TK_STORE_* */
export async function dropInstallation(executor: PgExecutor, names: Names): Promise<void> {
  const roles = [names.app, names.owner].filter((role) => role !== null)
  const statements = [
    ...becomeOwner(names, { members: [] }),
    `DROP SCHEMA ${names.schema} CASCADE`,
    ...beAdministratorAgain(names),
    ...roles.map((role) => `DROP ROLE ${role}`),
  ]
  try {
    await executor.transaction('write', async (tx) => {
      for (const statement of statements) await tx.query(statement)
    })
  } catch (error) {
    throw mapError(error, 'write')
  }
}
