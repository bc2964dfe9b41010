/**
 * The migrations, in order. A migration that was released is never edited; a later one only adds, so
 * that processes of the version before keep running while it is applied and after.
 *
 * @module
 */
import type { Names } from '../names.ts'
import { functions } from './functions.ts'
import { ledgerFunctions } from './ledger-functions.ts'
import { ledgerTables } from './ledger-tables.ts'
import { leftoverFunctions } from './leftovers.ts'
import { tables } from './tables.ts'
import { timeFunctions, timeTables } from './time.ts'

export interface Migration {
  /** 1, 2, 3 ... without gaps. */
  readonly version: number
  /** The lowest version of the code that may still use the schema afterwards. */
  readonly compatibleFrom: number
  /** Part of the file name, for example `001_tenantkeys.sql`. */
  readonly title: string
  /** Run as the owner role, in one transaction. */
  statements(names: Names): string[]
}

export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    compatibleFrom: 1,
    title: 'tenantkeys',
    statements: (names) => [
      ...timeTables(names),
      ...tables(names),
      ...ledgerTables(names),
      ...timeFunctions(names),
      ...functions(names),
      ...ledgerFunctions(names),
      ...leftoverFunctions(names),
    ],
  },
]

/** The version of the schema that this code was written for. */
export const SCHEMA_VERSION: number = MIGRATIONS.length
