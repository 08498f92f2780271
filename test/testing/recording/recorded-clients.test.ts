import { afterEach, describe, expect, it } from 'vitest'
import type { HistoryEvent } from '../../../src/history/history.ts'
import { HistoryRecorder } from '../../../src/history/history-recorder.ts'
import { drain, finalPhase } from '../../../src/testing/recording/final-phase.ts'
import { RecordedConsumer } from '../../../src/testing/recording/recorded-consumer.ts'
import { RecordedProducer } from '../../../src/testing/recording/recorded-producer.ts'
import { startCluster } from '../../../src/testing/start-cluster.ts'
import type { TestCluster } from '../../../src/testing/test-cluster.ts'

let cluster: TestCluster | null = null
afterEach(async () => {
  await cluster?.stop()
  cluster = null
})

async function world(options: { readonly brokers?: number; readonly replicationFactor?: number } = {}) {
  const { brokers = 1, replicationFactor = 1 } = options
  // A broker that was killed stays in the in-sync set for as long as a test runs.
  const settings = { 'broker.session.timeout.ms': 60_000, 'broker.disconnect.grace.ms': 60_000 }
  cluster = await startCluster({ brokers, settings })
  const client = cluster.client()
  const { clock } = cluster
  await client.admin.createTopic({ name: 't', partitions: 2, replicationFactor })
  const recorder = new HistoryRecorder()
  const shared = {
    client,
    clock,
    recorder,
    nowMs: () => clock.monotonicMs(),
    nextProcess: () => recorder.newProcess(),
  }
  return { ...shared, shared }
}

/** Without index and time. */
function told(events: readonly HistoryEvent[]): readonly unknown[] {
  return events.map(({ process, type, operation, error }) => [
    process,
    type,
    operation,
    ...(error === undefined ? [] : [error]),
  ])
}

describe('RecordedProducer', () => {
  it('send: one value, and several in one operation -> invoke and ok with the offsets', async () => {
    const { recorder, shared } = await world()
    const producer = new RecordedProducer(shared)
    expect(await producer.send('t/0', 'a')).toEqual({ type: 'ok', error: null, offsets: [0] })
    expect((await producer.send('t/0', ['b', 'c'])).offsets).toEqual([1, 2])
    const steps = (...offsets: number[]) =>
      ['b', 'c'].map((value, i) => ['send', 't/0', value, ...offsets.slice(i, i + 1)])
    expect(told(recorder.events)).toEqual([
      [0, 'invoke', { f: 'send', steps: [['send', 't/0', 'a']] }],
      [0, 'ok', { f: 'send', steps: [['send', 't/0', 'a', 0]] }],
      [0, 'invoke', { f: 'send', steps: steps() }],
      [0, 'ok', { f: 'send', steps: steps(1, 2) }],
    ])
  })

  it('CHK-0: a definite error -> fail, and the process goes on', async () => {
    const { recorder, shared } = await world()
    const producer = new RecordedProducer({ ...shared, producer: { maxRequestBytes: 1_024 } })
    const { type, error } = await producer.send('t/0', 'x'.repeat(2_000))
    expect([type, error?.code]).toEqual(['fail', 'RECORD_TOO_LARGE'])
    expect(recorder.events.at(-1)).toMatchObject({ process: 0, type: 'fail', error: 'RECORD_TOO_LARGE' })
    await producer.send('t/0', 'b')
    expect(recorder.events.at(-1)).toMatchObject({ process: 0, type: 'ok' })
  })

  it('some values refused, others acknowledged -> info with the offsets that are known, under a new process then', async () => {
    const { recorder, shared } = await world()
    const producer = new RecordedProducer({ ...shared, producer: { maxRequestBytes: 1_024 } })
    const outcome = await producer.send('t/0', ['a', 'x'.repeat(2_000)])
    expect([outcome.type, outcome.offsets]).toEqual(['info', [0, null]])
    await producer.send('t/0', 'b')
    expect(recorder.events.map(({ process }) => process)).toEqual([0, 0, 1, 1])
  })

  it('CHK-0: the other replica is gone, so nothing is acknowledged -> info, and a new process', async () => {
    const { client, recorder, shared } = await world({ brokers: 3, replicationFactor: 2 })
    const producer = new RecordedProducer({
      ...shared,
      producer: { deliveryTimeoutMs: 300, requestTimeoutMs: 200 },
    })
    const { leader, replicas } = (await client.admin.describeTopic('t')).partitions[0]!
    const follower = replicas.find((id) => id !== leader)!
    await cluster!.kill(follower)
    const { type, error } = await producer.send('t/0', 'b')
    expect([type, error?.code, error?.definite]).toEqual(['info', 'DELIVERY_TIMEOUT', false])
    expect(recorder.events.at(-1)).toMatchObject({ process: 0, type: 'info', error: 'DELIVERY_TIMEOUT' })
    expect(producer.process).toBe(1)
    // A leader that stops in good order would wait for the other one.
    for (const id of [1, 2, 3]) if (id !== follower) await cluster!.kill(id)
  })

  it('acks 0: nobody answers -> info', async () => {
    const { shared } = await world()
    const producer = new RecordedProducer({ ...shared, producer: { acks: 0 } })
    expect(await producer.send('t/0', 'a')).toEqual({ type: 'info', error: null, offsets: [null] })
  })

  it('a closed client -> fail: the record was never sent', async () => {
    const { client, shared } = await world()
    const producer = new RecordedProducer(shared)
    await client.close()
    const { type, error } = await producer.send('t/0', 'a')
    expect([type, error?.code]).toEqual(['fail', 'CLOSED'])
  })

  it('crash -> a new process; a key that is none -> refused before anything is recorded', async () => {
    const { recorder, shared } = await world()
    const producer = new RecordedProducer(shared)
    await producer.crash()
    await producer.send('t/1', 'a')
    expect(recorder.events.map(({ process, type }) => [process, type])).toEqual([
      [0, 'invoke'],
      [0, 'info'],
      [1, 'invoke'],
      [1, 'ok'],
    ])
    await expect(producer.send('t', 'b')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(recorder.events).toHaveLength(4)
  })

  it('two sends at once -> refused: a process does one operation at a time', async () => {
    const { shared } = await world()
    const producer = new RecordedProducer(shared)
    const first = producer.send('t/0', 'a')
    await expect(producer.send('t/0', 'b')).rejects.toThrow('one operation at a time')
    expect((await first).type).toBe('ok')
  })
})

describe('RecordedConsumer', () => {
  it('assign and poll: records by key, in their order, and positions behind them', async () => {
    const { recorder, shared } = await world()
    const producer = new RecordedProducer(shared)
    const consumer = new RecordedConsumer(shared)
    await producer.send('t/0', ['a', 'b'])
    await producer.send('t/1', 'c')
    await consumer.assign(['t/0', 't/1'])
    const records = new Map<string, unknown[]>()
    while (consumer.positions.size < 2) {
      const polled = await consumer.poll()
      expect(polled.type).toBe('ok')
      for (const [key, seen] of polled.records) records.set(key, [...(records.get(key) ?? []), ...seen])
    }
    expect(Object.fromEntries(records)).toEqual({
      't/0': [
        [0, 'a'],
        [1, 'b'],
      ],
      't/1': [[0, 'c']],
    })
    expect(consumer.positions).toEqual(
      new Map([
        ['t/0', 2],
        ['t/1', 1],
      ]),
    )
    expect(told(recorder.events.slice(4, 7))).toEqual([
      [1, 'invoke', { f: 'assign', keys: ['t/0', 't/1'] }],
      [1, 'ok', { f: 'assign', keys: ['t/0', 't/1'] }],
      [1, 'invoke', { f: 'poll', steps: [['poll']] }],
    ])
  })

  it('nothing there -> an empty ok poll after its time; what comes later is not lost', async () => {
    const { shared } = await world()
    const consumer = new RecordedConsumer(shared)
    await consumer.assign(['t/0'])
    expect(await consumer.poll({ timeoutMs: 20 })).toEqual({ type: 'ok', error: null, records: new Map() })
    await new RecordedProducer(shared).send('t/0', 'a')
    expect((await consumer.poll({ timeoutMs: 10_000 })).records).toEqual(new Map([['t/0', [[0, 'a']]]]))
  })

  it('recordsMax: the rest of a batch -> comes with the next poll', async () => {
    const { shared } = await world()
    await new RecordedProducer(shared).send('t/0', ['a', 'b', 'c'])
    const consumer = new RecordedConsumer(shared)
    await consumer.assign(['t/0'])
    const { records } = await consumer.poll({ recordsMax: 2 })
    expect(records.get('t/0')).toEqual([
      [0, 'a'],
      [1, 'b'],
    ])
    expect((await consumer.poll()).records.get('t/0')).toEqual([[2, 'c']])
  })

  it('assign: from last -> goes on; from the beginning -> starts anew; from the end -> only what comes then', async () => {
    const { shared } = await world()
    const producer = new RecordedProducer(shared)
    await producer.send('t/0', 'a')
    await producer.send('t/1', 'x')
    const consumer = new RecordedConsumer(shared)
    await consumer.assign(['t/0'])
    await consumer.poll()
    await producer.send('t/0', 'b')
    await consumer.assign(['t/0'])
    expect((await consumer.poll()).records.get('t/0')).toEqual([[1, 'b']])
    await consumer.assign(['t/0'], { from: 'beginning' })
    expect((await consumer.poll({ recordsMax: 1 })).records.get('t/0')).toEqual([[0, 'a']])
    await consumer.assign(['t/1'], { from: 'end' })
    expect((await consumer.poll({ timeoutMs: 50 })).records.size).toBe(0)
    await producer.send('t/1', 'y')
    expect((await consumer.poll({ timeoutMs: 10_000 })).records.get('t/1')).toEqual([[1, 'y']])
  })

  it('two topics -> both are read, also while one of them is busy', async () => {
    const { client, shared } = await world()
    await client.admin.createTopic({ name: 'u', partitions: 1 })
    const producer = new RecordedProducer(shared)
    await producer.send(
      't/0',
      Array.from({ length: 50 }, (_, i) => `t${i}`),
    )
    await producer.send('u/0', 'u0')
    const consumer = new RecordedConsumer(shared)
    await consumer.assign(['t/0', 'u/0'])
    let polls = 0
    for (; !consumer.positions.has('u/0') && polls < 20; polls++) await consumer.poll({ recordsMax: 1 })
    expect(polls).toBeLessThan(20)
  })

  it('a definite error -> fail, after the whole time of the poll, under the same process', async () => {
    const { clock, recorder, shared } = await world()
    const consumer = new RecordedConsumer(shared)
    await consumer.assign(['t/7'])
    const startMs = clock.monotonicMs()
    const { type, error } = await consumer.poll({ timeoutMs: 300 })
    expect([type, error?.code]).toEqual(['fail', 'UNKNOWN_TOPIC_OR_PARTITION'])
    expect(clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(300)
    expect(recorder.events.at(-1)).toMatchObject({ type: 'fail', error: 'UNKNOWN_TOPIC_OR_PARTITION' })
    expect(consumer.process).toBe(0)
  })

  it('a topic that fails beside one with records -> the records come, and the error while there are none', async () => {
    const { shared } = await world()
    const producer = new RecordedProducer(shared)
    await producer.send('t/0', 'a')
    const consumer = new RecordedConsumer(shared)
    await consumer.assign(['t/0', 'missing/0'])
    expect((await consumer.poll()).records.get('t/0')).toEqual([[0, 'a']])
    let type = 'ok'
    while (type === 'ok') type = (await consumer.poll({ timeoutMs: 1_000 })).type
    expect(type).toBe('fail')
    await producer.send('t/0', 'b')
    expect((await consumer.poll({ timeoutMs: 10_000 })).records.get('t/0')).toEqual([[1, 'b']])
  })

  it('an indefinite error -> info; the next process assigns the keys again and goes on where it was', async () => {
    const { recorder, shared } = await world()
    const producer = new RecordedProducer(shared)
    await producer.send('t/0', 'a')
    const broken = { isOn: false }
    const consumer = new RecordedConsumer({
      ...shared,
      codec: {
        encode: (value) => value,
        decode: (bytes) => {
          if (broken.isOn) throw new TypeError('no such value')
          return new TextDecoder().decode(bytes)
        },
      },
    })
    await consumer.assign(['t/0'])
    await consumer.poll()
    await producer.send('t/0', 'b')
    broken.isOn = true
    const { type, error } = await consumer.poll()
    expect([type, error?.code]).toEqual(['info', 'UNKNOWN_SERVER_ERROR'])
    broken.isOn = false
    expect((await consumer.poll()).records.get('t/0')).toEqual([[1, 'b']])
    expect(told(recorder.events.slice(-4, -2))).toEqual([
      [2, 'invoke', { f: 'assign', keys: ['t/0'] }],
      [2, 'ok', { f: 'assign', keys: ['t/0'] }],
    ])
  })

  it('a closed client -> every poll fails after its time, so that a loop does not spin', async () => {
    const { client, clock, shared } = await world()
    const consumer = new RecordedConsumer(shared)
    await consumer.assign(['t/0'])
    await client.close()
    const startMs = clock.monotonicMs()
    for (let i = 0; i < 2; i++) {
      const { type, error } = await consumer.poll({ timeoutMs: 30 })
      expect([type, error?.code]).toEqual(['fail', 'CLOSED'])
    }
    expect(clock.monotonicMs() - startMs).toBeGreaterThanOrEqual(60)
  })
})

describe('finalPhase', () => {
  it('JEP-2: two readers -> both read everything from the beginning, up to the largest offset', async () => {
    const { recorder, shared } = await world()
    const producer = new RecordedProducer(shared)
    for (let i = 0; i < 10; i++) await producer.send(`t/${i % 2}`, `v${i}`)
    const consumers = [new RecordedConsumer(shared), new RecordedConsumer(shared)]
    const results = await finalPhase({ ...shared, consumers })
    expect(results.map(({ isComplete }) => isComplete)).toEqual([true, true])
    for (const { positions } of consumers) {
      expect([positions.get('t/0'), positions.get('t/1')]).toEqual([5, 5])
    }
    const phase = recorder.events.findIndex(({ operation }) => operation.f === 'final-phase')
    const after = recorder.events.slice(phase + 2).map(({ operation }) => operation)
    expect(after.filter(({ f }) => f === 'assign')).toHaveLength(4)
    expect(after.find(({ f }) => f === 'assign')).toEqual({
      f: 'assign',
      keys: ['t/0', 't/1'],
      seekToBeginning: true,
    })
  })

  it('JEP-2: an end beyond what the history shows -> read up to there', async () => {
    const { client, recorder, shared } = await world()
    await new RecordedProducer(shared).send('t/0', 'a')
    const producer = client.producer()
    await producer.send({ topic: 't', partition: 0, value: 'not in the history' })
    const consumer = new RecordedConsumer(shared)
    const common = { ...shared, consumers: [consumer], keys: ['t/0', 't/1'] } as const
    const [drained] = await finalPhase({ ...common, ends: new Map([['t/0', 2]]) })
    expect(drained).toEqual({ isComplete: true, behind: new Map() })
    expect(consumer.positions).toEqual(new Map([['t/0', 2]]))
    expect(JSON.stringify(recorder.events)).toContain('not in the history')
    const [beyond] = await finalPhase({ ...common, ends: new Map([['t/0', 3]]), timeoutMs: 300, pollMs: 100 })
    expect(beyond!.behind).toEqual(new Map([['t/0', { position: 2, largestOffset: 2 }]]))
  })

  it('JEP-2: a record that nobody can read -> starts anew, gives up at the deadline and says what is behind', async () => {
    const { clock, recorder, shared } = await world()
    await new RecordedProducer(shared).send('t/0', 'a')
    recorder.record({
      process: recorder.newProcess(),
      timeMs: clock.monotonicMs(),
      operation: { f: 'send', steps: [['send', 't/0', 'lost', 7]] },
    })
    const consumer = new RecordedConsumer(shared)
    const result = await drain(consumer, { ...shared, timeoutMs: 250, restartMs: 100, pollMs: 40 })
    expect(result).toEqual({
      isComplete: false,
      behind: new Map([['t/0', { position: 1, largestOffset: 7 }]]),
    })
    const crashes = recorder.events.filter(
      ({ operation, type }) => operation.f === 'crash' && type === 'info',
    )
    expect(crashes).toHaveLength(3)
  })
})
