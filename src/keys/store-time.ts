/**
 * What time it is at the store, without asking it: the process's monotonic clock plus an offset
 * learned from every answer. The host's wall clock has no say, so setting it back revives nothing
 * (T-K8).
 *
 * An answer says that the store's clock stood at X at some moment between the sending of the
 * question and its arrival. That gives an interval for the offset; the estimate is moved into it and
 * otherwise kept, so a slow answer does not spoil what a quick one taught. The first estimate is the
 * latest possible time: an error makes a key die early, by one round trip, never late.
 *
 * @module
 */
export class StoreTime {
  #offsetMs = Number.POSITIVE_INFINITY

  /** @param taken - Bounds, on the monotonic clock, of the moment when the store read its own. */
  observe(
    storeNowMs: number,
    taken: { readonly afterMs: number; readonly beforeMs: number },
  ): void {
    const lowest = storeNowMs - taken.beforeMs
    const highest = storeNowMs - taken.afterMs
    this.#offsetMs = Math.min(Math.max(this.#offsetMs, lowest), highest)
  }

  /** Milliseconds since the epoch, as the store would say. Before the first answer: infinity. */
  at(elapsedMs: number): number {
    return elapsedMs + this.#offsetMs
  }
}
