/**
 * The child process of the tests that kill exporters: exports into a file, one line for each event and
 * write, until it is killed. With `halt` it stops for good between the write and its acknowledgement,
 * and says so.
 *
 * @module
 */
import { appendFileSync } from 'node:fs'
import { createExporter } from '../../src/usage/exporter.ts'
import { openStore, type StoreSpec } from '../support/open-store.ts'

const [, , opens = '', file = '', halt = ''] = process.argv
const { storage } = openStore(JSON.parse(opens) as StoreSpec)

const exporter = createExporter({
  storage,
  batch: 500,
  leaseMs: 1000,
  sinks: [
    {
      contractVersion: 1,
      name: 'file',
      write: async (events) => {
        appendFileSync(file, events.map(({ id }) => `${id}\n`).join(''))
        if (halt === 'halt') {
          process.send?.('sent')
          await new Promise(() => {})
        }
        return { accepted: events.map(({ id }) => id), rejected: [] }
      },
    },
  ],
})
process.on('message', () => exporter.start())
// Its channel to the parent keeps it alive, not the exporter.
process.on('disconnect', () => process.exit())
process.send?.('ready')
