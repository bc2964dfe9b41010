import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { PROVIDERS } from '../../src/providers/catalogue.ts'

const page = readFileSync(new URL('../../docs/providers.md', import.meta.url), 'utf8')

const rows = [...PROVIDERS.values()].map(({ id, baseUrl, credential, operations }) => {
  const fields = Object.entries(credential).map(([name, { required }]) =>
    required ? name : `[${name}]`,
  )
  const names = [...new Set(operations.map(({ name }) => name))]
  return `| \`${id}\` | ${baseUrl} | ${fields.join(', ')} | ${names.join(', ')} |`
})

test('the table of docs/providers.md is the catalogue', () => {
  const table = page
    .split('\n')
    .filter((line) => line.startsWith('| `') && line.includes('https://'))
  expect(table).toEqual(rows)
})
