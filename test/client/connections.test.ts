import { describe, expect, it } from 'vitest'
import { silentLog } from '../../src/base/log.ts'
import { seededRandom } from '../../src/base/random.ts'
import { resolveClientSettings } from '../../src/client/client-options.ts'
import { Connections } from '../../src/client/connections.ts'
import { MemoryNetwork } from '../../src/net/memory-transport.ts'
import type { Transport } from '../../src/net/transport.ts'
import { createNodeCpu } from '../../src/platform/node/node-cpu.ts'
import { FakeCluster } from './fake-cluster.ts'
import { watch } from './harness.ts'
import { TestClock } from './test-clock.ts'

async function setUp(brokers = 2) {
  const clock = new TestClock()
  const network = new MemoryNetwork(clock)
  const cluster = new FakeCluster({ clock, network })
  await cluster.start(brokers)
  const dials: [url: string, atMs: number][] = []
  const transport: Transport = {
    connect: (url, options) => {
      dials.push([url, clock.monotonicMs()])
      return network.connect(url, options)
    },
  }
  const hints: unknown[] = []
  const connections = new Connections({
    environment: { clock, random: seededRandom(1), log: silentLog, cpu: createNodeCpu(null), transport },
    settings: resolveClientSettings({}),
    software: 'test',
    clusterId: () => null,
    onHint: (hint) => hints.push(hint),
  })
  return { clock, network, cluster, connections, dials, hints }
}

describe('connections', () => {
  it('dial: one connection for all who ask, also under the broker it turned out to be', async () => {
    const { clock, cluster, connections, dials } = await setUp()
    const bootstrap = { url: cluster.broker(1).url, brokerId: null }
    const asked = [watch(connections.dial(bootstrap)), watch(connections.dial(bootstrap))]
    await clock.rest()
    expect(asked[0]!.value).toBe(asked[1]!.value)
    const known = { url: 'ws://broker-1.example:9092', brokerId: 1 }
    expect(connections.openTo(known)).toBe(asked[0]!.value)
    const again = watch(connections.dial(known))
    await clock.rest()
    expect([again.value === asked[0]!.value, dials.length]).toEqual([true, 1])
    expect(connections.openTo({ url: cluster.broker(2).url, brokerId: 2 })).toBeNull()
  })

  it('dial: another node than expected -> CONNECTION_FAILED that names both', async () => {
    const { clock, cluster, connections } = await setUp()
    const wrong = { url: cluster.broker(1).url, brokerId: 7 }
    for (let i = 0; i < 2; i++) {
      const asked = watch(connections.dial(wrong))
      await clock.rest()
      expect(asked.error).toMatchObject({ code: 'CONNECTION_FAILED', definite: true })
      expect(asked.error.message).toBe('ws://broker-1:9092 should be broker 7, but node 1 answered.')
    }
    expect(connections.openTo(wrong)).toBeNull()
  })

  it('dial after failures: never sooner than the back-off, however often somebody asks', async () => {
    const { clock, connections, dials } = await setUp()
    const nobody = { url: 'ws://nobody:1', brokerId: null }
    const ask = async (): Promise<void> => {
      for (;;) await connections.dial(nobody).catch(() => {})
    }
    const endless = watch(ask())
    await clock.run(10_000)
    expect([endless.state, connections.isResting(nobody)]).toEqual(['pending', true])
    const pauses = dials.slice(1).map(([, atMs], i) => atMs - dials[i]![1])
    expect(pauses[0]).toBeGreaterThanOrEqual(25)
    expect(Math.max(...pauses)).toBeLessThanOrEqual(1_000)
    expect(dials.length).toBeLessThan(25)
  })

  it('a connection that is closed as soon as it is open, in a loop: slowed down too', async () => {
    const { clock, cluster, connections, dials } = await setUp()
    const broker = cluster.broker(1)
    const ask = async (): Promise<void> => {
      for (;;) {
        const connection = await connections.dial(broker1(broker.url))
        broker.breakConnections()
        await connection.closed
      }
    }
    const endless = watch(ask())
    await clock.run(10_000)
    expect(endless.state).toBe('pending')
    expect(dials.length).toBeLessThan(25)
  })

  it('a connection that lasted: dialled again at once', async () => {
    const { clock, cluster, connections } = await setUp()
    const broker = cluster.broker(1)
    for (let i = 0; i < 3; i++) {
      const asked = watch(connections.dial(broker1(broker.url)))
      await clock.rest()
      expect(asked.state).toBe('done')
      await clock.run(1_000)
      broker.breakConnections()
      await clock.rest()
      expect(connections.openTo(broker1(broker.url))).toBeNull()
    }
  })

  it('hints: passed on from every connection', async () => {
    const { clock, cluster, connections, hints } = await setUp()
    const topic = cluster.addTopic('orders', [1])
    watch(connections.dial(broker1(cluster.broker(1).url)))
    await clock.rest()
    cluster.broker(1).hint(topic, [0], 44)
    await clock.rest()
    expect(hints).toEqual([
      { metadataOffset: 44, partitions: [{ topicId: topic.id, partition: 0, leader: 1, leaderEpoch: 0 }] },
    ])
  })

  it('close: ends what is open, what is being dialled and what waits; later dials fail with CLOSED', async () => {
    const { clock, cluster, connections, network } = await setUp()
    await network.listen({
      host: 'silent',
      port: 1,
      onChannel: (channel) => channel.start({ onMessage() {}, onClose() {} }),
    })
    const open = watch(connections.dial(broker1(cluster.broker(1).url)))
    await clock.rest()
    const failing = watch(connections.dial({ url: 'ws://nobody:1', brokerId: null }))
    await clock.rest()
    expect(failing.state).toBe('failed')
    const waiting = [
      watch(connections.dial({ url: 'ws://nobody:1', brokerId: null })),
      watch(connections.dial({ url: 'ws://silent:1', brokerId: null })),
    ]
    await clock.rest()
    const closed = watch(connections.close())
    await clock.run(2_000)
    expect([closed.state, open.value.isOpen, ...waiting.map(({ state }) => state)]).toEqual([
      'done',
      false,
      'failed',
      'failed',
    ])
    expect([clock.pendingTimers, cluster.broker(1).connectionsCount]).toEqual([0, 0])
    const late = watch(connections.dial(broker1(cluster.broker(1).url)))
    await clock.rest()
    expect(late.error).toMatchObject({ code: 'CLOSED' })
  })
})

function broker1(url: string): { readonly url: string; readonly brokerId: number } {
  return { url, brokerId: 1 }
}
