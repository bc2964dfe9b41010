// Watches every connection that this process opens, below all clients: `fetch` of the runtime, SDKs and
// database drivers all go through node:net. https://nodejs.org/api/diagnostics_channel.html#net
import { subscribe } from 'node:diagnostics_channel'

const LOOPBACK = /^(?:127\.|::1$|::ffff:127\.)/

/** @returns addresses of this machine and others that were connected to, as far as it is now. */
export function watchConnections() {
  const here = []
  const elsewhere = []
  subscribe('net.client.socket', ({ socket }) => {
    socket.once('connect', () => {
      // A socket of the file system has no address and stays on this machine.
      const { remoteAddress = '127.0.0.1' } = socket
      ;(LOOPBACK.test(remoteAddress) ? here : elsewhere).push(remoteAddress)
    })
    socket.once('error', () => {
      if (!socket.remoteAddress) elsewhere.push('an address that did not answer')
    })
  })
  return { here, elsewhere }
}
