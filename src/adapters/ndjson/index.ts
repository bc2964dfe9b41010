/**
 * `tenantkeys/ndjson`: appends events to a file, one JSON object on each line.
 *
 * The file is opened for each write, so it may be rotated by renaming it at any time. A write is done
 * when it is on the disk. A process that dies in the middle leaves a torn last line; the next write
 * cuts it off first, and its event, which was never accepted, comes again. So one file has one writer:
 * give each process a file of its own.
 *
 * @module
 */
import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import * as z from 'zod'
import { idSchema, parse } from '../../kernel/validate.ts'
import { eventText } from '../../usage/event-text.ts'
import type { UsageSink } from '../../usage/usage-sink.ts'

export interface NdjsonSinkOptions {
  /** Made when it is not there, readable by its owner only; its folder must be there. */
  readonly file: string
  /** Default `ndjson`. */
  readonly name?: string | undefined
}

const optionsSchema = z.strictObject({
  file: z
    .string()
    .min(1)
    .refine((path) => !path.includes('\0'), 'expected a path'),
  name: idSchema.default('ndjson'),
})

const OWNER_ONLY = 0o600
const NEWLINE = 0x0a
const CHUNK_BYTES = 65_536

/** @throws TenantKeysError TK_CONFIG_INVALID naming the option */
export function ndjsonSink(options: NdjsonSinkOptions): UsageSink {
  const { file, name } = parse(optionsSchema, options, 'options', 'TK_CONFIG_INVALID')
  let last: Promise<unknown> = Promise.resolve()
  return {
    contractVersion: 1,
    name,
    write: (events) => {
      // One after the other: a write that timed out for the exporter may still be under way.
      const work = last.then(() => append(file, events.map((e) => `${eventText(e)}\n`).join('')))
      last = work.catch(() => {})
      return work.then(() => ({ accepted: events.map(({ id }) => id), rejected: [] }))
    },
  }
}

async function append(file: string, lines: string): Promise<void> {
  const handle = await open(file, 'a+', OWNER_ONLY)
  try {
    const end = await cutTornLine(handle)
    try {
      await handle.appendFile(lines)
      await handle.sync()
    } catch (error) {
      // A full disk takes part of it; if even this fails, the next write cuts the torn line.
      await handle.truncate(end).catch(() => {})
      throw error
    }
    if (end === 0) await syncFolder(dirname(file))
  } finally {
    await handle.close()
  }
}

/** @returns where the next line begins. */
async function cutTornLine(handle: FileHandle): Promise<number> {
  const { size } = await handle.stat()
  const chunk = new Uint8Array(CHUNK_BYTES)
  let end = size
  while (end > 0) {
    const from = Math.max(0, end - CHUNK_BYTES)
    const { bytesRead } = await handle.read(chunk, 0, end - from, from)
    const newline = chunk.subarray(0, bytesRead).lastIndexOf(NEWLINE)
    if (newline >= 0) {
      end = from + newline + 1
      break
    }
    end = from
  }
  if (end < size) await handle.truncate(end)
  return end
}

/** A new file is there after a power cut only if its folder is on the disk too. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => null)
  // Windows opens no folders, and needs none.
  await handle?.sync().catch(() => {})
  await handle?.close()
}
