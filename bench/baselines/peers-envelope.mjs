/**
 * Opening a secret with other libraries whose key is at hand too.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import { importPeers } from '../lib/peers.mjs'

/** jose: JWE with a direct key, A256GCM, the key imported once. */
export async function josePeer(plaintext) {
  const peers = await importPeers('jose')
  if (peers === null) return null
  const { CompactEncrypt, compactDecrypt } = peers[0]
  const usages = ['encrypt', 'decrypt']
  const key = await crypto.subtle.importKey('raw', randomBytes(32), 'AES-GCM', false, usages)
  const sealed = await new CompactEncrypt(plaintext)
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
    .encrypt(key)
  return async () => (await compactDecrypt(sealed, key)).plaintext
}

/**
 * AWS Encryption SDK with its caching materials manager and a raw AES keyring. The suite without
 * signatures is the quicker one, so the harder to beat.
 */
export async function awsPeer(plaintext) {
  const peers = await importPeers('@aws-crypto/client-node')
  if (peers === null) return null
  const aws = peers[0].default ?? peers[0]
  const { encrypt, decrypt } = aws.buildClient(aws.CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT)
  const materials = new aws.NodeCachingMaterialsManager({
    backingMaterials: new aws.RawAesKeyringNode({
      keyName: 'bench',
      keyNamespace: 'bench',
      unencryptedMasterKey: randomBytes(32),
      wrappingSuite: aws.RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
    }),
    cache: aws.getLocalCryptographicMaterialsCache(1000),
    maxAge: 3_600_000,
    maxMessagesEncrypted: 2 ** 31,
  })
  const { result } = await encrypt(materials, plaintext, {
    suiteId: aws.AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA256,
    encryptionContext: { tenant: 'acme', secret: '42' },
    plaintextLength: plaintext.length,
  })
  return async () => (await decrypt(materials, result)).plaintext
}
