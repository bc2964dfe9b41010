/**
 * Rows 12 to 14: opening and sealing a secret whose data key is at hand, and making a key.
 *
 * @module
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { envelopeByHand } from './baselines/envelope.mjs'
import { makeKeyByHand } from './baselines/make-key.mjs'
import { awsPeer, josePeer } from './baselines/peers-envelope.mjs'
import { compare, inTurn, LONG } from './lib/measure.mjs'
import { NOT_INSTALLED } from './lib/peers.mjs'
import { row } from './lib/rows.mjs'
import { importPackage } from './lib/subject.mjs'

const SECRET_BYTES = 100
const ENVELOPES = 256

export const parts = {
  'open and seal': { run: openAndSeal },
  peers: { run: besidePeers },
  'make a key': { run: makeKey },
}

const contextOf = (i) => ({
  tenantId: `acme-${i}`,
  purpose: 'provider-secret',
  provider: 'openai',
  origin: null,
  secretId: randomUUID(),
  version: 1 + i,
})

/** Envelopes of our own making, which the hand-written code must open, and the other way round. */
async function samples() {
  const { open, seal } = await importPackage()
  const dek = randomBytes(32)
  const dekId = randomUUID()
  const byHand = envelopeByHand(dek)
  const items = Array.from({ length: ENVELOPES }, (_, i) => {
    const plaintext = randomBytes(SECRET_BYTES)
    const context = contextOf(i)
    const envelope = Buffer.from(seal({ plaintext, dek, dekId, context }))
    if (!byHand.open(envelope, context).equals(plaintext)) throw new Error('not the same work')
    open({ envelope: byHand.seal(plaintext, dekId, context), dek, context })
    return { plaintext, context, envelope }
  })
  return { open, seal, dek, dekId, byHand, items }
}

async function openAndSeal(settings) {
  const { open, seal, dek, dekId, byHand, items } = await samples()
  const next = inTurn(items)
  const opened = await compare(
    {
      ours: {
        run: () => {
          const { envelope, context } = next()
          return open({ envelope, dek, context })
        },
      },
      byHand: {
        run: () => {
          const { envelope, context } = next()
          return byHand.open(envelope, context)
        },
      },
    },
    settings,
  )
  const sealed = await compare(
    {
      ours: {
        run: () => {
          const { plaintext, context } = next()
          return seal({ plaintext, dek, dekId, context })
        },
      },
      byHand: {
        run: () => {
          const { plaintext, context } = next()
          return byHand.seal(plaintext, dekId, context)
        },
      },
    },
    settings,
  )
  return {
    rows: [
      row(
        {
          row: 12,
          operation: `open ${SECRET_BYTES} bytes, data key at hand`,
          baselineName: 'by hand: hkdfSync, timingSafeEqual, decipher',
          gate: 1.15,
          moonshot: 1.07,
        },
        opened.ours,
        opened.byHand,
      ),
      row(
        {
          row: 13,
          operation: `seal ${SECRET_BYTES} bytes`,
          baselineName: 'by hand: randomBytes, hkdfSync, cipher',
          gate: 1.1,
          moonshot: 0.8,
        },
        sealed.ours,
        sealed.byHand,
      ),
    ],
    notes: [
      'Rows 12 and 13: the hand-written code reads and writes the same envelopes, context encoding included.',
    ],
  }
}

async function besidePeers(settings) {
  const { open, dek, items } = await samples()
  const { plaintext } = items[0]
  const [jose, aws] = [await josePeer(plaintext), await awsPeer(plaintext)]
  const peers = [
    { run: jose, baselineName: 'jose, dir A256GCM', gate: 3 },
    { run: aws, baselineName: 'AWS client-node, caching, unsigned', gate: 12 },
  ]
  const operation = `open ${SECRET_BYTES} bytes`
  if (jose === null || aws === null) {
    const skipped = peers.map(({ baselineName }) => ({
      row: 12,
      operation: `${operation} beside ${baselineName}`,
      reason: NOT_INSTALLED,
    }))
    return { rows: [], skipped }
  }
  const next = inTurn(items)
  const figures = await compare(
    {
      ours: {
        run: () => {
          const { envelope, context } = next()
          return open({ envelope, dek, context })
        },
      },
      jose: { waits: true, run: jose },
      aws: { waits: true, run: aws },
    },
    { ...settings, slicing: LONG },
  )
  return {
    rows: peers.map(({ baselineName, gate }, i) =>
      row(
        { row: 12, operation, baselineName, ratioIs: 'times', gate },
        figures.ours,
        i === 0 ? figures.jose : figures.aws,
      ),
    ),
  }
}

async function makeKey(settings) {
  const { generateKey, hashKey, parseKey } = await importPackage()
  const pepper = randomBytes(32)
  const tenants = inTurn(Array.from({ length: 256 }, (_, i) => `tenant-${i}`))
  checkByHand(makeKeyByHand(pepper, 'acme'), { parseKey, hashKey, pepper })
  const figures = await compare(
    {
      ours: {
        run: () => {
          const { key, keyId, secret } = generateKey({ brand: 'tk', environment: 'live' })
          return { key, hash: hashKey({ pepper, tenantId: tenants(), keyId, secret }) }
        },
      },
      byHand: { run: () => makeKeyByHand(pepper, tenants()) },
    },
    settings,
  )
  const operation = 'make a key and its hash'
  const baselineName = 'by hand: randomBytes, base62, HMAC'
  return {
    rows: [
      row(
        { row: 14, operation, baselineName, gate: 1.5, moonshot: 1.1 },
        figures.ours,
        figures.byHand,
      ),
    ],
  }
}

/** @throws Error when the hand-written key is not one of ours. */
function checkByHand({ key, keyId, secret, hash }, { parseKey, hashKey, pepper }) {
  const parsed = parseKey(key)
  const expected = hashKey({ pepper, tenantId: 'acme', keyId, secret })
  if (parsed?.keyId !== keyId || parsed.secret !== secret || !hash.equals(expected)) {
    throw new Error('not the same work')
  }
}
