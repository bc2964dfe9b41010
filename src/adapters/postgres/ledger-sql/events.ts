/**
 * Events of a batch, gathered in arrays and written once, in their order.
 *
 * @module
 */
import type { Names } from '../names.ts'

export const EVENT_VARIABLES = `
  e_n integer := 0;
  e_id text[] := '{}';
  e_kind text[] := '{}';
  e_tenant text[] := '{}';
  e_payload text[] := '{}';`

/** Each argument is an expression; `payload` gives JSON text. */
export const addEvent = (event: {
  readonly id: string
  readonly kind: string
  readonly tenant: string
  readonly payload: string
}): string => `
          e_n := e_n + 1;
          e_id[e_n] := ${event.id};
          e_kind[e_n] := '${event.kind}';
          e_tenant[e_n] := ${event.tenant};
          e_payload[e_n] := ${event.payload};`

/** A second event of the same id is ignored. */
export const writeEvents = (names: Names): string => `
      IF e_n > 0 THEN
        INSERT INTO ${names.table('tk_outbox')}
            (id, kind, tenant_id, at_ms, payload, attempts, leased_until_ms)
          SELECT t.id, t.kind, t.tenant, now_ms, t.payload, 0, 0
          FROM unnest(e_id, e_kind, e_tenant, e_payload) AS t (id, kind, tenant, payload)
          ON CONFLICT (id) DO NOTHING;
        e_n := 0;
        e_id := '{}';
        e_kind := '{}';
        e_tenant := '{}';
        e_payload := '{}';
      END IF;`

/** An expression for the JSON of a line: counter `k` in its present period. */
export const lineJson = (k: string): string => `c_json[${k}] || c_start[${k}]::text || '}'`
