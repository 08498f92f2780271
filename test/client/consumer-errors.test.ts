import { describe, expect, it } from 'vitest'
import type { ConsumerProblem } from '../../src/client/consumer-options.ts'
import { wireError } from '../../src/protocol/error-schema.ts'
import { stampBatch } from '../../src/record/batch-format.ts'
import { NO_SESSION_ANSWER } from '../protocol/no-session.ts'
import { expectCleanClose, makeHarness, numbers, watch } from './harness.ts'
import { append, Reading, withTopic } from './reading.ts'

describe('consumer: errors', () => {
  it.each([
    'NOT_LEADER_OR_FOLLOWER',
    'FENCED_LEADER_EPOCH',
    'UNKNOWN_LEADER_EPOCH',
    'OFFSET_NOT_AVAILABLE',
  ] as const)(
    'REP-33: %s -> tried again at the same offset; never a reset, nothing skipped or repeated',
    async (code) => {
      const harness = await withTopic([1])
      const { clock, client, topic } = harness
      append(topic.partitions[0]!, numbers(0, 3))
      const consumer = client.consumer({ topic: 'orders', from: 'beginning', autoOffsetReset: 'latest' })
      const reading = new Reading(consumer)
      await clock.rest()
      const broker = harness.cluster.broker(1)
      let failures = 0
      broker.onFetch = (call) => {
        failures++
        if (failures > 5) return undefined
        const partitions = call.body.partitions.map(() => ({
          error: wireError(code),
          highWatermark: 0,
          logStartOffset: 0,
          batchesBytes: 0,
          diverging: null,
        }))
        return { body: { ...NO_SESSION_ANSWER, partitions } }
      }
      append(topic.partitions[0]!, numbers(3, 6))
      await clock.run(10_000)
      expect([reading.values, reading.error]).toEqual([numbers(0, 6), null])
      expect(failures).toBeGreaterThan(5)
      await expectCleanClose(harness)
    },
  )

  it('another leader, by a hint: read on there at once, though the old one holds the fetch', async () => {
    const harness = await withTopic([1])
    const { clock, cluster, client, topic } = harness
    append(topic.partitions[0]!, numbers(0, 3))
    const reading = new Reading(client.consumer({ topic: 'orders', from: 'beginning', maxWaitMs: 60_000 }))
    await clock.rest()
    cluster.moveLeader(topic, 0, 2)
    append(topic.partitions[0]!, numbers(3, 5))
    await clock.rest()
    expect(reading.records.length).toBe(3)
    cluster.hintAll(topic, [0])
    await clock.rest()
    expect(reading.values).toEqual(numbers(0, 5))
    await expectCleanClose(harness)
  })

  it('a killed leader: read on as soon as another leads', async () => {
    const harness = await makeHarness({ bootstrap: 'broker-3:9092' })
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1])
    append(topic.partitions[0]!, numbers(0, 3))
    const reading = new Reading(client.consumer({ topic: 'orders', from: 'beginning' }))
    await clock.rest()
    cluster.broker(1).kill()
    await clock.run(2_000)
    cluster.moveLeader(topic, 0, 2)
    append(topic.partitions[0]!, numbers(3, 5))
    await clock.run(2_000)
    expect([reading.values, reading.error]).toEqual([numbers(0, 5), null])
    await expectCleanClose(harness)
  })

  it('an offset out of range: an error with the way out; seek revives the partition', async () => {
    const harness = await withTopic([1, 1])
    const { clock, client, topic } = harness
    topic.partitions[0]!.logStartOffset = 10
    for (const partition of topic.partitions) append(partition, ['v'])
    const consumer = client.consumer({ topic: 'orders', from: { 0: 3, 1: 0 } })
    const first = new Reading(consumer)
    await clock.rest()
    expect(first.error).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
    expect(first.error!.message).toMatch(
      /"orders" partition 0: offset 3 is outside .* 10 to 11.*autoOffsetReset/,
    )
    expect(consumer.health()).toMatchObject({ live: true, progressing: false })
    const second = new Reading(consumer)
    await clock.rest()
    expect([first.records.length + second.records.length, second.error]).toEqual([1, null])
    consumer.seek(0, 10)
    await clock.run(1_000)
    expect(second.records.some(({ partition, offset }) => partition === 0 && offset === 10)).toBe(true)
    expect(consumer.health().progressing).toBe(true)
    await expectCleanClose(harness)
  })

  it('nothing but failed partitions: each new loop fails with the reason, instead of waiting for ever', async () => {
    const harness = await withTopic([1])
    const consumer = harness.client.consumer({ topic: 'orders', from: 5 })
    for (let i = 0; i < 3; i++) {
      const reading = new Reading(consumer)
      // A leader is not believed at once that an offset is beyond its log.
      await harness.clock.run(7_000)
      expect(reading.error).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
    }
    await expectCleanClose(harness)
  })

  it.each([
    ['earliest', ['10', '11']],
    ['latest', []],
  ] as const)(
    'an offset out of range with autoOffsetReset %s: goes on there',
    async (autoOffsetReset, expected) => {
      const harness = await withTopic([1])
      const { clock, client, log, topic } = harness
      topic.partitions[0]!.logStartOffset = 10
      append(topic.partitions[0]!, ['10', '11'])
      const reading = new Reading(client.consumer({ topic: 'orders', from: 3, autoOffsetReset }))
      await clock.rest()
      append(topic.partitions[0]!, ['12'])
      await clock.run(1_000)
      expect(reading.values).toEqual([...expected, '12'])
      expect(log.named('offset-reset').length).toBe(1)
      await expectCleanClose(harness)
    },
  )

  it('records that were fetched before a reset: handed out first', async () => {
    const harness = await withTopic([1])
    const { clock, client, topic } = harness
    const partition = topic.partitions[0]!
    append(partition, numbers(0, 3))
    const consumer = client.consumer({ topic: 'orders', from: 'beginning', autoOffsetReset: 'earliest' })
    const batches = consumer.batches()
    const ready = watch(consumer.ready())
    await clock.run(100)
    expect(ready.state).toBe('done')
    partition.batches.length = 0
    partition.logStartOffset = 50
    await clock.run(2_000)
    append(partition, ['50'])
    const first = watch(batches.next())
    await clock.run(2_000)
    const second = watch(batches.next())
    await clock.run(2_000)
    expect([first.value.value!.firstOffset, second.value.value!.firstOffset]).toEqual([0, 50])
    await expectCleanClose(harness)
  })

  it('damaged bytes: CORRUPT_MESSAGE with partition and offset, and nothing of them is handed out', async () => {
    const harness = await withTopic([1])
    const { clock, client, topic } = harness
    append(topic.partitions[0]!, numbers(0, 3))
    append(topic.partitions[0]!, numbers(3, 6))
    topic.partitions[0]!.batches[1]![70]! ^= 1
    const reading = new Reading(client.consumer({ topic: 'orders', from: 'beginning' }))
    await clock.rest()
    expect(reading.error).toMatchObject({ code: 'CORRUPT_MESSAGE', retriable: false })
    expect(reading.error!.message).toMatch(/^Topic "orders" partition 0, at offset 0: .*CRC/)
    expect(reading.records).toEqual([])
    await expectCleanClose(harness)
  })

  it('STO-05: a broker says that its copy is damaged: asked again, the records come; for too long, it fails', async () => {
    const harness = await withTopic([1])
    const { clock, client, cluster, topic } = harness
    append(topic.partitions[0]!, numbers(0, 3))
    const error = wireError('CORRUPT_MESSAGE', 'offsets 0 to 3 are damaged')
    let isDamaged = true
    cluster.broker(1).onFetch = () => {
      const partition = {
        error,
        highWatermark: 3,
        logStartOffset: 0,
        batchesBytes: 0,
        diverging: null,
      }
      return isDamaged ? { body: { ...NO_SESSION_ANSWER, partitions: [partition] } } : undefined
    }
    const options = { topic: 'orders', from: 'beginning', requestTimeoutMs: 10_000 } as const
    const repaired = new Reading(client.consumer(options))
    await clock.run(5_000)
    expect([repaired.error, repaired.records]).toEqual([null, []])
    isDamaged = false
    await clock.run(3_000)
    expect(repaired.records).toHaveLength(3)
    isDamaged = true
    const failing = new Reading(client.consumer(options))
    await clock.run(15_000)
    expect(failing.error).toMatchObject({ code: 'CORRUPT_MESSAGE' })
    expect(failing.records).toEqual([])
    await expectCleanClose(harness)
  })

  it.each([
    ['a gap', 5],
    ['a repetition', 2],
  ])('%s between two batches: CORRUPT_MESSAGE, not silence', async (_name, baseOffset) => {
    const harness = await withTopic([1])
    const { clock, client, topic } = harness
    append(topic.partitions[0]!, numbers(0, 3))
    append(topic.partitions[0]!, numbers(3, 6))
    stampBatch(topic.partitions[0]!.batches[1]!, 0, { baseOffset, leaderEpoch: 0 })
    const reading = new Reading(client.consumer({ topic: 'orders', from: 'beginning' }))
    await clock.rest()
    expect(reading.error).toMatchObject({ code: 'CORRUPT_MESSAGE' })
    expect(reading.error!.message).toContain('where offset 3 is due')
    await expectCleanClose(harness)
  })

  it('an answer that contradicts the request: PROTOCOL_VIOLATION', async () => {
    const harness = await withTopic([1])
    harness.cluster.broker(1).onFetch = () => ({ body: { ...NO_SESSION_ANSWER, partitions: [] } })
    const reading = new Reading(harness.client.consumer({ topic: 'orders', from: 'beginning' }))
    await harness.clock.rest()
    expect(reading.error).toMatchObject({ code: 'PROTOCOL_VIOLATION' })
    await expectCleanClose(harness)
  })

  it('a topic that does not exist: UNKNOWN_TOPIC_OR_PARTITION after a second, from every call', async () => {
    const harness = await makeHarness()
    const consumer = harness.client.consumer({ topic: 'missing' })
    const reading = new Reading(consumer)
    const ready = watch(consumer.ready())
    const ends = watch(consumer.endOffsets())
    await harness.clock.run(1_200)
    for (const error of [reading.error, ready.error, ends.error]) {
      expect(error).toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION' })
    }
    expect(consumer.health()).toMatchObject({ live: false, progressing: false, lastError: reading.error })
    await expectCleanClose(harness)
  })

  it('a topic that is not known when the time for the start is up: waits for the second, without turning in circles', async () => {
    const harness = await makeHarness()
    const reading = new Reading(harness.client.consumer({ topic: 'missing', requestTimeoutMs: 500 }))
    await harness.clock.run(900)
    expect(reading.error).toBe(null)
    await harness.clock.run(300)
    expect(reading.error).toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION' })
    await expectCleanClose(harness)
  })

  it('a topic that was created again: the consumer ends, because its offsets mean other records now', async () => {
    const harness = await withTopic([1])
    append(harness.topic.partitions[0]!, numbers(0, 3))
    const reading = new Reading(harness.client.consumer({ topic: 'orders', from: 'beginning' }))
    await harness.clock.rest()
    harness.cluster.addTopic('orders', [1])
    await harness.clock.run(2_000)
    expect(reading.error).toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION' })
    expect(reading.error!.message).toContain('deleted and created again')
    await expectCleanClose(harness)
  })

  it('a partition the topic does not have: UNKNOWN_TOPIC_OR_PARTITION with the range', async () => {
    const harness = await withTopic([1])
    const reading = new Reading(harness.client.consumer({ topic: 'orders', partitions: [3] }))
    await harness.clock.rest()
    expect(reading.error).toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION' })
    expect(reading.error!.message).toContain('no partition 3; it has 1 (0 to 0)')
    await expectCleanClose(harness)
  })

  it('a partition without a leader: ready fails after requestTimeoutMs, and the consumer goes on trying', async () => {
    const harness = await withTopic([1, null])
    const { clock, cluster, client, topic } = harness
    const consumer = client.consumer({ topic: 'orders', requestTimeoutMs: 3_000 })
    const ready = watch(consumer.ready())
    await clock.run(2_999)
    expect(ready.state).toBe('pending')
    await clock.run(1)
    expect(ready.error).toMatchObject({ code: 'LEADER_NOT_AVAILABLE' })
    cluster.moveLeader(topic, 1, 2)
    await clock.run(2_000)
    const again = watch(consumer.ready())
    await clock.rest()
    expect(again.state).toBe('done')
    await expectCleanClose(harness)
  })

  it('nobody to be reached: BOOTSTRAP_UNREACHABLE within the bound', async () => {
    const harness = await makeHarness({ bootstrap: 'nobody:1', settings: { bootstrapTimeoutMs: 2_000 } })
    const reading = new Reading(harness.client.consumer({ topic: 'orders' }))
    await harness.clock.run(4_000)
    expect(reading.error).toMatchObject({ code: 'BOOTSTRAP_UNREACHABLE' })
    await expectCleanClose(harness)
  })
})

describe('consumer: problems that last', () => {
  it('an unreachable leader: told after problemAfterMs, again each time as long, and seen in health', async () => {
    const harness = await makeHarness({ bootstrap: 'broker-3:9092' })
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1, 2])
    const problems: ConsumerProblem[] = []
    const consumer = client.consumer({
      topic: 'orders',
      from: 'beginning',
      problemAfterMs: 5_000,
      onProblem: (problem) => problems.push(problem),
    })
    const reading = new Reading(consumer)
    await clock.rest()
    expect(consumer.health()).toMatchObject({ live: true, progressing: true, lastError: null })
    cluster.broker(1).kill()
    await clock.run(4_000)
    expect([problems.length, consumer.health().progressing]).toEqual([0, true])
    await clock.run(3_000)
    expect(problems).toMatchObject([{ topic: 'orders', partition: 0, error: { code: 'CONNECTION_FAILED' } }])
    expect(problems[0]!.forMs).toBeGreaterThanOrEqual(5_000)
    const { progressing, partitions, lastError } = consumer.health()
    expect([progressing, lastError?.code, partitions[1]!.failingForMs]).toEqual([
      false,
      'CONNECTION_FAILED',
      0,
    ])
    expect(partitions[0]!.failingForMs).toBeGreaterThanOrEqual(5_000)
    await clock.run(20_000)
    expect(problems.length).toBeGreaterThanOrEqual(4)
    cluster.moveLeader(topic, 0, 2)
    append(topic.partitions[0]!, ['v'])
    await clock.run(2_000)
    expect([reading.values, consumer.health().progressing, consumer.health().lastError]).toEqual([
      ['v'],
      true,
      null,
    ])
    await expectCleanClose(harness)
  })

  it('health: positions and lag of each partition', async () => {
    const harness = await withTopic([1])
    append(harness.topic.partitions[0]!, numbers(0, 10))
    const consumer = harness.client.consumer({ topic: 'orders', from: 'beginning' })
    expect(consumer.health()).toMatchObject({ live: true, progressing: true, partitions: [] })
    const iterator = consumer[Symbol.asyncIterator]()
    const taken = [watch(iterator.next()), watch(iterator.next())]
    await harness.clock.rest()
    expect(taken.map(({ value }) => value.value!.offset)).toEqual([0, 1])
    expect(consumer.health().partitions).toMatchObject([
      { partition: 0, position: 2, highWatermark: 10, lagRecords: 8, isPaused: false, hasFailed: false },
    ])
    await expectCleanClose(harness)
  })
})
