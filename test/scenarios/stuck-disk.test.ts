// A disk that answers, but next to never.
import { describe, expect, it } from 'vitest'
import { HEALTHY_DISK } from '../../src/testing/simulation/simulated-disk.ts'
import type { SimulatedNode } from '../../src/testing/simulation/simulated-node.ts'
import { VirtualCluster } from './virtual-cluster.ts'

const isActive = ({ server }: SimulatedNode): boolean => server?.controller?.isActive === true

describe('RAFT-36: the disk of the active controller is stuck', () => {
  it.each([1, 2, 3])(
    'RAFT-36: for half a minute (seed %i) -> another node takes over and topics are made meanwhile',
    async (seed) => {
      const virtual = new VirtualCluster({ seed, nodes: 3 })
      const { nodes } = virtual.cluster
      for (const node of nodes) node.start()
      await virtual.untilAllReady()
      await virtual.pass(500)
      const old = nodes.find(isActive)!
      const others = nodes.filter((node) => node !== old)
      old.disk.faults = { ...HEALTHY_DISK, slowness: 1_000_000 }
      // Something to write, or nobody notices. Two of three have it at once, so it is committed all the same.
      const { client } = virtual.cluster.client()
      const create = (name: string) => client.admin.createTopic({ name, partitions: 1, replicationFactor: 1 })
      const startMs = virtual.kernel.nowMs
      const first = create('first').catch(() => {})
      await virtual.until(() => others.some(isActive))
      expect(virtual.kernel.nowMs - startMs).toBeLessThan(10_000)
      await virtual.done(first, 60_000)
      await virtual.until(() => !isActive(old))
      await virtual.done(create('second'), 60_000)
      expect(others.some(isActive)).toBe(true)
      old.disk.faults = HEALTHY_DISK
    },
  )
})
