// Positions with leader epochs (KIP-320): what a consumer makes of leaders that were replaced and of logs that lost their
// ends.
import { describe, expect, it } from 'vitest'
import type { ConsumerProblem } from '../../src/client/consumer-options.ts'
import { wireError } from '../../src/protocol/error-schema.ts'
import { fetch } from '../../src/protocol/fetch.ts'
import { stampBatch } from '../../src/record/batch-format.ts'
import { NO_SESSION_ANSWER } from '../protocol/no-session.ts'
import type { FakeCluster, FakeTopic } from './fake-cluster.ts'
import { expectCleanClose, type Harness, makeHarness, numbers, watch } from './harness.ts'
import { append, fetchBodies, Reading } from './reading.ts'

/**
 * Broker 1 wrote offsets 0 to 2 in epoch 0 and was replaced by broker 2, which wrote 3 to 5 in epoch 1. Broker 1 does not
 * know: it tells of itself as the leader, and that its log ends at 3. It is the only bootstrap server, so the first that
 * is asked.
 */
async function withReplacedLeader(): Promise<
  Harness & { readonly topic: FakeTopic; readonly cluster: FakeCluster }
> {
  const harness = await makeHarness({ bootstrap: 'broker-1:9092' })
  const { cluster } = harness
  const topic = cluster.addTopic('orders', [1])
  append(topic.partitions[0]!, numbers(0, 3))
  const before = cluster.metadataBody(['orders'])
  cluster.moveLeader(topic, 0, 2)
  append(topic.partitions[0]!, numbers(3, 6))
  const replaced = cluster.broker(1)
  replaced.onMetadata = () => ({ body: before })
  replaced.onFetch = (call) => {
    const [asked] = call.body.partitions
    if (asked!.currentLeaderEpoch !== 0 || asked!.fetchOffset <= 3) return undefined
    const bounds = {
      highWatermark: 3,
      logStartOffset: 0,
      batchesBytes: 0,
      diverging: null,
    }
    return {
      body: {
        ...NO_SESSION_ANSWER,
        partitions: [{ ...bounds, error: wireError('OFFSET_OUT_OF_RANGE', 'The log ends at 3.') }],
      },
    }
  }
  return { ...harness, topic }
}

describe('consumer: a leader that was replaced and does not know', () => {
  it.each(['none', 'earliest', 'latest'] as const)(
    'REP-33: a bare offset beyond its log, autoOffsetReset %s -> others are asked who leads; no error, no reset',
    async (autoOffsetReset) => {
      const harness = await withReplacedLeader()
      const { clock, client, log } = harness
      const reading = new Reading(client.consumer({ topic: 'orders', from: 5, autoOffsetReset }))
      await clock.run(2_000)
      expect([reading.values, reading.error]).toEqual([['5'], null])
      expect(fetchBodies(harness, 1).length).toBeGreaterThan(0)
      expect(log.named('offset-reset')).toEqual([])
      await expectCleanClose(harness)
    },
  )

  it('REP-33: a position with its leader epoch -> the replaced leader is not even asked', async () => {
    const harness = await withReplacedLeader()
    const { clock, client } = harness
    const reading = new Reading(client.consumer({ topic: 'orders', from: { offset: 5, leaderEpoch: 1 } }))
    await clock.run(2_000)
    expect([reading.values, reading.error]).toEqual([['5'], null])
    expect(fetchBodies(harness, 1)).toEqual([])
    await expectCleanClose(harness)
  })

  it('REP-33: OFFSET_NOT_AVAILABLE for long -> others are asked who leads', async () => {
    const harness = await withReplacedLeader()
    const { clock, cluster, client } = harness
    cluster.broker(1).onFetch = () => {
      const bounds = {
        highWatermark: 0,
        logStartOffset: 0,
        batchesBytes: 0,
        diverging: null,
      }
      return {
        body: { ...NO_SESSION_ANSWER, partitions: [{ ...bounds, error: wireError('OFFSET_NOT_AVAILABLE') }] },
      }
    }
    const reading = new Reading(client.consumer({ topic: 'orders', from: 2 }))
    await clock.run(2_000)
    expect([reading.values, reading.error]).toEqual([['2', '3', '4', '5'], null])
    await expectCleanClose(harness)
  })

  it('endOffsets: a newer leader is known -> the answer of the older one does not count', async () => {
    const harness = await withReplacedLeader()
    const { clock, cluster, client } = harness
    const consumer = client.consumer({ topic: 'orders', from: { offset: 3, leaderEpoch: 1 } })
    const reading = new Reading(consumer)
    await clock.run(2_000)
    expect(reading.values).toEqual(['3', '4', '5'])
    // From now on nobody tells of the new leader any more; the consumer remembers.
    const before = cluster.broker(1).onMetadata
    for (const broker of cluster.brokers.values()) broker.onMetadata = before
    cluster.broker(1).onListOffsets = (call) => {
      const bounds = { leaderEpoch: 0, logStartOffset: 0, highWatermark: 3, logEndOffset: 3 }
      return { body: { partitions: call.body.partitions.map(() => ({ ...bounds, error: null, offset: 3 })) } }
    }
    const ends = watch(consumer.endOffsets())
    await clock.run(3_000)
    expect(ends.state).toBe('pending')
    for (const broker of cluster.brokers.values()) broker.onMetadata = () => undefined
    await clock.run(3_000)
    expect([...ends.value]).toEqual([[0, 6]])
    await expectCleanClose(harness)
  })
})

describe('consumer: a bare offset beyond the log', () => {
  it('the leader stays -> believed after verifyOutOfRangeMs, not before; health tells meanwhile', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    append(cluster.addTopic('orders', [1]).partitions[0]!, numbers(0, 3))
    const consumer = client.consumer({ topic: 'orders', from: 9 })
    const reading = new Reading(consumer)
    await clock.run(4_900)
    expect(reading.hasEnded).toBe(false)
    expect(consumer.health().partitions).toMatchObject([
      { position: 9, hasFailed: false, lastError: { code: 'OFFSET_OUT_OF_RANGE' } },
    ])
    expect(consumer.health().partitions[0]!.failingForMs).toBeGreaterThan(4_000)
    await clock.run(2_000)
    expect(reading.error).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
    // A pause between two questions grows to a second at most.
    expect(fetchBodies(harness, 1).length).toBeLessThan(20)
    await expectCleanClose(harness)
  })

  it('a later offset comes to be meanwhile -> read, and the doubt is over', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1])
    append(topic.partitions[0]!, numbers(0, 3))
    const consumer = client.consumer({ topic: 'orders', from: 4 })
    const reading = new Reading(consumer)
    await clock.run(3_000)
    append(topic.partitions[0]!, numbers(3, 6))
    await clock.run(3_000)
    expect([reading.values, reading.error, consumer.health().lastError]).toEqual([['4', '5'], null, null])
    await expectCleanClose(harness)
  })

  it('below the log start, or verifyOutOfRangeMs 0 -> believed at once', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1])
    topic.partitions[0]!.logStartOffset = 10
    append(topic.partitions[0]!, ['v'])
    const below = new Reading(client.consumer({ topic: 'orders', from: 3 }))
    const beyond = new Reading(client.consumer({ topic: 'orders', from: 30, verifyOutOfRangeMs: 0 }))
    await clock.rest()
    expect([below.error?.code, beyond.error?.code]).toEqual(['OFFSET_OUT_OF_RANGE', 'OFFSET_OUT_OF_RANGE'])
    await expectCleanClose(harness)
  })

  it('nobody says who leads -> believed after requestTimeoutMs more; the wait has an end', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    append(cluster.addTopic('orders', [1]).partitions[0]!, numbers(0, 3))
    const consumer = client.consumer({ topic: 'orders', from: 3, requestTimeoutMs: 4_000 })
    const reading = new Reading(consumer)
    await clock.run(1_000)
    for (const broker of cluster.brokers.values()) broker.onMetadata = () => new Promise(() => {})
    consumer.seek(0, 9)
    await clock.run(8_000)
    expect(reading.hasEnded).toBe(false)
    await clock.run(3_000)
    expect(reading.error).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
    await expectCleanClose(harness)
  })
})

describe('consumer: no leader as new as the position', () => {
  it('nobody is asked for records, problem and health tell; a new leader ends it', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1])
    append(topic.partitions[0]!, numbers(0, 3))
    const problems: ConsumerProblem[] = []
    const consumer = client.consumer({
      topic: 'orders',
      from: { offset: 1, leaderEpoch: 1 },
      problemAfterMs: 5_000,
      onProblem: (problem) => problems.push(problem),
    })
    const reading = new Reading(consumer)
    await clock.run(8_000)
    expect(cluster.calls.filter(({ api }) => api === fetch.name)).toEqual([])
    expect(problems).toMatchObject([{ partition: 0, error: { code: 'UNKNOWN_LEADER_EPOCH' } }])
    expect(problems[0]!.error.message).toContain('read up to leader epoch 1, but no leader after epoch 0')
    expect(consumer.health()).toMatchObject({ live: true, progressing: false })
    cluster.moveLeader(topic, 0, 2)
    topic.partitions[0]!.batches.length = 0
    append(topic.partitions[0]!, numbers(0, 3))
    await clock.run(2_000)
    expect([reading.values, consumer.health().progressing]).toEqual([['1', '2'], true])
    await expectCleanClose(harness)
  })
})

/** A log of epochs 0 (offsets 0 to 9) and 1 (10 to 14), all of it read; where the reader then stands, behind 14. */
async function withReader(
  autoOffsetReset: 'none' | 'earliest' | 'latest',
): Promise<
  Harness & { readonly topic: FakeTopic; readonly reading: Reading; readonly revive: () => Reading }
> {
  const harness = await makeHarness()
  const { clock, cluster, client } = harness
  const topic = cluster.addTopic('orders', [1])
  append(topic.partitions[0]!, numbers(0, 10))
  cluster.moveLeader(topic, 0, 2)
  append(topic.partitions[0]!, numbers(10, 12))
  append(topic.partitions[0]!, numbers(12, 15))
  const consumer = client.consumer({ topic: 'orders', from: 'beginning', autoOffsetReset })
  const reading = new Reading(consumer)
  await clock.run(600)
  expect(reading.values).toEqual(numbers(0, 15))
  const revive = (): Reading => {
    consumer.seek(0, reading.error!.divergence!)
    return new Reading(consumer)
  }
  return { ...harness, topic, reading, revive }
}

/** An unclean election: the new leader has only so many of the batches, and writes others. */
function electUncleanly(harness: Harness & { readonly topic: FakeTopic }, batches: number): void {
  const { cluster, topic } = harness
  const [partition] = topic.partitions
  cluster.moveLeader(topic, 0, 3)
  partition!.batches.length = batches
  append(
    partition!,
    numbers(0, 20).map((number) => `new ${number}`),
  )
}

describe('consumer: a log that lost its end', () => {
  it('REP-13: the offset is valid again -> LOG_TRUNCATED with the divergence; seek to it reads what came instead', async () => {
    const harness = await withReader('none')
    const { clock, reading, revive } = harness
    electUncleanly(harness, 2)
    await clock.run(2_000)
    expect(reading.error).toMatchObject({
      code: 'LOG_TRUNCATED',
      divergence: { offset: 12, leaderEpoch: 1 },
    })
    expect(reading.error!.message).toMatch(/before offset 15 \(leader epoch 1\) is not in the log any more/)
    const again = revive()
    await clock.run(2_000)
    expect([again.values[0], again.records[0]!.offset, again.error]).toEqual(['new 0', 12, null])
    await expectCleanClose(harness)
  })

  it.each(['earliest', 'latest'] as const)(
    'REP-13: the same with autoOffsetReset %s -> goes back to the divergence, and tells in the log',
    async (autoOffsetReset) => {
      const harness = await withReader(autoOffsetReset)
      const { clock, reading, log } = harness
      electUncleanly(harness, 2)
      await clock.run(2_000)
      expect([reading.values[15], reading.records[15]!.offset, reading.records.length]).toEqual([
        'new 0',
        12,
        35,
      ])
      expect(log.named('log-truncated').length).toBe(1)
      await expectCleanClose(harness)
    },
  )

  it('REP-13: the whole epoch is gone -> back to its first record, though the log goes on beyond in an older one', async () => {
    const harness = await withReader('none')
    const { clock, cluster, topic, reading } = harness
    const [partition] = topic.partitions
    cluster.moveLeader(topic, 0, 3)
    partition!.batches.length = 1
    // Written in epoch 0 by the old leader, and never seen by the reader.
    partition!.leaderEpoch = 0
    append(partition!, numbers(100, 103))
    partition!.leaderEpoch = 2
    await clock.run(2_000)
    expect(reading.error).toMatchObject({
      code: 'LOG_TRUNCATED',
      divergence: { offset: 10, leaderEpoch: 0 },
    })
    await expectCleanClose(harness)
  })

  it('records that were fetched and not taken yet -> handed out before the error', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1])
    append(topic.partitions[0]!, numbers(0, 3))
    append(topic.partitions[0]!, numbers(3, 6))
    const batches = client.consumer({ topic: 'orders', from: 'beginning' }).batches()
    const first = watch(batches.next())
    await clock.run(600)
    electUncleanly({ ...harness, topic }, 1)
    await clock.run(2_000)
    const second = watch(batches.next())
    await clock.run(2_000)
    const third = watch(batches.next())
    await clock.run(2_000)
    expect([first.value.value!.firstOffset, second.value.value!.firstOffset]).toEqual([0, 3])
    expect(third.error).toMatchObject({
      code: 'LOG_TRUNCATED',
      divergence: { offset: 3, leaderEpoch: 0 },
    })
    await expectCleanClose(harness)
  })

  it('a batch that bears an epoch its leader does not have yet -> CORRUPT_MESSAGE', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1])
    append(topic.partitions[0]!, numbers(0, 3))
    const batch = topic.partitions[0]!.batches[0]!.slice()
    stampBatch(batch, 0, { baseOffset: 0, leaderEpoch: 7 })
    const bounds = { highWatermark: 3, logStartOffset: 0, diverging: null }
    cluster.broker(1).onFetch = () => ({
      body: { ...NO_SESSION_ANSWER, partitions: [{ ...bounds, error: null, batchesBytes: batch.length }] },
      payload: [batch],
    })
    const reading = new Reading(client.consumer({ topic: 'orders', from: 'beginning' }))
    await clock.run(1_000)
    expect(reading.error).toMatchObject({ code: 'CORRUPT_MESSAGE' })
    expect(reading.error!.message).toContain('of epoch 0 answered a record batch of leader epoch 7')
    await expectCleanClose(harness)
  })
})

describe('consumer: epochs in what it hands out', () => {
  it('records, batches, checkpoint: the epoch of the leader that wrote; a consumer goes on from the checkpoint', async () => {
    const harness = await withReader('none')
    const { clock, client, reading, topic } = harness
    expect(reading.records.map(({ leaderEpoch }) => leaderEpoch)).toEqual(
      numbers(0, 15).map((number) => (Number(number) < 10 ? 0 : 1)),
    )
    const consumer = client.consumer({ topic: 'orders', from: 'beginning' })
    const batches = consumer.batches()
    const start = watch(consumer.checkpoint())
    await clock.run(100)
    expect([...start.value]).toEqual([[0, { offset: 0, leaderEpoch: -1 }]])
    const taken = [watch(batches.next()), watch(batches.next())]
    await clock.run(100)
    expect(taken.map(({ value }) => value.value!.leaderEpoch)).toEqual([0, 1])
    const kept = watch(consumer.checkpoint())
    await clock.run(100)
    expect([...kept.value]).toEqual([[0, { offset: 12, leaderEpoch: 1 }]])
    const next = new Reading(client.consumer({ topic: 'orders', from: kept.value }))
    await clock.run(100)
    expect(next.values).toEqual(['12', '13', '14'])
    expect(fetchBodies(harness, 2).some(({ partitions }) => partitions[0]!.lastFetchedEpoch === 1)).toBe(true)
    expect(topic.partitions[0]!.leaderEpoch).toBe(1)
    await expectCleanClose(harness)
  })

  it.each([
    [{ offset: -1 }],
    [{ offset: 1, leaderEpoch: -2 }],
    [{ offset: 1, leaderEpoch: 1.5 }],
    [{ offset: 1, epoch: 1 }],
    [{ leaderEpoch: 1 }],
  ])('%j as a position: INVALID_ARGUMENT', async (position) => {
    const harness = await makeHarness()
    expect(() => harness.client.consumer({ topic: 'orders', from: position as never })).toThrowError(
      /option "from"/,
    )
    const consumer = harness.client.consumer({ topic: 'orders' })
    expect(() => consumer.seek(0, position as never)).toThrowError(/seek: the offset must be/)
    await expectCleanClose(harness)
  })
})
