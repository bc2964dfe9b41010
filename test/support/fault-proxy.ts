/**
 * A TCP proxy before a PostgreSQL server that does what networks do: it delays, stops, cuts
 * connections, leaves them half open, and loses replies to commands that the server has carried out.
 *
 * @module
 */
import { type AddressInfo, createServer, type Socket, connect as tcpConnect } from 'node:net'
import { seeded } from './seeded.ts'

export interface Faults {
  /** What is sent, either way, arrives so much later. Milliseconds, default 0. */
  readonly delayMs?: number
  /** Nothing arrives, either way, until healed; then all of it does, as TCP would. */
  readonly partitioned?: boolean
  /** New connections are reset at once. */
  readonly refusing?: boolean
  /** How many of 1000 replies are lost: the server has done the command and said so, and the client's
   * connection ends before a byte of it. */
  readonly lostReplies?: number
  /** How many of 1000 commands are lost: the connection ends before the server sees a byte of it. */
  readonly lostCommands?: number
  /** What losing looks like to the client: a reset connection, the default, or an open one on which
   * nothing more comes. */
  readonly losing?: 'reset' | 'silence'
}

export interface FaultCounts {
  replies: number
  lostReplies: number
  lostCommands: number
}

export interface FaultProxy extends AsyncDisposable {
  readonly port: number
  readonly counts: Readonly<FaultCounts>
  /** Replaces the faults of now; `{}` heals. */
  set(faults: Faults): void
  /** How many connections are open, both ways. */
  open(): number
  /** Resets every connection. @returns how many. */
  cut(): number
  /** From now on nothing arrives over today's connections, and neither side is told. @returns how many. */
  halfOpen(): number
  close(): Promise<void>
}

interface Link {
  readonly client: Socket
  readonly server: Socket
  dead: boolean
}

/** @param seed decides which replies and commands are lost. */
export async function startFaultProxy(toPort: number, seed: number): Promise<FaultProxy> {
  const random = seeded(seed)
  const links = new Set<Link>()
  const counts = { replies: 0, lostReplies: 0, lostCommands: 0 }
  let faults: Faults = {}
  let waiting: (() => void)[] = []

  const arrival = async (): Promise<void> => {
    if (faults.delayMs) await new Promise((resolve) => setTimeout(resolve, faults.delayMs))
    if (faults.partitioned) await new Promise<void>((resolve) => waiting.push(resolve))
  }
  const lose = (link: Link): void => {
    link.dead = true
    if (faults.losing === 'silence') return
    link.client.resetAndDestroy()
    // The server finishes what it was told; then it finds nobody there.
    link.server.end()
  }
  const happens = (perMille = 0): boolean => perMille > 0 && random(1000) < perMille

  const proxy = createServer((client) => {
    if (faults.refusing) {
      client.on('error', () => {})
      client.resetAndDestroy()
      return
    }
    const server = tcpConnect(toPort, '127.0.0.1')
    const link: Link = { client, server, dead: false }
    links.add(link)
    const send = (from: Socket, to: Socket): ((bytes: Buffer) => void) => {
      let last = Promise.resolve()
      const inOrder = (act: () => void): void => {
        last = last.then(arrival).then(() => {
          if (!link.dead) act()
        })
      }
      from.on('end', () => inOrder(() => to.end()))
      from.on('close', () => {
        if (to.closed) links.delete(link)
        inOrder(() => to.destroy())
      })
      from.on('error', () => {})
      return (bytes) => inOrder(() => to.write(bytes))
    }
    const toServer = send(client, server)
    const toClient = send(server, client)
    let ready = false
    client.on('data', (bytes) => {
      if (link.dead) return
      if (ready && happens(faults.lostCommands)) {
        counts.lostCommands++
        lose(link)
      } else toServer(bytes)
    })
    const take = (bytes: Buffer, complete: boolean): void => {
      if (link.dead) return
      if (complete && ready) {
        counts.replies++
        if (happens(faults.lostReplies)) {
          counts.lostReplies++
          lose(link)
          return
        }
      }
      // The first ReadyForQuery ends the log-in.
      ready ||= complete
      toClient(bytes)
    }
    const replies = replySplitter(take)
    server.on('data', replies.push)
    server.prependListener('end', replies.flush)
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))

  const alive = (): Link[] => [...links].filter((link) => !link.dead)
  const cut = (): number => {
    const cutNow = alive()
    for (const { client, server } of links) {
      client.resetAndDestroy()
      server.destroy()
    }
    return cutNow.length
  }
  const close = async (): Promise<void> => {
    cut()
    await new Promise((resolve) => proxy.close(resolve))
  }
  return {
    port: (proxy.address() as AddressInfo).port,
    counts,
    set(next) {
      faults = next
      if (next.partitioned) return
      for (const go of waiting) go()
      waiting = []
    },
    open: () => alive().filter(({ server }) => server.readyState === 'open').length,
    cut,
    halfOpen() {
      const open = alive()
      for (const link of open) link.dead = true
      return open.length
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

const READY_FOR_QUERY = 'Z'
/** NotificationResponse, NoticeResponse, ParameterStatus: they may come while nothing is answered. */
const UNASKED = 'ANS'
/** A type byte and a length, which counts itself. */
const HEAD_BYTES = 5

/**
 * Cuts what a server sends into whole replies: everything up to and with ReadyForQuery (PostgreSQL
 * documentation, chapter on the message flow; TLS is not understood). The log-in, and what comes
 * unasked between replies, is handed on at once, as not complete.
 */
function replySplitter(take: (bytes: Buffer, complete: boolean) => void) {
  let rest = Buffer.alloc(0)
  let reply: Buffer[] = []
  let loggedIn = false
  const push = (chunk: Buffer): void => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= HEAD_BYTES) {
      const length = 1 + rest.readUInt32BE(1)
      if (rest.length < length) return
      const message = rest.subarray(0, length)
      rest = rest.subarray(length)
      const type = String.fromCharCode(message[0]!)
      reply.push(message)
      const complete = type === READY_FOR_QUERY
      const atOnce = !loggedIn || (reply.length === 1 && UNASKED.includes(type))
      if (!complete && !atOnce) continue
      loggedIn ||= complete
      take(Buffer.concat(reply), complete)
      reply = []
    }
  }
  /** A server that ends says why, and is not ready again. */
  const flush = (): void => {
    if (reply.length > 0) take(Buffer.concat(reply), false)
    reply = []
  }
  return { push, flush }
}
