// One partition of a virtual cluster, from all sides: as clients write and read it, as the controller knows it, and as each
// node has it.
import type { Partition } from '../../src/broker/partition.ts'
import type { Client } from '../../src/client/client.ts'
import type { ProducerOptions } from '../../src/client/producer-options.ts'
import type { PartitionImage } from '../../src/metadata/cluster-image.ts'
import { toVltavaError, type VltavaError } from '../../src/model/errors.ts'
import { type PartitionKey, partitionKey, type TopicId } from '../../src/model/ids.ts'
import type { SimulatedNode } from '../../src/testing/simulation/simulated-node.ts'
import type { VirtualCluster } from './virtual-cluster.ts'

/** How the sending of some records ended. */
export interface Sent {
  readonly acknowledged: string[]
  readonly errors: VltavaError[]
}

export class VirtualTopic {
  readonly virtual: VirtualCluster
  readonly name: string
  readonly id: TopicId
  /** The one that is looked at. */
  partition = 0

  private constructor(virtual: VirtualCluster, topic: { readonly name: string; readonly id: TopicId }) {
    this.virtual = virtual
    this.name = topic.name
    this.id = topic.id
  }

  static async create(
    virtual: VirtualCluster,
    topic: {
      readonly name: string
      readonly partitions?: number
      readonly configs?: Readonly<Record<string, string>>
    },
  ): Promise<VirtualTopic> {
    const { client } = virtual.cluster.client()
    const { name, partitions = 1, configs = {} } = topic
    await virtual.done(client.admin.createTopic({ name, partitions, replicationFactor: 3, configs }))
    await virtual.done(client.close())
    return VirtualTopic.find(virtual, name)
  }

  /** The topic that has this name now. */
  static async find(virtual: VirtualCluster, name: string): Promise<VirtualTopic> {
    const { client } = virtual.cluster.client()
    const { id } = await virtual.done(client.admin.describeTopic(name))
    await virtual.done(client.close())
    return new VirtualTopic(virtual, { name, id })
  }

  get key(): PartitionKey {
    return partitionKey(this.id, this.partition)
  }

  /** As the active controller has committed it. */
  get image(): PartitionImage {
    const controllers = this.virtual.cluster.nodes.flatMap(({ server }) => server?.controller ?? [])
    const active = controllers.filter(({ isActive }) => isActive)
    return active.at(-1)!.image.topics.get(this.id)!.partitions[this.partition]!
  }

  /** null where the node does not run or does not host it. */
  replicaOn(node: SimulatedNode): Partition | null {
    return node.server?.broker?.registry.find(this.key) ?? null
  }

  /** Who leads, as the nodes themselves see it, the newest leader epoch first. */
  get leaders(): SimulatedNode[] {
    const epochOf = (node: SimulatedNode): number => this.replicaOn(node)?.leader?.leaderEpoch ?? -1
    const leading = this.virtual.cluster.nodes.filter((node) => epochOf(node) >= 0)
    return leading.sort((a, b) => epochOf(b) - epochOf(a))
  }

  async untilFull(limitMs?: number): Promise<void> {
    await this.virtual.until(
      () => this.hasController && this.image.isr.length === 3 && this.leaders.length > 0,
      limitMs,
    )
  }

  get hasController(): boolean {
    return this.virtual.cluster.nodes.some(({ server }) => server?.controller?.isActive === true)
  }

  /** Sends one after the other and waits for how each ended. */
  async send(
    values: readonly string[],
    options: ProducerOptions & { readonly client?: Client } = {},
  ): Promise<Sent> {
    const { client = this.virtual.cluster.client().client, ...rest } = options
    const producer = client.producer({ requestTimeoutMs: 1_000, deliveryTimeoutMs: 20_000, ...rest })
    const sent: Sent = { acknowledged: [], errors: [] }
    const { partition } = this
    for (const value of values) {
      await this.virtual.done(
        producer.send({ topic: this.name, partition, value }).then(
          () => sent.acknowledged.push(value),
          (error: unknown) => sent.errors.push(toVltavaError(error)),
        ),
        60_000,
      )
    }
    await this.virtual.done(producer.close())
    return sent
  }

  /** All values from the beginning to the high watermark, by a new client. */
  async readAll(): Promise<string[]> {
    return this.virtual.done(this.#readAll(), 60_000)
  }

  async #readAll(): Promise<string[]> {
    const { client } = this.virtual.cluster.client()
    const consumer = client.consumer({
      topic: this.name,
      partitions: [this.partition],
      from: 'beginning',
    })
    const end = (await consumer.endOffsets()).get(this.partition)!
    const values: string[] = []
    if (end > 0) {
      for await (const record of consumer) {
        values.push(new TextDecoder().decode(record.value!))
        if (record.offset + 1 === end) break
      }
    }
    await client.close()
    return values
  }
}

export const lines = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${name} ${i}`)
