// A leader that is cut off from the cluster, but not from the clients: it was replaced and does not know.
import { describe, expect, it } from 'vitest'
import type { Consumer } from '../../src/client/consumer.ts'
import type { StartPosition } from '../../src/client/start-position.ts'
import type { SimulatedNode } from '../../src/testing/simulation/simulated-node.ts'
import { VirtualCluster } from './virtual-cluster.ts'

const TOPIC = 't'

class ReplacedLeader {
  readonly virtual: VirtualCluster
  /** The leader epoch of the successor. */
  leaderEpoch = -1

  constructor(seed: number) {
    this.virtual = new VirtualCluster({ seed, nodes: 3 })
  }

  /** Five records by the leader, which is then cut off, and five more by its successor. */
  async happen(): Promise<void> {
    const { virtual } = this
    const { nodes } = virtual.cluster
    for (const node of nodes) node.start()
    await virtual.untilAllReady()
    const { client } = virtual.cluster.client()
    await this.done(() => client.admin.createTopic({ name: TOPIC, partitions: 1, replicationFactor: 3 }))
    await this.#send(0)
    const old = nodes.find((node) => leaderEpochOf(node) !== null)!
    const others = nodes.filter((node) => node !== old)
    virtual.network.partition([[old.name], others.map(({ name }) => name)])
    await virtual.until(() => others.some((node) => leaderEpochOf(node) !== null))
    await this.#send(5)
    this.leaderEpoch = leaderEpochOf(others.find((node) => leaderEpochOf(node) !== null)!)!
    // What the test is about: it still takes itself for the leader.
    expect(leaderEpochOf(old)).toBeLessThan(this.leaderEpoch)
  }

  /** Lets time go on until it is done. */
  async done<T>(start: () => Promise<T>, look: () => void = () => {}): Promise<T> {
    const { kernel } = this.virtual
    let result: { readonly value: T } | { readonly error: unknown } | null = null
    kernel.schedule(kernel.nowMs, () => {
      start().then(
        (value) => {
          result = { value }
        },
        (error: unknown) => {
          result = { error }
        },
      )
    })
    await this.virtual.until(() => {
      look()
      return result !== null
    })
    const end = result as unknown as { readonly value: T } | { readonly error: unknown }
    if ('error' in end) throw end.error
    return end.value
  }

  /** What new clients, each with luck of its own, read from there, and what their consumers saw go wrong on the way. */
  async readFrom(from: StartPosition): Promise<{ read: string[]; codes: Set<string> }> {
    const { virtual } = this
    const codes = new Set<string>()
    const consumers: Consumer[] = []
    const read = await this.done(
      () =>
        Promise.all(
          Array.from({ length: 8 }, async () => {
            const consumer = virtual.cluster.client().client.consumer({ topic: TOPIC, from })
            consumers.push(consumer)
            const { value: record } = await consumer[Symbol.asyncIterator]().next()
            return new TextDecoder().decode(record!.value!)
          }),
        ),
      () => {
        for (const consumer of consumers) {
          const { lastError } = consumer.health()
          if (lastError !== null) codes.add(lastError.code)
        }
      },
    )
    await this.done(() => Promise.all(consumers.map((consumer) => consumer.close())))
    return { read, codes }
  }

  async #send(first: number): Promise<void> {
    await this.done(async () => {
      const { client } = this.virtual.cluster.client()
      const producer = client.producer({ requestTimeoutMs: 1_000, deliveryTimeoutMs: 20_000 })
      for (let i = first; i < first + 5; i++) await producer.send({ topic: TOPIC, value: `record ${i}` })
      await producer.close()
    })
  }
}

function leaderEpochOf({ run }: SimulatedNode): number | null {
  for (const { leader } of run?.server?.broker?.registry.hosted ?? [])
    if (leader !== null) return leader.leaderEpoch
  return null
}

describe('a leader that was replaced and does not know', () => {
  it('REP-33: consumers begin at an offset of its successor -> none is told that it is out of range', async () => {
    const story = new ReplacedLeader(7)
    await story.happen()
    const bare = await story.readFrom(7)
    expect(new Set(bare.read)).toEqual(new Set(['record 7']))
    // Some came to the old leader first, and did not believe it.
    expect([...bare.codes]).toEqual(['OFFSET_OUT_OF_RANGE'])
    const { leaderEpoch } = story
    const known = await story.readFrom({ offset: 7, leaderEpoch })
    expect(new Set(known.read)).toEqual(new Set(['record 7']))
    expect([...known.codes].filter((code) => code !== 'UNKNOWN_LEADER_EPOCH')).toEqual([])
    expect(story.virtual.failures).toEqual([])
  })
})
