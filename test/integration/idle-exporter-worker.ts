/**
 * A process whose sink is down: its exporter must not keep it alive, but a flush that is awaited must
 * be answered.
 *
 * @module
 */
import { memory } from '../../src/adapters/memory/index.ts'
import { createExporter } from '../../src/usage/exporter.ts'
import { fillOutbox } from '../support/outbox.ts'

const storage = memory()
await fillOutbox(storage, 0, 1)
const exporter = createExporter({
  storage,
  retryMs: 20,
  sinks: [
    {
      contractVersion: 1,
      name: 'down',
      write: async () => {
        throw new Error('down')
      },
    },
  ],
})
exporter.start()
const { done } = await exporter.flush({ timeoutMs: 5000 })
console.log(`flushed ${done}`)
console.log('the end')
