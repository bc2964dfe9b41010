/**
 * A secret store over memory with two tenants, for tests.
 *
 * @module
 */
import { expect } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { envelopeSecretStore } from '../../src/secrets/envelope-secret-store.ts'
import type { PutSecret } from '../../src/secrets/secret-store.ts'
import type { SecretRecord } from '../../src/storage/records.ts'
import { ManualClock, WatchedWrapper } from './data-key-cases.ts'

export const CANARY = 'sk-CANARY-0123456789-not-a-key'
export const ORIGIN = 'https://llm.acme.example'
export const REF = { tenantId: 'acme', provider: 'openai', name: 'default' }

export function input(changes: Partial<PutSecret> & { apiKey?: string } = {}): PutSecret {
  const { apiKey = CANARY, ...rest } = changes
  return {
    ...REF,
    secretFields: { apiKey: new Secret(apiKey) },
    publicFields: { endpoint: `${ORIGIN}/v1` },
    origin: ORIGIN,
    masked: 'sk-...***...-key',
    actor: 'admin@acme',
    ...rest,
  }
}

export async function setUp() {
  const storage = memory()
  await storage.migrate()
  for (const id of ['acme', 'other']) {
    await storage.tenants.create({ id, parentId: null, credentials: 'tenant' }, {})
  }
  const keyWrapper = new WatchedWrapper()
  const clock = new ManualClock()
  return { storage, keyWrapper, store: envelopeSecretStore({ storage, keyWrapper, clock }) }
}

export type Fixture = Awaited<ReturnType<typeof setUp>>

export const OPEN_FAILED = {
  code: 'TK_ENVELOPE_OPEN_FAILED',
  message: 'The stored secret cannot be opened.',
  details: { tenantId: 'acme', provider: 'openai' },
}

/** Reads REF as if the table held `row`, with nothing cached. */
export async function readTampered(
  { storage, store }: Fixture,
  row: SecretRecord,
): Promise<unknown> {
  store.forgetKeys()
  const { get } = storage.secrets
  storage.secrets.get = async () => row
  try {
    return await store.open(REF).then(
      (opened) => opened!.fields.apiKey!.reveal(),
      (error: unknown) => {
        expect(error).not.toHaveProperty('cause')
        return error
      },
    )
  } finally {
    storage.secrets.get = get
  }
}
