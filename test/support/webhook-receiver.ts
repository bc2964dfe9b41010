/**
 * A receiver of webhooks on a real socket, as a host would write one: it verifies before it believes.
 *
 * @module
 */
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type ExportedEvent, verifyWebhook } from '../../src/adapters/sinks/index.ts'

export interface WebhookRequest {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface WebhookReceiver {
  readonly url: string
  readonly events: ExportedEvent[]
  /** Everything that came, verified or not. */
  readonly requests: WebhookRequest[]
  /** What the next requests are answered; default 204 after a valid signature, 401 else. */
  answer: ((request: WebhookRequest) => { status: number; headers?: Record<string, string> }) | null
  close(): Promise<void>
}

export async function webhookReceiver(secrets: readonly string[]): Promise<WebhookReceiver> {
  const events: ExportedEvent[] = []
  const requests: WebhookRequest[] = []
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const request = { headers: incoming.headers, body: Buffer.concat(chunks).toString() }
      requests.push(request)
      const own = receiver.answer?.(request)
      if (own) {
        outgoing.writeHead(own.status, own.headers).end('content that nobody reads')
        return
      }
      try {
        events.push(...verifyWebhook({ ...request, secrets }))
        outgoing.writeHead(204).end()
      } catch {
        outgoing.writeHead(401).end()
      }
    })
  })
  // As in provider-server.ts.
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const receiver: WebhookReceiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    events,
    requests,
    answer: null,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close').catch(() => {})
    },
  }
  return receiver
}
