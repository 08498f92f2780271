import { describe, expect, it } from 'vitest'
import type { Producer } from '../../src/client/producer.ts'
import type { ProducerOptions } from '../../src/client/producer-options.ts'
import type { VltavaError } from '../../src/model/errors.ts'
import { produce } from '../../src/protocol/produce.ts'
import { never, producedError } from './fake-cluster.ts'
import { expectCleanClose, type Harness, makeHarness, numbers, sendAll, watch } from './harness.ts'

/** A producer with a full buffer: 64 KiB, in records of 1,000 bytes whose answers a test holds back. */
interface Full extends Harness {
  readonly producer: Producer
  readonly settled: (VltavaError | null)[]
  readonly taken: number
  /** Lets the broker answer. */
  readonly answer: () => void
}

const RECORD = { topic: 'orders', value: 'x'.repeat(1_000) }

async function fullProducer(options: ProducerOptions = {}): Promise<Full> {
  const harness = await makeHarness()
  const { clock, cluster, client } = harness
  cluster.addTopic('orders', [1])
  const producer = client.producer({ bufferBytes: 65_536, batchBytes: 8_192, ...options })
  watch(producer.send({ topic: 'orders', value: 'known' }))
  await clock.rest()
  let isHeld = true
  const held: (() => void)[] = []
  cluster.broker(1).onProduce = (call) =>
    isHeld
      ? new Promise((resolve) => held.push(() => resolve(cluster.produce(1, call))))
      : cluster.produce(1, call)
  const settled: (VltavaError | null)[] = []
  let taken = 0
  while (producer.enqueue(RECORD, (error) => settled.push(error))) taken++
  const answer = (): void => {
    isHeld = false
    for (const resolve of held) resolve()
  }
  return { ...harness, producer, settled, taken, answer }
}

describe('producer: a full buffer', () => {
  it('enqueue: refused without a callback; accepted again once writable resolves', async () => {
    const full = await fullProducer()
    const { clock, producer, settled, taken } = full
    expect(taken).toBeGreaterThan(60)
    expect(producer.bufferedBytes).toBeLessThanOrEqual(65_536)
    expect([producer.bufferedRecords, settled.length]).toEqual([taken, 0])
    const writable = watch(producer.writable())
    await clock.rest()
    expect(writable.state).toBe('pending')
    full.answer()
    await clock.rest()
    expect([writable.state, settled.length]).toEqual(['done', taken])
    expect(producer.enqueue(RECORD, () => {})).toBe(true)
    await expectCleanClose(full)
  })

  it('writable: room at once -> resolves at once; after maxBlockMs -> BUFFER_FULL', async () => {
    const full = await fullProducer({ maxBlockMs: 1_000 })
    const writable = watch(full.producer.writable())
    await full.clock.run(999)
    expect(writable.state).toBe('pending')
    await full.clock.run(1)
    expect(writable.error).toMatchObject({ code: 'BUFFER_FULL', definite: true })
    expect(writable.error.message).toContain('65536 bytes (bufferBytes) was full for 1000 ms (maxBlockMs)')
    full.answer()
    await full.clock.rest()
    const now = watch(full.producer.writable())
    await Promise.resolve()
    await Promise.resolve()
    expect(now.state).toBe('done')
    await expectCleanClose(full)
  })

  it('send: those that wait get in by their order, and no enqueue overtakes them', async () => {
    const full = await fullProducer()
    const { clock, cluster, producer } = full
    const waiting = sendAll(producer, [
      RECORD,
      ...numbers(0, 100).map((value) => ({ topic: 'orders', value })),
    ])
    await clock.rest()
    expect(waiting.every(({ state }) => state === 'pending')).toBe(true)
    // There is room for so small a record, but a larger one waits for it.
    expect(producer.bufferedBytes).toBeLessThan(65_536 - 100)
    expect(producer.enqueue({ topic: 'orders', value: '' }, () => {})).toBe(false)
    full.answer()
    await clock.rest()
    expect(waiting.every(({ state }) => state === 'done')).toBe(true)
    const values = cluster.topics.get('orders')!.partitions[0]!.values()
    expect(values.slice(-100)).toEqual(numbers(0, 100))
    await expectCleanClose(full)
  })

  it('send: no room for maxBlockMs -> BUFFER_FULL, and the buffer is as it was', async () => {
    const full = await fullProducer({ maxBlockMs: 500 })
    const before = full.producer.bufferedRecords
    const sent = watch(full.producer.send(RECORD))
    await full.clock.run(500)
    expect(sent.error).toMatchObject({ code: 'BUFFER_FULL', definite: true, retriable: true })
    expect(full.producer.bufferedRecords).toBe(before)
    full.answer()
    await expectCleanClose(full)
  })

  it('a record larger than the whole buffer: RECORD_TOO_LARGE instead of waiting for ever', async () => {
    const harness = await makeHarness()
    harness.cluster.addTopic('orders', [1])
    const sent = watch(
      harness.client.producer({ bufferBytes: 65_536 }).send({ topic: 'orders', value: 'x'.repeat(70_000) }),
    )
    await harness.clock.rest()
    expect(sent.error).toMatchObject({ code: 'RECORD_TOO_LARGE' })
    expect(sent.error.message).toMatch(/takes 70\d{3} bytes, .* \(bufferBytes\) holds 65536/)
    await expectCleanClose(harness)
  })

  it('records that wait for metadata: they count, and give their room back', async () => {
    const harness = await makeHarness()
    const producer = harness.client.producer({ bufferBytes: 65_536 })
    let taken = 0
    while (producer.enqueue({ ...RECORD, topic: 'missing' }, () => {})) taken++
    expect(producer.bufferedRecords).toBe(taken)
    await harness.clock.run(1_200)
    expect([producer.bufferedRecords, producer.bufferedBytes]).toEqual([0, 0])
    await expectCleanClose(harness)
  })

  it('requests under way to one broker: bounded in bytes, the rest follows the answers', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', Array(40).fill(1), [
      { name: 'max.message.bytes', value: '2000000' },
    ])
    const held: (() => void)[] = []
    cluster.broker(1).onProduce = (call) =>
      new Promise((resolve) => held.push(() => resolve(cluster.produce(1, call))))
    const producer = client.producer({ bufferBytes: 64 * 1024 * 1024 })
    const value = new Uint8Array(1_000_000)
    const sent = sendAll(
      producer,
      topic.partitions.map((_, partition) => ({ topic: 'orders', partition, value })),
    )
    await clock.rest()
    const underWay = held.length
    expect(underWay).toBe(17)
    for (const answer of held.splice(0, 5)) answer()
    await clock.rest()
    expect(held.length).toBe(underWay)
    while (held.length > 0) {
      for (const answer of held.splice(0)) answer()
      await clock.rest()
    }
    expect(sent.every(({ state }) => state === 'done')).toBe(true)
    await expectCleanClose(harness)
  })
})

describe('producer: callbacks', () => {
  it('an error found at once: told in a turn of its own, and the record was taken over', async () => {
    const harness = await makeHarness()
    const told: string[] = []
    const producer = harness.client.producer()
    const wasTaken = producer.enqueue({ topic: '', value: '' }, (error) => told.push(error!.code))
    expect([wasTaken, told]).toEqual([true, []])
    await harness.clock.rest()
    expect(told).toEqual(['INVALID_TOPIC'])
    await expectCleanClose(harness)
  })

  it('sending again from the callback of a failure: no endless loop in one turn', async () => {
    const harness = await makeHarness()
    const producer = harness.client.producer()
    let failures = 0
    const again = (): void => {
      failures++
      if (failures < 5) producer.enqueue({ topic: 'missing', value: '' }, again)
    }
    producer.enqueue({ topic: 'missing', value: '' }, again)
    await harness.clock.run(20_000)
    expect(failures).toBe(5)
    await expectCleanClose(harness)
  })
})

describe('producer: closed from a callback', () => {
  it.each(['answers', 'refuses', 'does not answer'])(
    'while the broker %s: each record is settled once',
    async (how) => {
      const harness = await makeHarness()
      const { clock, cluster, client } = harness
      cluster.addTopic('orders', [1])
      if (how === 'refuses') {
        cluster.broker(1).onProduce = () => ({ body: { partitions: [producedError('CORRUPT_MESSAGE')] } })
      }
      if (how === 'does not answer') cluster.broker(1).onProduce = never
      const producer = client.producer({ batchBytes: 512, deliveryTimeoutMs: 1_000 })
      const settled: number[] = []
      for (let i = 0; i < 20; i++) {
        producer.enqueue({ topic: 'orders', value: 'x'.repeat(200) }, () => {
          settled.push(i)
          watch(producer.close({ timeoutMs: 0 }))
        })
      }
      await clock.run(2_000)
      expect(settled.toSorted((a, b) => a - b)).toEqual(numbers(0, 20).map(Number))
      await expectCleanClose(harness)
    },
  )
})

describe('producer: flush and close', () => {
  it('flush: resolves when everything given before is settled, also what waits for room or lingers', async () => {
    const full = await fullProducer({ lingerMs: 10_000 })
    const waiting = sendAll(full.producer, [
      { topic: 'orders', value: 'waits' },
      { topic: 'orders', value: 'waits' },
    ])
    const flushed = watch(full.producer.flush())
    await full.clock.rest()
    expect(flushed.state).toBe('pending')
    full.answer()
    await full.clock.rest()
    expect(waiting.map(({ state }) => state)).toEqual(['done', 'done'])
    expect([flushed.state, full.producer.bufferedRecords]).toEqual(['done', 0])
    await expectCleanClose(full)
  })

  it('flush: failures do not make it reject; nothing to do -> resolves', async () => {
    const harness = await makeHarness()
    const producer = harness.client.producer()
    const sent = watch(producer.send({ topic: 'missing', value: '' }))
    const flushed = watch(producer.flush())
    await harness.clock.run(1_200)
    expect([sent.state, flushed.state]).toEqual(['failed', 'done'])
    const again = watch(producer.flush())
    await harness.clock.rest()
    expect(again.state).toBe('done')
    await expectCleanClose(harness)
  })

  it('close: flushes first, then refuses with CLOSED; a second call is the same', async () => {
    const harness = await makeHarness()
    const topic = harness.cluster.addTopic('orders', [1])
    const producer = harness.client.producer()
    const sent = watch(producer.send({ topic: 'orders', value: 'v' }))
    const closed = [watch(producer.close()), watch(producer.close())]
    const late = watch(producer.send({ topic: 'orders', value: 'late' }))
    const writable = watch(producer.writable())
    await harness.clock.rest()
    expect([sent.state, ...closed.map(({ state }) => state)]).toEqual(['done', 'done', 'done'])
    for (const { error } of [late, writable]) expect(error).toMatchObject({ code: 'CLOSED', definite: true })
    expect(topic.partitions[0]!.values()).toEqual(['v'])
    await expectCleanClose(harness)
  })

  it('close in the middle of a request: what was sent is unknown, what was not is definite', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    cluster.addTopic('orders', [1])
    cluster.broker(1).onProduce = never
    const producer = client.producer()
    const first = watch(producer.send({ topic: 'orders', value: 'sent' }))
    await clock.rest()
    const second = watch(producer.send({ topic: 'orders', value: 'gathers' }))
    const closed = watch(producer.close({ timeoutMs: 1_000 }))
    await clock.run(999)
    expect(closed.state).toBe('pending')
    await clock.run(1)
    expect(closed.state).toBe('done')
    expect(first.error).toMatchObject({ code: 'CLOSED', definite: false })
    expect(first.error.message).toContain('the outcome is unknown: it was sent and may still appear')
    expect(second.error).toMatchObject({ code: 'CLOSED', definite: true })
    expect(producer.bufferedRecords).toBe(0)
    expect(cluster.broker(1).callsOf(produce).length).toBe(1)
    await expectCleanClose(harness)
  })

  it('close while nobody can be reached: ends with its time', async () => {
    const harness = await makeHarness({ bootstrap: 'nobody:1' })
    const { clock, client } = harness
    const producer = client.producer()
    const sent = watch(producer.send({ topic: 'orders', value: 'v' }))
    const closed = watch(client.close({ timeoutMs: 200 }))
    await clock.run(200)
    expect(closed.state).toBe('done')
    expect(sent.error).toMatchObject({ code: 'CLOSED', definite: true })
    expect(clock.pendingTimers).toBe(0)
  })

  it.each([-1, 1.5, 'soon'])(
    'close with a time-out of %s: INVALID_ARGUMENT with the range',
    async (timeoutMs) => {
      const harness = await makeHarness()
      const producer = harness.client.producer()
      await expect(producer.close({ timeoutMs: timeoutMs as number })).rejects.toThrowError(
        /option "timeoutMs" must be an integer from 0 to 86400000/,
      )
      await expectCleanClose(harness)
    },
  )
})
