// Bundles the simulation from the sources and runs it: `npm run simulate -- --help` is in its head.
import { runSource } from './run-source.mjs'

process.exitCode = await runSource('test/simulation/main.ts', process.argv.slice(2))
