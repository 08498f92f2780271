// Scenarios of whole nodes whose disks misbehave. Time is virtual: the same in every run.
import { describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/client.ts'
import type { Producer } from '../../src/client/producer.ts'
import type { Receipt } from '../../src/client/records.ts'
import { HEALTHY_DISK } from '../../src/testing/simulation/simulated-disk.ts'
import type { SimulatedNode } from '../../src/testing/simulation/simulated-node.ts'
import { VirtualCluster } from './virtual-cluster.ts'

const TOPIC = 't'

interface Running {
  readonly virtual: VirtualCluster
  readonly client: Client
  readonly producer: Producer
  /** Waits, while virtual time goes on. */
  readonly wait: <T>(work: Promise<T>, limitMs?: number) => Promise<T>
}

async function running(options: {
  readonly seed: number
  readonly nodes: number
  readonly settings?: Readonly<Record<string, number>>
  readonly minIsr?: number
  readonly partitions?: number
  readonly onTrace?: (line: string) => void
}): Promise<Running> {
  const virtual = new VirtualCluster(options)
  for (const node of virtual.cluster.nodes) node.start()
  await virtual.untilAllReady()
  const wait = async <T>(work: Promise<T>, limitMs = 60_000): Promise<T> => {
    let isSettled = false
    const settle = (): void => {
      isSettled = true
    }
    work.then(settle, settle)
    await virtual.until(() => isSettled, limitMs)
    return work
  }
  const { client } = virtual.cluster.client()
  const { minIsr = Math.min(2, options.nodes), partitions = 1 } = options
  await wait(
    client.admin.createTopic({
      name: TOPIC,
      partitions,
      replicationFactor: options.nodes,
      configs: { 'min.insync.replicas': String(minIsr) },
    }),
  )
  const producer = client.producer({ deliveryTimeoutMs: 60_000 })
  return { virtual, client, producer, wait }
}

function send({ producer }: Running, value: string): Promise<Receipt> {
  return producer.send({ topic: TOPIC, value })
}

/** The values from the beginning on, as many as asked for. */
async function read({ client, wait }: Running, count: number): Promise<string[]> {
  const consumer = client.consumer({ topic: TOPIC, from: 'beginning' })
  const values: string[] = []
  const reading = (async () => {
    for await (const { value } of consumer) {
      values.push(new TextDecoder().decode(value!))
      if (values.length === count) break
    }
  })()
  await wait(reading)
  await wait(consumer.close())
  return values
}

function leaderOf({ virtual }: Running): SimulatedNode {
  return virtual.cluster.nodes.find(({ server }) =>
    [...server!.broker!.registry.hosted].some(({ leader }) => leader !== null),
  )!
}

async function passes({ virtual }: Running, ms: number): Promise<void> {
  await virtual.kernel.run({ untilMs: virtual.kernel.nowMs + ms })
}

/** Something else fills the disk to 97 %. */
async function fill(cluster: Running, { disk: { fileSystem } }: SimulatedNode): Promise<void> {
  const { wait } = cluster
  const ballast = await wait(fileSystem.open('/ballast', 'create'))
  for (let mib = 0; mib < 4; mib++) await wait(ballast.write([new Uint8Array(2 ** 20)], mib * 2 ** 20))
  await wait(ballast.close())
  const { totalBytes, availableBytes } = await wait(fileSystem.space('/data'))
  fileSystem.capacityBytes = Math.ceil((totalBytes - availableBytes) / 0.97)
  await passes(cluster, 1_500)
}

function ignored(work: Promise<unknown>): void {
  work.catch(() => {})
}

describe('a full disk', () => {
  it('STO-16: above the limit -> produces wait, reads and elections go on; with room it goes on without a restart', async () => {
    const cluster = await running({ seed: 1, nodes: 3 })
    const { virtual, wait } = cluster
    await wait(send(cluster, 'a'))
    const leader = leaderOf(cluster)
    await fill(cluster, leader)
    expect(leader.server!.directory.readOnlyReason).toMatch(/96 % full/)
    let isSent = false
    const sending = send(cluster, 'b').then(() => {
      isSent = true
    })
    await passes(cluster, 5_000)
    expect(isSent).toBe(false)
    expect(await read(cluster, 1)).toEqual(['a'])
    expect(virtual.cluster.nodes.every((node) => node.isReady)).toBe(true)
    leader.disk.fileSystem.capacityBytes = null
    await wait(sending)
    expect(await read(cluster, 2)).toEqual(['a', 'b'])
    expect(virtual.failures).toEqual([])
    expect(virtual.logged.filter((line) => !line.includes('disk-full'))).toEqual([])
  })

  it('STO-16: the limit is raised by a setting -> records are taken at the next look, without a restart', async () => {
    const cluster = await running({ seed: 4, nodes: 3 })
    const { virtual, client, wait } = cluster
    await wait(send(cluster, 'a'))
    const leader = leaderOf(cluster)
    await fill(cluster, leader)
    expect(leader.server!.directory.readOnlyReason).toMatch(/9[67] % full/)
    const sending = send(cluster, 'b')
    const set = { 'log.disk.usage.max.percent': '99' }
    await wait(client.admin.brokers.alterConfigs({ broker: leader.id, set }))
    await wait(sending, 10_000)
    expect(leader.server!.directory.readOnlyReason).toBe(null)
    expect(virtual.failures).toEqual([])
  })

  it('STO-16: a follower above the limit -> leaves the in-sync set, the others acknowledge, and it comes back', async () => {
    const cluster = await running({ seed: 2, nodes: 3, settings: { 'replica.lag.time.max.ms': 2_000 } })
    const { virtual, wait } = cluster
    await wait(send(cluster, 'a'))
    const leader = leaderOf(cluster)
    const follower = virtual.cluster.nodes.find((node) => node !== leader)!
    const isInSync = (): boolean => {
      for (const { leader: role } of leader.server!.broker!.registry.hosted)
        if (role !== null) return role.options.core.isr.isr.includes(follower.id)
      return false
    }
    await fill(cluster, follower)
    await wait(send(cluster, 'b'))
    expect(isInSync()).toBe(false)
    follower.disk.fileSystem.capacityBytes = null
    await virtual.until(isInSync)
    expect(virtual.failures).toEqual([])
  })

  it('STO-16: no node has any room, controllers included -> nothing ends, nothing is lost, and all goes on with room', async () => {
    for (const nodes of [1, 3]) {
      const cluster = await running({ seed: 3, nodes })
      const { virtual, client, producer, wait } = cluster
      await wait(send(cluster, 'a'))
      for (const { disk } of virtual.cluster.nodes) disk.faults = { ...HEALTHY_DISK, full: true }
      let answered = 0
      const count = (): void => void answered++
      ignored(producer.send({ topic: TOPIC, value: 'b' }).then(count))
      ignored(client.admin.createTopic({ name: 'other', timeoutMs: 90_000 }).then(count, count))
      await passes(cluster, 20_000)
      expect(answered).toBe(0)
      expect(virtual.failures).toEqual([])
      expect(await read(cluster, 1)).toEqual(['a'])
      for (const { disk } of virtual.cluster.nodes) disk.faults = HEALTHY_DISK
      await virtual.until(() => answered === 2)
      await virtual.untilAllReady()
      expect(await read(cluster, 2)).toEqual(['a', 'b'])
      expect(virtual.failures).toEqual([])
    }
  })
})

describe('a slow disk', () => {
  it('STO-18: the fsyncs of a leader take minutes -> its session lasts, reads are answered, the others are not slower', async () => {
    const cluster = await running({ seed: 4, nodes: 3, minIsr: 1 })
    const { virtual, wait } = cluster
    await wait(send(cluster, 'a'))
    const leader = leaderOf(cluster)
    // How long each takes is drawn; this much longer than a run, whatever the draw.
    leader.disk.faults = { ...HEALTHY_DISK, slowness: 10_000_000 }
    let isSent = false
    const sending = send(cluster, 'b').then(() => {
      isSent = true
    })
    const epoch = leader.server!.broker!.brokerEpoch
    await passes(cluster, 4_000)
    expect(isSent).toBe(false)
    // From memory: the disk does not answer reads either.
    const startMs = virtual.kernel.nowMs
    expect(await read(cluster, 1)).toEqual(['a'])
    expect(virtual.kernel.nowMs - startMs).toBeLessThan(2_000)
    expect(leader.isReady).toBe(true)
    expect(leader.server!.broker!.brokerEpoch).toBe(epoch)
    leader.disk.faults = HEALTHY_DISK
    leader.kill()
    leader.start()
    await wait(sending, 120_000)
    await virtual.untilAllReady()
    expect(virtual.failures).toEqual([])
  })
})

describe('many partitions', () => {
  it('STO-26: a start with 1,100 logs -> says how far it is, is ready only when all are open, and stops and starts anew in between', async () => {
    const lines: string[] = []
    const onTrace = (line: string): void => {
      if (line.includes('logs-opened') || line.includes('broker-unfenced')) lines.push(line)
    }
    const cluster = await running({ seed: 5, nodes: 1, partitions: 1_100, onTrace })
    const { virtual, wait } = cluster
    await wait(send(cluster, 'a'))
    const [node] = virtual.cluster.nodes
    node!.kill()
    node!.start()
    await virtual.until(() => [...(node!.server?.broker?.registry.hosted ?? [])].length > 100)
    expect(node!.isReady).toBe(false)
    node!.losePower()
    lines.length = 0
    node!.start()
    await virtual.untilAllReady()
    expect(lines.map((line) => / (logs-opened opened=\d+|broker-unfenced)/.exec(line)![1])).toEqual([
      'logs-opened opened=1000',
      'logs-opened opened=1100',
      'broker-unfenced',
    ])
    expect(await read(cluster, 1)).toEqual(['a'])
    expect(virtual.failures).toEqual([])
  })
})
