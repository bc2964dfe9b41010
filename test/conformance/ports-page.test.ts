import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const ROOT = new URL('../../', import.meta.url)

test('docs/ports.md names every clause of every port, and no other', () => {
  const src = new URL('src/', ROOT)
  const sources = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(new URL(name, src), 'utf8'))
  const defined = sources.flatMap((text) =>
    [...text.matchAll(/^ \* - ([A-Z]{2}-\d+) /gm)].map(([, id]) => id!),
  )
  const page = readFileSync(new URL('docs/ports.md', ROOT), 'utf8')
  const listed = [...page.matchAll(/^\| ([A-Z]{2}-\d+) \|/gm)].map(([, id]) => id!)
  expect(defined.length).toBeGreaterThan(30)
  expect(listed.sort()).toEqual(defined.sort())
})
