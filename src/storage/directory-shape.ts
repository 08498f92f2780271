// What a path holds: a whole data directory, or the directory of one log, perhaps inside of a data directory.
import { VltavaError } from '../model/errors.ts'
import { type PartitionKey, partitionKey } from '../model/ids.ts'
import { directoryOf, type FileSystem, joinPath } from './file-system.ts'
import { isLockName } from './lock-file.ts'
import { baseOffsetOfLogFile } from './segment-files.ts'
import { isSmallFile } from './small-files.ts'
import { isPartitionName, isTopicName } from './topic-directories.ts'

export const METADATA_KEY: PartitionKey = 'metadata/0'

export interface LogPlace {
  readonly directory: string
  /** null for a copy outside of a data directory: nobody knows whose log it is. */
  readonly key: PartitionKey | null
}

export interface DirectoryShape {
  /** The data directory; null where a log lies by itself. */
  readonly dataPath: string | null
  /** Whether the path is the data directory itself. */
  readonly isWhole: boolean
  readonly logs: readonly LogPlace[]
  /** Paths that are nothing of Vltava's, at the top and below topics. */
  readonly foreign: readonly string[]
}

/**
 * Finds out what a directory is.
 * @throws VltavaError INVALID_ARGUMENT when it is neither; what the file system throws.
 */
export async function shapeOf(fileSystem: FileSystem, path: string): Promise<DirectoryShape> {
  const entries = await fileSystem.list(path)
  const names = new Set(entries.map(({ name }) => name))
  if (['meta.json', 'topics', 'metadata'].some((name) => names.has(name)))
    return shapeOfData(fileSystem, path)
  if (names.has('leader-epochs') || entries.some(({ name }) => baseOffsetOfLogFile(name) !== null)) {
    return shapeOfLog(fileSystem, path)
  }
  throw new VltavaError(
    'INVALID_ARGUMENT',
    `${path} is no data directory and no directory of a partition: it has neither meta.json, topics nor metadata, and ` +
      'no segments. Give the log.dir of a node, or topics/<topic id>/<partition> inside of it.',
  )
}

async function shapeOfData(fileSystem: FileSystem, path: string): Promise<DirectoryShape> {
  const logs: LogPlace[] = []
  const foreign: string[] = []
  for (const { name, isDirectory } of await fileSystem.list(path)) {
    const entryPath = joinPath(path, name)
    if (name === 'topics' && isDirectory) await addTopics(fileSystem, entryPath, { logs, foreign })
    else if (name === 'metadata' && isDirectory) logs.push({ directory: entryPath, key: METADATA_KEY })
    else if (isDirectory || !(isSmallFile(name) || isLockName(name) || name.endsWith('.tmp'))) {
      foreign.push(entryPath)
    }
  }
  return { dataPath: path, isWhole: true, logs, foreign }
}

async function addTopics(
  fileSystem: FileSystem,
  path: string,
  found: { readonly logs: LogPlace[]; readonly foreign: string[] },
): Promise<void> {
  for (const topic of await fileSystem.list(path)) {
    const topicPath = joinPath(path, topic.name)
    if (!topic.isDirectory || !isTopicName(topic.name)) {
      found.foreign.push(topicPath)
      continue
    }
    for (const { name, isDirectory } of await fileSystem.list(topicPath)) {
      const directory = joinPath(topicPath, name)
      if (isDirectory && isPartitionName(name)) {
        found.logs.push({ directory, key: partitionKey(topic.name, Number(name)) })
      } else if (!name.endsWith('.deleted')) found.foreign.push(directory)
    }
  }
}

async function shapeOfLog(fileSystem: FileSystem, path: string): Promise<DirectoryShape> {
  const alone: DirectoryShape = {
    dataPath: null,
    isWhole: false,
    logs: [{ directory: path, key: null }],
    foreign: [],
  }
  const parent = directoryOf(path)
  const name = path.slice(parent.length + 1)
  if (name === 'metadata') return inData(fileSystem, { alone, dataPath: parent, key: METADATA_KEY })
  const topic = parent.slice(directoryOf(parent).length + 1)
  if (!isPartitionName(name) || !isTopicName(topic)) return alone
  const dataPath = directoryOf(directoryOf(parent))
  return inData(fileSystem, { alone, dataPath, key: partitionKey(topic, Number(name)) })
}

async function inData(
  fileSystem: FileSystem,
  log: { readonly alone: DirectoryShape; readonly dataPath: string; readonly key: PartitionKey },
): Promise<DirectoryShape> {
  const { alone, dataPath, key } = log
  if (!(await fileSystem.exists(joinPath(dataPath, 'meta.json')))) return alone
  return { ...alone, dataPath, logs: alone.logs.map(({ directory }) => ({ directory, key })) }
}
