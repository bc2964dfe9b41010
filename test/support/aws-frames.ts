/**
 * Writes AWS event stream frames, checksums included, as the service does.
 *
 * @module
 */
import { crc32 } from 'node:zlib'

const HEADERS = { ':message-type': 'event', ':content-type': 'application/json' }

export function awsFrame(type: string, payload: object): Uint8Array {
  const headers = Buffer.concat(
    Object.entries({ ...HEADERS, ':event-type': type }).map(([name, value]) => {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(value.length)
      return Buffer.concat([
        Buffer.from([name.length]),
        Buffer.from(name),
        Buffer.from([7]),
        length,
        Buffer.from(value),
      ])
    }),
  )
  const body = Buffer.from(JSON.stringify(payload))
  const prelude = Buffer.alloc(8)
  prelude.writeUInt32BE(12 + headers.length + body.length + 4, 0)
  prelude.writeUInt32BE(headers.length, 4)
  const started = Buffer.concat([prelude, checksum(prelude), headers, body])
  return new Uint8Array(Buffer.concat([started, checksum(started)]))
}

function checksum(bytes: Buffer): Buffer {
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(bytes))
  return sum
}

/** InvokeModel wraps the events of a model's maker. */
export const awsChunk = (event: object): Uint8Array =>
  awsFrame('chunk', { bytes: Buffer.from(JSON.stringify(event)).toString('base64') })
