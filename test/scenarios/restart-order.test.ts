// All replicas of a partition go down and come back, in every order and in every way: what was acknowledged is there, or
// the partition waits. A leader with a short log is never seen, at no event of virtual time.
import { describe, expect, it } from 'vitest'
import type { SimulatedNode } from '../../src/testing/simulation/simulated-node.ts'
import { VirtualCluster } from './virtual-cluster.ts'
import { lines, VirtualTopic } from './virtual-topic.ts'

const ENDS = ['clean', 'kill', 'lossy'] as const
type End = (typeof ENDS)[number]

const ORDERS = [
  [1, 2, 3],
  [1, 3, 2],
  [2, 1, 3],
  [2, 3, 1],
  [3, 1, 2],
  [3, 2, 1],
] as const
const MIN_ISR = 2

/**
 * How the nodes 1, 2 and 3 end before they start in the order of this number. All 162 take minutes; these are all 27 ways
 * to end, dealt out so that every node ends in every way before every order. RESTART_ORDERS=all runs the 162.
 */
function endsBefore(order: number): readonly (readonly End[])[] {
  const all = [0, 1, 2].flatMap((a) => [0, 1, 2].flatMap((b) => [0, 1, 2].map((c) => [a, b, c] as const)))
  const dealt =
    process.env['RESTART_ORDERS'] === 'all'
      ? all
      : all.filter(([a, b, c]) => (a + 2 * b + 3 * c) % 6 === order)
  return dealt.map((ends) => ends.map((end) => ENDS[end]!))
}

function end(node: SimulatedNode, how: End): void {
  if (how === 'clean') node.stop()
  else if (how === 'kill') node.kill()
  else node.losePower()
}

class Restarts {
  readonly virtual = new VirtualCluster({ seed: 1, nodes: 3 })
  /** Of each topic, how many records were acknowledged. */
  readonly #acknowledged = new Map<VirtualTopic, number>()

  get nodes(): readonly SimulatedNode[] {
    return this.virtual.cluster.nodes
  }

  async start(): Promise<void> {
    for (const node of this.nodes) node.start()
    await this.virtual.untilAllReady()
  }

  async send(topic: VirtualTopic, values: readonly string[]): Promise<void> {
    const { acknowledged } = await topic.send(values)
    expect(acknowledged).toEqual(values)
    this.#acknowledged.set(topic, (this.#acknowledged.get(topic) ?? 0) + values.length)
  }

  /** The log ends of all replicas; a node that does not have the log open counts as 0. */
  logEnds(topic: VirtualTopic): number[] {
    return this.nodes.map((node) => topic.replicaOn(node)?.log.logEndOffset ?? 0)
  }

  async all(ends: readonly End[], order: readonly number[]): Promise<void> {
    ends.forEach((how, i) => {
      end(this.nodes[i]!, how)
    })
    await this.#until(() => this.nodes.every(({ run }) => run === null))
    for (const id of order) {
      this.virtual.cluster.node(id).start()
      const goOnAtMs = this.virtual.kernel.nowMs + 200
      await this.#until(() => this.virtual.kernel.nowMs >= goOnAtMs)
    }
    await this.#until(() => this.nodes.every((node) => node.isReady))
    const { image } = this.nodes.find(({ server }) => server?.controller?.isActive)!.server!.controller!
    expect([...image.brokers.values()].filter(({ fenced }) => fenced)).toEqual([])
  }

  async untilFull(topic: VirtualTopic): Promise<void> {
    await this.#until(() => topic.hasController && topic.image.isr.length === 3)
  }

  /** Lets time go on, and looks after every event that nobody leads with a log that lacks anything acknowledged. */
  async #until(condition: () => boolean): Promise<void> {
    await this.virtual.until(() => {
      for (const [topic, acknowledged] of this.#acknowledged) {
        for (const node of topic.leaders) {
          const { logEndOffset } = topic.replicaOn(node)!.log
          if (logEndOffset < acknowledged)
            throw new Error(
              `node ${node.id} leads ${topic.name} with ${logEndOffset} of ${acknowledged} records`,
            )
        }
      }
      return condition()
    }, 60_000)
  }
}

describe('REP-31: all replicas end and return', () => {
  it('REP-31: the ways to end that are tried -> all 27, and each of each node before each order', () => {
    const ways = ORDERS.flatMap((_, order) => endsBefore(order).map((ends) => ({ order, ends })))
    expect(new Set(ways.map(({ ends }) => ends.join())).size).toBe(27)
    const pairs = ways.flatMap(({ order, ends }) => ends.map((how, node) => `${order} ${node} ${how}`))
    expect(new Set(pairs).size).toBe(ORDERS.length * 3 * 3)
  })

  it.each(ORDERS.map((order, number) => ({ order, number })))(
    'REP-31: they start in the order $order -> fsynced: everything is there; not fsynced: it is, or the partition waits',
    async ({ order, number }) => {
      const restarts = new Restarts()
      await restarts.start()
      const synced = await VirtualTopic.create(restarts.virtual, { name: 'synced' })
      const sent: string[] = []
      for (const ends of endsBefore(number)) {
        const what = ends.join('-')
        const values = lines(what, 2)
        await restarts.send(synced, values)
        sent.push(...values)
        const written = await VirtualTopic.create(restarts.virtual, {
          name: what,
          configs: { 'flush.messages': '1000000', 'flush.ms': '86400000' },
        })
        await restarts.send(written, lines('written', 5))
        await restarts.untilFull(written)

        await restarts.all(ends, order)

        await restarts.untilFull(synced)
        const unclean = ends.filter((how) => how !== 'clean').length
        const lossy = ends.filter((how) => how === 'lossy').length
        // Whoever did not stop cleanly may have lost what was not fsynced; of those that are in sync or eligible, of which
        // there are always two or more, somebody must be left who did.
        if (unclean < MIN_ISR) await restarts.untilFull(written)
        const { leader, isr, elr } = written.image
        if (unclean === 3)
          expect({ what, leader, isr, elr }).toEqual({ what, leader: null, isr: [], elr: [] })
        // INV-9: enough kept it, whether or not anybody may lead.
        if (lossy < MIN_ISR) expect(Math.max(...restarts.logEnds(written)), what).toBe(5)
        if (leader !== null) expect(await written.readAll(), what).toEqual(lines('written', 5))
      }
      expect(await synced.readAll()).toEqual(sent)
      expect(restarts.virtual.failures).toEqual([])
    },
    120_000,
  )
})
