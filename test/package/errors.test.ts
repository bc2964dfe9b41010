import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ERROR_CODES, TenantKeysError } from '../../src/kernel/errors.ts'

const ROOT = new URL('../../', import.meta.url)
const page = readFileSync(new URL('docs/errors.md', ROOT), 'utf8')

interface Section {
  readonly retryable: boolean
  readonly httpStatus: number
  readonly text: string
}

/** Each `## TK_...` heading, its facts line and the text between. */
function sections(): Map<string, Section> {
  const parts = page.split(/^## /m).slice(1)
  return new Map(
    parts.map((part) => {
      const code = part.slice(0, part.indexOf('\n'))
      const facts = /^Retryable: (yes|no)\. HTTP status: (\d{3})\.$/m.exec(part)
      return [code, { retryable: facts?.[1] === 'yes', httpStatus: Number(facts?.[2]), text: part }]
    }),
  )
}

test('docs/errors.md has one heading per code, in the order of the table, and no other', () => {
  expect([...page.matchAll(/^## (.*)$/gm)].map(([, code]) => code)).toEqual(
    Object.keys(ERROR_CODES),
  )
})

test.each(Object.entries(ERROR_CODES))('docs/errors.md tells the truth about %s', (code, info) => {
  const section = sections().get(code)
  expect(section).toMatchObject({ retryable: info.retryable, httpStatus: info.httpStatus })
  expect(section?.text).toMatch(/^What to do: \S/m)
})

test('docsUrl points at the heading as a page of GitHub anchors it', () => {
  for (const code of Object.keys(ERROR_CODES) as (keyof typeof ERROR_CODES)[]) {
    expect(new TenantKeysError(code).docsUrl).toMatch(
      new RegExp(`/docs/errors\\.md#${code.toLowerCase()}$`),
    )
  }
})

test('every code is used somewhere outside the table', () => {
  const src = new URL('src/', ROOT)
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && !name.endsWith('errors.ts'),
  )
  const all = files.map((name) => readFileSync(new URL(name, src), 'utf8')).join('\n')
  // A quoted code: a comment that names one does not count as use.
  expect(Object.keys(ERROR_CODES).filter((code) => !all.includes(`'${code}'`))).toEqual([])
})
