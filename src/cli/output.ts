/**
 * What a command prints and where: results on standard output, for people or, with `--json`, as one
 * document; progress and complaints on standard error, on a terminal as one line that changes, in a
 * pipe as plain lines.
 *
 * @module
 */
import { styleText } from 'node:util'

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow'

export interface Output {
  /** A line of the result, for people; nothing with `--json`. */
  line(text?: string): void
  /** The result as a document; nothing without `--json`. Once per command. */
  document(result: object): void
  /** What the command begins to do. On a terminal it takes the place of the progress before it. */
  progress(text: string): void
  /** How far it is; in a pipe every 5 seconds at most. */
  tick(text: string): void
  /** Takes the progress off the terminal; before results, and at the end. */
  done(): void
  /** Coloured when standard output is a terminal that shows colours. */
  styled(style: Style, text: string): string
}

const PIPE_EVERY_MS = 5000
const ERASE_LINE = '\r\u001b[2K'

export function createOutput({ json }: { readonly json: boolean }): Output {
  const { stdout, stderr } = process
  const colours = stdout.isTTY && stdout.hasColors() && process.env.NO_COLOR === undefined
  let shown = false
  let toldAtMs = Number.NEGATIVE_INFINITY
  const done = (): void => {
    if (shown) stderr.write(ERASE_LINE)
    shown = false
  }
  const tell = (text: string): void => {
    if (!stderr.isTTY) return void stderr.write(`${text}\n`)
    stderr.write(`${ERASE_LINE}${text.slice(0, stderr.columns - 1)}`)
    shown = true
  }
  return {
    line: (text = '') => {
      if (json) return
      done()
      stdout.write(`${text}\n`)
    },
    document: (result) => {
      if (!json) return
      done()
      stdout.write(`${JSON.stringify(result, amounts, 2)}\n`)
    },
    progress: tell,
    tick: (text) => {
      if (!stderr.isTTY && performance.now() - toldAtMs < PIPE_EVERY_MS) return
      toldAtMs = performance.now()
      tell(text)
    },
    done,
    styled: (style, text) => (colours ? styleText(style, text) : text),
  }
}

/** Amounts are bigint inside and decimal strings outside. */
const amounts = (_: string, value: unknown): unknown =>
  typeof value === 'bigint' ? String(value) : value
