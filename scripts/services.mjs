// Starts every database service of the tests that this machine has, until Ctrl-C: `npm run services`.
import { runSource } from './run-source.mjs'

process.exitCode = await runSource('test/support/services-main.ts', process.argv.slice(2))
