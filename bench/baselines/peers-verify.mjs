/**
 * Verifying one of many keys with other libraries, each set up as its own pages show.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { importPeers } from '../lib/peers.mjs'

const PERMISSIONS = { chat: ['create'] }

/**
 * `@better-auth/api-key` with its secondary storage on a Map: permissions checked, its rate limit on
 * and never reached, telemetry off.
 *
 * @param {string[]} keys - texts of 64 letters.
 */
export async function betterAuth(keys) {
  const peers = await importPeers(
    'better-auth',
    '@better-auth/api-key',
    'better-auth/adapters/memory',
  )
  if (peers === null) return null
  const [{ betterAuth: create }, { apiKey }, { memoryAdapter }] = peers
  const stored = new Map()
  const auth = create({
    database: memoryAdapter({
      user: [],
      session: [],
      account: [],
      verification: [],
      apikey: [],
    }),
    secret: 'not a secret: forty letters for a bench!',
    baseURL: 'http://localhost:3000',
    emailAndPassword: { enabled: true },
    telemetry: { enabled: false },
    logger: { level: 'error' },
    secondaryStorage: {
      get: async (name) => stored.get(name) ?? null,
      set: async (name, value) => void stored.set(name, value),
      delete: async (name) => void stored.delete(name),
    },
    plugins: [
      apiKey({
        storage: 'secondary-storage',
        rateLimit: { enabled: true, timeWindow: 3_600_000, maxRequests: 1e9 },
      }),
    ],
  })
  await copyOneKey(auth, stored, keys)
  return async (key) => {
    const { valid } = await auth.api.verifyApiKey({ body: { key, permissions: PERMISSIONS } })
    if (!valid) throw new Error('better-auth refused a key of its own')
    return valid
  }
}

/** Making 10,000 keys through the API takes minutes: one is made, and its row is written for all. */
async function copyOneKey(auth, stored, keys) {
  const body = { email: 'bench@example.com', password: 'not a secret', name: 'bench' }
  const { user } = await auth.api.signUpEmail({ body })
  const made = await auth.api.createApiKey({
    body: { userId: user.id, name: 'bench', permissions: PERMISSIONS },
  })
  const hashed = (key) => createHash('sha256').update(key).digest('base64url')
  const row = JSON.parse(stored.get(`api-key:${hashed(made.key)}`))
  keys.forEach((key, i) => {
    const copy = { ...row, id: `key-${i}`, key: hashed(key) }
    stored.set(`api-key:${hashed(key)}`, JSON.stringify(copy))
  })
}

/** `prefixed-api-key`: a Map by the short token, then its own check of the long one. No policy. */
export async function prefixedApiKey(count) {
  const peers = await importPeers('prefixed-api-key')
  if (peers === null) return null
  const { generateAPIKey, extractShortToken, checkAPIKey } = peers[0].default ?? peers[0]
  const hashes = new Map()
  const keys = []
  for (let i = 0; i < count; i++) {
    const { token, shortToken, longTokenHash } = await generateAPIKey({ keyPrefix: 'tk' })
    hashes.set(shortToken, longTokenHash)
    keys.push(token)
  }
  const verify = (key) => {
    const valid = checkAPIKey(key, hashes.get(extractShortToken(key)))
    if (!valid) throw new Error('prefixed-api-key refused a key of its own')
    return valid
  }
  return { keys, verify }
}
