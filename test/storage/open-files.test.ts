import { beforeEach, describe, expect, it } from 'vitest'
import { LOG_DIRECTORY_SETTINGS_DEFAULT } from '../../src/storage/log-directory.ts'
import { LOG_SETTINGS_DEFAULT } from '../../src/storage/log-settings.ts'
import { MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import type { PartitionLog } from '../../src/storage/partition-log.ts'
import { type CountedFileSystem, countHandles } from './counting-handles.ts'
import { openDirectory } from './directory-fixtures.ts'
import { batchOf, TOPIC_ID } from './fixtures.ts'

const LOGS = 12
const SEGMENTS = 6
const OPEN_SEGMENTS_MAX = 8

let counted: CountedFileSystem
let logs: PartitionLog[]

beforeEach(async () => {
  counted = countHandles(new MemoryFileSystem())
  const { directory } = await openDirectory(counted.fileSystem, {
    settings: { ...LOG_DIRECTORY_SETTINGS_DEFAULT, openSegmentsMax: OPEN_SEGMENTS_MAX, tailCacheBytes: 0 },
  })
  logs = []
  for (let partition = 0; partition < LOGS; partition++) {
    const settings = { ...LOG_SETTINGS_DEFAULT, segmentBytes: 1 }
    const log = await directory.openPartition({ topicId: TOPIC_ID, partition }, { create: true, settings })
    for (let i = 0; i < SEGMENTS; i++) await log.appendAsLeader(batchOf({ text: `${i}` }), 1).written
    await log.flush()
    logs.push(log)
  }
})

function read(log: PartitionLog, offset: number): Promise<unknown> {
  return Promise.resolve(log.read({ offset, endOffset: SEGMENTS, maxBytes: 100, atLeastOneBatch: true }))
}

/** Lets closes that were begun come to their end. */
async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve()
}

describe('open files', () => {
  it('every segment of many logs read in turn, again and again -> one file for each log and openSegmentsMax', async () => {
    counted.openMax = counted.open
    for (let round = 0; round < 3; round++) {
      for (let offset = 0; offset < SEGMENTS; offset++) for (const log of logs) await read(log, offset)
    }
    await settled()
    expect(counted.open).toBe(LOGS + OPEN_SEGMENTS_MAX)
    // A segment is opened, with one of its indexes, before another one is closed.
    expect(counted.openMax).toBeLessThanOrEqual(LOGS + OPEN_SEGMENTS_MAX + 3)
  })

  it('all segments read at once -> those beyond openSegmentsMax are closed when their reads end', async () => {
    const reads = logs.flatMap((log) => Array.from({ length: SEGMENTS }, (_, offset) => read(log, offset)))
    await Promise.all(reads)
    await settled()
    expect(counted.open).toBe(LOGS + OPEN_SEGMENTS_MAX)
  })
})
