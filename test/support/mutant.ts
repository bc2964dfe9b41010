/**
 * Sabotage: a copy of the sources with one guard taken out, loaded beside the real ones. A test that
 * still passes on the copy guards nothing.
 *
 * @module
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export interface Sabotage {
  /** File below `src/`. */
  readonly file: string
  /** Text that stands in the file exactly once. */
  readonly from: string
  readonly to: string
}

/** The sources of the folders named, sabotaged, in a folder of their own. */
export class Mutant {
  readonly #folder: string

  constructor({ file, from, to }: Sabotage, folders: readonly string[]) {
    this.#folder = mkdtempSync(join(tmpdir(), 'tenantkeys-mutant-'))
    for (const name of folders) {
      cpSync(join(ROOT, 'src', name), join(this.#folder, 'src', name), { recursive: true })
    }
    symlinkSync(join(ROOT, 'node_modules'), join(this.#folder, 'node_modules'))
    const path = join(this.#folder, 'src', file)
    const parts = readFileSync(path, 'utf8').split(from)
    if (parts.length !== 2) throw new Error(`${file}: found ${parts.length - 1} times: ${from}`)
    writeFileSync(path, parts.join(to))
  }

  /** @param file - below `src/`. */
  load<M>(file: string): Promise<M> {
    return import(this.path(file)) as Promise<M>
  }

  /** @param file - below `src/`. */
  path(file: string): string {
    return join(this.#folder, 'src', file)
  }

  dispose(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
