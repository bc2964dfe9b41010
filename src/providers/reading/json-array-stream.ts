/**
 * Reads a JSON list element by element as it passes, as Gemini sends it without `alt=sse`. Only looked
 * at, never rewritten.
 *
 * @module
 */
import type { FrameEvent } from './aws-event-stream.ts'

/** An element this long is not waited for, in UTF-16 units: an image of some MB is shorter. */
const MAX_ELEMENT = 64 * 1024 * 1024

/** A reader of such a stream. It never throws; what is no list has no elements. */
export function jsonArrayStream(onEvent: (event: FrameEvent) => void): {
  feed(text: string): void
  /** Length of what came in an element that is too long, and behind it. */
  unread(): number
} {
  /** Depth 1 is inside the list, 2 inside an element. */
  let depth = 0
  let inString = false
  let escaped = false
  let element = ''
  let isBroken = false
  let unread = 0
  const feed = (text: string): void => {
    if (isBroken) {
      unread += text.length
      return
    }
    let from = 0
    for (let at = 0; at < text.length; at++) {
      const letter = text[at]
      if (inString) {
        if (escaped) escaped = false
        else if (letter === '\\') escaped = true
        else if (letter === '"') inString = false
      } else if (letter === '"') inString = true
      else if (letter === '[' || letter === '{') {
        if (depth === 1) from = at
        depth++
      } else if (letter === ']' || letter === '}') {
        depth--
        if (depth === 1) {
          onEvent({ data: element + text.slice(from, at + 1) })
          element = ''
        }
      }
    }
    if (depth >= 2) element += text.slice(from)
    if (element.length > MAX_ELEMENT) {
      isBroken = true
      unread = element.length
      element = ''
    }
  }
  return { feed, unread: () => unread }
}
