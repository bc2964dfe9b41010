/**
 * The providers that can be called and metered, by id.
 *
 * @module
 */
import { openai } from './openai.ts'
import type { Provider } from './provider.ts'

export const PROVIDERS: ReadonlyMap<string, Provider> = new Map([[openai.id, openai]])
