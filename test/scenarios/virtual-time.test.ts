// Scenarios of whole nodes in which the point is how long something takes. Time is virtual: the same in every run.
import { describe, expect, it } from 'vitest'
import { VirtualCluster } from './virtual-cluster.ts'

describe('on virtual time', () => {
  it('a node that is alone dies and returns -> its own previous run is fenced after the grace, not after the session', async () => {
    // As the new controller it has no link to itself that could close; it waited for 3 s of silence of a run whose end
    // it knew best.
    const virtual = new VirtualCluster({ seed: 1, nodes: 1 })
    const [node] = virtual.cluster.nodes
    node!.start()
    await virtual.untilAllReady()
    node!.kill()
    node!.start()
    expect(await virtual.untilAllReady()).toBeLessThan(1_500)
    expect(virtual.failures).toEqual([])
  })

  it('the controller of three dies and all return at once -> ready long before a session has passed', async () => {
    const virtual = new VirtualCluster({ seed: 2, nodes: 3 })
    const { nodes } = virtual.cluster
    for (const node of nodes) node.start()
    await virtual.untilAllReady()
    for (const node of nodes) node.kill()
    for (const node of nodes) node.start()
    expect(await virtual.untilAllReady()).toBeLessThan(3_000)
    expect(virtual.failures).toEqual([])
  })

  it('a node stops while it dials others -> nothing of it waits, so a real process would end (SIM-14)', async () => {
    // SimulatedNode reports timers that are left as a failure.
    for (let afterMs = 100; afterMs <= 2_500; afterMs += 150) {
      const virtual = new VirtualCluster({ seed: afterMs, nodes: 3 })
      const { nodes } = virtual.cluster
      for (const node of nodes) node.start()
      await virtual.untilAllReady()
      const controller = nodes.find(({ server }) => server!.controller!.isActive)!
      const [leaving, slow] = nodes.filter((node) => node !== controller)
      const latency = { minMs: 300, meanMs: 300 }
      virtual.network.setLink(leaving!.name, slow!.name, { latency })
      virtual.network.setLink(slow!.name, leaving!.name, { latency })
      virtual.network.breakChannels(leaving!.name, slow!.name)
      await virtual.kernel.run({ untilMs: virtual.kernel.nowMs + afterMs })
      leaving!.stop()
      await virtual.until(() => leaving!.run === null)
      expect(virtual.failures, `stopped after ${afterMs} ms`).toEqual([])
    }
  })

  it.each([1_500, 3_000])(
    'the active controller is cut off without a word, sessions of %i ms -> its successor fences it alone',
    async (sessionTimeoutMs) => {
      // A heartbeat waited for 2 s for the silent one, and the search for another one for as long again.
      for (let seed = 40; seed < 50; seed++) {
        const settings = { 'broker.session.timeout.ms': sessionTimeoutMs }
        const virtual = new VirtualCluster({ seed, nodes: 3, settings })
        const { nodes } = virtual.cluster
        for (const node of nodes) node.start()
        await virtual.untilAllReady()
        // Until every controller has heard that all are unfenced.
        await virtual.kernel.run({ untilMs: virtual.kernel.nowMs + 500 })
        const old = nodes.find(({ server }) => server!.controller!.isActive)!
        const others = nodes.filter((node) => node !== old)
        virtual.network.partition([[old.name], others.map(({ name }) => name)])
        const fenced = new Set<number>()
        await virtual.kernel.run({
          untilMs: virtual.kernel.nowMs + 15_000,
          afterEvent: () => {
            for (const { server } of others) {
              for (const { brokerId, fenced: isFenced } of server!.controller!.image.brokers.values()) {
                if (isFenced) fenced.add(brokerId)
              }
            }
            return false
          },
        })
        expect([...fenced], `seed ${seed}`).toEqual([old.id])
      }
    },
  )
})
