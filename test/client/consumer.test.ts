import { describe, expect, it } from 'vitest'
import type { ConsumerOptions } from '../../src/client/consumer-options.ts'
import { createNodeCpu } from '../../src/platform/node/node-cpu.ts'
import { NO_SESSION_ANSWER } from '../protocol/no-session.ts'
import { expectCleanClose, numbers, watch } from './harness.ts'
import { append, fetchBodies, Reading, withTopic } from './reading.ts'

const cpu = createNodeCpu(null)

describe('consumer: reading', () => {
  it('from the beginning: all records of all partitions, each partition in order, then those that come', async () => {
    const harness = await withTopic([1, 2, 3])
    const { clock, client, topic } = harness
    for (const [i, partition] of topic.partitions.entries()) {
      append(
        partition,
        numbers(0, 3).map((n) => `${i}-${n}`),
      )
      append(
        partition,
        numbers(3, 5).map((n) => `${i}-${n}`),
      )
    }
    const reading = new Reading(client.consumer({ topic: 'orders', from: 'beginning' }))
    await clock.rest()
    append(topic.partitions[1]!, ['1-5'])
    await clock.run(600)
    expect(reading.records.length).toBe(16)
    for (const [i] of topic.partitions.entries()) {
      const own = reading.records.filter(({ partition }) => partition === i)
      expect(own.map(({ offset }) => offset)).toEqual(own.map((_, offset) => offset))
      expect(own.map(({ value }) => cpu.decodeUtf8(value!))).toEqual(
        numbers(0, i === 1 ? 6 : 5).map((n) => `${i}-${n}`),
      )
    }
    expect(reading.records[0]).toMatchObject({ topic: 'orders', key: null, timestampMs: 1_000, headers: [] })
    await expectCleanClose(harness)
    expect([reading.hasEnded, reading.error]).toEqual([true, null])
  })

  it.each<[string, ConsumerOptions['from'], readonly string[]]>([
    ['the beginning', 'beginning', ['2', '3', '4', '5', '6', '7', 'new']],
    ['the end', 'end', ['new']],
    ['an offset inside of a batch', 3, ['3', '4', '5', '6', '7', 'new']],
    ['the last two', { last: 2 }, ['6', '7', 'new']],
    ['more than there are', { last: 100 }, ['2', '3', '4', '5', '6', '7', 'new']],
    ['a time', { timestampMs: 2_000 }, ['5', '6', '7', 'new']],
    ['a time that has not come', { timestampMs: 9_000 }, ['new']],
    ['a map', new Map([[0, 7]]), ['7', 'new']],
    ['an object', { 0: 'beginning' }, ['2', '3', '4', '5', '6', '7', 'new']],
  ])('from %s', async (_name, from, expected) => {
    const harness = await withTopic([1])
    const { clock, client, topic } = harness
    const partition = topic.partitions[0]!
    partition.logStartOffset = 2
    append(partition, ['2', '3', '4'], 1_000)
    append(partition, ['5', '6', '7'], 2_000)
    const consumer = client.consumer({ topic: 'orders', from })
    const ready = watch(consumer.ready())
    await clock.rest()
    expect(ready.state).toBe('done')
    const reading = new Reading(consumer)
    append(partition, ['new'], 3_000)
    await clock.run(600)
    expect(reading.values).toEqual(expected)
    await expectCleanClose(harness)
  })

  it('chosen partitions: nothing else is asked for', async () => {
    const harness = await withTopic([1, 1, 1])
    for (const partition of harness.topic.partitions) append(partition, ['v'])
    const reading = new Reading(
      harness.client.consumer({ topic: 'orders', partitions: [2, 0], from: 'beginning' }),
    )
    await harness.clock.rest()
    expect(new Set(reading.records.map(({ partition }) => partition))).toEqual(new Set([0, 2]))
    expect(fetchBodies(harness)[0]!.partitions.map(({ partition }) => partition)).toEqual([0, 2])
    await expectCleanClose(harness)
  })

  it('batches: as they were written, with their offsets', async () => {
    const harness = await withTopic([1])
    append(harness.topic.partitions[0]!, numbers(0, 3))
    append(harness.topic.partitions[0]!, numbers(3, 5))
    const consumer = harness.client.consumer({ topic: 'orders', from: 1 })
    const batches = consumer.batches()
    const first = watch(batches.next())
    const second = watch(batches.next())
    await harness.clock.rest()
    const of = ({ value }: typeof first): unknown[] => {
      const batch = value.value!
      return [batch.partition, batch.firstOffset, batch.nextOffset, batch.recordsCount, batch.highWatermark]
    }
    expect([of(first), of(second)]).toEqual([
      [0, 1, 3, 2, 5],
      [0, 3, 5, 2, 5],
    ])
    expect([...first.value.value!].map(({ value }) => cpu.decodeUtf8(value!))).toEqual(['1', '2'])
    await expectCleanClose(harness)
  })

  it('leaving a loop: the next one goes on behind the last record, in either form', async () => {
    const harness = await withTopic([1])
    append(harness.topic.partitions[0]!, numbers(0, 10))
    const consumer = harness.client.consumer({ topic: 'orders', from: 'beginning' })
    const take = async (count: number): Promise<readonly number[]> => {
      const offsets: number[] = []
      for await (const { offset } of consumer) {
        offsets.push(offset)
        if (offsets.length === count) break
      }
      return offsets
    }
    const first = watch(take(3))
    await harness.clock.rest()
    const second = watch(take(2))
    await harness.clock.rest()
    const batch = watch(consumer.batches().next())
    await harness.clock.rest()
    expect([first.value, second.value]).toEqual([
      [0, 1, 2],
      [3, 4],
    ])
    expect(batch.value.value).toMatchObject({ firstOffset: 5, nextOffset: 10, recordsCount: 5 })
    await expectCleanClose(harness)
  })

  it('two loops at once: the second is refused', async () => {
    const harness = await withTopic([1])
    const consumer = harness.client.consumer({ topic: 'orders' })
    const first = new Reading(consumer)
    await harness.clock.rest()
    const second = new Reading(consumer)
    await harness.clock.rest()
    expect([first.hasEnded, second.error?.code]).toEqual([false, 'INVALID_ARGUMENT'])
    await expectCleanClose(harness)
  })

  it('positions and endOffsets: what was handed out, and the high watermarks at the call', async () => {
    const harness = await withTopic([1, 2])
    const { clock, client, topic } = harness
    append(topic.partitions[0]!, numbers(0, 4))
    append(topic.partitions[1]!, numbers(0, 2))
    topic.partitions[0]!.highWatermark = 4
    const consumer = client.consumer({ topic: 'orders', from: { last: 3 } })
    const before = watch(consumer.positions())
    const ends = watch(consumer.endOffsets())
    await clock.rest()
    expect([...before.value]).toEqual([
      [0, 1],
      [1, 0],
    ])
    expect([...ends.value]).toEqual([
      [0, 4],
      [1, 2],
    ])
    const reading = new Reading(consumer)
    await clock.rest()
    const after = watch(consumer.positions())
    await clock.rest()
    expect(reading.records.length).toBe(5)
    expect([...after.value]).toEqual([
      [0, 4],
      [1, 2],
    ])
    await expectCleanClose(harness)
  })
})

describe('consumer: pause, seek, close', () => {
  it('pause: nothing of the partition is handed out or fetched until resume, and nothing is lost', async () => {
    const harness = await withTopic([1, 1])
    const { clock, client, topic } = harness
    for (const partition of topic.partitions) append(partition, numbers(0, 3))
    const consumer = client.consumer({ topic: 'orders', from: 'beginning' })
    consumer.pause([1])
    const reading = new Reading(consumer)
    await clock.run(2_000)
    expect(reading.records.map(({ partition }) => partition)).toEqual([0, 0, 0])
    expect(fetchBodies(harness).every(({ partitions }) => partitions.length === 1)).toBe(true)
    consumer.pause()
    append(topic.partitions[0]!, ['3'])
    consumer.resume([1])
    await clock.run(2_000)
    expect(reading.records.map(({ partition }) => partition)).toEqual([0, 0, 0, 1, 1, 1])
    consumer.resume()
    await clock.run(2_000)
    expect(reading.records.length).toBe(7)
    await expectCleanClose(harness)
  })

  it('pause in the middle of a batch: the rest comes after resume', async () => {
    const harness = await withTopic([1])
    append(harness.topic.partitions[0]!, numbers(0, 5))
    const consumer = harness.client.consumer({ topic: 'orders', from: 'beginning' })
    const offsets: number[] = []
    const loop = watch(
      (async () => {
        for await (const { offset } of consumer) {
          offsets.push(offset)
          if (offset === 2) consumer.pause()
        }
      })(),
    )
    await harness.clock.run(1_000)
    expect(offsets).toEqual([0, 1, 2])
    consumer.resume()
    await harness.clock.run(1_000)
    expect(offsets).toEqual([0, 1, 2, 3, 4])
    await expectCleanClose(harness)
    expect(loop.state).toBe('done')
  })

  it('seek: goes on there, also in the middle of a batch, while a fetch is parked, and before the first use', async () => {
    const harness = await withTopic([1])
    const { clock, client, topic } = harness
    append(topic.partitions[0]!, numbers(0, 6))
    const consumer = client.consumer({ topic: 'orders', from: 'end' })
    consumer.seek(0, 4)
    const offsets: number[] = []
    const loop = watch(
      (async () => {
        for await (const { offset } of consumer) {
          offsets.push(offset)
          if (offset === 1) consumer.seek(0, 3)
        }
      })(),
    )
    await clock.rest()
    expect(offsets).toEqual([4, 5])
    consumer.seek(0, 0)
    await clock.rest()
    expect(offsets).toEqual([4, 5, 0, 1, 3, 4, 5])
    await expectCleanClose(harness)
    expect(loop.state).toBe('done')
  })

  it('seek and pause: wrong -> errors that say what is possible', async () => {
    const harness = await withTopic([1, 1])
    const consumer = harness.client.consumer({ topic: 'orders', partitions: [1] })
    expect(() => consumer.seek(1, -1)).toThrowError(/offset must be an integer from 0/)
    const ready = watch(consumer.ready())
    await harness.clock.rest()
    expect(ready.state).toBe('done')
    expect(() => consumer.seek(0, 5)).toThrowError(/Partition 0 of topic "orders" is not being read; 1 are/)
    expect(() => consumer.pause([7])).toThrowError(/Partition 7/)
    await expectCleanClose(harness)
    expect(() => consumer.seek(1, 5)).toThrowError(/closed/)
  })

  it('close: a loop that waits ends without an error; calls fail with CLOSED', async () => {
    const harness = await withTopic([1])
    const consumer = harness.client.consumer({ topic: 'orders' })
    const reading = new Reading(consumer)
    await harness.clock.rest()
    await consumer.close()
    await consumer.close()
    const after = [watch(consumer.ready()), watch(consumer.endOffsets()), watch(consumer.positions())]
    await harness.clock.rest()
    expect([reading.hasEnded, reading.error]).toEqual([true, null])
    for (const { error } of after) expect(error).toMatchObject({ code: 'CLOSED' })
    const late = new Reading(consumer)
    await harness.clock.rest()
    expect([late.hasEnded, late.error, late.records.length]).toEqual([true, null, 0])
    await expectCleanClose(harness)
  })

  it('a signal: aborting it closes the consumer, also before it was made', async () => {
    const harness = await withTopic([1])
    const abort = new AbortController()
    const reading = new Reading(harness.client.consumer({ topic: 'orders', signal: abort.signal }))
    await harness.clock.rest()
    expect(reading.hasEnded).toBe(false)
    abort.abort()
    await harness.clock.rest()
    const late = new Reading(harness.client.consumer({ topic: 'orders', signal: abort.signal }))
    await harness.clock.rest()
    expect([reading.hasEnded, reading.error, late.hasEnded, late.error]).toEqual([true, null, true, null])
    await expectCleanClose(harness)
  })
})

describe('consumer: memory', () => {
  it('a user who takes nothing: fetching stops at the bound and goes on when there is room', async () => {
    const harness = await withTopic([1])
    const { clock, client, topic } = harness
    for (let i = 0; i < 400; i++) append(topic.partitions[0]!, ['x'.repeat(1_000)])
    const consumer = client.consumer({
      topic: 'orders',
      from: 'beginning',
      maxBufferedBytes: 100_000,
      maxPartitionBytes: 20_000,
    })
    const batches = consumer.batches()
    const first = watch(batches.next())
    await clock.run(5_000)
    expect(first.state).toBe('done')
    const asked = fetchBodies(harness).length
    const { bufferedBytes, isWaitingForUser } = consumer.health()
    expect([bufferedBytes > 60_000, bufferedBytes <= 100_000, isWaitingForUser]).toEqual([true, true, true])
    await clock.run(5_000)
    expect(fetchBodies(harness).length).toBe(asked)
    let next = first.value.value!.nextOffset
    for (let i = 1; i < 400; i++) {
      const batch = watch(batches.next())
      await clock.rest()
      expect(batch.value.value!.firstOffset).toBe(next)
      next = batch.value.value!.nextOffset
      expect(consumer.health().bufferedBytes).toBeLessThanOrEqual(100_000)
    }
    expect(next).toBe(400)
    await expectCleanClose(harness)
  })

  it('several leaders: a quiet one with a parked fetch does not take the room of a busy one', async () => {
    const harness = await withTopic([1, 2])
    const { clock, client, topic } = harness
    for (let i = 0; i < 100; i++) append(topic.partitions[0]!, ['x'.repeat(1_000)])
    const consumer = client.consumer({
      topic: 'orders',
      from: 'beginning',
      maxBufferedBytes: 100_000,
      maxPartitionBytes: 20_000,
      maxWaitMs: 60_000,
    })
    const reading = new Reading(consumer)
    await clock.run(100)
    expect(reading.records.length).toBe(100)
    await expectCleanClose(harness)
  })

  it('a batch larger than every bound: it is handed out all the same', async () => {
    const harness = await withTopic([1])
    append(harness.topic.partitions[0]!, ['x'.repeat(500_000)])
    append(harness.topic.partitions[0]!, ['y'])
    const consumer = harness.client.consumer({
      topic: 'orders',
      from: 'beginning',
      maxBufferedBytes: 65_536,
      maxPartitionBytes: 1_024,
    })
    const reading = new Reading(consumer)
    await harness.clock.rest()
    expect(reading.records.map(({ value }) => value!.length)).toEqual([500_000, 1])
    await expectCleanClose(harness)
  })

  it('an empty answer that comes early: the broker is not asked in a tight loop', async () => {
    const harness = await withTopic([1])
    const broker = harness.cluster.broker(1)
    broker.onFetch = (call) => ({
      body: {
        ...NO_SESSION_ANSWER,
        partitions: call.body.partitions.map(() => ({
          error: null,
          highWatermark: 0,
          logStartOffset: 0,
          batchesBytes: 0,
          diverging: null,
        })),
      },
    })
    new Reading(harness.client.consumer({ topic: 'orders', from: 'beginning' }))
    await harness.clock.run(1_000)
    expect(fetchBodies(harness).length).toBeLessThan(250)
    await expectCleanClose(harness)
  })
})
