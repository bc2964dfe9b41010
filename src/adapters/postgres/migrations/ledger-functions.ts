/**
 * The functions of the ledger, those that others call first.
 *
 * @module
 */

import { expiryFunctions } from '../ledger-sql/expire.ts'
import { extendFunctions } from '../ledger-sql/extend.ts'
import { periodFunctions } from '../ledger-sql/period.ts'
import { rateFunctions } from '../ledger-sql/rates.ts'
import { reserveFunctions } from '../ledger-sql/reserve.ts'
import { amountFunctions } from '../ledger-sql/same-amounts.ts'
import { settleFunctions } from '../ledger-sql/settle.ts'
import { upkeepFunctions } from '../ledger-sql/upkeep.ts'
import type { Names } from '../names.ts'

export const ledgerFunctions = (names: Names): string[] => [
  ...periodFunctions(names),
  ...rateFunctions(names),
  ...amountFunctions(names),
  ...expiryFunctions(names),
  ...reserveFunctions(names),
  ...extendFunctions(names),
  ...settleFunctions(names),
  ...upkeepFunctions(names),
]
