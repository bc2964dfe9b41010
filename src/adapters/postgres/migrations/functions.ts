/**
 * The functions behind commands that cross the walls between tenants, or that have to answer in one
 * round trip: look-ups by id, lists of all tenants, pins, the outbox, the audit trail.
 *
 * @module
 */
import { CHAIN_START, NO_TENANT } from '../../../audit/chain.ts'
import { literal, type Names } from '../names.ts'
import { AUDIT_COLUMNS, DEK_COLUMNS, KEY_COLUMNS, SECRET_COLUMNS, TENANT_COLUMNS } from '../rows.ts'
import { outboxFunctions } from './outbox-functions.ts'
import { definer, list, ONLY_ON_PRIMARY, one } from './sql.ts'
import { usageFunctions } from './usage-functions.ts'

export function functions(names: Names): string[] {
  return [
    ...keys(names),
    ...secrets(names),
    ...tenants(names),
    ...pins(names),
    ...audit(names),
    ...outboxFunctions(names),
    ...usageFunctions(names),
  ]
}

function keys(names: Names): string[] {
  return definer(
    names,
    'tk_key_find_v1',
    `
DECLARE
  seen bigint;
  now_ms bigint;
  key jsonb;
  tenant jsonb;
  ends bigint;
BEGIN
  ${ONLY_ON_PRIMARY}
  -- The epoch comes first: what is read after it is at least as new.
  SELECT e.epoch INTO STRICT seen FROM ${names.table('tk_epoch')} e;
  key := ${one(`SELECT ${KEY_COLUMNS} FROM ${names.table('tenant_api_keys')}
    WHERE key_id = args->>'keyId'`)};
  IF key IS NOT NULL THEN
    tenant := ${one(`SELECT ${TENANT_COLUMNS} FROM ${names.table('tk_tenants')}
      WHERE id = key->>'tenant_id'`)};
  END IF;
  now_ms := ${names.fn('tk_now_v1')}(test_now);
  ends := (key->>'expires_at_ms')::bigint;
  -- Once seen as expired it stays so, also when this clock steps back (T-K8).
  IF ends <= now_ms AND current_setting('transaction_read_only') = 'off' THEN
    UPDATE ${names.table('tk_clock')} SET clock_ms = now_ms WHERE clock_ms < ends;
  END IF;
  RETURN jsonb_build_object('epoch', seen, 'nowMs', now_ms, 'key', key, 'tenant', tenant);
END`,
  )
}

function secrets(names: Names): string[] {
  const deks = names.table('tk_data_keys')
  return [
    ...definer(
      names,
      'tk_secret_get_v1',
      `
BEGIN
  RETURN ${one(`SELECT ${SECRET_COLUMNS} FROM ${names.table('tenant_secrets')}
    WHERE tenant_id = args->>'tenantId' AND provider = args->>'provider' AND name = args->>'name'`)};
END`,
    ),
    ...definer(
      names,
      'tk_dek_get_v1',
      `
BEGIN
  RETURN ${one(`SELECT ${DEK_COLUMNS} FROM ${deks}
    WHERE tenant_id = args->>'tenantId' AND id = args->>'dekId'`)};
END`,
    ),
    ...definer(
      names,
      'tk_dek_current_v1',
      `
BEGIN
  RETURN ${one(`SELECT ${DEK_COLUMNS} FROM ${deks}
    WHERE tenant_id = args->>'tenantId' ORDER BY generation DESC LIMIT 1`)};
END`,
    ),
  ]
}

function tenants(names: Names): string[] {
  const page = (where: string): string =>
    list(`SELECT ${TENANT_COLUMNS} FROM ${names.table('tk_tenants')} t
      WHERE ${where} AND t.id > args->>'after' ORDER BY t.id LIMIT (args->>'limit')::bigint`)
  return definer(
    names,
    'tk_tenant_list_v1',
    `
BEGIN
  IF args->>'plan' IS NOT NULL THEN
    RETURN ${page("t.plan = args->>'plan'")};
  ELSIF args->>'parentId' IS NOT NULL THEN
    RETURN ${page("t.parent_id = args->>'parentId'")};
  END IF;
  RETURN ${page('true')};
END`,
  )
}

function pins(names: Names): string[] {
  const pin = names.table('tk_pins')
  return definer(
    names,
    'tk_pin_v1',
    `
DECLARE
  first text;
BEGIN
  SELECT p.value INTO first FROM ${pin} p WHERE p.name = args->>'name';
  IF first IS NULL THEN
    INSERT INTO ${pin} (name, value) VALUES (args->>'name', args->>'value') ON CONFLICT DO NOTHING;
    SELECT p.value INTO STRICT first FROM ${pin} p WHERE p.name = args->>'name';
  END IF;
  RETURN to_jsonb(first);
END`,
  )
}

function audit(names: Names): string[] {
  const heads = names.table('tk_audit_heads')
  const rows = names.table('tk_audit')
  // The root of a tenant's chain; of no tenant when it is null.
  const root = (
    tenantId: string,
  ): string => `CASE WHEN ${tenantId} IS NULL THEN ${literal(NO_TENANT)}
      ELSE (SELECT t.path[1] FROM ${names.table('tk_tenants')} t WHERE t.id = ${tenantId}) END`
  return [
    // For each tenant its root and the head of that chain, locked until the transaction ends.
    ...definer(
      names,
      'tk_audit_heads_v1',
      `
BEGIN
  INSERT INTO ${heads} (root_id, sequence, hash)
    SELECT DISTINCT r.root_id, 0, ${literal(CHAIN_START)}
    FROM (SELECT ${root('a.tenant_id')} AS root_id
      FROM jsonb_array_elements_text(args) a (tenant_id)) r
    WHERE r.root_id IS NOT NULL ORDER BY 1
    ON CONFLICT DO NOTHING;
  PERFORM 1 FROM ${heads} h
    WHERE h.root_id IN (SELECT ${root('a.tenant_id')}
      FROM jsonb_array_elements_text(args) a (tenant_id))
    ORDER BY h.root_id FOR UPDATE;
  RETURN ${list(`SELECT a.tenant_id, h.root_id, h.sequence::text, h.hash
    FROM jsonb_array_elements_text(args) a (tenant_id)
    JOIN ${heads} h ON h.root_id = ${root('a.tenant_id')}`)};
END`,
    ),
    // Appends rows to chains. Each has to follow the head of its tenant's own chain.
    ...definer(
      names,
      'tk_audit_append_v1',
      `
DECLARE
  added jsonb;
BEGIN
  FOR added IN SELECT a.value FROM jsonb_array_elements(args) WITH ORDINALITY a ORDER BY a.ordinality LOOP
    UPDATE ${heads} h SET sequence = (added->>'sequence')::bigint, hash = added->>'hash'
      WHERE h.root_id = added->>'rootId' AND h.sequence = (added->>'sequence')::bigint - 1
        AND h.hash = added->>'previousHash'
        AND h.root_id = ${root("(added->>'tenantId')")};
    IF NOT FOUND THEN
      RAISE EXCEPTION USING ERRCODE = 'TKERR', MESSAGE = 'TK_STORE_CONFLICT';
    END IF;
    INSERT INTO ${rows} (root_id, sequence, id, tenant_id, at_ms, actor, action, target, detail,
        previous_hash, hash)
      VALUES (added->>'rootId', (added->>'sequence')::bigint, added->>'id', added->>'tenantId',
        (added->>'atMs')::bigint, added->>'actor', added->>'action', added->>'target',
        added->>'detail', added->>'previousHash', added->>'hash');
  END LOOP;
  RETURN NULL;
END`,
    ),
    ...definer(
      names,
      'tk_audit_list_v1',
      `
BEGIN
  RETURN ${list(`SELECT ${AUDIT_COLUMNS} FROM ${rows} a
    WHERE a.root_id = args->>'rootId' AND a.sequence > (args->>'after')::bigint
    ORDER BY a.sequence LIMIT (args->>'limit')::bigint`)};
END`,
    ),
  ]
}
