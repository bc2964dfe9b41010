/**
 * Envelope v1 by hand on `node:crypto`, as docs/envelope-format.md lays it out: what opening and
 * sealing cost without a library, by the functions that one reaches for first.
 *
 * @module
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'

const HEAD = Buffer.from('TKEV\x01\x00\x01\x00', 'latin1')
const LABEL = Buffer.from('tenantkeys envelope\x01\x00\x01\x00', 'latin1')
const INFO = Buffer.from('tenantkeys envelope key\x00\x01', 'latin1')
const TAG = { authTagLength: 16 }

function text(value) {
  const bytes = Buffer.from(value)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** @param {Buffer} ids - data key id, salt and nonce, 60 bytes in a row as in the envelope. */
function contextBytes({ tenantId, purpose, provider, origin, secretId, version }, ids) {
  const number = Buffer.alloc(8)
  number.writeBigUInt64BE(BigInt(version))
  return Buffer.concat([
    LABEL,
    text(tenantId),
    text(purpose),
    text(provider),
    Buffer.of(origin === null ? 0 : 1),
    text(origin ?? ''),
    text(secretId),
    number,
    ids,
  ])
}

function derive(dek, salt, aad) {
  const info = Buffer.concat([INFO, createHash('sha512').update(aad).digest()])
  return Buffer.from(hkdfSync('sha512', dek, salt, info, 64))
}

/** @param {Uint8Array} dek - held as a KeyObject, which is the quickest for Node. */
export function envelopeByHand(dek) {
  const key = createSecretKey(dek)
  return {
    open: (envelope, context) => {
      const split = envelope.length - 16
      const isOurs = HEAD.equals(envelope.subarray(0, 8))
      if (!isOurs || envelope.readUInt32BE(100) !== split - 104) throw new Error('no envelope')
      const aad = contextBytes(context, envelope.subarray(8, 68))
      const derived = derive(key, envelope.subarray(24, 56), aad)
      if (!timingSafeEqual(derived.subarray(32), envelope.subarray(68, 100)))
        throw new Error('another key or context')
      const nonce = envelope.subarray(56, 68)
      const decipher = createDecipheriv('aes-256-gcm', derived.subarray(0, 32), nonce, TAG)
      decipher.setAAD(aad)
      decipher.setAuthTag(envelope.subarray(split))
      const plaintext = decipher.update(envelope.subarray(104, split))
      decipher.final()
      derived.fill(0)
      return plaintext
    },
    seal: (plaintext, dekId, context) => {
      const id = Buffer.from(dekId.replaceAll('-', ''), 'hex')
      const salt = randomBytes(32)
      const nonce = randomBytes(12)
      const aad = contextBytes(context, Buffer.concat([id, salt, nonce]))
      const derived = derive(key, salt, aad)
      const cipher = createCipheriv('aes-256-gcm', derived.subarray(0, 32), nonce, TAG)
      cipher.setAAD(aad)
      const ciphertext = cipher.update(plaintext)
      cipher.final()
      const length = Buffer.alloc(4)
      length.writeUInt32BE(plaintext.length)
      const commitment = derived.subarray(32)
      const parts = [HEAD, id, salt, nonce, commitment, length, ciphertext, cipher.getAuthTag()]
      const envelope = Buffer.concat(parts)
      derived.fill(0)
      return envelope
    },
  }
}
