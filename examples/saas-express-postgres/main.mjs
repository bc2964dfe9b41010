// A SaaS of two processes on one PostgreSQL: a limit that neither passes, however many callers there
// are, and a key that dies in both when one of them revokes it.
// Run it with `node examples/saas-express-postgres/main.mjs`; needs no database of yours.
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { postgres } from 'tenantkeys/postgres'
import { startProvider } from '../start-provider.mjs'
import { startPostgres } from './start-postgres.mjs'

let apiKey = ''
const provider = await startProvider()
const database = await startPostgres()

// 1. Once per release, by an administrator: tables, functions, roles. The role that the application
// connects as owns nothing and sees only the rows of the tenant it works for.
const admin = new pg.Pool({ connectionString: database.urlOf(), max: 1 })
const schema = postgres({ client: admin })
await schema.migrate()
const app = { name: 'saas_app', password: randomBytes(16).toString('hex') }
await admin.query('DROP ROLE IF EXISTS saas_app')
await admin.query(`CREATE ROLE saas_app LOGIN PASSWORD '${app.password}' IN ROLE tk_app`)
await schema.close()
await admin.end()
console.log('migrated by the administrator; the application connects as saas_app')

// 2. Two processes of the same application.
const env = {
  ...process.env,
  APP_URL: database.urlOf(app),
  PROVIDER_URL: provider.baseUrl,
  PLATFORM_KEY: `sk-demo-${'0'.repeat(24)}saas`,
  TENANTKEYS_KEK: randomBytes(32).toString('base64'),
  TENANTKEYS_PEPPER: randomBytes(32).toString('base64'),
}
const [one, two] = await Promise.all([startServer(), startServer()])
console.log('two processes listen')

// 3. A customer signs up at one of them, and calls both.
const { key, keyId } = await json(one, 'POST', '/admin/tenants/acme')
apiKey = key
const ask = (server) => call(server, 'POST', '/chat', { question: 'What is a budget?' })
console.log('a call at each:', (await ask(one)).status, (await ask(two)).status)

// 4. Two hundred more, half at each, on a budget of a fifth of a cent.
const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => ask(i % 2 ? one : two)))
const counts = {}
for (const { status, body } of answers) {
  const name = status === 200 ? 'answered' : body.code
  counts[name] = (counts[name] ?? 0) + 1
}
console.log('200 calls at once:', JSON.stringify(counts))
const [budget] = await json(one, 'GET', '/admin/tenants/acme/budget')
console.log(`used ${budget.used} of ${budget.limit} USD, held ${budget.held}`)
if (Number(budget.used) > Number(budget.limit)) throw new Error('the limit was passed')

// 5. A leaked key: revoked at one process, refused by the other.
await call(one, 'DELETE', `/admin/tenants/acme/keys/${keyId}`)
const startedMs = performance.now()
let last
do last = await ask(two)
while (last.body.code !== 'TK_KEY_REVOKED')
console.log(`revoked at one process, refused by the other: ${last.body.code}`)
console.log(`${Math.round(performance.now() - startedMs)} ms later, by notification`)

for (const { child } of [one, two]) child.disconnect()
await Promise.all([one, two].map(({ child }) => new Promise((done) => child.once('exit', done))))
await database.stop()
provider.stop()

async function startServer() {
  const child = fork(new URL('./server.mjs', import.meta.url), { env })
  const port = await new Promise((resolve, reject) => {
    child.on('message', (message) => resolve(message.port))
    child.once('exit', () => reject(new Error('the server ended')))
  })
  return { child, url: `http://127.0.0.1:${port}` }
}

async function call({ url }, method, path, body) {
  const response = await fetch(url + path, {
    method,
    headers: { 'x-api-key': apiKey, 'content-type': 'application/json' },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  const text = await response.text()
  return { status: response.status, body: text ? JSON.parse(text) : {} }
}

async function json(server, method, path) {
  const { status, body } = await call(server, method, path)
  if (status >= 300) throw new Error(`${path}: ${status} ${body.code}`)
  return body
}
