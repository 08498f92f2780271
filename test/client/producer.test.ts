import { describe, expect, it } from 'vitest'
import { partitionForKey } from '../../src/client/partitioner.ts'
import { createNodeCpu } from '../../src/platform/node/node-cpu.ts'
import type { RequestOf } from '../../src/protocol/api.ts'
import { produce } from '../../src/protocol/produce.ts'
import { readRecords } from '../../src/record/batch-reader.ts'
import type { FakeBroker } from './fake-cluster.ts'
import { expectCleanClose, makeHarness, numbers, sendAll, watch } from './harness.ts'

const cpu = createNodeCpu(null)

function produceBodies(broker: FakeBroker): readonly RequestOf<typeof produce>[] {
  return broker.callsOf(produce).map(({ body }) => body as RequestOf<typeof produce>)
}

describe('producer: sending', () => {
  it('a lone send: answered -> a receipt, without any passing of time', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [2])
    topic.partitions[0]!.leaderEpoch = 7
    const sent = watch(client.producer().send({ topic: 'orders', key: 'k', value: 'v' }))
    await clock.rest()
    expect(sent.value).toEqual({
      topic: 'orders',
      partition: 0,
      offset: 0,
      leaderEpoch: 7,
      timestampMs: clock.wallMs(),
    })
    expect(topic.partitions[0]!.values()).toEqual(['v'])
    await expectCleanClose(harness)
  })

  it('records of one turn: they share a batch, in their order, and each gets its own offset', async () => {
    const harness = await makeHarness()
    const topic = harness.cluster.addTopic('orders', [1])
    const producer = harness.client.producer()
    const sent = sendAll(
      producer,
      numbers(0, 100).map((value) => ({ topic: 'orders', value })),
    )
    await harness.clock.rest()
    expect(sent.map(({ value }) => value.offset)).toEqual(sent.map((_, i) => i))
    expect(topic.partitions[0]!.values()).toEqual(numbers(0, 100))
    expect(topic.partitions[0]!.batches.length).toBe(1)
    expect([producer.bufferedRecords, producer.bufferedBytes, producer.inFlightRecords]).toEqual([0, 0, 0])
    await expectCleanClose(harness)
  })

  it('a batch under way: the records of later turns gather behind it', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1])
    const producer = client.producer()
    await clock.run(0)
    let answerFirst = (): void => {}
    const broker = cluster.broker(1)
    broker.onProduce = (call) => {
      broker.onProduce = () => undefined
      return new Promise((resolve) => {
        answerFirst = () => resolve(cluster.produce(1, call))
      })
    }
    const first = watch(producer.send({ topic: 'orders', value: 'first' }))
    await clock.rest()
    for (const value of numbers(0, 5)) {
      watch(producer.send({ topic: 'orders', value }))
      await clock.rest()
    }
    expect([first.state, producer.inFlightRecords, producer.bufferedRecords]).toEqual(['pending', 1, 6])
    expect(broker.callsOf(produce).length).toBe(1)
    answerFirst()
    await clock.rest()
    expect(broker.callsOf(produce).length).toBe(2)
    expect(topic.partitions[0]!.values()).toEqual(['first', ...numbers(0, 5)])
    await expectCleanClose(harness)
  })

  it('keys, headers, times, nulls: they arrive as given', async () => {
    const harness = await makeHarness()
    const topic = harness.cluster.addTopic('orders', [1])
    const producer = harness.client.producer()
    const headers = [
      { key: 'trace', value: 'é' },
      { key: 'trace', value: null },
      { key: 'bytes', value: Uint8Array.of(1) },
    ]
    sendAll(producer, [
      { topic: 'orders', key: 'ключ', value: Uint8Array.of(1, 2), headers, timestampMs: 5 },
      { topic: 'orders', value: null },
      { topic: 'orders', key: '', value: '', timestampMs: 9 },
    ])
    await harness.clock.rest()
    const records = topic.partitions[0]!.batches.flatMap((batch) => readRecords(batch, { cpu }))
    expect(
      records.map(({ key, value, timestampMs }) => [
        key && cpu.decodeUtf8(key),
        value && [...value],
        timestampMs,
      ]),
    ).toEqual([
      ['ключ', [1, 2], 5],
      [null, null, harness.clock.wallMs()],
      ['', [], 9],
    ])
    expect(records[0]!.headers.map(({ key, value }) => [key, value && [...value]])).toEqual([
      ['trace', [...cpu.encodeUtf8('é')]],
      ['trace', null],
      ['bytes', [1]],
    ])
    await expectCleanClose(harness)
  })

  it('the partition: by the key as Kafka does, or as given; keyless single sends use all', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1, 2, 3, 1, 2])
    const producer = client.producer()
    const keyed = sendAll(
      producer,
      numbers(0, 20).map((key) => ({ topic: 'orders', key, value: key })),
    )
    const given = watch(producer.send({ topic: 'orders', key: 'other', value: 'x', partition: 4 }))
    await clock.rest()
    expect(keyed.map(({ value }) => value.partition)).toEqual(
      numbers(0, 20).map((key) => partitionForKey(cpu.encodeUtf8(key), 5)),
    )
    expect(given.value.partition).toBe(4)
    const seen = new Set<number>()
    for (let i = 0; i < 60; i++) {
      const sent = watch(producer.send({ topic: 'orders', value: 'keyless' }))
      await clock.rest()
      seen.add(sent.value.partition)
    }
    expect(seen).toEqual(new Set([0, 1, 2, 3, 4]))
    expect(topic.partitions.every(({ batches }) => batches.length > 0)).toBe(true)
    await expectCleanClose(harness)
  })

  it('keyless records: partitions without a leader are avoided', async () => {
    const harness = await makeHarness()
    harness.cluster.addTopic('orders', [null, 2, null])
    const producer = harness.client.producer()
    for (let i = 0; i < 10; i++) {
      const sent = watch(producer.send({ topic: 'orders', value: 'x' }))
      await harness.clock.rest()
      expect(sent.value.partition).toBe(1)
    }
    await expectCleanClose(harness)
  })

  it('acks 1: the request says so; acks 0: nothing is answered, and the receipt has no offset', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1])
    const one = watch(client.producer({ acks: 1 }).send({ topic: 'orders', value: 'one' }))
    await clock.rest()
    expect([one.value.offset, produceBodies(cluster.broker(1))[0]!.acks]).toEqual([0, 1])
    const none = client.producer({ acks: 0 })
    const sent = sendAll(none, [
      { topic: 'orders', value: 'two' },
      { topic: 'orders', value: 'three' },
    ])
    await clock.rest()
    expect(sent.map(({ value }) => [value.offset, value.leaderEpoch])).toEqual([
      [-1, -1],
      [-1, -1],
    ])
    expect(produceBodies(cluster.broker(1))[1]!.acks).toBe(0)
    expect(topic.partitions[0]!.values()).toEqual(['one', 'two', 'three'])
    await expectCleanClose(harness)
  })

  it('lingerMs: an idle partition waits that long for company, a full batch does not', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1])
    const producer = client.producer({ lingerMs: 20, batchBytes: 512 })
    await clock.rest()
    const first = watch(producer.send({ topic: 'orders', value: 'a' }))
    await clock.run(19)
    watch(producer.send({ topic: 'orders', value: 'b' }))
    await clock.rest()
    expect(first.state).toBe('pending')
    await clock.run(1)
    expect([first.state, topic.partitions[0]!.values()]).toEqual(['done', ['a', 'b']])
    const full = sendAll(producer, [
      { topic: 'orders', value: 'x'.repeat(400) },
      { topic: 'orders', value: 'y'.repeat(400) },
    ])
    await clock.rest()
    expect(full.map(({ state }) => state)).toEqual(['done', 'pending'])
    await clock.run(20)
    expect(full[1]!.state).toBe('done')
    await expectCleanClose(harness)
  })

  it('small batches for one broker: they share a request; large ones go alone, without waiting', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1, 1, 1, 1, 2])
    const producer = client.producer()
    sendAll(producer, [
      { topic: 'orders', partition: 0, value: 'small' },
      { topic: 'orders', partition: 1, value: 'x'.repeat(70_000) },
      { topic: 'orders', partition: 2, value: 'small' },
      { topic: 'orders', partition: 3, value: 'y'.repeat(70_000) },
      { topic: 'orders', partition: 4, value: 'small' },
    ])
    await clock.rest()
    const partitions = (id: number): readonly number[][] =>
      produceBodies(cluster.broker(id)).map((body) => body.partitions.map(({ partition }) => partition))
    expect(partitions(1)).toEqual([[0, 2], [1], [3]])
    expect(partitions(2)).toEqual([[4]])
    expect(topic.partitions.map(({ logEndOffset }) => logEndOffset)).toEqual([1, 1, 1, 1, 1])
    await expectCleanClose(harness)
  })

  it('the request: it carries the leader epoch, and the broker gives up before the client', async () => {
    const harness = await makeHarness()
    const topic = harness.cluster.addTopic('orders', [1])
    topic.partitions[0]!.leaderEpoch = 3
    watch(harness.client.producer({ requestTimeoutMs: 10_000 }).send({ topic: 'orders', value: 'v' }))
    await harness.clock.rest()
    const [body] = produceBodies(harness.cluster.broker(1))
    expect(body).toMatchObject({ acks: -1, timeoutMs: 9_000, partitions: [{ currentLeaderEpoch: 3 }] })
    await expectCleanClose(harness)
  })
})

describe('producer: records that cannot be sent', () => {
  it.each([
    [
      'the value',
      { topic: 'orders', value: 5 },
      'value of a record must be text, a Uint8Array or null, got 5',
    ],
    ['the key', { topic: 'orders', key: {}, value: '' }, 'key of a record must be'],
    [
      'the partition',
      { topic: 'orders', value: '', partition: -1 },
      'partition of a record must be an integer',
    ],
    ['the headers', { topic: 'orders', value: '', headers: { a: 1 } }, 'headers of a record must be a list'],
    ['a header', { topic: 'orders', value: '', headers: [{ key: 1 }] }, 'headers of a record must be a list'],
    ['the time', { topic: 'orders', value: '', timestampMs: -5 }, 'got -5'],
    ['the topic', { topic: 7, value: '' }, 'topic of a record must be text, got 7'],
  ])('%s: wrong -> INVALID_ARGUMENT that shows it', async (_name, record, message) => {
    const harness = await makeHarness()
    harness.cluster.addTopic('orders', [1])
    const producer = harness.client.producer()
    watch(producer.send({ topic: 'orders', value: 'known' }))
    await harness.clock.rest()
    const sent = watch(producer.send(record as never))
    await harness.clock.rest()
    expect(sent.error).toMatchObject({ code: 'INVALID_ARGUMENT', definite: true })
    expect(sent.error.message).toContain(message)
    expect(producer.bufferedRecords).toBe(0)
    await expectCleanClose(harness)
  })

  it('a topic name: not allowed -> INVALID_TOPIC', async () => {
    const harness = await makeHarness()
    const sent = watch(harness.client.producer().send({ topic: 'a b', value: '' }))
    await harness.clock.rest()
    expect(sent.error).toMatchObject({ code: 'INVALID_TOPIC' })
    await expectCleanClose(harness)
  })

  it('a partition: beyond the topic -> UNKNOWN_TOPIC_OR_PARTITION with the range', async () => {
    const harness = await makeHarness()
    harness.cluster.addTopic('orders', [1, 2])
    const producer = harness.client.producer()
    const both = sendAll(producer, [{ topic: 'orders', value: '', partition: 2 }])
    await harness.clock.rest()
    const later = watch(producer.send({ topic: 'orders', value: '', partition: 9 }))
    await harness.clock.rest()
    for (const { error } of [...both, later])
      expect(error).toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION' })
    expect(later.error.message).toContain('no partition 9; it has 2 (0 to 1)')
    await expectCleanClose(harness)
  })

  it('a record above max.message.bytes: RECORD_TOO_LARGE with size and limit; its neighbours are sent', async () => {
    const harness = await makeHarness()
    const topic = harness.cluster.addTopic('orders', [1], [{ name: 'max.message.bytes', value: '1000' }])
    const producer = harness.client.producer()
    const sent = sendAll(
      producer,
      ['a', 'b'.repeat(1_000), 'c'].map((value) => ({ topic: 'orders', value })),
    )
    await harness.clock.rest()
    expect(sent.map(({ state }) => state)).toEqual(['done', 'failed', 'done'])
    expect(sent[1]!.error).toMatchObject({ code: 'RECORD_TOO_LARGE', definite: true, retriable: false })
    expect(sent[1]!.error.message).toMatch(/Topic "orders": .*1070 bytes.*1000 bytes/)
    expect(topic.partitions[0]!.values()).toEqual(['a', 'c'])
    const again = watch(producer.send({ topic: 'orders', value: 'd'.repeat(1_000) }))
    await harness.clock.rest()
    expect(again.error).toMatchObject({ code: 'RECORD_TOO_LARGE' })
    expect(producer.bufferedBytes).toBe(0)
    await expectCleanClose(harness)
  })

  it('batches: never above max.message.bytes, however many records gather', async () => {
    const harness = await makeHarness()
    const topic = harness.cluster.addTopic('orders', [1], [{ name: 'max.message.bytes', value: '1000' }])
    const sent = sendAll(
      harness.client.producer(),
      numbers(0, 200).map((value) => ({ topic: 'orders', value: value.padStart(100) })),
    )
    await harness.clock.rest()
    expect(sent.every(({ state }) => state === 'done')).toBe(true)
    expect(Math.max(...topic.partitions[0]!.batches.map(({ length }) => length))).toBeLessThanOrEqual(1_000)
    expect(topic.partitions[0]!.values().map((value) => value.trim())).toEqual(numbers(0, 200))
    await expectCleanClose(harness)
  })

  it('a topic that does not exist: UNKNOWN_TOPIC_OR_PARTITION after a second, saying how to create it', async () => {
    const harness = await makeHarness()
    const producer = harness.client.producer()
    const sent = watch(producer.send({ topic: 'missing', value: '' }))
    await harness.clock.run(900)
    expect(sent.state).toBe('pending')
    await harness.clock.run(200)
    expect(sent.error).toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION', definite: true })
    expect(sent.error.message).toContain('Topic "missing" does not exist')
    expect(sent.error.message).toContain('vltava topic create missing')
    expect(producer.bufferedRecords).toBe(0)
    await expectCleanClose(harness)
  })

  it('a topic that appears within the second: its records are sent in order', async () => {
    const harness = await makeHarness()
    const producer = harness.client.producer()
    const value = new Uint8Array([48])
    const key = new Uint8Array([48])
    const headers = [{ key: 'h', value: new Uint8Array([48]) }]
    const sent = [watch(producer.send({ topic: 'late', key, value, headers }))]
    for (const bytes of [key, value, headers[0]!.value]) bytes[0] = 49
    await harness.clock.run(500)
    sent.push(watch(producer.send({ topic: 'late', value: '2' })))
    const topic = harness.cluster.addTopic('late', [1])
    await harness.clock.run(200)
    expect(sent.map(({ state }) => state)).toEqual(['done', 'done'])
    // The bytes were taken when the record was, not when the topic appeared.
    expect(topic.partitions[0]!.values()).toEqual(['0', '2'])
    const [record] = readRecords(topic.partitions[0]!.batches[0]!, { cpu })
    expect([[...record!.key!], [...record!.headers[0]!.value!]]).toEqual([[48], [48]])
    await expectCleanClose(harness)
  })
})
