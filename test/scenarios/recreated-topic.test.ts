// A topic is deleted and made again under the same name while one of its replicas cannot hear of it.
import { describe, expect, it } from 'vitest'
import { VltavaError } from '../../src/model/errors.ts'
import { partitionKey, type TopicId } from '../../src/model/ids.ts'
import type { SimulatedNode } from '../../src/testing/simulation/simulated-node.ts'
import { VirtualCluster } from './virtual-cluster.ts'
import { lines, VirtualTopic } from './virtual-topic.ts'

const NAME = 't'

/** What a broker answers to any request for a partition of the topic. */
function answerOf({ server }: SimulatedNode, topicId: TopicId): string {
  try {
    server!.broker!.registry.require(partitionKey(topicId, 0))
    return 'served'
  } catch (thrown) {
    if (thrown instanceof VltavaError) return thrown.code
    throw thrown
  }
}

/** The topics that have a directory on the disk of a node, as it is right now. */
const topicsOnDisk = ({ disk }: SimulatedNode): readonly string[] => disk.fileSystem.peekNames('/data/topics')

const segmentOn = ({ disk }: SimulatedNode, topicId: TopicId): Uint8Array | null =>
  disk.fileSystem.peek(`/data/topics/${topicId}/0/${'0'.repeat(20)}.log`)

describe('REP-45: a topic of the same name', () => {
  it.each(['cut off', 'cut off, then killed', 'cut off, then without power'] as const)(
    'REP-45: a replica is %s meanwhile -> its old records are in no log, and the old topic id is refused',
    async (how) => {
      const settings = { 'broker.session.timeout.ms': 15_000 }
      const virtual = new VirtualCluster({ seed: 45, nodes: 3, settings })
      const { nodes } = virtual.cluster
      for (const node of nodes) node.start()
      await virtual.untilAllReady()
      const old = await VirtualTopic.create(virtual, { name: NAME })
      const stale = virtual.cluster.client({ name: 'stale' })
      await old.send(lines('old', 10), { client: stale.client })
      await old.untilFull()
      // Neither the leader nor the active controller: it must not be missed before the topic is there again.
      const isActive = ({ server }: SimulatedNode): boolean => server?.controller?.isActive === true
      const victim = nodes.find((node) => node !== old.leaders[0] && !isActive(node))!
      const others = nodes.filter((node) => node !== victim)

      virtual.network.partition([[victim.name], [...others.map(({ name }) => name), 'stale', 'other']])
      const { client } = virtual.cluster.client({ name: 'other' })
      await virtual.done(client.admin.deleteTopic(NAME))
      // It counts as alive, and so is a replica of the new topic as well.
      await virtual.done(client.admin.createTopic({ name: NAME, partitions: 1, replicationFactor: 3 }))
      const { id } = await virtual.done(client.admin.describeTopic(NAME))
      expect(id).not.toBe(old.id)
      expect(answerOf(victim, old.id)).toBe('served')
      for (const node of others) expect(answerOf(node, old.id)).toBe('UNKNOWN_TOPIC_ID')
      if (how !== 'cut off') {
        if (how === 'cut off, then killed') victim.kill()
        else victim.losePower()
        expect(topicsOnDisk(victim)).toEqual([old.id])
        virtual.network.heal()
        victim.start()
      } else {
        virtual.network.heal()
      }
      // A client that remembers the old topic writes to the new one.
      const topic = await VirtualTopic.find(virtual, NAME)
      const sent = await topic.send(['by a stale client', 'and again'], { client: stale.client })
      expect(sent.acknowledged).toEqual(['by a stale client', 'and again'])
      await topic.untilFull()

      expect(await topic.readAll()).toEqual(sent.acknowledged)
      await virtual.until(() => nodes.every((node) => !topicsOnDisk(node).includes(old.id)), 120_000)
      for (const node of nodes) {
        expect(answerOf(node, old.id)).toBe('UNKNOWN_TOPIC_ID')
        expect(segmentOn(node, id)).toEqual(segmentOn(others[0]!, id))
        expect(topic.replicaOn(node)!.log.logEndOffset).toBe(2)
      }
      expect(virtual.failures).toEqual([])
    },
  )
})
