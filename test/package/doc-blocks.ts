/**
 * The fenced code blocks of the pages, and the programs they make.
 *
 * Markers stand behind the language: a `ts` block is a program of its own and is compiled; `ts run`
 * is run too (in README.md every program is); `ts continues` is added to the program above it.
 *
 * @module
 */

export interface Block {
  readonly page: string
  /** Line of the first code line, from 1. */
  readonly line: number
  readonly language: string
  readonly marks: readonly string[]
  readonly code: string
}

export interface Program {
  readonly page: string
  readonly line: number
  readonly run: boolean
  /** Each code line stands on the line number that it has on the page. */
  readonly code: string
}

export function blocksOf(page: string, text: string): readonly Block[] {
  const blocks: Block[] = []
  let open: { line: number; info: string[]; code: string[] } | null = null
  for (const [index, line] of text.split('\n').entries()) {
    const fence = /^ *```(.*)$/.exec(line)
    if (open === null) {
      if (fence) open = { line: index + 2, info: fence[1]!.trim().split(/ +/), code: [] }
    } else if (fence) {
      const [language = '', ...marks] = open.info
      blocks.push({ page, line: open.line, language, marks, code: open.code.join('\n') })
      open = null
    } else open.code.push(line)
  }
  if (open !== null) throw new Error(`${page}: the block before line ${open.line} is not closed`)
  return blocks
}

/** @throws Error when a marker is not known or continues nothing. */
export function programsOf(blocks: readonly Block[]): readonly Program[] {
  const programs: Program[] = []
  for (const { page, line, language, marks, code } of blocks) {
    if (language !== 'ts') continue
    const unknown = marks.find((mark) => mark !== 'run' && mark !== 'continues')
    if (unknown !== undefined) throw new Error(`${page}:${line}: unknown marker ${unknown}`)
    const run = marks.includes('run') || page === 'README.md'
    if (!marks.includes('continues')) {
      programs.push({ page, line, run, code: '\n'.repeat(line - 1) + code })
      continue
    }
    const before = programs.at(-1)
    if (before?.page !== page) throw new Error(`${page}:${line}: continues nothing`)
    const gap = '\n'.repeat(line - before.code.split('\n').length)
    programs[programs.length - 1] = {
      ...before,
      run: before.run || run,
      code: before.code + gap + code,
    }
  }
  return programs
}
