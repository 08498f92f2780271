// What is in a file or directory of Vltava's, piece by piece, for people who want to see it. Nothing is changed, and the
// broker may be running.
import type { Cpu } from '../base/cpu.ts'
import { VltavaError } from '../model/errors.ts'
import type { Offset } from '../model/ids.ts'
import { type BatchHeader, type RecordView, readBatchHeader, readRecords } from '../record/batch-reader.ts'
import { type FoundBatch, walkBatches } from './batch-walk.ts'
import { type DirectoryOverview, overviewOf } from './directory-overview.ts'
import { readSmallFile } from './file-io.ts'
import { directoryOf, type FileHandle, type FileSystem, fileErrorCodeOf } from './file-system.ts'
import { type OffsetEntry, offsetEntriesOf, type TimeEntry, timeEntriesOf } from './index-check.ts'
import { isLockName } from './lock-file.ts'
import { readOnlyFileSystem } from './read-only-file-system.ts'
import { segmentFiles } from './segment-files.ts'
import { isSmallFile, readSmallFileOf, type SmallFile } from './small-files.ts'

export interface DumpOptions {
  readonly fileSystem: FileSystem
  readonly cpu: Cpu
  /** A file or directory, absolute. */
  readonly path: string
  /** Each record as well. */
  readonly records: boolean
  /** Leaves out what lies wholly before this offset. */
  readonly fromOffset: Offset
}

/** One piece of what is there. */
export type DumpItem =
  | {
      readonly type: 'batch'
      readonly position: number
      readonly header: BatchHeader
      readonly isCrcRight: boolean
    }
  | { readonly type: 'record'; readonly record: RecordView }
  /** Records that are there but cannot be shown. */
  | { readonly type: 'unshown'; readonly count: number; readonly reason: string }
  | { readonly type: 'garbage'; readonly position: number; readonly bytes: number; readonly reason: string }
  | { readonly type: 'offset-entry'; readonly entry: OffsetEntry }
  | { readonly type: 'time-entry'; readonly entry: TimeEntry }
  | { readonly type: 'small-file'; readonly name: string; readonly content: SmallFile }
  | { readonly type: 'lock'; readonly text: string }
  | { readonly type: 'directory'; readonly overview: DirectoryOverview }

/**
 * @throws VltavaError INVALID_ARGUMENT when the name of the file is none of Vltava's; what the file system throws.
 */
export async function* dump(options: DumpOptions): AsyncGenerator<DumpItem> {
  const ports = { fileSystem: readOnlyFileSystem(options.fileSystem), cpu: options.cpu }
  const { path, fromOffset } = options
  if (await isDirectory(ports.fileSystem, path)) {
    yield { type: 'directory', overview: await overviewOf(ports, path) }
    return
  }
  const directory = directoryOf(path)
  const name = path.slice(path.lastIndexOf('/') + 1)
  const plainName = name.replace(/\.(tmp|corrupt|deleted)$/, '')
  const segment = /^(\d{20})\.(log|index|timeindex)$/.exec(plainName)
  const baseOffset = Number(segment?.[1])
  if (segment?.[2] === 'log') yield* dumpSegment({ ...options, ...ports }, baseOffset)
  else if (segment?.[2] === 'index') {
    for (const entry of offsetEntriesOf(await contentOf(ports.fileSystem, path), baseOffset)) {
      if (entry.offset >= fromOffset) yield { type: 'offset-entry', entry }
    }
  } else if (segment?.[2] === 'timeindex') {
    for (const entry of timeEntriesOf(await contentOf(ports.fileSystem, path), baseOffset)) {
      if (entry.offset >= fromOffset) yield { type: 'time-entry', entry }
    }
  } else if (isSmallFile(plainName)) {
    yield {
      type: 'small-file',
      name,
      content: await readSmallFileOf(ports, { directory, name, as: plainName }),
    }
  } else if (isLockName(name)) {
    yield { type: 'lock', text: ports.cpu.decodeUtf8(await contentOf(ports.fileSystem, path)).trim() }
  } else throw unknownName(path)
}

function unknownName(path: string): VltavaError {
  return new VltavaError(
    'INVALID_ARGUMENT',
    `${path}: the name is none of a file of Vltava's. Files are told apart by their names: <base offset in 20 digits>.log, ` +
      '.index or .timeindex, meta.json, recovery-points, high-watermarks, leader-epochs, clean-shutdown, broker-epoch, ' +
      'formation, hard-state, lock. Give a copy the name of the original.',
  )
}

/** A file cannot be listed. */
async function isDirectory(fileSystem: FileSystem, path: string): Promise<boolean> {
  try {
    await fileSystem.list(path)
    return true
  } catch (error) {
    if (fileErrorCodeOf(error) === 'ENOTDIR') return false
    throw error
  }
}

async function contentOf(fileSystem: FileSystem, path: string): Promise<Uint8Array> {
  return (await readSmallFile(fileSystem, path)) ?? new Uint8Array(0)
}

async function* dumpSegment(options: DumpOptions, baseOffset: Offset): AsyncGenerator<DumpItem> {
  const { fileSystem, cpu, path, fromOffset, records } = options
  const handle = await fileSystem.open(path, 'read')
  try {
    const endPosition = await handle.size()
    const position = await startPosition(options, { handle, baseOffset })
    for await (const found of walkBatches({ handle, cpu, position, endPosition })) {
      if (found.kind === 'garbage') {
        const bytes = found.endPosition - found.position
        yield { type: 'garbage', position: found.position, bytes, reason: found.reason }
      } else if (found.nextOffset > fromOffset) {
        yield batchItem(found)
        if (records) yield* recordItems(options, found)
      }
    }
  } finally {
    await handle.close()
  }
}

function batchItem({ bytes, at, position, isCrcRight }: FoundBatch): DumpItem {
  try {
    return { type: 'batch', position, header: readBatchHeader(bytes, at), isCrcRight }
  } catch (error) {
    if (!(error instanceof VltavaError)) throw error
    return { type: 'garbage', position, bytes: bytes.length, reason: error.message }
  }
}

function* recordItems({ cpu, fromOffset }: DumpOptions, found: FoundBatch): Generator<DumpItem> {
  const { bytes, at, sizeBytes, nextOffset, baseOffset } = found
  try {
    for (const record of readRecords(bytes.subarray(at, at + sizeBytes), { cpu })) {
      if (record.offset >= fromOffset) yield { type: 'record', record }
    }
  } catch (error) {
    if (!(error instanceof VltavaError)) throw error
    yield { type: 'unshown', count: nextOffset - baseOffset, reason: error.message }
  }
}

/** Where to begin for an offset: at the index entry before it if a batch with that offset begins there, else at the start. */
async function startPosition(
  { fileSystem, cpu, path, fromOffset }: DumpOptions,
  segment: { readonly handle: FileHandle; readonly baseOffset: Offset },
): Promise<number> {
  const { handle, baseOffset } = segment
  if (fromOffset <= baseOffset) return 0
  const { offsetIndex } = segmentFiles(directoryOf(path), baseOffset)
  const bytes = await readSmallFile(fileSystem, offsetIndex)
  const entry = offsetEntriesOf(bytes ?? new Uint8Array(0), baseOffset).findLast(
    ({ offset }) => offset <= fromOffset,
  )
  if (entry === undefined) return 0
  const endPosition = await handle.size()
  const first = await walkBatches({ handle, cpu, position: entry.position, endPosition }).next()
  const isThere =
    first.done !== true && first.value.kind === 'batch' && first.value.baseOffset === entry.offset
  return isThere ? entry.position : 0
}
