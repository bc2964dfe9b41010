/**
 * Amounts by unit, as JSON of decimal strings: what is absent is zero.
 *
 * @module
 */
import type { Names } from '../names.ts'
import { innerFunction } from './function.ts'

export const amountFunctions = (names: Names): string[] => [
  ...innerFunction(names, 'tk_same_amounts_v1', {
    args: 'a text, b text',
    returns: 'boolean',
    body: `
BEGIN
  RETURN a = b OR NOT EXISTS (
    SELECT 1 FROM (SELECT key FROM jsonb_each_text(a::jsonb)
      UNION SELECT key FROM jsonb_each_text(b::jsonb)) u
    WHERE coalesce((a::jsonb->>u.key)::numeric, 0) <> coalesce((b::jsonb->>u.key)::numeric, 0));
END`,
  }),
  // What one set of amounts is above another; NULL when it is below in any unit.
  ...innerFunction(names, 'tk_more_v1', {
    args: 'total text, before text',
    returns: 'jsonb',
    body: `
DECLARE
  more jsonb;
  least_change numeric;
BEGIN
  SELECT coalesce(jsonb_object_agg(d.key, d.change::text), '{}'), coalesce(min(d.change), 0)
    INTO more, least_change
    FROM (SELECT u.key, coalesce((total::jsonb->>u.key)::numeric, 0)
        - coalesce((before::jsonb->>u.key)::numeric, 0) AS change
      FROM (SELECT key FROM jsonb_each_text(total::jsonb)
        UNION SELECT key FROM jsonb_each_text(before::jsonb)) u) d;
  RETURN CASE WHEN least_change >= 0 THEN more END;
END`,
  }),
]
