import { beforeEach, describe, expect, it } from 'vitest'
import { crcOf } from '../../../../src/record/batch-format.ts'
import { ReplicaLog, type StoredBatch } from '../../../../src/testing/simulation/invariants/replica-log.ts'
import { batch, ReplicaFiles, TOPIC_ID } from './fixtures.ts'

let files: ReplicaFiles
let log: ReplicaLog

beforeEach(() => {
  files = new ReplicaFiles()
  log = new ReplicaLog(files.fileSystem, { topicId: TOPIC_ID, partition: 0, dataDir: '/data' })
})

function ranges(batches: readonly StoredBatch[]): string[] {
  return batches.map(({ baseOffset, endOffset, leaderEpoch }) => `${baseOffset}-${endOffset}@${leaderEpoch}`)
}

describe('ReplicaLog', () => {
  it('no files -> no batches', () => {
    expect(log.read(100)).toEqual([])
    expect(log.generation).toBe(0)
  })

  it('batches -> their offsets, epochs and checksums; what is appended later -> is found too', async () => {
    const bytes = batch({ baseOffset: 0, records: 3, leaderEpoch: 4 })
    await files.append(bytes)
    const expected = { baseOffset: 0, endOffset: 3, leaderEpoch: 4, crc: crcOf(bytes, 0), isEmpty: false }
    expect(log.read(3)).toEqual([expected])
    await files.append(batch({ baseOffset: 3 }), batch({ baseOffset: 13 }))
    expect(ranges(log.read(23))).toEqual(['0-3@4', '3-13@1', '13-23@1'])
    expect(log.generation).toBe(0)
  })

  it('a compaction has made one segment of two, and the second is still there -> each batch once', async () => {
    await files.append(batch({ baseOffset: 0 }), batch({ baseOffset: 10 }), batch({ baseOffset: 20 }))
    files.roll(20)
    await files.append(batch({ baseOffset: 20 }))
    files.roll(30)
    await files.append(batch({ baseOffset: 30 }))
    expect(ranges(log.read(40))).toEqual(['0-10@1', '10-20@1', '20-30@1', '30-40@1'])
  })

  it('a compacted segment is about to take the place of others -> it counts, and these do not', async () => {
    await files.append(batch({ baseOffset: 0 }))
    for (const base of [10, 20, 30]) {
      files.roll(base)
      await files.append(batch({ baseOffset: base }))
    }
    files.compactTo(10, 30)
    await files.append(batch({ baseOffset: 10, records: 20, leaderEpoch: 5 }))
    const expected = ['0-10@1', '10-30@5', '30-40@1']
    expect(ranges(log.read(40))).toEqual(expected)
    await files.removeSegment(20)
    expect(ranges(log.read(40))).toEqual(expected)
  })

  it('behind the log end: a whole batch, part of one, garbage -> ignored until the log end passes it', async () => {
    await files.append(batch({ baseOffset: 0 }), batch({ baseOffset: 10 }))
    expect(ranges(log.read(10))).toEqual(['0-10@1'])
    expect(ranges(log.read(19))).toEqual(['0-10@1'])
    expect(ranges(log.read(20))).toEqual(['0-10@1', '10-20@1'])
    const next = batch({ baseOffset: 20 })
    await files.append(next.subarray(0, next.length - 1))
    expect(ranges(log.read(30))).toEqual(['0-10@1', '10-20@1'])
    await files.append(next.subarray(next.length - 1))
    expect(ranges(log.read(30))).toEqual(['0-10@1', '10-20@1', '20-30@1'])
    expect(log.generation).toBe(0)
  })

  it('garbage of any kind behind the log end -> ignored; a batch in its place -> found', async () => {
    await files.append(batch({ baseOffset: 0 }))
    const endBytes = files.sizeBytes
    const hostile = batch({ baseOffset: 10 })
    hostile[0] = 0x7f
    const tooLong = batch({ baseOffset: 10 })
    tooLong.fill(0x7f, 8, 12)
    for (const garbage of [new Uint8Array(4_096), new Uint8Array(100).fill(255), hostile, tooLong]) {
      await files.append(garbage)
      expect(ranges(log.read(1_000))).toEqual(['0-10@1'])
      await files.truncate(endBytes)
    }
    await files.append(batch({ baseOffset: 10 }))
    expect(ranges(log.read(20))).toEqual(['0-10@1', '10-20@1'])
    expect(log.generation).toBe(0)
  })

  it('cut off and written anew with as many bytes -> found, and counted', async () => {
    await files.append(batch({ baseOffset: 0 }), batch({ baseOffset: 10 }))
    const before = log.read(20)
    await files.truncate(files.sizeBytes / 2)
    await files.append(batch({ baseOffset: 10, text: 'another ' }))
    const after = log.read(20)
    expect(ranges(after)).toEqual(['0-10@1', '10-20@1'])
    expect(after[1]!.crc).not.toBe(before[1]!.crc)
    expect(log.generation).toBe(1)
  })

  it('cut off and written anew with another epoch, more or fewer bytes -> found each time', async () => {
    await files.append(batch({ baseOffset: 0 }), batch({ baseOffset: 10 }))
    const oneBytes = files.sizeBytes / 2
    expect(ranges(log.read(20))).toEqual(['0-10@1', '10-20@1'])
    const anew: readonly (readonly Uint8Array[])[] = [
      [batch({ baseOffset: 10, leaderEpoch: 2 })],
      [batch({ baseOffset: 10, leaderEpoch: 3, text: 'a much longer text' })],
      [batch({ baseOffset: 10, leaderEpoch: 4, text: '' })],
      [
        batch({ baseOffset: 10, leaderEpoch: 5, records: 4 }),
        batch({ baseOffset: 14, leaderEpoch: 5, records: 6 }),
      ],
    ]
    for (const [i, batches] of anew.entries()) {
      await files.truncate(oneBytes)
      await files.append(...batches)
      const expected = batches.length === 1 ? [`10-20@${i + 2}`] : ['10-14@5', '14-20@5']
      expect(ranges(log.read(20))).toEqual(['0-10@1', ...expected])
      expect(log.generation).toBe(i + 1)
    }
  })

  it('cut off to nothing -> no batches any more', async () => {
    await files.append(batch({ baseOffset: 0 }))
    expect(log.read(10)).toHaveLength(1)
    await files.truncate(0)
    expect(log.read(0)).toEqual([])
    expect(log.generation).toBe(1)
  })

  it('rolled segments -> their batches one after the other; one that is removed -> counted', async () => {
    await files.append(batch({ baseOffset: 0 }))
    files.roll(10)
    await files.append(batch({ baseOffset: 10 }))
    expect(ranges(log.read(20))).toEqual(['0-10@1', '10-20@1'])
    files.roll(20)
    await files.append(batch({ baseOffset: 20, leaderEpoch: 2 }))
    expect(ranges(log.read(30))).toEqual(['0-10@1', '10-20@1', '20-30@2'])
    expect(log.generation).toBe(0)
    await files.removeSegment(20)
    expect(ranges(log.read(20))).toEqual(['0-10@1', '10-20@1'])
    expect(log.generation).toBe(1)
  })

  it('other files of the partition -> not taken for segments', async () => {
    await files.append(batch({ baseOffset: 0 }))
    const directory = `/data/topics/${TOPIC_ID}/0`
    for (const name of ['00000000000000000000.index', 'leader-epochs', 'producer-state-10']) {
      const file = await files.fileSystem.open(`${directory}/${name}`, 'create')
      await file.write([batch({ baseOffset: 10 })], 0)
    }
    expect(ranges(log.read(100))).toEqual(['0-10@1'])
  })
})
