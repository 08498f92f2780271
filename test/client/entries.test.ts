// The entries over real sockets: that they bind the right pieces. What the client does is tested in memory.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'
import { silentLog } from '../../src/base/log.ts'
import { createClient as createBrowserClient } from '../../src/client/browser.ts'
import { createClient } from '../../src/client/node.ts'
import { createClient as createPackageClient, VltavaError } from '../../src/index.ts'
import { WsListenerFactory } from '../../src/net/node/ws-listener.ts'
import { createNodeClock } from '../../src/platform/node/node-clock.ts'
import { RecordingLog } from '../../src/testing/recording-log.ts'
import { FakeCluster } from './fake-cluster.ts'
import { numbers } from './harness.ts'

describe('entries', () => {
  let cluster: FakeCluster

  beforeEach(async () => {
    const clock = createNodeClock()
    const network = new WsListenerFactory({ clock, log: silentLog })
    cluster = new FakeCluster({ clock, network, host: '127.0.0.1' })
    await cluster.start(2)
    // Node 20 has no WebSocket of its own; the one of ws has the browser's interface.
    vi.stubGlobal('WebSocket', WebSocket)
  })

  afterEach(async () => {
    vi.unstubAllGlobals()
    await Promise.all([...cluster.brokers.values()].map((broker) => broker.stop()))
  })

  it.each([
    ['node', createClient],
    ['browser', createBrowserClient],
    ['the package', createPackageClient],
  ])('%s: creates a topic, sends, reads back and closes', async (_name, create) => {
    const log = new RecordingLog()
    const client = create({ bootstrap: cluster.bootstrap[0]!, log })
    await client.admin.createTopic({ name: 'orders', partitions: 2 })
    const producer = client.producer()
    const receipts = await Promise.all(
      numbers(0, 20).map((value) => producer.send({ topic: 'orders', value, partition: Number(value) % 2 })),
    )
    expect(receipts.map(({ offset }) => offset)).toEqual(receipts.map((_, i) => Math.floor(i / 2)))
    const read: string[] = []
    for await (const { value } of client.consumer({ topic: 'orders', from: 'beginning' })) {
      read.push(new TextDecoder().decode(value!))
      if (read.length === 20) break
    }
    expect(read.toSorted((a, b) => Number(a) - Number(b))).toEqual(numbers(0, 20))
    await client.close()
    expect(log.named('connected').length).toBe(2)
    expect(() => client.producer()).toThrowError(VltavaError)
  })

  it('nobody there: BOOTSTRAP_UNREACHABLE says what the system said', async () => {
    const client = createClient({ bootstrap: '127.0.0.1:1', bootstrapTimeoutMs: 100 })
    await expect(client.admin.describeCluster()).rejects.toMatchObject({
      code: 'BOOTSTRAP_UNREACHABLE',
      message: expect.stringContaining('ws://127.0.0.1:1'),
    })
    await client.close()
  })
})
