/**
 * Reads a JSON list element by element as it passes, as Gemini sends it without `alt=sse`. What is no
 * list but objects, one or one behind the other, is read as its elements. Only looked at, never
 * rewritten.
 *
 * @module
 */
import type { FrameEvent } from './aws-event-stream.ts'

/** An element this long is not waited for, in UTF-16 units: an image of some MB is shorter. */
const MAX_ELEMENT = 64 * 1024 * 1024

/** What may stand between elements. */
const BETWEEN = ' \n\r\t,'

/** A reader of such a stream. It never throws; what is neither list nor object has no elements. */
export function jsonArrayStream(onEvent: (event: FrameEvent) => void): {
  feed(text: string): void
  /** No more comes: an element that has not ended is read as far as it goes. */
  cut(): void
  /** Length of what came in an element that is too long, and behind it, and of what is no element. */
  unread(): number
} {
  /** How many brackets are open. Elements open at `base`: 1 in a list, 0 where there is none. */
  let depth = 0
  let base = 0
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
      const letter = text[at]!
      const isOpening = !inString && (letter === '[' || letter === '{')
      const isClosing = !inString && (letter === ']' || letter === '}')
      if (isOpening) {
        if (depth === 0 && letter === '[') base = 1
        else if (depth === base) from = at
        depth++
      } else if (isClosing && depth > 0) {
        depth--
        if (depth === base) {
          onEvent({ data: element + text.slice(from, at + 1) })
          element = ''
        }
      } else {
        // A text or a number as element, or what is no JSON at all.
        if (depth <= base && (inString || !BETWEEN.includes(letter))) unread++
        if (escaped) escaped = false
        else if (inString && letter === '\\') escaped = true
        else if (letter === '"') inString = !inString
      }
    }
    if (depth > base) element += text.slice(from)
    if (element.length > MAX_ELEMENT) {
      isBroken = true
      unread += element.length
      element = ''
    }
  }
  const cut = (): void => {
    if (element !== '') onEvent({ data: element })
    element = ''
  }
  return { feed, cut, unread: () => unread }
}
