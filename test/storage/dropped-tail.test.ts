// A tail that recovery cut off may have been acknowledged, so somebody has to hear of it; also when the process stops before.
import { describe, expect, it } from 'vitest'
import { MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import { sweepCrashes } from './crash-sweep.ts'
import {
  batchOf,
  LOG_PATH,
  openTestLog,
  readFile,
  segmentPath,
  type TestLogOptions,
  writeFile,
} from './fixtures.ts'

describe('a tail that was cut off', () => {
  const TOLERANT: TestLogOptions = { recoveryPoint: 2, toleratesDamage: true, endIsKnown: false }

  /** Four batches, all flushed; the recovery point is behind the second. */
  async function flushed(): Promise<MemoryFileSystem> {
    const disk = new MemoryFileSystem()
    const { log } = await openTestLog(disk)
    for (const text of ['a', 'b', 'c', 'd']) await log.appendAsLeader(batchOf({ text }), 0).written
    await log.flush()
    return disk.afterKill()
  }

  /** Where the last batch begins. */
  async function lastBatchOf(disk: MemoryFileSystem): Promise<{ bytes: Uint8Array; position: number }> {
    const bytes = await readFile(disk, segmentPath(0))
    return { bytes, position: (bytes.length / 4) * 3 }
  }

  async function flippedLast(): Promise<MemoryFileSystem> {
    const disk = await flushed()
    const { bytes, position } = await lastBatchOf(disk)
    bytes[position + 62]! ^= 4
    await writeFile(disk, segmentPath(0), bytes)
    return disk
  }

  it('REP-30: nothing was cut off -> nothing to report', async () => {
    const { log } = await openTestLog(await flushed(), TOLERANT)
    expect(log.logEndOffset).toBe(4)
    expect(log.health.isTailDropped).toBe(false)
  })

  it('REP-30: a flipped bit in the last batch -> cut off, and to be reported until it was, over restarts', async () => {
    const disk = await flippedLast()
    for (let run = 0; run < 2; run++) {
      const { log } = await openTestLog(disk, TOLERANT)
      expect(log.logEndOffset).toBe(3)
      expect(log.health.isTailDropped).toBe(true)
      await log.close()
    }
    const { log } = await openTestLog(disk, TOLERANT)
    await log.health.tailReported()
    expect(log.health.isTailDropped).toBe(false)
    await log.close()
    expect(await disk.list(LOG_PATH)).not.toContainEqual(expect.objectContaining({ name: 'damaged-ranges' }))
    const again = await openTestLog(disk, TOLERANT)
    expect(again.log.health.isTailDropped).toBe(false)
  })

  it.each<[string, number]>([
    ['within the header', 30],
    ['within the records', 65],
  ])('REP-30: the file ends %s of the last batch -> it is to be reported', async (_where, keptBytes) => {
    const disk = await flushed()
    const { bytes, position } = await lastBatchOf(disk)
    await writeFile(disk, segmentPath(0), bytes.subarray(0, position + keptBytes))
    const { log } = await openTestLog(disk, TOLERANT)
    expect(log.logEndOffset).toBe(3)
    expect(log.health.isTailDropped).toBe(true)
  })

  it('REP-30: the sector behind the last batch reads as zeros -> nothing was ever there, and nothing is to be reported', async () => {
    const disk = await flushed()
    const { bytes } = await lastBatchOf(disk)
    await writeFile(disk, segmentPath(0), Buffer.concat([bytes, Buffer.alloc(2_000)]))
    const { log } = await openTestLog(disk, TOLERANT)
    expect(log.droppedTail).toMatchObject({ offset: 4, bytes: 2_000 })
    expect(log.health.isTailDropped).toBe(false)
  })

  it('a log that was closed in order -> what lies behind its end was never counted', async () => {
    const disk = await flushed()
    const { bytes } = await lastBatchOf(disk)
    await writeFile(disk, segmentPath(0), Buffer.concat([bytes, Buffer.from('garbage')]))
    const { log } = await openTestLog(disk, { ...TOLERANT, recoveryPoint: 4, endIsKnown: true })
    expect(log.logEndOffset).toBe(4)
    expect(log.health.isTailDropped).toBe(false)
  })

  it('the file that remembers it cannot be read -> it is taken for cut off', async () => {
    const disk = await flushed()
    await writeFile(disk, `${LOG_PATH}/damaged-ranges`, Buffer.from('garbage'))
    const { log } = await openTestLog(disk, TOLERANT)
    expect(log.health.isTailDropped).toBe(true)
    expect(log.logEndOffset).toBe(4)
  })

  it('STO-27: a crash at any step of the start that cuts it off -> it is still to be reported', async () => {
    await sweepCrashes<null>({
      async prepare(disk) {
        const { log } = await openTestLog(disk)
        for (const text of ['a', 'b', 'c', 'd']) await log.appendAsLeader(batchOf({ text }), 0).written
        await log.close()
        const { bytes, position } = await lastBatchOf(disk)
        bytes[position + 62]! ^= 4
        await writeFile(disk, segmentPath(0), bytes)
        const handle = await disk.open(segmentPath(0), 'read-write')
        await handle.sync()
        await handle.close()
      },
      state: () => null,
      async run(disk) {
        const { log } = await openTestLog(disk, TOLERANT)
        await log.close()
      },
      async check(disk) {
        const { log } = await openTestLog(disk, TOLERANT)
        expect(log.logEndOffset).toBe(3)
        expect(log.health.isTailDropped).toBe(true)
      },
    })
  })
})
