/**
 * The long form of the tests of crashes, races and bad networks, `npm run test:force`, and what it
 * prints of them.
 *
 * @module
 */

export const FULL = process.env.TENANTKEYS_FORCE === '1'

/** Prints one row of figures as a table, in the long form only: at its size they say something. Call it
 * before what is expected of them, so that a figure that is wrong is seen too. */
export function printFigures(figures: Readonly<Record<string, unknown>>): void {
  if (FULL) console.table([figures])
}
