// A data directory on an in-memory disk.
import { silentLog } from '../../src/base/log.ts'
import type { Process } from '../../src/base/process.ts'
import { seededRandom } from '../../src/base/random.ts'
import { partitionKey } from '../../src/model/ids.ts'
import type { FileSystem } from '../../src/storage/file-system.ts'
import {
  LOG_DIRECTORY_SETTINGS_DEFAULT,
  LogDirectory,
  type LogDirectoryOptions,
} from '../../src/storage/log-directory.ts'
import { LOG_SETTINGS_DEFAULT } from '../../src/storage/log-settings.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { batchOf, cpu, TOPIC_ID } from './fixtures.ts'

export const PATH = '/var/vltava'
export const OTHER_TOPIC_ID = 'BBBBBBBBBBBBBBBBBBBBBB'
export const P0 = { topicId: TOPIC_ID, partition: 0 }
export const P1 = { topicId: TOPIC_ID, partition: 1 }
export const KEY0 = partitionKey(TOPIC_ID, 0)
const SETTINGS = { ...LOG_SETTINGS_DEFAULT, fileDeleteDelayMs: 0 }
export const CREATE = { create: true, settings: SETTINGS }
export const EXISTING = { create: false, settings: SETTINGS }

/** Takes every lock it finds for stale: where a test is not about the lock. */
const LONE_PROCESS: Process = {
  identity: { bootId: 'boot', pid: 1, startTime: '1' },
  isRunning: () => false,
  fail() {},
}

export interface OpenedDirectory {
  readonly directory: LogDirectory
  readonly failures: unknown[]
}

export async function openDirectory(
  fileSystem: FileSystem,
  options: Partial<LogDirectoryOptions> = {},
): Promise<OpenedDirectory> {
  const failures: unknown[] = []
  const directory = await LogDirectory.open({
    fileSystem,
    path: PATH,
    clock: new ManualClock(),
    process: LONE_PROCESS,
    random: seededRandom(7),
    cpu,
    log: silentLog,
    nodeId: 1,
    settings: LOG_DIRECTORY_SETTINGS_DEFAULT,
    onFailure: (error) => failures.push(error),
    ...options,
  })
  return { directory, failures }
}

export async function fill(directory: LogDirectory, texts: readonly string[], partition = P0): Promise<void> {
  const log = await directory.openPartition(partition, CREATE)
  for (const text of texts) await log.appendAsLeader(batchOf({ text }), 1).written
  await log.flush()
}

export function names(fileSystem: FileSystem, path = PATH): Promise<string[]> {
  return fileSystem.list(path).then((entries) => entries.map((entry) => entry.name))
}
