/**
 * Runs one part of one bench and hands its rows to the parent process.
 *
 * @module
 */
const { name, part, settings } = JSON.parse(process.argv[2])
const { parts } = await import(`../${name}.mjs`)
const result = await parts[part].run(settings)
await new Promise((resolve) => process.send(result, resolve))
// Some peers leave timers behind.
process.exit(0)
