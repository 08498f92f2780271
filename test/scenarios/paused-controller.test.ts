// The active controller stops for longer than anybody waits for it, and goes on as if no time had passed.
import { describe, expect, it } from 'vitest'
import type { Client } from '../../src/client/client.ts'
import type { SimulatedNode } from '../../src/testing/simulation/simulated-node.ts'
import { VirtualCluster } from './virtual-cluster.ts'

const isActive = ({ server }: SimulatedNode): boolean => server?.controller?.isActive === true
const imageOf = ({ server }: SimulatedNode) => server!.controller!.image

/** How an attempt to create a topic ended. */
async function create(client: Client, name: string): Promise<string> {
  try {
    await client.admin.createTopic({ name, partitions: 1, replicationFactor: 2, timeoutMs: 20_000 })
    return 'created'
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('RAFT-32: nothing rests on a lease', () => {
  it.each([1, 2, 3, 4])(
    'RAFT-32: the active controller is paused for several elections with requests in its sockets (seed %i) -> it answers none of them from what it knew, and changes nothing',
    async (seed) => {
      const virtual = new VirtualCluster({ seed, nodes: 3 })
      const { nodes } = virtual.cluster
      for (const node of nodes) node.start()
      await virtual.untilAllReady()
      await virtual.pass(500)
      const { client } = virtual.cluster.client({ name: 'free' })
      const { client: captive } = virtual.cluster.client({ name: 'captive' })
      const old = nodes.find(isActive)!
      const others = nodes.filter((node) => node !== old)
      // This client knows nobody else; what it asks for waits at the node that is paused.
      virtual.network.partition([['captive'], others.map(({ name }) => name)])
      expect(await virtual.done(create(captive, 'before'))).toBe('created')

      old.pause()
      const late = [create(captive, 'same'), create(captive, 'gone')]
      await virtual.until(() => others.some(isActive))
      await virtual.until(() => imageOf(others.find(isActive)!).brokers.get(old.id)!.fenced)
      expect(await virtual.done(create(client, 'same'))).toBe('created')
      await virtual.done(client.admin.deleteTopic('before'))
      await virtual.pass(2_000)
      const active = others.find(isActive)!
      const { topicIds } = imageOf(active)
      expect([...topicIds.keys()]).toEqual(['same'])

      old.resume()
      const fenced = new Set<number>()
      const answers = await virtual.done(Promise.all(late), 60_000)
      await virtual.until(() => {
        for (const { brokerId, fenced: isFenced } of imageOf(active).brokers.values()) {
          if (isFenced) fenced.add(brokerId)
        }
        return nodes.every((node) => node.isReady) && !isActive(old)
      })
      // The topic was there already by then: only who was replaced could believe that it made it.
      expect(answers[0]).toBe('TOPIC_ALREADY_EXISTS')
      // Nobody else had made this one. Its request may lie in two sockets, because the client gave up on the first.
      expect(['created', 'TOPIC_ALREADY_EXISTS']).toContain(answers[1])
      expect([...fenced].filter((id) => id !== old.id)).toEqual([])
      const end = imageOf(active).metadataOffset
      await virtual.until(() => nodes.every((node) => imageOf(node).metadataOffset >= end))
      for (const node of nodes) {
        expect(imageOf(node).topicIds.get('same')).toBe(topicIds.get('same'))
        expect([...imageOf(node).topicIds.keys()].sort()).toEqual(['gone', 'same'])
      }
      expect(virtual.failures).toEqual([])
    },
  )
})
