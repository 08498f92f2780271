// One run of a broker as the controller sees it: a connection that proved an identity, and the requests of a broker.
import type { BrokerEpoch, IncarnationId, NodeId, TopicId } from '../../src/model/ids.ts'
import type { Connection } from '../../src/net/connection.ts'
import { alterPartition } from '../../src/protocol/alter-partition.ts'
import type { AnyApi, RequestOf, ResponseOf } from '../../src/protocol/api.ts'
import { brokerHeartbeat, fetchMetadata, registerBroker } from '../../src/protocol/broker-lifecycle.ts'
import { type ControllerCluster, runId } from './controller-cluster.ts'

export class TestBroker {
  readonly brokerId: NodeId
  readonly incarnationId: IncarnationId
  readonly #cluster: ControllerCluster
  #connection: Connection | null = null
  brokerEpoch: BrokerEpoch = 0

  constructor(cluster: ControllerCluster, brokerId: NodeId, incarnationId = runId(`run-of-${brokerId}`)) {
    this.#cluster = cluster
    this.brokerId = brokerId
    this.incarnationId = incarnationId
  }

  get connection(): Connection {
    return this.#connection!
  }

  /** Connects to a node; by default to the active controller. */
  async connect(to?: NodeId): Promise<this> {
    const target = to ?? (await this.#cluster.active()).nodeId
    const identity = { nodeId: this.brokerId, incarnationId: this.incarnationId }
    this.#connection = await this.#cluster.connect(target, identity)
    return this
  }

  /** Sends a request without letting time pass. */
  send<A extends AnyApi>(api: A, body: RequestOf<A>): Promise<ResponseOf<A>> {
    return this.connection.request(api, body, { timeoutMs: 60_000 }).then((response) => response.body)
  }

  /** Sends a request and lets time pass until it is answered. */
  request<A extends AnyApi>(api: A, body: RequestOf<A>): Promise<ResponseOf<A>> {
    return this.#cluster.answer(this.send(api, body))
  }

  async register(fields: Partial<RequestOf<typeof registerBroker>> = {}): Promise<this> {
    const { brokerEpoch } = await this.request(registerBroker, {
      incarnationId: this.incarnationId,
      directoryId: runId(`disk-of-${this.brokerId}`),
      url: `ws://broker-${this.brokerId}:9092`,
      previousBrokerEpoch: null,
      cleanShutdown: false,
      rack: null,
      ...fields,
    })
    this.brokerEpoch = brokerEpoch
    return this
  }

  sendHeartbeat(
    fields: Partial<RequestOf<typeof brokerHeartbeat>> = {},
  ): Promise<ResponseOf<typeof brokerHeartbeat>> {
    return this.send(brokerHeartbeat, {
      brokerEpoch: this.brokerEpoch,
      metadataOffset: this.brokerEpoch as number,
      wantUnfenced: true,
      wantShutdown: false,
      offlineLogs: [],
      damagedLogs: [],
      droppedTails: [],
      ...fields,
    })
  }

  heartbeat(
    fields: Partial<RequestOf<typeof brokerHeartbeat>> = {},
  ): Promise<ResponseOf<typeof brokerHeartbeat>> {
    return this.#cluster.answer(this.sendHeartbeat(fields))
  }

  fetch(fields: Partial<RequestOf<typeof fetchMetadata>>): Promise<ResponseOf<typeof fetchMetadata>> {
    return this.send(fetchMetadata, { fromOffset: 1, maxWaitMs: 0, maxBytes: 1_000_000, ...fields })
  }

  /** Proposes an ISR for partition 0 as its leader. */
  propose(proposal: {
    readonly topicId: TopicId
    readonly isr: readonly TestBroker[]
    readonly partitionEpoch: number
    readonly leaderEpoch?: number
  }): Promise<ResponseOf<typeof alterPartition>> {
    const { topicId, isr, partitionEpoch, leaderEpoch = 0 } = proposal
    return this.send(alterPartition, {
      brokerEpoch: this.brokerEpoch,
      partitions: [
        {
          topicId,
          partition: 0,
          leaderEpoch,
          partitionEpoch,
          isr: isr.map(({ brokerId, brokerEpoch }) => ({ brokerId, brokerEpoch })),
          reason: 'test',
          observedAtMs: 1,
          synced: false,
        },
      ],
    })
  }
}

/** Brokers that are connected to the active controller, registered and unfenced. */
export async function liveBrokers(
  cluster: ControllerCluster,
  brokerIds: readonly NodeId[],
): Promise<readonly TestBroker[]> {
  const brokers: TestBroker[] = []
  for (const brokerId of brokerIds) {
    const broker = await new TestBroker(cluster, brokerId).connect()
    await broker.register()
    await broker.heartbeat()
    brokers.push(broker)
  }
  return brokers
}
