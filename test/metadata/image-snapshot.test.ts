import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ClusterImage, EMPTY_IMAGE } from '../../src/metadata/cluster-image.ts'
import { applyBatch } from '../../src/metadata/image-apply.ts'
import { imageOfRecords, recordsOfImage } from '../../src/metadata/image-snapshot.ts'
import { type SnapshotRecord, snapshotRecordSchema } from '../../src/metadata/snapshot-records.ts'
import { DELETED_TOPICS_MAX } from '../../src/model/limits.ts'
import { decodeWire, encodeWire } from '../../src/protocol/codec.ts'
import { id128 } from './cluster-fixture.ts'
import { commands, obey, startingImage } from './random-cluster.ts'

function roundTrip(image: ClusterImage): ClusterImage {
  const wire = [...recordsOfImage(image)].map((record) => encodeWire(snapshotRecordSchema, record))
  return imageOfRecords(wire.map((bytes) => decodeWire(snapshotRecordSchema, bytes)))
}

/** Maps in their order: what looks through one must find the same first. */
function inOrder(image: ClusterImage): unknown {
  const { brokers, topics, topicIds, deletedTopics } = image
  return [brokers, topics, topicIds, deletedTopics].map((map) => [...map.keys()])
}

describe('an image as a snapshot', () => {
  it('RAFT-29, RAFT-33: any image -> the same image, in the same order', () => {
    fc.assert(
      fc.property(commands, (list) => {
        let image = startingImage()
        for (const command of list) image = obey(image, command)
        const back = roundTrip(image)
        expect(back).toEqual(image)
        expect(inOrder(back)).toEqual(inOrder(image))
      }),
      { numRuns: 200, seed: 20_250 },
    )
  })

  it('RAFT-29: a snapshot at any point, and the commands behind it -> as without a snapshot', () => {
    fc.assert(
      fc.property(commands, fc.nat(), (list, cut) => {
        let whole = startingImage()
        let restored = whole
        for (const [i, command] of list.entries()) {
          if (i === cut % list.length) restored = roundTrip(restored)
          whole = obey(whole, command)
          restored = obey(restored, command)
        }
        expect(restored).toEqual(whole)
        expect(inOrder(restored)).toEqual(inOrder(whole))
      }),
      { numRuns: 200, seed: 20_251 },
    )
  })

  it('the cluster id and the voters -> kept', () => {
    const voters = [{ nodeId: 1, directoryId: id128('disk'), url: 'ws://controller-1:1' }]
    const image = applyBatch(
      EMPTY_IMAGE,
      [{ type: 'cluster-formed', clusterId: id128('cluster'), voters }],
      1,
    )
    expect(roundTrip(image)).toEqual(image)
  })

  it.each<[string, (records: SnapshotRecord[]) => SnapshotRecord[], RegExp]>([
    ['without its end', (records) => records.slice(0, -1), /has no end/],
    ['without its header', (records) => records.slice(1), /does not begin with one header/],
    ['with two headers', (records) => [records[0]!, ...records], /does not begin with one header/],
    ['with a record missing', (records) => records.toSpliced(1, 1), /lacks records/],
    ['with a record behind its end', (records) => [...records, records[1]!], /behind its end/],
    [
      'with a partition missing',
      (records) => without(records, 'partition'),
      /has partition 1 in the wrong place/,
    ],
    ['empty', () => [], /has no end/],
  ])('JEP-19: %s -> refused', (_, change, problem) => {
    const records = [...recordsOfImage(startingImage())]
    expect(() => imageOfRecords(change(records))).toThrow(problem)
  })

  it('more deleted topics than are remembered -> the oldest go', () => {
    let image = EMPTY_IMAGE
    const apply = (records: Parameters<typeof applyBatch>[1]): void => {
      image = applyBatch(image, records, image.metadataOffset + 1)
    }
    const old = new Map(Array.from({ length: DELETED_TOPICS_MAX }, (_, i) => [id128(`old-${i}-`), i + 1]))
    image = { ...startingImage(), deletedTopics: old }
    const topicId = image.topicIds.get('a')!
    apply([{ type: 'topic-deleted', topicId }])
    expect(image.deletedTopics.size).toBe(DELETED_TOPICS_MAX)
    expect(image.deletedTopics.has(id128('old-0-'))).toBe(false)
    expect(image.deletedTopics.get(topicId)).toBe(image.metadataOffset)
    expect(roundTrip(image)).toEqual(image)
  })
})

function without(records: readonly SnapshotRecord[], type: SnapshotRecord['type']): SnapshotRecord[] {
  const at = records.findIndex((record) => record.type === type)
  return records.toSpliced(at, 1)
}
