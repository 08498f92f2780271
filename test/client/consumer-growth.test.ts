// A topic gets more partitions while it is read.
import { describe, expect, it } from 'vitest'
import { deferred } from '../../src/base/async/deferred.ts'
import type { ConsumerOptions } from '../../src/client/consumer-options.ts'
import { VltavaError } from '../../src/model/errors.ts'
import { FakePartition, type FakeTopic } from './fake-cluster.ts'
import { expectCleanClose, watch } from './harness.ts'
import { append, Reading, withTopic } from './reading.ts'

/** As an operator adds it; the records are there before any client hears of it. */
function addPartition(topic: FakeTopic, values: readonly string[], leader = 1): FakePartition {
  const partition = new FakePartition(leader)
  append(partition, values)
  topic.partitions.push(partition)
  return partition
}

type Begun = Awaited<ReturnType<typeof begin>>

async function begin(options: Partial<ConsumerOptions> = {}) {
  const harness = await withTopic([1, 1])
  for (const partition of harness.topic.partitions) append(partition, ['old'])
  const consumer = harness.client.consumer({ topic: 'orders', ...options })
  const reading = new Reading(consumer)
  await harness.clock.rest()
  return { ...harness, consumer, reading }
}

/** Brokers tell of the newest partition. */
function hint({ cluster, topic }: Pick<Begun, 'cluster' | 'topic'>): void {
  cluster.hintAll(topic, [topic.partitions.length - 1])
}

describe('a topic gets more partitions while it is read', () => {
  it.each<[string, ConsumerOptions['from'], readonly string[]]>([
    ['the end', 'end', []],
    ['the beginning', 'beginning', ['old', 'old']],
    ['a time that has not come', { timestampMs: 9_000 }, []],
    ['the last one', { last: 1 }, ['old', 'old']],
  ])(
    'from %s: a broker tells of it -> the new one is read from its beginning',
    async (_name, from, before) => {
      const all = await begin({ from })
      const { clock, topic, reading, consumer } = all
      expect(reading.values).toEqual(before)
      const added = addPartition(topic, ['first', 'second'])
      hint(all)
      await clock.run(200)
      append(added, ['third'])
      append(topic.partitions[0]!, ['new'])
      await clock.run(600)
      expect(reading.values.filter((value) => value !== 'new')).toEqual([
        ...before,
        'first',
        'second',
        'third',
      ])
      expect(reading.values).toContain('new')
      expect(await consumer.positions()).toEqual(
        new Map([0, 1, 2].map((i) => [i, i === 2 ? 3 : i === 0 ? 2 : 1])),
      )
      expect(consumer.health().partitions.map(({ partition }) => partition)).toEqual([0, 1, 2])
      await expectCleanClose(all)
    },
  )

  it('nobody tells -> it is read once metadata is old enough to be asked for again', async () => {
    const all = await begin({ from: 'end' })
    addPartition(all.topic, ['unheard'])
    await all.clock.run(290_000)
    expect(all.reading.values).toEqual([])
    await all.clock.run(12_000)
    expect(all.reading.values).toEqual(['unheard'])
    await expectCleanClose(all)
  })

  it('nobody tells, but the ends were asked for -> it is among them, and read at once', async () => {
    const all = await begin({ from: 'end' })
    addPartition(all.topic, ['unheard'])
    const ends = watch(all.consumer.endOffsets())
    await all.clock.run(1_000)
    expect(ends.value).toEqual(new Map([0, 1, 2].map((i) => [i, 1])))
    expect(all.reading.values).toEqual(['unheard'])
    await expectCleanClose(all)
  })

  it('a broker tells of it while an older answer is on its way -> asked again at once', async () => {
    const all = await begin({ from: 'end' })
    const { clock, cluster, client, topic, reading } = all
    cluster.addTopic('other', [1])
    const held = deferred<void>()
    for (const broker of cluster.brokers.values()) {
      broker.onMetadata = (call) => {
        const answer = cluster.metadata(call)
        return held.promise.then(() => answer)
      }
    }
    // Its first use asks for metadata of all topics that are used.
    client
      .consumer({ topic: 'other' })
      .ready()
      .catch(() => {})
    await clock.rest()
    for (const broker of cluster.brokers.values()) broker.onMetadata = () => undefined
    addPartition(topic, ['new'])
    hint(all)
    await clock.rest()
    held.resolve()
    await clock.run(1_000)
    expect(reading.values).toEqual(['new'])
    await expectCleanClose(all)
  })

  it('everything is paused, and nobody tells -> it is asked for when reading goes on', async () => {
    const all = await begin({ from: 'end' })
    const { clock, topic, reading, consumer } = all
    consumer.pause()
    addPartition(topic, ['while paused'])
    await clock.run(900_000)
    expect(consumer.health().partitions).toHaveLength(2)
    consumer.resume()
    await clock.run(1_000)
    expect(reading.values).toEqual(['while paused'])
    await expectCleanClose(all)
  })

  it('whoever asks while it comes -> never gets a position that nobody can begin at', async () => {
    const all = await begin({ from: 'end' })
    const { clock, topic, consumer } = all
    const answers: Promise<readonly number[]>[] = []
    const ask = (): void => {
      answers.push(
        consumer.positions().then((positions) => [...positions.values()]),
        consumer.checkpoint().then((places) => [...places.values()].map(({ offset }) => offset)),
      )
    }
    // The consumer reads the clock in each of its turns, also in the one in which it takes the partition up.
    const read = clock.monotonicMs.bind(clock)
    let isAsking = false
    clock.monotonicMs = () => {
      if (!isAsking) {
        isAsking = true
        ask()
        isAsking = false
      }
      return read()
    }
    addPartition(topic, ['new'])
    hint(all)
    await clock.run(1_000)
    clock.monotonicMs = read
    expect((await consumer.positions()).size).toBe(3)
    expect(new Set((await Promise.all(answers)).flat())).toEqual(new Set([0, 1]))
    await expectCleanClose(all)
  })

  it('its leader was not read from, and does not know of it yet -> asked until it does', async () => {
    const all = await begin({ from: 'end' })
    const { clock, cluster, topic, reading, consumer } = all
    const leader = cluster.broker(2)
    leader.onListOffsets = () => {
      throw new VltavaError('NOT_LEADER_OR_FOLLOWER')
    }
    addPartition(topic, ['first'], leader.id)
    hint(all)
    await clock.run(3_000)
    expect(reading.values).toEqual([])
    expect(consumer.health().partitions[2]).toMatchObject({ position: null, hasFailed: false })
    const positions = watch(consumer.positions())
    await clock.rest()
    expect(positions.state).toBe('pending')
    leader.onListOffsets = () => undefined
    await clock.run(2_000)
    expect(reading.values).toEqual(['first'])
    expect(positions.value.get(2)).toBe(0)
    expect(consumer.health().partitions[2]).toMatchObject({ position: 1, lagRecords: 0, brokerId: leader.id })
    await expectCleanClose(all)
  })

  it('its first records were removed meanwhile -> read from what is left', async () => {
    const all = await begin({ from: 'end' })
    const added = addPartition(all.topic, ['removed'])
    append(added, ['left'])
    added.logStartOffset = 1
    hint(all)
    await all.clock.run(1_000)
    expect(all.reading.values).toEqual(['left'])
    await expectCleanClose(all)
  })

  it('one more after the other, in several answers -> each once', async () => {
    const all = await begin({ from: 'end' })
    for (let i = 0; i < 5; i++) {
      addPartition(all.topic, [`a${i}`])
      addPartition(all.topic, [`b${i}`])
      hint(all)
      await all.clock.run(i * 30)
    }
    await all.clock.run(2_000)
    expect(all.reading.values.toSorted()).toEqual(
      [0, 1, 2, 3, 4].flatMap((i) => [`a${i}`, `b${i}`]).toSorted(),
    )
    await expectCleanClose(all)
  })

  it('the topic was made again with more partitions -> the consumer ends once it hears of that, as with as many', async () => {
    const all = await begin({ from: 'end' })
    addPartition(all.topic, ['of another topic'])
    all.topic.id = `${all.topic.id.slice(0, -1)}x`
    all.cluster.metadataOffset++
    await all.clock.run(302_000)
    expect(all.reading.values).toEqual([])
    expect(all.reading.error?.code).toBe('UNKNOWN_TOPIC_OR_PARTITION')
    await expectCleanClose(all)
  })

  it.each<[string, Partial<ConsumerOptions>]>([
    ['partitions are chosen', { partitions: [0, 1] }],
    ['from names partitions', { from: { 0: 'beginning', 1: 'beginning' } }],
  ])('%s -> the new one is not read', async (_name, options) => {
    const all = await begin({ from: 'beginning', ...options })
    addPartition(all.topic, ['not asked for'])
    hint(all)
    await all.clock.run(1_000)
    expect(all.reading.values).toEqual(['old', 'old'])
    expect(all.consumer.health().partitions).toHaveLength(2)
    await expectCleanClose(all)
  })

  it('all is paused -> the new one too, until all is resumed; one alone is paused -> the new one is read', async () => {
    const all = await begin({ from: 'end' })
    const { clock, topic, reading, consumer } = all
    consumer.pause()
    addPartition(topic, ['while paused'])
    hint(all)
    await clock.run(1_000)
    expect(reading.values).toEqual([])
    expect(consumer.health().partitions.map(({ isPaused }) => isPaused)).toEqual([true, true, true])
    consumer.resume()
    await clock.run(1_000)
    expect(reading.values).toEqual(['while paused'])
    consumer.pause([0])
    addPartition(topic, ['beside a paused one'])
    hint(all)
    await clock.run(1_000)
    expect(reading.values).toEqual(['while paused', 'beside a paused one'])
    await expectCleanClose(all)
  })

  it('it is paused before anything is known, without an argument -> so are those that come later', async () => {
    const harness = await withTopic([1])
    const consumer = harness.client.consumer({ topic: 'orders', from: 'beginning' })
    consumer.pause()
    const reading = new Reading(consumer)
    await harness.clock.rest()
    addPartition(harness.topic, ['later'])
    hint(harness)
    await harness.clock.run(1_000)
    expect(consumer.health().partitions.map(({ isPaused }) => isPaused)).toEqual([true, true])
    expect(reading.values).toEqual([])
    await expectCleanClose(harness)
  })
})
