import { readFileSync } from 'node:fs'
import ts from 'typescript'
import { expect, test } from 'vitest'

const ROOT = new URL('../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8')

/** Members of an interface, and whether each is required. */
function membersOf(source: string, name: string): Map<string, boolean> {
  const file = ts.createSourceFile('options.ts', source, ts.ScriptTarget.Latest)
  const found = file.statements.find(
    (node): node is ts.InterfaceDeclaration =>
      ts.isInterfaceDeclaration(node) && node.name.text === name,
  )
  const members = (found?.members ?? []).filter(ts.isPropertySignature)
  return new Map(
    members.map(({ name, questionToken }) => [
      (name as ts.Identifier).text,
      questionToken === undefined,
    ]),
  )
}

/** Options that the first column of README's table names, and whether the last says `required`. */
function rowsOf(page: string): (readonly [string, boolean])[] {
  const table = page.split('| option | what it sets | default |')[1]!.split('\n\n')[0]!
  return table.split('\n').flatMap((line) => {
    const cells = line.split(' | ')
    const names = [...(cells[0] ?? '').matchAll(/`(\w+)`/g)].map(([, option]) => option!)
    return names.map((option) => [option, cells.at(-1) === 'required |'] as const)
  })
}

const source = read('src/options.ts')
const page = read('README.md')
const byName = ([a]: readonly [string, boolean], [b]: readonly [string, boolean]): number =>
  a < b ? -1 : 1

test('the table of options in README.md has every option once, and says which are required', () => {
  const members = [...membersOf(source, 'TenantKeysOptions')]
  expect(members.length).toBeGreaterThan(20)
  expect(rowsOf(page).sort(byName)).toEqual(members.sort(byName))
})

test('an option that is added to the type, or taken out of the table, is noticed', () => {
  const head = 'export interface TenantKeysOptions {'
  const added = source.replace(head, `${head}\n  readonly shiny?: boolean | undefined\n`)
  expect(membersOf(added, 'TenantKeysOptions').get('shiny')).toBe(false)
  expect(rowsOf(page.replace('`markups`', 'markups')).map(([option]) => option)).not.toContain(
    'markups',
  )
})
