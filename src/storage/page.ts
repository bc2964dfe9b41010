/**
 * Lists come in pages, so that no answer is as long as the table.
 *
 * @module
 */

/** A page in id order. `next` is the cursor of the page after it; `null`: this was the last. */
export interface Page<T> {
  readonly items: readonly T[]
  readonly next: string | null
}

export interface PageQuery {
  /** Cursor of an earlier page; `null`: from the start. */
  readonly after: string | null
  /** 1 to 1000. */
  readonly limit: number
}
