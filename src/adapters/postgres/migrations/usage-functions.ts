/**
 * Sums of usage rows. Sums are numeric, which does not overflow. The statement is put together here:
 * dimensions are looked up in a list, and every value goes in as a quoted literal.
 *
 * @module
 */
import type { Names } from '../names.ts'
import { definer } from './sql.ts'

/** What a dimension is in a statement; NULL for what is none. Sorted by bytes, in any locale. */
const EXPRESSION = `CASE d.name
      WHEN 'tenant' THEN 'u.tenant_id'
      WHEN 'key' THEN 'u.key_id'
      WHEN 'scope' THEN 'u.scope'
      WHEN 'provider' THEN 'u.provider'
      WHEN 'model' THEN 'u.model'
      WHEN 'operation' THEN 'u.operation'
      WHEN 'billable' THEN 'u.billable::text'
      WHEN 'day' THEN 'days.day'
      ELSE CASE WHEN starts_with(d.name, 'tag:')
        THEN format('(u.tags::jsonb->>%L)', substr(d.name, 5)) END
    END || ' COLLATE "C"'`

const sum = (name: string, value: string): string => `coalesce(sum(${value}), 0)::text AS ${name}`
const count = (name: string, condition: string): string =>
  `count(*) FILTER (WHERE ${condition})::text AS ${name}`

const SUMS = [
  'count(*)::text AS calls',
  count('completed', "u.outcome = 'completed'"),
  count('estimated', "u.quality = 'estimated'"),
  count('unknown', "u.quality = 'unknown'"),
  count('billable_calls', 'u.billable'),
  count('cache_hits', 'u.cache_read_tokens > 0'),
  sum('input', 'u.input_tokens'),
  sum('cache_read', 'u.cache_read_tokens'),
  sum('cache_write', 'u.cache_write_tokens'),
  sum('cache_write_1h', 'u.cache_write_1h_tokens'),
  sum('input_audio', 'u.input_audio_tokens'),
  sum('output', 'u.output_tokens'),
  sum('reasoning', 'u.reasoning_tokens'),
  sum('output_audio', 'u.output_audio_tokens'),
  sum('cost', 'u.cost_nano_usd'),
  sum('billable_cost', 'CASE WHEN u.billable THEN u.cost_nano_usd END'),
  sum('charged', 'u.charged_nano_usd'),
  sum('credits', "(u.amounts::jsonb->>'credits')::numeric"),
  'count(u.duration_ms)::text AS timed',
  sum('duration', 'u.duration_ms'),
  sum('bytes', 'u.response_bytes'),
].join(', ')

export function usageFunctions(names: Names): string[] {
  return definer(
    names,
    'tk_usage_totals_v1',
    `
DECLARE
  groups text[];
  conditions text[] := '{}';
  sides text;
  marks text;
  columns text;
  answer jsonb;
BEGIN
  SELECT coalesce(array_agg(${EXPRESSION} ORDER BY d.ordinality), '{}') INTO groups
    FROM jsonb_array_elements_text(args->'by') WITH ORDINALITY d (name);
  SELECT coalesce(array_agg(format('%s IS NOT DISTINCT FROM %L', ${EXPRESSION}, d.value)), '{}')
    INTO conditions FROM jsonb_each_text(args->'where') d (name, value);
  IF args->>'tenantId' IS NOT NULL THEN
    conditions := conditions || format('u.tenant_id = %L', args->>'tenantId');
  END IF;
  IF args->>'fromMs' IS NOT NULL THEN
    conditions := conditions || format('u.settled_at_ms >= %s', (args->>'fromMs')::bigint);
  END IF;
  IF args->>'untilMs' IS NOT NULL THEN
    conditions := conditions || format('u.settled_at_ms < %s', (args->>'untilMs')::bigint);
  END IF;
  IF jsonb_typeof(args->'after') = 'array' THEN
    -- Behind the last group of the page before; absent values come first.
    SELECT string_agg(format('%s IS NOT NULL, coalesce(%s, %L)', g.e, g.e, ''), ', ' ORDER BY g.n)
      INTO sides FROM unnest(groups) WITH ORDINALITY g (e, n);
    SELECT string_agg(format('%L::boolean, %L', a.value IS NOT NULL, coalesce(a.value, '')), ', '
        ORDER BY a.ordinality)
      INTO marks FROM jsonb_array_elements_text(args->'after') WITH ORDINALITY a (value);
    conditions := conditions || format('(%s) > (%s)', sides, marks);
  END IF;
  SELECT string_agg(format('%s AS group_%s, ', g.e, g.n - 1), '' ORDER BY g.n) INTO columns
    FROM unnest(groups) WITH ORDINALITY g (e, n);

  EXECUTE concat(
    'SELECT coalesce(jsonb_agg(to_jsonb(r)), ''[]''::jsonb) FROM (SELECT ', columns,
    $sums$${SUMS}$sums$, ' FROM ${names.table('api_key_usage_logs')} u ',
    CASE WHEN args->'by' ? 'day' THEN
      'JOIN jsonb_to_recordset($1) AS days (day text, "fromMs" bigint, "untilMs" bigint)
         ON u.settled_at_ms >= days."fromMs" AND u.settled_at_ms < days."untilMs" ' END,
    'WHERE ', array_to_string('true'::text || conditions, ' AND '),
    CASE WHEN cardinality(groups) > 0 THEN concat(
      ' GROUP BY ', array_to_string(groups, ', '),
      ' ORDER BY ', (SELECT string_agg(g.e || ' NULLS FIRST', ', ' ORDER BY g.n)
        FROM unnest(groups) WITH ORDINALITY g (e, n))) END,
    ' LIMIT $2) r')
    INTO answer USING args->'days', (args->>'limit')::bigint;
  RETURN answer;
END`,
  )
}
