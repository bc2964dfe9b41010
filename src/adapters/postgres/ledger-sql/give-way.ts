/**
 * Where only holds stand in the way, those whose time is up give way first (`sweptDecision` of
 * `budgets/ledger.ts`). A batch that finds some due is called again, `wide`: it picks them before it
 * locks, so that the counters of theirs are locked in order with its own.
 *
 * A batch picks 64 for each of its first 16 contended decisions; the others are decided over what those
 * have left, and expire nothing more.
 *
 * @module
 */
import type { Names } from '../names.ts'

/** Holds whose time is up that one contended decision may expire, as in `budgets/ledger.ts`. */
const SWEEP_ON_REFUSAL = 64
/** Contended decisions of one batch that may do so. */
const SWEEPS_OF_A_BATCH = 16

export const DUE_VARIABLES = `
  wide boolean := coalesce(args->'wide' = 'true', false);
  due_ids text[] := '{}';
  due_by bigint;
  due_at integer := 1;
  is_due boolean;
  lo integer := 1;
  hi integer;
  swept integer := 0;`

/** Picks what is due, without locks. */
export const pickDue = (names: Names): string => `
    due_by := ${names.fn('tk_time_v1')}(test_now);
    SELECT coalesce(array_agg(d.id), '{}') INTO due_ids FROM (
      SELECT h.id FROM ${names.table('tk_holds')} h
      WHERE h.state = 'held' AND h.expires_at_ms <= due_by
      ORDER BY h.expires_at_ms, h.id LIMIT least(n, ${SWEEPS_OF_A_BATCH}) * ${SWEEP_ON_REFUSAL}
    ) d;`

/** After the decision about item `i`: what was decided is written up to the item before, and it is
 * decided again when others have given way. */
export const giveWay = (names: Names): string => `
      IF d_contended AND swept <> i THEN
        IF is_due IS NULL THEN
          is_due := EXISTS (SELECT 1 FROM ${names.table('tk_holds')} h
            WHERE h.state = 'held' AND h.expires_at_ms <= now_ms);
        END IF;
        IF is_due AND NOT wide THEN
          RETURN json_build_object('again', true);
        ELSIF is_due AND due_at <= cardinality(due_ids) THEN
          hi := i - 1;
          EXIT;
        END IF;
      END IF;`

/** At the end of a round that did not reach the last item. */
export const expireDue = (names: Names): string => `
    lo := hi + 1;
    swept := lo;
    PERFORM ${names.fn('tk_expire_v1')}(due_ids[due_at:due_at + ${SWEEP_ON_REFUSAL - 1}], now_ms);
    due_at := due_at + ${SWEEP_ON_REFUSAL};`
