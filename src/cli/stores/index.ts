/**
 * From a storage URL, or from the spec that another process was given, to a store.
 *
 * @module
 */
import type { StorageUrl } from '../storage-url.ts'
import { sqliteStore } from './sqlite.ts'
import type { Store, StoreSpec } from './store.ts'

export function storeOf(url: StorageUrl): Store {
  return sqliteStore(url.target)
}

export function storeFrom(spec: StoreSpec): Store {
  return sqliteStore(spec.file)
}
