// A data directory, or the directory of a log, at a glance: what its small files and the names and sizes of its segments
// say. Batches are not read, so this is quick.
import type { Cpu } from '../base/cpu.ts'
import type { Offset } from '../model/ids.ts'
import { shapeOf } from './directory-shape.ts'
import { type FileSystem, isNotFound, joinPath } from './file-system.ts'
import { OFFSET_INDEX_ENTRY_BYTES } from './offset-index.ts'
import { baseOffsetOfLogFile, segmentFiles } from './segment-files.ts'
import { isSmallFile, offsetsOf, readSmallFileOf, type SmallFile } from './small-files.ts'
import { TIME_INDEX_ENTRY_BYTES } from './time-index.ts'

export interface SegmentOverview {
  readonly baseOffset: Offset
  readonly sizeBytes: number
  /** null where there is no such file. */
  readonly offsetEntries: number | null
  readonly timeEntries: number | null
}

export interface LogOverview {
  readonly directory: string
  /** null for a copy outside of a data directory. */
  readonly key: string | null
  readonly segments: readonly SegmentOverview[]
  /** null where it is not known. */
  readonly recoveryPoint: Offset | null
  readonly highWatermark: Offset | null
  /** The small files beside the segments. */
  readonly smallFiles: readonly NamedFile[]
}

export interface NamedFile {
  readonly name: string
  readonly content: SmallFile
}

export interface DirectoryOverview {
  readonly path: string
  readonly isDataDirectory: boolean
  /** Of the data directory; none for a log alone. */
  readonly smallFiles: readonly NamedFile[]
  readonly logs: readonly LogOverview[]
  readonly foreign: readonly string[]
}

interface Ports {
  readonly fileSystem: FileSystem
  readonly cpu: Cpu
}

/** @throws VltavaError INVALID_ARGUMENT when the path is neither; what the file system throws. */
export async function overviewOf(ports: Ports, path: string): Promise<DirectoryOverview> {
  const { dataPath, isWhole, logs, foreign } = await shapeOf(ports.fileSystem, path)
  const offsets = async (name: string): Promise<ReadonlyMap<string, Offset>> =>
    dataPath === null ? new Map() : offsetsOf(await readSmallFileOf(ports, { directory: dataPath, name }))
  const recoveryPoints = await offsets('recovery-points')
  const highWatermarks = await offsets('high-watermarks')
  const found: LogOverview[] = []
  for (const { directory, key } of logs) {
    found.push({
      directory,
      key,
      segments: await segmentsOf(ports, directory),
      recoveryPoint: recoveryPoints.get(key ?? '') ?? null,
      highWatermark: highWatermarks.get(key ?? '') ?? null,
      smallFiles: await smallFilesOf(ports, directory),
    })
  }
  const smallFiles = isWhole ? await smallFilesOf(ports, path) : []
  return { path, isDataDirectory: isWhole, smallFiles, logs: found, foreign }
}

async function smallFilesOf(ports: Ports, directory: string): Promise<readonly NamedFile[]> {
  const files: NamedFile[] = []
  for (const { name, isDirectory } of await ports.fileSystem.list(directory)) {
    if (isDirectory || !isSmallFile(name)) continue
    files.push({ name, content: await readSmallFileOf(ports, { directory, name }) })
  }
  return files
}

async function segmentsOf({ fileSystem }: Ports, directory: string): Promise<readonly SegmentOverview[]> {
  const segments: SegmentOverview[] = []
  for (const { name, isDirectory } of await fileSystem.list(directory)) {
    const baseOffset = isDirectory ? null : baseOffsetOfLogFile(name)
    if (baseOffset === null) continue
    const files = segmentFiles(directory, baseOffset)
    const sizeBytes = await sizeOf(fileSystem, joinPath(directory, name))
    if (sizeBytes === null) continue
    segments.push({
      baseOffset,
      sizeBytes,
      offsetEntries: entriesIn(await sizeOf(fileSystem, files.offsetIndex), OFFSET_INDEX_ENTRY_BYTES),
      timeEntries: timeEntriesIn(await sizeOf(fileSystem, files.timeIndex)),
    })
  }
  return segments
}

/** The last one is the checksum. */
function timeEntriesIn(sizeBytes: number | null): number | null {
  const entries = entriesIn(sizeBytes, TIME_INDEX_ENTRY_BYTES)
  return entries === null ? null : Math.max(0, entries - 1)
}

function entriesIn(sizeBytes: number | null, entryBytes: number): number | null {
  return sizeBytes === null ? null : Math.floor(sizeBytes / entryBytes)
}

/** @returns null when there is no such file: a running broker may have removed it. */
async function sizeOf(fileSystem: FileSystem, path: string): Promise<number | null> {
  try {
    const handle = await fileSystem.open(path, 'read')
    try {
      return await handle.size()
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (isNotFound(error)) return null
    throw error
  }
}
