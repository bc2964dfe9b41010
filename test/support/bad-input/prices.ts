/**
 * Bad input to `tk.prices`.
 *
 * @module
 */
import { as, CANARY, type Row } from './row.ts'
import { type Call, NO_OBJECTS, rows, unknownFields } from './values.ts'

const find: Call = (tk, input) => tk.prices.find(as(input))
const BAD_NAMES = { missing: undefined, null: null, number: 7, empty: '', long: CANARY.repeat(99) }

export const priceRows: readonly Row[] = [
  ...rows('prices.find', '(argument)', NO_OBJECTS, find),
  ...rows('prices.find', 'provider', BAD_NAMES, (tk, provider) =>
    find(tk, { provider, model: 'gpt-4o' }, as(null)),
  ),
  ...rows('prices.find', 'model', BAD_NAMES, (tk, model) =>
    find(tk, { provider: 'openai', model }, as(null)),
  ),
  ...rows('prices.find', 'atMs', { negative: -1, fraction: 0.5, text: CANARY }, (tk, atMs) =>
    find(tk, { provider: 'openai', model: 'gpt-4o', atMs }, as(null)),
  ),
  ...unknownFields('prices.find', { provider: 'openai', model: 'gpt-4o' }, find),
]
