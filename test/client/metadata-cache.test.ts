import { describe, expect, it } from 'vitest'
import { VltavaError } from '../../src/model/errors.ts'
import type { RequestOf } from '../../src/protocol/api.ts'
import { clusterMetadata } from '../../src/protocol/cluster-metadata.ts'
import { expectCleanClose, type Harness, makeHarness, numbers, sendAll, watch } from './harness.ts'

function questions(harness: Harness): readonly (readonly string[] | null)[] {
  return harness.cluster.calls
    .filter(({ api }) => api === clusterMetadata.name)
    .map(({ body }) => (body as RequestOf<typeof clusterMetadata>).topics)
}

describe('metadata cache', () => {
  it('many records of many topics at once: few questions, which name all of them', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    for (const name of numbers(0, 50)) cluster.addTopic(`t${name}`, [1])
    const sent = sendAll(
      client.producer(),
      numbers(0, 50).flatMap((name) => [
        { topic: `t${name}`, value: 'a' },
        { topic: `t${name}`, value: 'b' },
      ]),
    )
    await clock.rest()
    expect(sent.every(({ state }) => state === 'done')).toBe(true)
    expect(questions(harness).length).toBeLessThanOrEqual(2)
    expect(new Set(questions(harness).at(-1)).size).toBe(50)
    await expectCleanClose(harness)
  })

  it('more topics than one question may name: all are asked for', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    for (const name of numbers(0, 1_001)) cluster.addTopic(`t${name}`, [1])
    const sent = sendAll(
      client.producer(),
      numbers(0, 1_001).map((name) => ({ topic: `t${name}`, value: 'a' })),
    )
    await clock.run(1_000)
    expect(sent.every(({ state }) => state === 'done')).toBe(true)
    expect(questions(harness)).toContain(null)
    await expectCleanClose(harness)
  })

  it('a topic that is asked for while a question is under way: another question follows', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    cluster.addTopic('a', [1])
    cluster.addTopic('b', [1])
    const producer = client.producer()
    const first = watch(producer.send({ topic: 'a', value: '' }))
    await Promise.resolve()
    const second = watch(producer.send({ topic: 'b', value: '' }))
    await clock.rest()
    expect([first.state, second.state, questions(harness)]).toEqual(['done', 'done', [['a'], ['a', 'b']]])
    await expectCleanClose(harness)
  })

  it('metadata in use: asked for again after metadataMaxAgeMs, and not before', async () => {
    const harness = await makeHarness({ settings: { metadataMaxAgeMs: 10_000 } })
    const { clock, cluster, client } = harness
    cluster.addTopic('orders', [1])
    const producer = client.producer()
    const send = async (): Promise<number> => {
      watch(producer.send({ topic: 'orders', value: '' }))
      await clock.rest()
      return questions(harness).length
    }
    expect(await send()).toBe(1)
    await clock.run(9_000)
    expect(await send()).toBe(1)
    await clock.run(2_000)
    expect([await send(), await send()]).toEqual([2, 2])
    await expectCleanClose(harness)
  })

  it('partitions that find no leader: the questions for all of them grow rare', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    cluster.addTopic('orders', Array(20).fill(null))
    sendAll(
      client.producer(),
      numbers(0, 20).map((partition) => ({ topic: 'orders', partition: Number(partition), value: '' })),
    )
    await clock.run(10_000)
    // Each of the 20 partitions would ask every half to whole second.
    expect(questions(harness).length).toBeLessThan(25)
    await expectCleanClose(harness)
  })

  it('a broker that answers with an error, one that hangs: the others are asked', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    cluster.addTopic('orders', [1])
    cluster.broker(1).onMetadata = () => {
      throw new VltavaError('BROKER_FENCED')
    }
    cluster.broker(2).onMetadata = () => new Promise(() => {})
    const sent = watch(client.producer().send({ topic: 'orders', value: '' }))
    await clock.run(6_000)
    expect(sent.state).toBe('done')
    await expectCleanClose(harness)
  })

  it('a topic that nobody uses any more: not asked for', async () => {
    const harness = await makeHarness()
    const { clock, cluster, client } = harness
    cluster.addTopic('a', [1])
    cluster.addTopic('b', [1])
    const producer = client.producer()
    watch(producer.send({ topic: 'a', value: '' }))
    await clock.rest()
    watch(producer.close())
    await clock.rest()
    watch(client.producer().send({ topic: 'b', value: '' }))
    await clock.run(1_000)
    expect(questions(harness).at(-1)).toEqual(['b'])
    await expectCleanClose(harness)
  })
})
