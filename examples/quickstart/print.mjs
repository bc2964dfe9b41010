// How the demo prints: headings, lines, receipts, tables, promises. A promise that does not hold ends
// the demo with an error.
export const heading = (text) => console.log(`\n${text}\n`)

export const line = (text) => console.log(text && `   ${text}`)

/** A short name in front, the rest in the column behind it. */
export function row(name, ...lines) {
  for (const [i, text] of lines.entries()) line(`${(i === 0 ? name : '').padEnd(12)} ${text}`)
}

/** What a call was, whose credential paid, and what is left: two lines of its receipt. */
export function receipt(name, told) {
  const { outcome, quality, tokens, costNanoUsd, credential, tenantId, budgets } = told
  const payer = credential.masked
    ? `${tenantId}'s own key ${credential.masked}`
    : "the platform's key"
  const { left, limit, unit } = budgets.find(({ account }) => account === `tenant:${tenantId}`)
  row(
    name,
    `${outcome}, ${quality}: ${tokens.input} tokens in, ${tokens.output} out, ${usd(costNanoUsd)} USD`,
    `paid by ${payer}; ${left} of ${limit} ${unit} left`,
  )
}

/** Nano-dollars as dollars, all nine digits. */
export function usd(nano) {
  const digits = String(nano).padStart(10, '0')
  return `${digits.slice(0, -9)}.${digits.slice(-9)}`
}

/** The first row is the head; columns of figures stand right. */
export function table(rows) {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((cells) => cells[i].length)))
  const isFigure = rows[0].map((_, i) => rows.slice(1).every((cells) => /^[-\d.]+$/.test(cells[i])))
  const print = (cells) =>
    line(
      cells
        .map((cell, i) => (isFigure[i] ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
        .join('  ')
        .trimEnd(),
    )
  print(rows[0])
  line('-'.repeat(widths.reduce((sum, width) => sum + width + 2, -2)))
  for (const cells of rows.slice(1)) print(cells)
}

/** @throws Error when it is not so. */
export function promise(text, isKept) {
  if (!isKept) throw new Error(`this promise does not hold: ${text}`)
  line(`ok  ${text}`)
}
