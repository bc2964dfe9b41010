/**
 * The whole table of bad input.
 *
 * @module
 */
import { amountRows } from './amounts.ts'
import { authorizeRows } from './authorize.ts'
import { budgetRows } from './budgets.ts'
import { contextRows } from './contexts.ts'
import { entryRows } from './entries.ts'
import { fetchRows } from './fetches.ts'
import { keyRows } from './keys.ts'
import { optionRows } from './options.ts'
import { planRows } from './plans.ts'
import { priceRows } from './prices.ts'
import type { Row } from './row.ts'
import { secretRows } from './secrets.ts'
import { standaloneRows } from './standalone.ts'
import { tenantRows } from './tenants.ts'
import { usageRows } from './usage.ts'

export const rows: readonly Row[] = [
  ...tenantRows,
  ...keyRows,
  ...secretRows,
  ...budgetRows,
  ...entryRows,
  ...planRows,
  ...amountRows,
  ...usageRows,
  ...priceRows,
  ...authorizeRows,
  ...contextRows,
  ...fetchRows,
  ...optionRows,
  ...standaloneRows,
]
