/**
 * The bank of sabotages of the ledger's functions in PostgreSQL: changes of their text, each with the
 * case of the conformance suite that must notice it.
 *
 * @module
 */

export interface SqlSabotage {
  /** Part of the title of the case that must fail. */
  readonly only: string
  readonly what: string
  /** Function, without schema, and what is replaced in it wherever it stands. */
  readonly changes: readonly (readonly [fn: string, from: string, to: string])[]
}

const RESERVE = 'tk_reserve_v1'
const SETTLE = 'tk_settle_v1'
const EXTEND = 'tk_extend_v1'
const EXPIRE = 'tk_expire_v1'
const VOID = 'tk_void_v1'

const one = (only: string, what: string, fn: string, from: string, to: string): SqlSabotage => ({
  only,
  what,
  changes: [[fn, from, to]],
})

export const SQL_BANK: readonly SqlSabotage[] = [
  {
    only: 'T-B1 of 64 callers for the last amount',
    what: 'counters are not locked, and written wherever they are',
    changes: [
      [RESERVE, 'ORDER BY c.unit, c.period FOR UPDATE', 'ORDER BY c.unit, c.period'],
      [RESERVE, 'c.ctid = t.c_tid', 'c.account_id = ANY (c_acct)'],
      [RESERVE, 'IF written <> ', 'IF NULL AND written <> '],
    ],
  },
  one(
    'BG-1 when account 3 of 4 refuses',
    'only the leaf of a path is asked',
    RESERVE,
    'FOR j IN p_from[p]..p_to[p] LOOP\n        a := i_amount[base + c_u[p_line[j]]];\n        IF',
    'FOR j IN p_from[p]..least(p_from[p], p_to[p]) LOOP\n        a := i_amount[base + c_u[p_line[j]]];\n        IF',
  ),
  {
    only: 'BG-7 a refused item takes nothing and is not remembered',
    what: '< for <=: the last of a budget is never given',
    changes: [
      [RESERVE, '(a > c_room[p_line[j]] AND a <> 0)', '(a >= c_room[p_line[j]] AND a <> 0)'],
      [RESERVE, '<= c_room[k] THEN 0', '< c_room[k] THEN 0'],
    ],
  },
  {
    only: 'a call that asks nothing of a spent budget is admitted',
    what: 'spent money stops calls that cost nothing',
    changes: [
      [RESERVE, 'AND a <> 0)', 'AND true)'],
      [RESERVE, 'WHEN d_asks[d_q] = 0 OR', 'WHEN'],
    ],
  },
  one(
    'BG-7 a refused item takes nothing and is not remembered',
    'whatever is asked is admitted',
    RESERVE,
    'fits := false;',
    'fits := true;',
  ),
  one(
    'a path that names an account of a tenant not above its own',
    'a path may charge whomever it names',
    RESERVE,
    'p_own[p] := false;',
    'p_own[p] := true;',
  ),
  one(
    'a pool of a tenant that does not lie above takes nothing over',
    'a pool may be anyone’s',
    RESERVE,
    'IF c_tenant[d_x] <> c_tenant[k] AND NOT EXISTS',
    'IF c_tenant[d_x] IS NULL AND NOT EXISTS',
  ),
  one(
    'a pool that lies on the path already is charged once',
    'a pool on the path takes over what the path refuses',
    RESERVE,
    'IF c_acct[d_x] = c_pool[k] AND d_x = ANY (d_path)',
    'IF c_acct[d_x] = c_pool[k] AND d_x < 0',
  ),
  one(
    'budgets that count what the platform pays for ignore what a tenant pays itself',
    'limits on what the platform pays count what a tenant pays',
    RESERVE,
    'IF c_all[k] OR p_platform[p] THEN',
    'IF true THEN',
  ),
  one(
    'expired holds of a pool give way before a call is refused',
    'expired holds stand in the way until somebody sweeps',
    RESERVE,
    'IF d_contended AND swept <> i THEN',
    'IF d_contended AND swept < 0 THEN',
  ),
  one(
    'a reserve asked again gives the same answer for every kind of window',
    'a reserve of a known id ignores who pays',
    RESERVE,
    "(known.paid_by = 'platform') = p_platform[p]",
    'true',
  ),
  one(
    'a reserve asked again is the same hold, with other parameters a mismatch',
    'a reserve of a known id ignores what was asked first',
    'tk_same_amounts_v1',
    'RETURN a = b OR NOT EXISTS',
    'RETURN true OR NOT EXISTS',
  ),
  one(
    'the id of a hold that was settled and forgotten is refused',
    'usage rows are not asked for an id that was forgotten',
    RESERVE,
    'u.tenant_id = tenants[p_tenant[t.path]] AND u.id = t.id',
    'u.tenant_id IS NULL',
  ),
  one(
    'rate_minute: at random times no stretch of that length',
    'a rate is not consumed',
    RESERVE,
    's_bucket[s_at[k] + 1] + a;',
    's_bucket[s_at[k] + 1] + 0;',
  ),
  one(
    'rate_minute: at random times no stretch of that length',
    'ten sub-buckets are counted, not eleven',
    'tk_slide_v1',
    '12 - least(passed, 11)',
    '11 - least(passed, 10)',
  ),
  one(
    'a limit of single calls looks at each alone and remembers nothing',
    'a limit of single calls adds them up',
    RESERVE,
    "CASE z.period WHEN 'call' THEN 1",
    "CASE z.period WHEN 'call' THEN 0",
  ),
  one(
    'money that is spent is told from money that is only held',
    'money that is held is called spent',
    RESERVE,
    '> c_limit[k] - c_posted[k] THEN 2',
    '> 0 THEN 2',
  ),
  {
    only: 'ledger.settle of a live hold answers to an id of another tenant',
    what: 'a settle takes the hold of another tenant',
    changes: [
      [SETTLE, 'e.id = q.id AND e.tenant_id = q.tenant', 'e.id = q.id'],
      [SETTLE, 'o.id = q.id AND o.tenant_id = q.tenant', 'o.id = q.id'],
    ],
  },
  {
    only: 'ledger.void answers to an id of another tenant',
    what: 'a void takes the hold of another tenant',
    changes: [
      [VOID, 'e.id = q.id AND e.tenant_id = q.tenant', 'e.id = q.id'],
      [VOID, 'o.id = q.id AND o.tenant_id = q.tenant', 'o.id = q.id'],
    ],
  },
  {
    only: 'ledger.extend answers to an id of another tenant',
    what: 'an extend takes the hold of another tenant',
    changes: [
      [EXTEND, 'e.id = q.id AND e.tenant_id = q.tenant', 'e.id = q.id'],
      [EXTEND, 'o.id = q.id AND o.tenant_id = coalesce(q.tenant, o.tenant_id)', 'o.id = q.id'],
    ],
  },
  one(
    'a hold of the last millisecond is charged to its month (31 days',
    'a hold settles into the running month',
    SETTLE,
    'IF k > 0 AND c_start[k] = l_start[j] THEN',
    'IF k > 0 THEN',
  ),
  one(
    'a hold of the last millisecond is charged to its month (31 days',
    'a period never ends',
    RESERVE,
    'IF c_first_end <= now_ms THEN',
    'IF c_first_end < 0 THEN',
  ),
  one(
    'a hold of an ended period is charged there',
    'an ended period is not charged what its holds cost',
    SETTLE,
    ', posted = p.posted + a',
    '',
  ),
  one(
    'a hold of a removed budget charges nothing of the one after it',
    'an ended period is charged for a hold that it never had',
    SETTLE,
    'CONTINUE WHEN l_end IS NULL OR c_created[k] < l_end;',
    '',
  ),
  one(
    'a settle asked again, alone, in a batch or at once, writes nothing twice',
    'a settle that is sent twice counts twice',
    SETTLE,
    "IF state = 'posted' OR state = 'late_posted' THEN",
    "IF state = 'lost' THEN",
  ),
  one(
    'an actual above its hold is posted in full',
    'an actual above its hold is clipped',
    SETTLE,
    'c_posted[k] := c_posted[k] + a;',
    'c_posted[k] := c_posted[k] + least(a, held_amount);',
  ),
  one(
    'a settle posts the money, writes the usage row and puts one event',
    'a settle is silent',
    SETTLE,
    'IF e_n > 0 THEN',
    'IF e_n < 0 THEN',
  ),
  one(
    'a late settle over the end of a month',
    'a late settle is not flagged',
    SETTLE,
    "THEN 'late_posted'",
    "THEN 'posted'",
  ),
  one(
    'and sweep is recorded once, as late',
    'a late settle releases again what a sweep has released',
    SETTLE,
    "CASE WHEN h_state[x] = 'expired' THEN 0 ELSE",
    'CASE WHEN false THEN 0 ELSE',
  ),
  one(
    'a settle whose sum would leave 64 bits fails alone',
    'sums are not held against 64 bits',
    SETTLE,
    'OR a > 9223372036854775807 - found_posted',
    '',
  ),
  one(
    'each threshold is reported once, when it is reached exactly',
    'thresholds are passed in silence',
    SETTLE,
    'IF a > 0 AND c_posted[k] >= c_next[k] THEN',
    'IF a > 0 AND c_posted[k] > c_next[k] THEN',
  ),
  one(
    'concurrency counts live holds, and settle',
    'a call that has ended still counts as live',
    SETTLE,
    "WHEN l_win[l_n] = 'concurrent' THEN width",
    "WHEN l_win[l_n] = 'nothing' THEN width",
  ),
  one(
    'concurrency counts live holds, and void',
    'a void releases nothing',
    VOID,
    'c_held[k] + -held_amount',
    'c_held[k]',
  ),
  one(
    'a sweep gives back what expired holds held, once',
    'a sweep is silent',
    EXPIRE,
    "'unknown_spend'",
    "'nothing'",
  ),
  one(
    'a sweep takes the oldest first',
    'a sweep takes more than it was asked to',
    'tk_sweep_v1',
    "LIMIT (args->>'limit')::bigint",
    '',
  ),
  one(
    'a bad item in the middle of a batch fails alone',
    'an extend may lower a hold',
    'tk_more_v1',
    'CASE WHEN least_change >= 0 THEN more END',
    'more',
  ),
  one(
    'an extend never shortens a life and is refused',
    'an extend asks for no room',
    EXTEND,
    'IF d_code > 0 THEN',
    'IF d_code > 9 THEN',
  ),
  one(
    'its midnight comes twice',
    'of two midnights the second begins the day',
    'tk_day_start_v1',
    'RETURN least(before, after);',
    'RETURN greatest(before, after);',
  ),
  one(
    'it begins on a Monday',
    'weeks begin on Sunday',
    'tk_period_v1',
    'extract(isodow FROM day)::integer - 1',
    'extract(dow FROM day)::integer',
  ),
  one(
    'half an hour off, Asia/Kolkata',
    'days begin at midnight in Greenwich',
    'tk_period_v1',
    'AT TIME ZONE zone)::date',
    "AT TIME ZONE 'UTC')::date",
  ),
  one(
    'a finished hold is forgotten after its time',
    'a hold is forgotten before its event was exported',
    'tk_prune_v1',
    'WHERE o.id = h.id)',
    'WHERE o.id IS NULL)',
  ),
]
