// A topic gets more partitions while it is read.
import { describe, expect, it } from 'vitest'
import type { ConsumerOptions } from '../../src/client/consumer-options.ts'
import { FakePartition, type FakeTopic } from './fake-cluster.ts'
import { expectCleanClose } from './harness.ts'
import { append, Reading, withTopic } from './reading.ts'

/** As an operator adds it; the records are there before any client hears of it. */
function addPartition(topic: FakeTopic, values: readonly string[]): FakePartition {
  const partition = new FakePartition(1)
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
