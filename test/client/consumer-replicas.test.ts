// Consumers that read from other replicas than the leader: broker 1 leads, broker 2 follows.
import { describe, expect, it } from 'vitest'
import type { ConsumerOptions } from '../../src/client/consumer-options.ts'
import type { ErrorName } from '../../src/model/error-codes.ts'
import { wireError } from '../../src/protocol/error-schema.ts'
import { NO_SESSION_ANSWER } from '../protocol/no-session.ts'
import { expectCleanClose, makeHarness, numbers } from './harness.ts'
import { append, fetchBodies, Reading } from './reading.ts'

/** Longer than the leader is read after a replica failed. */
const BACK_AT_REPLICA_MS = 6_100

async function withFollower(known: { readonly highWatermark: number; readonly logStartOffset?: number }) {
  const harness = await makeHarness({ brokers: 2 })
  const topic = harness.cluster.addTopic('orders', [1])
  const partition = topic.partitions[0]!
  const follower = { logStartOffset: 0, ...known }
  partition.followers.set(2, follower)
  for (let i = 0; i < 6; i++) append(partition, [String(i)])
  const read = (options: Partial<ConsumerOptions> = {}) => {
    const consumer = harness.client.consumer({
      ...{ topic: 'orders', from: 'beginning', readFrom: 'any', maxWaitMs: 100, ...options },
    })
    return { consumer, reading: new Reading(consumer) }
  }
  return { ...harness, harness, topic, partition, follower, read }
}

const answering =
  (code: ErrorName) => (call: { readonly body: { readonly partitions: readonly unknown[] } }) => {
    const bounds = { highWatermark: 0, logStartOffset: 0, batchesBytes: 0, diverging: null }
    const partitions = call.body.partitions.map(() => ({ ...bounds, error: wireError(code) }))
    return { body: { ...NO_SESSION_ANSWER, partitions } }
  }

describe('consumer: readFrom', () => {
  it('REP-34: a replica that has everything -> all is read there, and the leader is asked for the start alone', async () => {
    const { clock, harness, read, follower } = await withFollower({ highWatermark: 6 })
    const { consumer, reading } = read()
    await clock.run(1_000)
    expect([reading.values, reading.error]).toEqual([numbers(0, 6), null])
    expect(fetchBodies(harness, 1)).toEqual([])
    expect(fetchBodies(harness, 2)[0]!.partitions).toMatchObject([
      { fromReplica: true, currentLeaderEpoch: 0 },
    ])
    expect(consumer.health().partitions).toMatchObject([
      { brokerId: 2, highWatermark: follower.highWatermark },
    ])
    await expectCleanClose(harness)
  })

  it.each([['leader'], [1], [7]] as const)('REP-34: readFrom %s -> from the leader', async (readFrom) => {
    const { clock, harness, read } = await withFollower({ highWatermark: 6 })
    const { consumer, reading } = read({ readFrom })
    await clock.run(1_000)
    expect(reading.values).toEqual(numbers(0, 6))
    expect(fetchBodies(harness, 2)).toEqual([])
    expect(fetchBodies(harness, 1)[0]!.partitions).toMatchObject([{ fromReplica: false }])
    expect(consumer.health().partitions).toMatchObject([{ brokerId: 1 }])
    await expectCleanClose(harness)
  })

  it('REP-34: a replica that is behind -> read up to its high watermark, and on when that moves', async () => {
    const { clock, harness, read, follower } = await withFollower({ highWatermark: 4 })
    const { reading } = read()
    await clock.run(1_000)
    expect(reading.values).toEqual(numbers(0, 4))
    follower.highWatermark = 6
    await clock.run(1_000)
    expect(reading.values).toEqual(numbers(0, 6))
    expect(fetchBodies(harness, 1)).toEqual([])
    await expectCleanClose(harness)
  })

  it('REP-34: the position is beyond what the replica knows -> asked once more, then the leader; back later, without a skip or a repeat', async () => {
    const { clock, harness, read, follower, partition } = await withFollower({ highWatermark: 3 })
    const { consumer, reading } = read({ from: 5, readFrom: 2 })
    await clock.run(1_000)
    expect(reading.values).toEqual(['5'])
    expect(fetchBodies(harness, 2).length).toBe(2)
    follower.highWatermark = 100
    await clock.run(BACK_AT_REPLICA_MS)
    append(partition, ['6'])
    append(partition, ['7'])
    await clock.run(1_000)
    append(partition, ['8'])
    await clock.run(1_000)
    expect([reading.values, reading.error]).toEqual([numbers(5, 9), null])
    expect(consumer.health().partitions).toMatchObject([{ brokerId: 2, position: 9 }])
    await expectCleanClose(harness)
  })

  it('REP-34: a moment behind -> the replica itself has it at the second question', async () => {
    const { clock, harness, read, follower } = await withFollower({ highWatermark: 3 })
    const { reading } = read({ from: 5 })
    await clock.rest()
    expect(fetchBodies(harness, 2).length).toBe(1)
    follower.highWatermark = 6
    await clock.run(1_000)
    expect(reading.values).toEqual(['5'])
    expect(fetchBodies(harness, 1)).toEqual([])
    await expectCleanClose(harness)
  })

  it.each([
    'NOT_LEADER_OR_FOLLOWER',
    'FENCED_LEADER_EPOCH',
    'UNKNOWN_LEADER_EPOCH',
    'OFFSET_NOT_AVAILABLE',
    'OFFSET_OUT_OF_RANGE',
    'CORRUPT_MESSAGE',
    'STORAGE_ERROR',
    'UNKNOWN_SERVER_ERROR',
    'INVALID_REQUEST',
  ] as const)(
    'REP-34: %s of a replica -> the leader goes on from there; never a reset or a failure',
    async (code) => {
      const { clock, harness, cluster, read, partition, follower } = await withFollower({ highWatermark: 3 })
      const { consumer, reading } = read({ autoOffsetReset: 'latest' })
      await clock.run(500)
      expect(reading.values).toEqual(numbers(0, 3))
      cluster.broker(2).onFetch = answering(code)
      await clock.run(500)
      expect([reading.values, reading.error]).toEqual([numbers(0, 6), null])
      expect(consumer.health()).toMatchObject({ progressing: true, partitions: [{ brokerId: 1 }] })
      cluster.broker(2).onFetch = () => undefined
      follower.highWatermark = 100
      await clock.run(BACK_AT_REPLICA_MS)
      for (let i = 6; i < 9; i++) {
        append(partition, [String(i)])
        await clock.run(500)
      }
      expect(reading.values).toEqual(numbers(0, 9))
      expect(consumer.health().partitions).toMatchObject([{ brokerId: 2 }])
      await expectCleanClose(harness)
    },
  )

  it('REP-34: the replica has deleted what the leader has still -> read from the leader, without a reset', async () => {
    const { clock, harness, read } = await withFollower({ highWatermark: 6, logStartOffset: 4 })
    const { reading } = read({ from: 1, autoOffsetReset: 'latest' })
    await clock.run(500)
    expect([reading.values, reading.error]).toEqual([numbers(1, 6), null])
    await expectCleanClose(harness)
  })

  it('REP-34: the leader has deleted it as well -> reset, by its word', async () => {
    const { clock, harness, read, partition } = await withFollower({ highWatermark: 6, logStartOffset: 4 })
    partition.batches.splice(0, 4)
    partition.logStartOffset = 4
    const { reading } = read({ from: 1, autoOffsetReset: 'earliest' })
    await clock.run(500)
    expect(reading.values).toEqual(numbers(4, 6))
    await expectCleanClose(harness)
  })

  it('REP-34: the log of the replica parts from what was read -> the leader judges', async () => {
    const { clock, harness, cluster, read, topic, partition, follower } = await withFollower({
      highWatermark: 6,
    })
    cluster.moveLeader(topic, 0, 1)
    append(partition, ['6'])
    follower.highWatermark = 7
    const { reading } = read({ from: { 0: { offset: 6, leaderEpoch: 0 } } })
    await clock.run(500)
    expect(reading.values).toEqual(['6'])
    cluster.broker(2).onFetch = (call) => {
      const bounds = { error: null, highWatermark: 7, logStartOffset: 0, batchesBytes: 0 }
      const partitions = call.body.partitions.map(() => ({
        ...bounds,
        diverging: { epoch: 0, endOffset: 2 },
      }))
      return { body: { ...NO_SESSION_ANSWER, partitions } }
    }
    append(partition, ['7'])
    await clock.run(500)
    expect([reading.values, reading.error]).toEqual([['6', '7'], null])
    await expectCleanClose(harness)
  })

  it('REP-34: records of the replica do not continue the position -> the leader goes on', async () => {
    const { clock, harness, cluster, read, partition } = await withFollower({ highWatermark: 6 })
    cluster.broker(2).onFetch = () => {
      const bounds = { error: null, highWatermark: 7, logStartOffset: 0, diverging: null }
      const payload = partition.batches[3]!
      const partitions = [{ ...bounds, batchesBytes: payload.length }]
      return { body: { ...NO_SESSION_ANSWER, partitions }, payload: [payload] }
    }
    const { reading } = read()
    await clock.run(500)
    expect([reading.values, reading.error]).toEqual([numbers(0, 6), null])
    await expectCleanClose(harness)
  })

  it('REP-34: the replica is killed -> the leader goes on at once, and is not left while the replica is away', async () => {
    const { clock, harness, cluster, read, partition } = await withFollower({ highWatermark: 4 })
    const { reading } = read()
    await clock.run(500)
    expect(reading.values).toEqual(numbers(0, 4))
    cluster.broker(2).kill()
    await clock.run(500)
    expect(reading.values).toEqual(numbers(0, 6))
    for (let i = 6; i < 30; i++) {
      append(partition, [String(i)])
      await clock.run(1_000)
    }
    expect([reading.values, reading.error]).toEqual([numbers(0, 30), null])
    await expectCleanClose(harness)
  })

  it.each([
    [30_000, 5_100],
    [2_000, 2_100],
  ])(
    'REP-34: the replica does not answer, requestTimeoutMs %d -> the leader goes on after %d ms',
    async (requestTimeoutMs, expectedMs) => {
      const { clock, harness, cluster, read } = await withFollower({ highWatermark: 6 })
      cluster.broker(2).onFetch = () => new Promise(() => {})
      const { reading } = read({ requestTimeoutMs })
      await clock.run(expectedMs - 1)
      expect(reading.values).toEqual([])
      await clock.run(100)
      expect(reading.values).toEqual(numbers(0, 6))
      await expectCleanClose(harness)
    },
  )

  it('REP-34: metadata says that the replica is not in sync any more -> the leader is asked, though the fetch is parked there', async () => {
    const { clock, harness, cluster, read, partition, client } = await withFollower({ highWatermark: 4 })
    const { reading } = read({ maxWaitMs: 60_000 })
    await clock.run(500)
    expect(reading.values).toEqual(numbers(0, 4))
    partition.isr = [1]
    cluster.metadataOffset++
    // Somebody else found the metadata to be old.
    const producer = client.producer()
    cluster.broker(1).onProduce = (call) => {
      cluster.broker(1).onProduce = () => undefined
      return {
        body: {
          partitions: call.body.partitions.map(() => ({
            ...{
              error: wireError('NOT_LEADER_OR_FOLLOWER'),
              baseOffset: 0,
              leaderEpoch: 0,
              logStartOffset: 0,
            },
          })),
        },
      }
    }
    const sent = producer.send({ topic: 'orders', value: '6' })
    await clock.run(2_000)
    await sent
    expect(reading.values.slice(0, 6)).toEqual(numbers(0, 6))
    await expectCleanClose(harness)
  })

  it('REP-34: a replica that was not in sync at the start -> read from once it is', async () => {
    const { clock, harness, cluster, read, partition } = await withFollower({ highWatermark: 100 })
    partition.isr = [1]
    const { consumer, reading } = read({ readFrom: 2 })
    await clock.run(500)
    expect(consumer.health().partitions).toMatchObject([{ brokerId: 1, position: 6 }])
    partition.isr = null
    cluster.metadataOffset++
    for (let i = 6; i < 30; i++) {
      append(partition, [String(i)])
      await clock.run(500)
    }
    expect(reading.values).toEqual(numbers(0, 30))
    expect(consumer.health().partitions).toMatchObject([{ brokerId: 2 }])
    await expectCleanClose(harness)
  })

  it('REP-34: leader and replica change places, by a hint -> read on at once, in order', async () => {
    const { clock, harness, cluster, read, topic, partition } = await withFollower({ highWatermark: 4 })
    partition.followers.set(1, { highWatermark: 6, logStartOffset: 0 })
    const { reading } = read({ maxWaitMs: 60_000 })
    await clock.run(500)
    cluster.moveLeader(topic, 0, 2)
    append(partition, ['6'])
    cluster.hintAll(topic, [0])
    await clock.run(500)
    expect([reading.values.slice(0, 6), reading.error]).toEqual([numbers(0, 6), null])
    partition.followers.get(1)!.highWatermark = 7
    await clock.run(60_000)
    expect(reading.values).toEqual(numbers(0, 7))
    await expectCleanClose(harness)
  })
})
