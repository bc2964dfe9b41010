/**
 * Values that are written once and stay.
 *
 * @module
 */
import type { Storage } from '../../storage/storage.ts'
import type { SqliteClient } from './client.ts'
import type { Connection } from './connection.ts'
import { SqliteRowReader } from './decode.ts'

const GET = 'SELECT value FROM tk_pins WHERE name = ?'
const ADD = 'INSERT INTO tk_pins (name, value) VALUES (?, ?)'

function pinned(client: SqliteClient, name: string): string | null {
  const row = client.get(GET, name)
  return row && new SqliteRowReader('tk_pins', row).text('value')
}

export function pinCommand(connection: Connection): Storage['pin'] {
  return async (name, value) => {
    // Nearly every call finds its value, so the lock for writing is taken only without one.
    const stored = await connection.read(({ client }) => pinned(client, name))
    if (stored !== null) return stored
    return connection.write(({ client }) => {
      const first = pinned(client, name)
      if (first === null) client.run(ADD, name, value)
      return first ?? value
    })
  }
}
