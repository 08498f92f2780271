import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ErrorName } from '../../src/model/error-codes.ts'
import { VltavaError } from '../../src/model/errors.ts'
import { clusterMetadata } from '../../src/protocol/cluster-metadata.ts'
import { produce } from '../../src/protocol/produce.ts'
import { type FakeBroker, never, producedError } from './fake-cluster.ts'
import { expectCleanClose, makeHarness, numbers, sendAll, watch } from './harness.ts'

/** Answers produce requests about one partition with these errors, then as usual. */
function failWith(broker: FakeBroker, errors: readonly (ErrorName | 'appended, then lost')[]): void {
  const left = [...errors]
  const serve = broker.onProduce
  broker.onProduce = (call) => {
    const error = left.shift()
    if (error === undefined) return serve(call)
    if (error !== 'appended, then lost') return { body: { partitions: [producedError(error)] } }
    broker.append(call)
    broker.breakConnections()
    return never()
  }
}

describe('producer: retries', () => {
  it('another leader: metadata is refreshed and the same bytes go there', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1])
    const producer = client.producer()
    watch(producer.send({ topic: 'orders', value: 'first' }))
    await clock.rest()
    cluster.moveLeader(topic, 0, 2)
    const sent = watch(producer.send({ topic: 'orders', value: 'second' }))
    await clock.run(200)
    expect(sent.value).toMatchObject({ offset: 1, leaderEpoch: 1 })
    const [, refused] = cluster.broker(1).callsOf(produce)
    const [taken] = cluster.broker(2).callsOf(produce)
    expect([...taken!.payload]).toEqual([...refused!.payload])
    await expectCleanClose(harness)
  })

  it('a replaced leader that does not know, and is the only broker with a connection: the others are asked', async () => {
    const harness = await makeHarness({ bootstrap: 'broker-1:9092' })
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1])
    const before = cluster.metadataBody(['orders'])
    cluster.moveLeader(topic, 0, 2)
    cluster.broker(1).onMetadata = () => ({ body: before })
    // It waits for followers that ask somebody else now.
    failWith(
      cluster.broker(1),
      numbers(0, 100).map(() => 'REQUEST_TIMED_OUT'),
    )
    const sent = watch(client.producer().send({ topic: 'orders', value: 'v' }))
    await clock.run(2_000)
    expect(sent.value).toMatchObject({ offset: 0, leaderEpoch: 1 })
    await expectCleanClose(harness)
  })

  it.each<[ErrorName]>([
    ['NOT_LEADER_OR_FOLLOWER'],
    ['FENCED_LEADER_EPOCH'],
    ['UNKNOWN_LEADER_EPOCH'],
    ['UNKNOWN_TOPIC_ID'],
    ['NOT_ENOUGH_REPLICAS'],
    ['NOT_ENOUGH_REPLICAS_AFTER_APPEND'],
    ['REQUEST_TIMED_OUT'],
    ['STORAGE_ERROR'],
    ['SERVER_BUSY'],
    ['BROKER_FENCED'],
    ['SHUTTING_DOWN'],
  ])('%s: three times -> tried again with growing pauses, then sent', async (code) => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    cluster.addTopic('orders', [1])
    failWith(cluster.broker(1), [code, code, code])
    const producer = client.producer()
    const sent = watch(producer.send({ topic: 'orders', value: 'v' }))
    await clock.rest()
    expect(cluster.broker(1).callsOf(produce).length).toBe(1)
    await clock.run(50 + 100 + 200)
    expect([sent.state, cluster.broker(1).callsOf(produce).length]).toEqual(['done', 4])
    await expectCleanClose(harness)
  })

  it.each<[ErrorName]>([
    ['CORRUPT_MESSAGE'],
    ['INVALID_RECORD'],
    ['MESSAGE_TOO_LARGE'],
    ['UNKNOWN_SERVER_ERROR'],
  ])('%s: fails at once, and only this batch', async (code) => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1])
    failWith(cluster.broker(1), [code])
    const producer = client.producer()
    const sent = watch(producer.send({ topic: 'orders', value: 'bad' }))
    await clock.rest()
    const next = watch(producer.send({ topic: 'orders', value: 'good' }))
    await clock.rest()
    expect(sent.error).toMatchObject({ code, retriable: false, definite: code !== 'UNKNOWN_SERVER_ERROR' })
    expect(sent.error.message).toMatch(/^Topic "orders" partition 0: /)
    expect([next.state, topic.partitions[0]!.values()]).toEqual(['done', ['good']])
    await expectCleanClose(harness)
  })

  it('CHK-0: a definite refusal after an attempt that may have been carried out -> not definite', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    cluster.addTopic('orders', [1])
    failWith(cluster.broker(1), ['REQUEST_TIMED_OUT', 'CORRUPT_MESSAGE'])
    const sent = watch(client.producer().send({ topic: 'orders', value: 'v' }))
    await clock.run(100)
    expect(sent.error).toMatchObject({ code: 'CORRUPT_MESSAGE', definite: false })
    expect(sent.error.message).toContain('the outcome is unknown: it was sent and may still appear')
    await expectCleanClose(harness)
  })

  it('an answer about another number of partitions: fails, and the outcome is unknown', async () => {
    const harness = await makeHarness()
    harness.cluster.addTopic('orders', [1])
    harness.cluster.broker(1).onProduce = () => ({ body: { partitions: [] } })
    const sent = watch(harness.client.producer().send({ topic: 'orders', value: 'v' }))
    await harness.clock.rest()
    expect(sent.error).toMatchObject({ code: 'PROTOCOL_VIOLATION', definite: false })
    await expectCleanClose(harness)
  })

  it('a connection that breaks after the append: sent again, twice in the log and in order', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1])
    failWith(cluster.broker(1), ['appended, then lost'])
    const producer = client.producer()
    const first = watch(producer.send({ topic: 'orders', value: 'a' }))
    await clock.rest()
    const second = watch(producer.send({ topic: 'orders', value: 'b' }))
    await clock.run(500)
    expect([first.value.offset, second.value.offset]).toEqual([1, 2])
    expect(topic.partitions[0]!.values()).toEqual(['a', 'a', 'b'])
    await expectCleanClose(harness)
  })

  it('CHK-10: whatever fails -> first copies stand in the order of sending, and nothing acknowledged is missing', async () => {
    const failure = fc.constantFrom(
      'none',
      'NOT_LEADER_OR_FOLLOWER',
      'SERVER_BUSY',
      'REQUEST_TIMED_OUT',
      'appended, then lost',
      'leader moves',
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(failure, { maxLength: 12 }),
        fc.integer({ min: 1, max: 5 }),
        async (faults, perTurn) => {
          const harness = await makeHarness()
          const { clock, cluster, client } = harness
          const topic = cluster.addTopic('orders', [1])
          const producer = client.producer({ batchBytes: 512 })
          const left = [...faults]
          for (const broker of cluster.brokers.values()) {
            broker.onProduce = (call) => {
              const fault = left.shift() ?? 'none'
              if (fault === 'none') return undefined
              if (fault === 'leader moves') {
                cluster.moveLeader(topic, 0, (broker.id % 3) + 1)
                return undefined
              }
              if (fault === 'appended, then lost') {
                broker.append(call)
                broker.breakConnections()
                return never()
              }
              return {
                body: { partitions: call.body.partitions.map(() => producedError(fault as ErrorName)) },
              }
            }
          }
          const sent = []
          for (let from = 0; from < 60; from += perTurn) {
            sent.push(
              ...sendAll(
                producer,
                numbers(from, from + perTurn).map((value) => ({ topic: 'orders', value })),
              ),
            )
            await clock.run(3)
          }
          await clock.run(60_000)
          expect(sent.every(({ state }) => state === 'done')).toBe(true)
          const firstCopies = [...new Set(topic.partitions[0]!.values())]
          expect(firstCopies).toEqual(numbers(0, sent.length))
          await expectCleanClose(harness)
        },
      ),
      { seed: 11, numRuns: 40 },
    )
  })
})

describe('producer: failover', () => {
  it('a hint: the next batch goes to the new leader, without a question and without an error', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1])
    const producer = client.producer()
    watch(producer.send({ topic: 'orders', value: 'a' }))
    await clock.rest()
    const asked = () =>
      [...cluster.brokers.values()].flatMap((broker) => broker.callsOf(clusterMetadata)).length
    const askedBefore = asked()
    cluster.moveLeader(topic, 0, 2)
    cluster.hintAll(topic, [0])
    await clock.rest()
    const sent = watch(producer.send({ topic: 'orders', value: 'b' }))
    await clock.rest()
    expect([sent.value.leaderEpoch, asked()]).toEqual([1, askedBefore])
    expect(cluster.broker(1).callsOf(produce).length).toBe(1)
    await expectCleanClose(harness)
  })

  it('a hint while the old leader does not answer: sent to the new one after half a second', async () => {
    const harness = await makeHarness({ bootstrap: 'broker-3:9092' })
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1])
    cluster.broker(1).onProduce = never
    const producer = client.producer()
    const sent = watch(producer.send({ topic: 'orders', value: 'a' }))
    await clock.rest()
    cluster.moveLeader(topic, 0, 2)
    cluster.hintAll(topic, [0])
    await clock.run(499)
    expect(sent.state).toBe('pending')
    await clock.run(10)
    expect([sent.state, topic.partitions[0]!.values()]).toEqual(['done', ['a']])
    await expectCleanClose(harness)
  })

  it('a refusal by the old leader within that time: sent to the new one at once', async () => {
    const harness = await makeHarness({ bootstrap: 'broker-3:9092' })
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1])
    let refuse = (): void => {}
    cluster.broker(1).onProduce = () =>
      new Promise((resolve) => {
        refuse = () => resolve({ body: { partitions: [producedError('NOT_LEADER_OR_FOLLOWER')] } })
      })
    const producer = client.producer()
    const sent = watch(producer.send({ topic: 'orders', value: 'a' }))
    await clock.rest()
    cluster.moveLeader(topic, 0, 2)
    cluster.hintAll(topic, [0])
    await clock.rest()
    refuse()
    await clock.rest()
    expect([sent.state, topic.partitions[0]!.values()]).toEqual(['done', ['a']])
    await expectCleanClose(harness)
  })

  it('an answer of the old leader within that time: it counts, nothing is sent twice', async () => {
    const harness = await makeHarness({ bootstrap: 'broker-3:9092' })
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1])
    cluster.broker(1).onProduce = (call) =>
      new Promise((resolve) => {
        const answer = cluster.produce(1, call)
        clock.setTimer(300, () => resolve(answer))
      })
    const producer = client.producer()
    const sent = watch(producer.send({ topic: 'orders', value: 'a' }))
    await clock.rest()
    cluster.moveLeader(topic, 0, 2)
    cluster.hintAll(topic, [0])
    await clock.run(1_000)
    expect([sent.value.leaderEpoch, topic.partitions[0]!.values()]).toEqual([0, ['a']])
    await expectCleanClose(harness)
  })

  it('a killed leader: as soon as another is known, everything goes there', async () => {
    const harness = await makeHarness({ bootstrap: 'broker-3:9092' })
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1])
    const producer = client.producer()
    watch(producer.send({ topic: 'orders', value: '0' }))
    await clock.rest()
    cluster.broker(1).kill()
    const sent = sendAll(
      producer,
      numbers(1, 50).map((value) => ({ topic: 'orders', value })),
    )
    await clock.run(700)
    expect(sent.every(({ state }) => state === 'pending')).toBe(true)
    cluster.moveLeader(topic, 0, 2)
    cluster.hintAll(topic, [0])
    await clock.rest()
    expect(sent.every(({ state }) => state === 'done')).toBe(true)
    expect(topic.partitions[0]!.values()).toEqual(numbers(0, 50))
    await expectCleanClose(harness)
  })

  it('a partition without a leader: its records wait, and a hint sends them at once', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1, null])
    const producer = client.producer()
    const sent = watch(producer.send({ topic: 'orders', value: 'a', partition: 1 }))
    await clock.run(5_000)
    expect(sent.state).toBe('pending')
    cluster.moveLeader(topic, 1, 3)
    cluster.hintAll(topic, [1])
    await clock.rest()
    expect(sent.value).toMatchObject({ partition: 1, leaderEpoch: 1 })
    await expectCleanClose(harness)
  })

  it('a topic that was deleted and created again: records go to the new one', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    cluster.addTopic('orders', [1])
    const producer = client.producer()
    watch(producer.send({ topic: 'orders', value: 'old' }))
    await clock.rest()
    const topic = cluster.addTopic('orders', [2])
    const sent = watch(producer.send({ topic: 'orders', value: 'new' }))
    await clock.run(500)
    expect([sent.state, topic.partitions[0]!.values()]).toEqual(['done', ['new']])
    await expectCleanClose(harness)
  })

  it('a topic that was deleted: its records fail after a second', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    cluster.addTopic('orders', [1])
    const producer = client.producer()
    watch(producer.send({ topic: 'orders', value: 'old' }))
    await clock.rest()
    cluster.topics.clear()
    const sent = watch(producer.send({ topic: 'orders', value: 'new' }))
    await clock.run(2_500)
    expect(sent.error).toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION', definite: true })
    await expectCleanClose(harness)
  })
})

describe('producer: topics that change', () => {
  it('a topic that was deleted while nothing was sent to it: the next record fails within two seconds', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    cluster.addTopic('idle', [1])
    const busy = cluster.addTopic('busy', [1])
    const producer = client.producer()
    sendAll(producer, [
      { topic: 'idle', value: '' },
      { topic: 'busy', value: '' },
    ])
    await clock.rest()
    cluster.topics.delete('idle')
    cluster.moveLeader(busy, 0, 2)
    const other = watch(producer.send({ topic: 'busy', value: '' }))
    await clock.run(5_000)
    expect(other.state).toBe('done')
    const sent = watch(producer.send({ topic: 'idle', value: '' }))
    await clock.run(2_000)
    expect(sent.error).toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION', definite: true })
    await expectCleanClose(harness)
  })

  it('a topic that was created again with fewer partitions: what waits for the others fails at once', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    cluster.addTopic('orders', [1, 1])
    const producer = client.producer()
    watch(producer.send({ topic: 'orders', value: '', partition: 1 }))
    await clock.rest()
    cluster.addTopic('orders', [1])
    const sent = watch(producer.send({ topic: 'orders', value: '', partition: 1 }))
    await clock.run(200)
    expect(sent.error).toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION', definite: true })
    expect(sent.error.message).toContain('no partition 1; it has 1 (0 to 0)')
    await expectCleanClose(harness)
  })

  it('a record that is refused for itself: its topic is not asked for', async () => {
    const harness = await makeHarness()
    const producer = harness.client.producer()
    watch(producer.send({ topic: 'never', value: 5 as never }))
    await harness.clock.run(1_000)
    expect(harness.cluster.calls).toEqual([])
    await expectCleanClose(harness)
  })
})

describe('producer: the deadline', () => {
  it('CHK-0: no leader was ever reached -> definite, never sent; the text names who and why', async () => {
    const harness = await makeHarness({ bootstrap: 'broker-2:9092' })
    const { clock, cluster, client } = harness
    cluster.addTopic('orders', [null, 1])
    cluster.broker(1).kill()
    const producer = client.producer({ deliveryTimeoutMs: 2_000 })
    const sent = watch(producer.send({ topic: 'orders', value: 'a', partition: 1 }))
    await clock.run(1_990)
    expect(sent.state).toBe('pending')
    await clock.run(10)
    expect(sent.error).toMatchObject({ code: 'DELIVERY_TIMEOUT', definite: true })
    expect(sent.error.message).toBe(
      'Topic "orders" partition 1: not acknowledged within 2000 ms (deliveryTimeoutMs), after 0 attempts; ' +
        'the last error was CONNECTION_FAILED: ws://broker-1:9092: connection refused; nothing listens there; ' +
        'not reachable: broker 1 (ws://broker-1:9092); the outcome is definite: never sent.',
    )
    expect(sent.error.cause).toMatchObject({ code: 'CONNECTION_FAILED' })
    await expectCleanClose(harness)
  })

  it('CHK-0: sent and never answered -> unknown outcome, exactly at the deadline', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    cluster.addTopic('orders', [1])
    cluster.broker(1).onProduce = never
    const producer = client.producer({ deliveryTimeoutMs: 5_000, requestTimeoutMs: 2_000 })
    const sent = watch(producer.send({ topic: 'orders', value: 'a' }))
    await clock.run(4_999)
    expect(sent.state).toBe('pending')
    await clock.run(1)
    expect(sent.error).toMatchObject({ code: 'DELIVERY_TIMEOUT', definite: false })
    expect(sent.error.message).toMatch(
      /after 3 attempts; the last error was REQUEST_TIMED_OUT: produce was not answered within \d+ ms; the outcome is unknown: it was sent and may still appear\.$/,
    )
    expect(producer.bufferedRecords).toBe(0)
    await expectCleanClose(harness)
  })

  it('CHK-0: refused each time -> definite', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    cluster.addTopic('orders', [1])
    failWith(cluster.broker(1), Array(1_000).fill('NOT_ENOUGH_REPLICAS'))
    const sent = watch(client.producer({ deliveryTimeoutMs: 3_000 }).send({ topic: 'orders', value: 'a' }))
    await clock.run(3_000)
    expect(sent.error).toMatchObject({ code: 'DELIVERY_TIMEOUT', definite: true })
    expect(sent.error.message).toContain('the outcome is definite: every attempt was refused.')
    expect(sent.error.cause).toMatchObject({ code: 'NOT_ENOUGH_REPLICAS' })
    await expectCleanClose(harness)
  })

  it('a late answer: it changes nothing any more, and the next batch is not mistaken for the old one', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    const topic = cluster.addTopic('orders', [1])
    const broker = cluster.broker(1)
    broker.onProduce = (call) => {
      broker.onProduce = () => undefined
      return new Promise((resolve) => {
        clock.setTimer(1_500, () => resolve(cluster.produce(1, call)))
      })
    }
    const producer = client.producer({ deliveryTimeoutMs: 1_000, requestTimeoutMs: 30_000 })
    const late = watch(producer.send({ topic: 'orders', value: 'late' }))
    await clock.run(1_000)
    expect(late.error).toMatchObject({ code: 'DELIVERY_TIMEOUT', definite: false })
    const next = watch(producer.send({ topic: 'orders', value: 'next' }))
    await clock.run(1_000)
    expect(next.value.offset).toBe(0)
    expect(topic.partitions[0]!.values()).toEqual(['next', 'late'])
    await expectCleanClose(harness)
  })

  it('records that came later: they have a deadline of their own', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    cluster.addTopic('orders', [1])
    cluster.broker(1).onProduce = never
    const producer = client.producer({ deliveryTimeoutMs: 10_000 })
    const sent = []
    for (let i = 0; i < 5; i++) {
      sent.push(watch(producer.send({ topic: 'orders', value: 'a' })))
      await clock.run(1_000)
    }
    await clock.run(5_000)
    expect(sent.map(({ state }) => state)).toEqual(['failed', 'pending', 'pending', 'pending', 'pending'])
    await clock.run(2_000)
    expect(sent.map(({ state }) => state)).toEqual(['failed', 'failed', 'failed', 'pending', 'pending'])
    await expectCleanClose(harness)
  })

  it('no bootstrap server: BOOTSTRAP_UNREACHABLE naming each, within the bound', async () => {
    const harness = await makeHarness({
      bootstrap: ['nobody:1', 'ws://nowhere:2'],
      settings: { bootstrapTimeoutMs: 3_000 },
    })
    const sent = watch(harness.client.producer().send({ topic: 'orders', value: 'a' }))
    await harness.clock.run(2_900)
    expect(sent.state).toBe('pending')
    await harness.clock.run(2_000)
    expect(sent.error).toMatchObject({ code: 'BOOTSTRAP_UNREACHABLE', definite: true, retriable: true })
    for (const part of ['ws://nobody:1', 'ws://nowhere:2', 'connection refused']) {
      expect(sent.error.message).toContain(part)
    }
    await expectCleanClose(harness)
  })

  it('no metadata in time: the records waiting for it are given up, definite', async () => {
    const harness = await makeHarness()
    for (const broker of harness.cluster.brokers.values()) {
      broker.onMetadata = () => {
        throw new VltavaError('BROKER_FENCED')
      }
    }
    const sent = watch(harness.client.producer({ maxBlockMs: 4_000 }).send({ topic: 'orders', value: 'a' }))
    await harness.clock.run(4_000)
    expect(sent.error).toMatchObject({ code: 'DELIVERY_TIMEOUT', definite: true })
    expect(sent.error.message).toMatch(
      /Topic "orders": no metadata of the topic within 4000 ms \(maxBlockMs\); the last error was BROKER_FENCED: .*; the outcome is definite: never sent\./,
    )
    await expectCleanClose(harness)
  })
})
