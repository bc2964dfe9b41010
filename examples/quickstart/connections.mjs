// Watches every connection that this process opens, below all clients: `fetch` of the runtime, SDKs and
// database drivers all go through node:net. https://nodejs.org/api/diagnostics_channel.html#net
import { subscribe } from 'node:diagnostics_channel'

const LOOPBACK = /^(?:127\.|::1$|::ffff:127\.)/

/** @returns tells of the connections so far: how many, and which are not known to end on this machine. */
export function watchConnections() {
  const opened = []
  subscribe('net.client.socket', ({ socket }) => {
    // Until it is connected nobody knows where to.
    const connection = { to: 'unknown' }
    opened.push(connection)
    socket.once('connect', () => {
      connection.to = socket.remoteAddress ?? 'a file'
    })
  })
  const isHere = ({ to }) => to === 'a file' || LOOPBACK.test(to)
  return () => ({ count: opened.length, elsewhere: opened.filter((c) => !isHere(c)) })
}
