import { readdirSync, readFileSync } from 'node:fs'
import ts from 'typescript'
import { expect, test } from 'vitest'

const ROOT = new URL('../../', import.meta.url)
const CLAUSE = /(?:ST|KI|SS|KW|SP|BG|US)-\d+/g
/** One or more ids and then words. */
const TITLE = /^(?:(?:ST|KI|SS|KW|SP|BG|US)-\d+[ ,:]+)+(?=[a-z`'])/i

function filesBelow(folder: string): readonly string[] {
  const at = new URL(`${folder}/`, ROOT)
  const names = readdirSync(at, { recursive: true, encoding: 'utf8' })
  return names
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(new URL(name, at), 'utf8'))
}

/** Clauses that a comment of `src` defines: a list item that opens with the id. */
function definedClauses(text: string): readonly string[] {
  const items = text.matchAll(/^ \* - ((?:ST|KI|SS|KW|SP|BG|US)-\d+) /gm)
  return [...items].map(([, id]) => id!)
}

/** Clauses that open a title: `'ST-5 every change raises the epoch'`. A bare id is no title. */
function titledClauses(text: string): readonly string[] {
  const found: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || node.kind === ts.SyntaxKind.TemplateHead) {
      const ids = TITLE.exec((node as ts.LiteralLikeNode).text)?.[0] ?? ''
      found.push(...(ids.match(CLAUSE) ?? []))
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile('a.ts', text, ts.ScriptTarget.Latest))
  return found
}

const defined = filesBelow('src').flatMap(definedClauses)
const titled = new Set([...filesBelow('src/testing'), ...filesBelow('test')].flatMap(titledClauses))

test('no clause id is defined twice', () => {
  expect(defined.length).toBeGreaterThan(30)
  expect(defined).toEqual([...new Set(defined)])
})

test('every clause of a port is the title of a test', () => {
  expect(defined.filter((id) => !titled.has(id))).toEqual([])
})

test('every clause that a test title names is defined by a port', () => {
  expect([...titled].filter((id) => !defined.includes(id))).toEqual([])
})

test('the check of clauses reads definitions and titles, and nothing else', () => {
  expect(definedClauses('/**\n * - KI-7 Text.\n * See KI-8.\n */')).toEqual(['KI-7'])
  const titles = "test('KI-7 KI-9 a rule', f); g(['KI-10: x'], 'a KI-11 b', 'KI-12') // 'KI-13 c'"
  expect(titledClauses(titles)).toEqual(['KI-7', 'KI-9', 'KI-10'])
})
