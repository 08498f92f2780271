import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import type { ClusterImage } from '../../src/metadata/cluster-image.ts'
import type { NodeId } from '../../src/model/ids.ts'
import { createTopic } from '../../src/protocol/topics.ts'
import { type MemoryFileSystem, randomPowerLoss } from '../../src/storage/memory-file-system.ts'
import { ControllerCluster, runId } from './controller-cluster.ts'
import { liveBrokers, TestBroker } from './test-broker.ts'

/** Power fails at one node whenever its disk comes to the given operations, counted from its last start. */
async function withPowerCuts(
  victim: NodeId,
  operations: readonly number[],
): Promise<{ readonly cluster: ControllerCluster; readonly cuts: number }> {
  const cluster = new ControllerCluster([1, 2, 3])
  const cutAt = (operation: number | undefined) => ({
    onOperation: async ({ sequence }: { readonly sequence: number }): Promise<undefined> => {
      if (operation === undefined || sequence < operation) return
      cuts++
      await new Promise(() => {})
    },
  })
  let cuts = 0
  for (const nodeId of cluster.ids) if (nodeId !== victim) await cluster.start(nodeId)
  for (const operation of [...operations, undefined]) {
    const before = cuts
    let isUp = false
    cluster.start(victim, { fileSystem: cutAt(operation) }).then(
      () => {
        isUp = true
      },
      () => {},
    )
    // Long enough for several elections if the victim takes part in one, or stands still in the middle of it.
    for (let ms = 0; ms < 3_000 && cuts === before; ms += 50) await cluster.pass(50)
    if (operation === undefined) {
      await cluster.until('the victim runs', () => isUp)
      break
    }
    await cluster.pass(500)
    cluster.killUnfinished(victim)
    cluster.cutPower(victim)
  }
  return { cluster, cuts }
}

describe('RAFT-01: power loss of a voter at any operation of its disk', () => {
  const cases = Array.from({ length: 24 }, (_, i) => 10 + 3 * i)
  it.each(cases)(
    'at operation %i of each run -> one leader for each term, one history',
    async (operation) => {
      const { cluster, cuts } = await withPowerCuts(1, [operation, operation + 1, operation + 2])
      expect(cuts).toBeGreaterThan(0)
      await cluster.active()
      const brokers = await liveBrokers(cluster, [11, 12, 13])
      const topic = await brokers[0]!.request(createTopic, {
        name: 'after',
        partitions: 1,
        replicationFactor: 3,
        configs: [],
        observers: 0,
        timeoutMs: 5_000,
      })
      await cluster.until('all apply it', () =>
        cluster.running.every(({ node }) => node.image.metadataOffset >= topic.metadataOffset),
      )
      const leaders = new Map<unknown, Set<unknown>>()
      for (const { fields } of cluster.log.named('controller-active')) {
        const known = leaders.get(fields['term']) ?? new Set()
        leaders.set(fields['term'], known.add(fields['nodeId']))
      }
      expect([...leaders.values()].every((nodes) => nodes.size === 1)).toBe(true)
      const [first, ...others] = cluster.running.map(({ node }) => node.image)
      for (const image of others) expect(image).toEqual(first)
      expect(cluster.running.flatMap(({ process }) => process.failures)).toEqual([])
    },
  )
})

describe('RAFT-28, RAFT-38, RAFT-40: power loss of a voter while snapshots are installed and made', () => {
  const request = { partitions: 1, replicationFactor: 1, configs: [], observers: 0, timeoutMs: 5_000 }

  it.each([12, 24, 30, 36, 42, 48, 60, 75, 90, 120])(
    'at operation %i of each run -> the same state on all nodes',
    async (operation) => {
      const cluster = new ControllerCluster([1, 2, 3], {
        bytesBetweenSnapshots: 1_024,
        sessionTimeoutMs: 600_000,
      })
      await cluster.startAll()
      const { nodeId } = await cluster.active()
      const victim = cluster.ids.find((id) => id !== nodeId)!
      const [broker] = await liveBrokers(cluster, [11])
      let topics = 0
      const makeTopics = async (count: number): Promise<void> => {
        for (let i = 0; i < count; i++) {
          await broker!.request(createTopic, { ...request, name: `t${topics++}` })
        }
      }
      let cuts = 0
      for (const cutAt of [operation, operation + 1, operation + 2]) {
        cluster.cutPower(victim)
        // So many that the others drop what the victim lacks.
        await makeTopics(16)
        const onOperation = async ({ sequence }: { readonly sequence: number }): Promise<undefined> => {
          if (sequence < cutAt) return
          cuts++
          await new Promise(() => {})
        }
        const before = cuts
        cluster.start(victim, { fileSystem: { onOperation } }).catch(() => {})
        for (let ms = 0; ms < 1_500 && cuts === before; ms += 50) await cluster.pass(50)
        if (cuts === before) await makeTopics(8)
        await cluster.pass(100)
        cluster.killUnfinished(victim)
        cluster.useDisk(victim, cluster.disk(victim).afterPowerLoss())
        await cluster.start(victim)
      }
      expect(cuts).toBeGreaterThan(0)
      await makeTopics(8)
      await cluster.until('all apply all topics', () =>
        cluster.running.every(({ node }) => node.image.topics.size === topics),
      )
      const [first, ...others] = cluster.running.map(({ node }) => node.image)
      for (const image of others) expect(image).toEqual(first)
      expect(cluster.running.flatMap(({ process }) => process.failures)).toEqual([])
      expect(cluster.log.named('metadata-snapshot-installed').length).toBeGreaterThan(0)
      expect(cluster.log.named('metadata-snapshot-damaged')).toEqual([])
    },
  )
})

describe('RAFT-34: records that belong together', () => {
  const PARTITIONS = 20
  const BROKER = 11

  /** The run of the broker that is registered, and for how many partitions its log is still trusted. */
  const stateOf = (image: ClusterImage) => {
    const { partitions } = [...image.topics.values()][0]!
    const trusted = partitions.filter(({ isr, elr }) => [...isr, ...elr].includes(BROKER))
    return { run: image.brokers.get(BROKER)!.incarnationId, trusted: trusted.length }
  }

  /**
   * A broker comes back with an empty disk: one batch registers it and takes it out of all partitions. The controller ends at
   * one operation of its disk after the request has come.
   * @returns whether there was such an operation, and whether the registration is there afterwards.
   */
  async function endsAt(
    operation: number,
    ends: (disk: MemoryFileSystem) => MemoryFileSystem,
  ): Promise<{ readonly isOver: boolean; readonly isThere: boolean }> {
    const cluster = new ControllerCluster([1])
    let operations: number | null = null
    let isOver = false
    const onOperation = async (): Promise<undefined> => {
      if (operations === null || ++operations < operation) return
      isOver = true
      await new Promise(() => {})
    }
    await cluster.start(1, { fileSystem: { onOperation } })
    const [first] = await liveBrokers(cluster, [BROKER])
    const topic = {
      name: 't',
      partitions: PARTITIONS,
      replicationFactor: 1,
      configs: [],
      observers: 0,
      timeoutMs: 5_000,
    }
    await first!.request(createTopic, topic)
    first!.connection.abort()
    await cluster.until('it is fenced', () => cluster.get(1).node.image.brokers.get(BROKER)!.fenced)
    const before = stateOf(cluster.get(1).node.image)
    expect(before.trusted).toBe(PARTITIONS)

    const second = await new TestBroker(cluster, BROKER, runId('second-run')).connect()
    operations = 0
    let isRegistered = false
    second.register({ directoryId: runId('empty-disk') }).then(
      () => {
        isRegistered = true
      },
      () => {},
    )
    for (let ms = 0; ms < 500 && !isOver && !isRegistered; ms += 5) await cluster.pass(5)
    cluster.kill(1)
    cluster.useDisk(1, ends(cluster.disk(1)))
    await cluster.start(1)
    await cluster.active()
    const after = stateOf(cluster.get(1).node.image)
    const whole = { run: runId('second-run'), trusted: 0 }
    expect([before, whole], `ended at operation ${operation}`).toContainEqual(after)
    if (isRegistered) expect(after).toEqual(whole)
    return { isOver, isThere: after.trusted === 0 }
  }

  const random = seededRandom(34)
  it.each([
    ['is killed', (disk: MemoryFileSystem) => disk.afterKill()],
    ['loses its power', (disk: MemoryFileSystem) => disk.afterPowerLoss()],
    [
      'loses its power, some sectors are kept',
      (disk: MemoryFileSystem) => disk.afterPowerLoss(randomPowerLoss(random)),
    ],
  ] as const)(
    'RAFT-34: the controller %s at each of its file operations -> registered and trusted nowhere, or neither',
    async (_how, ends) => {
      const seen = new Set<boolean>()
      for (let operation = 1; ; operation++) {
        const { isOver, isThere } = await endsAt(operation, ends)
        seen.add(isThere)
        if (!isOver) break
      }
      expect(seen).toEqual(new Set([false, true]))
    },
  )
})
