import { describe, test } from 'vitest'
import { memory } from '../../src/adapters/memory/index.ts'
import { storageConformance } from '../../src/testing/index.ts'

storageConformance(
  { describe, test },
  {
    capabilities: { name: 'memory', durable: false, multiProcess: false, multiHost: false },
    make: async ({ clock }) => ({ storage: memory({ clock }), dispose: async () => {} }),
  },
)
