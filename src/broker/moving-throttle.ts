// Keeps what replicas copy while a reassignment adds them to a number of bytes per second, at the leader or at the follower. Members
// of an in-sync set are never held up, nor is a replica that only catches up after a restart: somebody may wait for those.
import type { Clock, Timer } from '../base/clock.ts'
import { type ClusterImage, partitionOf } from '../metadata/cluster-image.ts'
import { isMovingIn } from '../metadata/reassignment.ts'
import type { NodeId, TopicPartition } from '../model/ids.ts'
import { ReplicationQuota } from '../replication/replication-quota.ts'

export interface MovingThrottleOptions {
  readonly clock: Clock
  readonly image: () => ClusterImage
  /** As it is now; null: no limit. */
  readonly bytesPerSecond: () => number | null
}

/** Who copies what. */
export interface Copying extends TopicPartition {
  readonly replicaId: NodeId
}

/** Whoever waits for budget, once more to be looked at. */
export interface Waiting {
  wakeAll(): void
}

export class MovingThrottle {
  readonly #options: MovingThrottleOptions
  readonly #quota = new ReplicationQuota()
  readonly #waiting = new Set<Waiting>()
  #timer: Timer | null = null
  #isStopped = false

  constructor(options: MovingThrottleOptions) {
    this.#options = options
  }

  /** Whether there is a limit now. */
  get isOn(): boolean {
    return this.#options.bytesPerSecond() !== null
  }

  /** Milliseconds until the replica may copy more; 0 for now. */
  waitMs(copying: Copying): number {
    return this.#limits(copying) ? this.#quota.waitMs(this.#nowMs) : 0
  }

  /** How many of these bytes the replica should get at once at most; the first batch may be larger. */
  atOnce(copying: Copying, bytes: number): number {
    return this.#limits(copying) ? Math.min(bytes, Math.floor(this.#quota.burstBytes)) : bytes
  }

  /** The replica got so many bytes. */
  charge(copying: Copying, bytes: number): void {
    if (bytes > 0 && this.#limits(copying)) this.#quota.charge(bytes, this.#nowMs)
  }

  /** Wakes it when there is budget again. */
  wakeLater(waiting: Waiting): void {
    if (this.#isStopped) return
    this.#waiting.add(waiting)
    if (this.#timer !== null) return
    const waitMs = Math.max(1, this.#quota.waitMs(this.#nowMs))
    this.#timer = this.#options.clock.setTimer(waitMs, () => this.wake())
  }

  /** Wakes all that wait: there may be budget, or another limit, or others may be held up. */
  wake(): void {
    this.#timer?.cancel()
    this.#timer = null
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const one of waiting) one.wakeAll()
  }

  /** Wakes nobody any more. */
  stop(): void {
    this.#isStopped = true
    this.#waiting.clear()
    this.#timer?.cancel()
  }

  #limits({ replicaId, ...of }: Copying): boolean {
    const bytesPerSecond = this.#options.bytesPerSecond()
    if (bytesPerSecond === null && !this.#quota.isOn) return false
    this.#quota.setRate(bytesPerSecond, this.#nowMs)
    if (bytesPerSecond === null) return false
    const partition = partitionOf(this.#options.image(), of)
    return partition !== null && isMovingIn(partition, replicaId)
  }

  get #nowMs(): number {
    return this.#options.clock.monotonicMs()
  }
}
