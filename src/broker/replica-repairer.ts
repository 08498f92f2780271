// Repairs damaged parts of the logs of this broker from the other replicas. Whoever has a batch of the same offset and leader
// epoch with a sound checksum has the very batch that was lost, whether it leads, follows or is out of the in-sync set.
import { AssertionError } from '../base/assert.ts'
import { Sleeper } from '../base/async/sleeper.ts'
import type { ClusterImage } from '../metadata/cluster-image.ts'
import { isActive } from '../metadata/cluster-image.ts'
import { toVltavaError, VltavaError } from '../model/errors.ts'
import type { NodeId, Offset } from '../model/ids.ts'
import { errorOfWire } from '../protocol/error-schema.ts'
import { replicaRead } from '../protocol/replica-read.ts'
import type { DamagedRange } from '../storage/damaged-ranges.ts'
import type { RepairBatches } from '../storage/log-repair.ts'
import type { BrokerEnvironment, BrokerIdentity, ConnectPeer } from './broker-environment.ts'
import type { Partition } from './partition.ts'

const REQUEST_TIMEOUT_MS = 5_000
const READ_MAX_BYTES = 1024 * 1024
/** Before a repair that failed is tried again: twice as long each time, up to the maximum. */
const RETRY_PAUSE_MS = 200
const RETRY_PAUSE_MAX_MS = 30_000

export interface ReplicaRepairerOptions {
  readonly environment: BrokerEnvironment
  /** Of this broker. */
  readonly identity: BrokerIdentity
  readonly connectPeer: ConnectPeer
  readonly image: () => ClusterImage
  readonly hosted: () => Iterable<Partition>
}

export class ReplicaRepairer {
  readonly #options: ReplicaRepairerOptions
  readonly #sleeper: Sleeper
  #wanted = false
  #failures = 0

  constructor(options: ReplicaRepairerOptions) {
    this.#options = options
    this.#sleeper = new Sleeper(options.environment.clock)
  }

  /** Damage was found, or may have become repairable: looks at once. */
  wake(): void {
    this.#wanted = true
    this.#failures = 0
    this.#sleeper.wake()
  }

  stop(): void {
    this.#sleeper.stop()
  }

  /** Goes on until `stop`. */
  async run(): Promise<void> {
    while (!this.#sleeper.isStopped) {
      this.#wanted = false
      const isWhole = await this.#repairAll()
      if (isWhole) this.#failures = 0
      else this.#failures++
      // Wakened meanwhile, it looks again at once.
      if (this.#wanted) continue
      const pauseMs = Math.min(RETRY_PAUSE_MAX_MS, RETRY_PAUSE_MS * 2 ** Math.min(this.#failures, 16))
      await this.#sleeper.sleep(isWhole ? RETRY_PAUSE_MAX_MS : pauseMs)
    }
  }

  /** @returns whether nothing is damaged any more. */
  async #repairAll(): Promise<boolean> {
    let isWhole = true
    for (const partition of [...this.#options.hosted()]) {
      for (const range of partition.log.health.damagedRanges) {
        if (this.#sleeper.isStopped) return true
        if (!(await this.#repair(partition, range))) isWhole = false
      }
    }
    return isWhole
  }

  /** Asks one replica after the other. */
  async #repair(partition: Partition, range: DamagedRange): Promise<boolean> {
    const { environment } = this.#options
    const { topicId, partition: index } = partition.options
    const { offset, endOffset } = range
    for (const [brokerId, url] of this.#sourcesOf(partition)) {
      const fields = { topicId, partition: index, offset, endOffset, from: brokerId }
      try {
        const isSound = await partition.log.repair.repair(range, (from) =>
          this.#read({ partition, brokerId, url, offset: from, endOffset }),
        )
        if (!isSound) continue
        environment.log.warn('damage-repaired', fields)
        return true
      } catch (thrown) {
        if (thrown instanceof AssertionError) throw thrown
        const { code, message } = toVltavaError(thrown)
        environment.log.warn('repair-failed', { ...fields, code, reason: message })
      }
    }
    return false
  }

  /** The other replicas that serve: the leader, the in-sync ones, the rest. */
  #sourcesOf(partition: Partition): readonly (readonly [NodeId, string])[] {
    const { identity, image } = this.#options
    const { topics, brokers } = image()
    const { topicId, partition: index } = partition.options
    const known = topics.get(topicId)?.partitions[index]
    if (known === undefined) return []
    const order = new Set([known.leader, ...known.isr, ...known.replicas])
    return [...order].flatMap((id) => {
      const broker = id === null || id === identity.nodeId ? undefined : brokers.get(id)
      return broker !== undefined && isActive(broker) ? [[broker.brokerId, broker.url] as const] : []
    })
  }

  async #read(from: {
    readonly partition: Partition
    readonly brokerId: NodeId
    readonly url: string
    readonly offset: Offset
    readonly endOffset: Offset
  }): Promise<RepairBatches> {
    if (this.#sleeper.isStopped) throw new VltavaError('CLOSED', 'The broker stops.')
    const { partition, brokerId, url, offset, endOffset } = from
    const connection = await this.#options.connectPeer(brokerId, url)
    const { topicId, partition: index } = partition.options
    const { body, payload } = await connection.request(
      replicaRead,
      { topicId, partition: index, offset, endOffset, maxBytes: READ_MAX_BYTES },
      { timeoutMs: REQUEST_TIMEOUT_MS },
    )
    if (body.error !== null) throw errorOfWire(body.error)
    return { bytes: payload, compactedBelow: body.compactedBelow }
  }
}
