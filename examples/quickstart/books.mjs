// Three books of the same calls: the usage rows, the ledger of budgets, and what the stand-in counted
// itself. They have to agree to the last token and the last nano-dollar.
import { line, promise, table, usd } from './print.mjs'

export async function showBooks(tk, provider) {
  const rows = await tk.usage.query({ by: ['tenant'] })
  const budgets = new Map()
  for (const { tenant } of rows)
    budgets.set(tenant, (await tk.budgets.list({ tenantId: tenant }))[0])
  const [all] = await tk.budgets.list({ tenantId: 'platform' })

  table([
    ['tenant', 'calls', 'tokens in', 'out', 'cost, USD', 'billed, USD', 'budget left'],
    ...rows.map((row) => [
      row.tenant,
      ...[row.calls, row.inputTokens, row.outputTokens].map(String),
      usd(row.costNanoUsd),
      usd(row.chargedNanoUsd),
      left(budgets.get(row.tenant)),
    ]),
  ])
  line('')
  line('acme is billed nothing: its own credential paid. Prices: docs/prices.md.')
  line('')

  table([
    ['tenant', 'unit', 'the ledger says', 'tk.usage.query says', 'still held'],
    ...rows.map((row) => compared(row.tenant, budgets.get(row.tenant), row)),
    compared('platform', all, sumOf(rows)),
  ])
  line('')

  const check = await tk.budgets.check()
  promise('tk.budgets.check(): counters, holds and usage rows agree', check.ok)
  const seen = await provider.seen()
  const calls = await usageRowsOf(tk, rows)
  const measured = calls.filter(({ quality }) => quality === 'measured')
  const unmatched = seen.map(figures)
  promise(
    `the stand-in counted ${seen.length} calls, with the same tokens in each that is measured`,
    seen.length === calls.length &&
      measured.every(({ model, tokens }) => take(unmatched, figures({ model, ...tokens }))),
  )
  const sawOf = (...ends) => seen.filter(({ credential }) => ends.includes(credential)).length
  const callsOf = (...ids) => calls.filter(({ tenantId }) => ids.includes(tenantId)).length
  promise(
    'it saw the credential of acme and of umbrella in their own calls only',
    sawOf('...acme') === callsOf('acme') &&
      sawOf('...umbr') === callsOf('umbrella') &&
      sawOf('...oaip', '...antp') === callsOf('globex', 'initech'),
  )
}

const figures = ({ model, input, output }) => `${model}: ${input} in, ${output} out`

/** @returns false when it is not among the items, or not any more. */
function take(items, wanted) {
  const at = items.indexOf(wanted)
  if (at >= 0) items.splice(at, 1)
  return at >= 0
}

/** A row of the comparison. @throws Error when the two books differ, or when something is still held. */
export function compared(tenant, { unit, usedAmount, heldAmount }, row) {
  const used = unit === 'usd' ? row.costNanoUsd : BigInt(row.inputTokens + row.outputTokens)
  const show = (amount) => (unit === 'usd' ? usd(amount) : String(amount))
  if (used !== usedAmount) {
    throw new Error(`books differ: ${tenant}: ledger ${show(usedAmount)}, usage ${show(used)}`)
  }
  if (heldAmount !== 0n) throw new Error(`something is still held: ${tenant}`)
  return [tenant, unit, show(usedAmount), show(used), show(heldAmount)]
}

const left = ({ unit, limit, limitAmount, usedAmount, heldAmount }) => {
  const rest = limitAmount - usedAmount - heldAmount
  return `${unit === 'usd' ? usd(rest) : rest} of ${limit} ${unit}`
}

const sumOf = (rows) => ({ costNanoUsd: rows.reduce((total, row) => total + row.costNanoUsd, 0n) })

async function usageRowsOf(tk, tenants) {
  const pages = await Promise.all(
    tenants.map(({ tenant }) => tk.usage.list({ tenantId: tenant, limit: 1000 })),
  )
  return pages.flatMap(({ items }) => items)
}
