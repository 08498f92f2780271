import type { BrokerEpoch, NodeId, Offset } from '../model/ids.ts'
import type { BrokerCounters } from './broker-counters.ts'
import type { BrokerEnvironment, BrokerSettings, ConnectPeer } from './broker-environment.ts'
import type { FollowerRole } from './follower-role.ts'
import type { MovingThrottle } from './moving-throttle.ts'
import type { Partition } from './partition.ts'
import { ReplicaFetcher } from './replica-fetcher.ts'

export interface ReplicaFetchersOptions {
  readonly environment: BrokerEnvironment
  readonly settings: BrokerSettings
  readonly connectPeer: ConnectPeer
  /** The URL under which a broker is registered; null while it is not known. */
  readonly urlOf: (nodeId: NodeId) => string | null
  readonly brokerEpoch: () => BrokerEpoch | null
  readonly counters: BrokerCounters
  readonly nodeId: NodeId
  /** Of all leaders together. */
  readonly throttle: MovingThrottle
}

/** One fetcher per leader. A partition is with at most one of them (INV-14). */
export class ReplicaFetchers {
  readonly #options: ReplicaFetchersOptions
  readonly #fetchers = new Map<NodeId, ReplicaFetcher>()
  readonly #leaderOf = new Map<Partition, NodeId>()

  constructor(options: ReplicaFetchersOptions) {
    this.#options = options
  }

  follow(partition: Partition, role: FollowerRole): void {
    this.unfollow(partition)
    const { leaderId } = role.options
    let fetcher = this.#fetchers.get(leaderId)
    if (fetcher === undefined) {
      const { connectPeer, urlOf, ...shared } = this.#options
      const connect = (): ReturnType<ConnectPeer> => connectPeer(leaderId, urlOf(leaderId))
      fetcher = new ReplicaFetcher({ ...shared, leaderId, connect })
      this.#fetchers.set(leaderId, fetcher)
    }
    this.#leaderOf.set(partition, leaderId)
    fetcher.add(partition, role)
  }

  unfollow(partition: Partition): void {
    const leaderId = this.#leaderOf.get(partition)
    if (leaderId === undefined) return
    this.#leaderOf.delete(partition)
    const fetcher = this.#fetchers.get(leaderId)
    fetcher?.remove(partition)
    if (fetcher?.isIdle !== true) return
    fetcher.stop()
    this.#fetchers.delete(leaderId)
  }

  /** By how many fetchers a partition is fetched: 1 while it follows a leader, else 0 (INV-14). */
  countOf(partition: Partition): number {
    let count = 0
    for (const fetcher of this.#fetchers.values()) if (fetcher.fetches(partition)) count++
    return count
  }

  /** Something that the leader hears with a fetch may have changed. */
  touched(partition: Partition): void {
    const leaderId = this.#leaderOf.get(partition)
    if (leaderId !== undefined) this.#fetchers.get(leaderId)?.touched(partition)
  }

  /** Who is held up, and for how long, may have changed. */
  wake(): void {
    for (const fetcher of this.#fetchers.values()) fetcher.wake()
  }

  reportFlush(partition: Partition, flushedOffset: Offset): void {
    const leaderId = this.#leaderOf.get(partition)
    if (leaderId !== undefined) this.#fetchers.get(leaderId)?.reportFlush(partition, flushedOffset)
  }

  stop(): void {
    for (const fetcher of this.#fetchers.values()) fetcher.stop()
    this.#fetchers.clear()
    this.#leaderOf.clear()
  }
}
