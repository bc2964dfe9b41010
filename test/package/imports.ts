/**
 * Reads the imports of a TypeScript or JavaScript file from its syntax tree.
 *
 * @module
 */
import ts from 'typescript'

export interface ImportedModule {
  readonly specifier: string
  /** `type` leaves no trace at run time; `dynamic` is `import()` or `require()`. */
  readonly kind: 'static' | 'type' | 'dynamic'
  /** True for `import * as name`. */
  readonly namespace: boolean
}

export function importsOf(file: string, text: string): readonly ImportedModule[] {
  const found: ImportedModule[] = []
  const visit = (node: ts.Node): void => {
    const module = readImport(node)
    if (module !== null) found.push(module)
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true))
  return found
}

function readImport(node: ts.Node): ImportedModule | null {
  if (ts.isImportDeclaration(node)) {
    const clause = node.importClause
    const bindings = clause?.namedBindings
    const namespace = bindings !== undefined && ts.isNamespaceImport(bindings)
    const type = clause?.phaseModifier === ts.SyntaxKind.TypeKeyword
    return named(node.moduleSpecifier, type ? 'type' : 'static', namespace)
  }
  if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
    return named(node.moduleSpecifier, node.isTypeOnly ? 'type' : 'static')
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
    return named(node.argument.literal, 'type')
  }
  if (ts.isCallExpression(node) && isLoader(node.expression)) {
    const [argument] = node.arguments
    return argument === undefined ? null : named(argument, 'dynamic')
  }
  return null
}

const isLoader = (callee: ts.Expression): boolean =>
  callee.kind === ts.SyntaxKind.ImportKeyword ||
  (ts.isIdentifier(callee) && callee.text === 'require')

/** Stands for a specifier that is not written down, as in `import(name)`. */
export const COMPUTED = '(computed)'

function named(node: ts.Node, kind: ImportedModule['kind'], namespace = false): ImportedModule {
  return { specifier: ts.isStringLiteralLike(node) ? node.text : COMPUTED, kind, namespace }
}

/** `@scope/name/path` and `name/path` without their path; builtins stay as they are. */
export function packageOf(specifier: string): string {
  if (specifier.startsWith('node:')) return specifier
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}
