/**
 * Alerts: one event for each threshold and period (`budgets/alerts.ts`).
 *
 * @module
 */
import { addEvent } from './events.ts'

export const ALERT_VARIABLES = `
  percent integer;
  highest integer;
  elapsed bigint;
  left_ms numeric;
  exhausted_at bigint;`

/** Counter `k` was charged and has reached `c_next[k]`: reports each threshold that it has reached and
 * that this period has not seen yet, with the moment when the limit is reached if spending goes on. */
export const alert = `
            highest := c_alerted[k];
            c_next[k] := 9223372036854775807;
            FOREACH percent IN ARRAY c_alerts[k]::integer[] LOOP
              CONTINUE WHEN percent <= c_alerted[k];
              IF c_posted[k]::numeric * 100 < c_limit[k]::numeric * percent THEN
                c_next[k] := least(c_next[k],
                  least(9223372036854775807, ceil(c_limit[k]::numeric * percent / 100))::bigint);
                CONTINUE;
              END IF;
              highest := greatest(highest, percent);
              exhausted_at := NULL;
              elapsed := now_ms - greatest(c_start[k], c_created[k]);
              IF c_posted[k] >= c_limit[k] THEN
                exhausted_at := now_ms;
              ELSIF elapsed > 0 THEN
                left_ms := div((c_limit[k]::numeric - c_posted[k]) * elapsed, c_posted[k]);
                IF now_ms + left_ms <= 9007199254740991
                  AND (c_end[k] IS NULL OR now_ms + left_ms < c_end[k])
                THEN
                  exhausted_at := now_ms + left_ms;
                END IF;
              END IF;${addEvent({
                id: `'alert.' || c_acct[k] || '.' || c_unit[k] || '.' || c_win[k] || '.'
            || c_start[k] || '.' || c_created[k] || '.' || c_limit[k] || '.' || percent`,
                kind: 'budget.threshold',
                tenant: 'c_tenant[k]',
                payload: `(json_build_object('accountId', c_acct[k], 'unit', c_unit[k],
            'window', c_win[k], 'percent', percent, 'limit', c_limit[k]::text,
            'posted', c_posted[k]::text, 'exhaustedAtMs', exhausted_at))::text`,
              })}
            END LOOP;
            c_alerted[k] := highest;`
