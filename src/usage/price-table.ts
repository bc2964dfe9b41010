/**
 * The price table: the host's own rows first, then the bundled ones. Nothing else is a price.
 *
 * @module
 */
import { LRUCache } from 'lru-cache'
import { parse } from '../kernel/validate.ts'
import { bundledPrice } from './genai-prices.ts'
import type { HostPrice, PriceRow, PriceTable } from './price.ts'
import { hostPricesSchema, hostRow } from './price-options.ts'

const MINUTE_MS = 60_000

/** Model ids come from requests, so what is remembered of them is bounded. */
const MAX_REMEMBERED = 1000

/** What a model id may be made of: blanks and control characters name no model. */
const MODEL_ID = /^[\x21-\x7e]{1,200}$/

/**
 * @param options - `hostPrices` win over the bundled table; `now` is the time of asks without one, in ms.
 * @throws TenantKeysError TK_CONFIG_INVALID naming the field: bad rows, two rows for one model.
 */
export function priceTable(options: {
  readonly hostPrices?: readonly HostPrice[]
  readonly now?: () => number
}): PriceTable {
  const { hostPrices = [], now = Date.now } = options
  const rows = parse(hostPricesSchema, hostPrices, 'options.prices', 'TK_CONFIG_INVALID').map(
    hostRow,
  )
  const host = new Map(rows.map((row) => [keyOf(row), row]))

  // Bundled prices change with the date and the time of day, in whole minutes, so an answer holds for
  // the minute it was given in.
  const recent = new LRUCache<string, { readonly minute: number; readonly row: PriceRow | null }>({
    max: MAX_REMEMBERED,
  })
  return {
    find: async ({ provider, model, atMs = now() }) => {
      const key = keyOf({ provider, model })
      const own = host.get(key)
      if (own) return own
      if (!MODEL_ID.test(model)) return null
      const minute = Math.floor(atMs / MINUTE_MS)
      const known = recent.get(key)
      if (known?.minute === minute) return known.row
      const row = await bundledPrice({ provider, model, atMs })
      recent.set(key, { minute, row })
      return row
    },
  }
}

/** Provider ids hold no slash, so the pair is unambiguous. */
const keyOf = ({ provider, model }: { provider: string; model: string }): string =>
  `${provider}/${model}`
