/**
 * What a worker was told, written down at once: a line that the kernel has is kept when the process is
 * killed. The journal is what the books are compared with; nothing in it comes from the database.
 *
 * @module
 */
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/**
 * - `asked`: a settle is about to be sent. Its hold id, its amount.
 * - `settled`: it was acknowledged. Its hold id, its amount.
 * - `exported`: an event was handed out by the outbox. Its id, its kind.
 * - `acked`: the outbox was told and has confirmed it. Its id, its kind.
 */
export type EntryKind = 'asked' | 'settled' | 'exported' | 'acked'

export interface Journal {
  note(kind: EntryKind, id: string, value: string): void
  close(): void
}

export function openJournal(file: string): Journal {
  const fd = openSync(file, 'a', 0o600)
  return {
    note: (kind, id, value) => void writeSync(fd, `${kind} ${id} ${value}\n`),
    close: () => closeSync(fd),
  }
}

export interface JournalEntry {
  readonly kind: EntryKind
  readonly id: string
  readonly value: string
}

/** Every whole line of every journal in a folder; of one file in the order they were written. */
export function* readJournals(folder: string): Generator<JournalEntry> {
  if (!existsSync(folder)) return
  for (const name of readdirSync(folder)) {
    const text = readFileSync(join(folder, name), 'utf8')
    // A kill in the middle of a write leaves a line without its end: what it would have said was not
    // yet known to anyone.
    for (const line of text.slice(0, text.lastIndexOf('\n') + 1).split('\n')) {
      const [kind, id, value] = line.split(' ')
      if (kind && id && value) yield { kind: kind as EntryKind, id, value }
    }
  }
}
