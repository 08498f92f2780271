// One partition hosted by this broker. It owns the log and the present role, and changes the role when metadata says
// so; what a role does stands in leader-role.ts and follower-role.ts.

import { ThresholdWaiters } from '../base/async/threshold-waiters.ts'
import type { PartitionImage } from '../metadata/cluster-image.ts'
import { VltavaError } from '../model/errors.ts'
import type {
  BrokerEpoch,
  LeaderEpoch,
  NodeId,
  Offset,
  PartitionIndex,
  PartitionKey,
  TopicId,
} from '../model/ids.ts'
import { partitionKey } from '../model/ids.ts'
import type { IsrProposal } from '../replication/isr.ts'
import type { BrokerStates } from '../replication/join-eligibility.ts'
import { PartitionFollower } from '../replication/partition-follower.ts'
import { PartitionLeader } from '../replication/partition-leader.ts'
import type { PartitionLog } from '../storage/partition-log.ts'
import type { BrokerEnvironment, BrokerSettings } from './broker-environment.ts'
import type { CommittedReads } from './committed-reads.ts'
import { ParkedFetches } from './delayed-requests.ts'
import { FollowerRole } from './follower-role.ts'
import { LeaderRole, type TopicLimits } from './leader-role.ts'

/** What metadata wants of this replica. */
export interface PartitionTarget {
  readonly image: PartitionImage
  readonly brokerEpoch: BrokerEpoch
  readonly brokers: BrokerStates
  readonly limits: TopicLimits
}

export interface PartitionOptions {
  readonly topicId: TopicId
  readonly partition: PartitionIndex
  readonly log: PartitionLog
  /** As saved before the last stop; 0 for a new partition. */
  readonly highWatermark: Offset
  readonly nodeId: NodeId
  readonly environment: BrokerEnvironment
  readonly settings: BrokerSettings
  readonly proposeIsr: (role: LeaderRole, proposal: IsrProposal) => void
  readonly followLeader: (partition: Partition, role: FollowerRole) => void
  readonly unfollowLeader: (partition: Partition) => void
  /** A follower fsynced; the leader has to hear of it even while the fetch is parked. */
  readonly reportFlush: (partition: Partition, flushedOffset: Offset) => void
  /** A follower's log changed in a way that the leader hears of with the next fetch. */
  readonly logTouched: (partition: Partition) => void
  /** Something happened: `tick` is to be called until `isAtRest`. */
  readonly unsettled: (partition: Partition) => void
}

export class Partition {
  readonly key: PartitionKey
  readonly options: PartitionOptions
  /** Consumers that wait for the high watermark. */
  readonly committedFetches = new ParkedFetches(() => this.options.unsettled(this))
  /** Followers that wait for records. */
  readonly writtenFetches = new ParkedFetches()
  #role: LeaderRole | FollowerRole | null = null
  #highWatermark: Offset
  /** Of the metadata applied last; -1 before the first. */
  #leaderEpoch: LeaderEpoch = -1
  /** Made when somebody waits: there can be ten thousand partitions. */
  #epochWaiters: ThresholdWaiters | null = null
  #closed = false

  constructor(options: PartitionOptions) {
    this.options = options
    this.key = partitionKey(options.topicId, options.partition)
    this.#highWatermark = options.highWatermark
  }

  get log(): PartitionLog {
    return this.options.log
  }

  get leader(): LeaderRole | null {
    return this.#role?.kind === 'leader' ? this.#role : null
  }

  get follower(): FollowerRole | null {
    return this.#role?.kind === 'follower' ? this.#role : null
  }

  /**
   * What this replica knows. It may fall with a role: where an unclean election cut off records thought committed, the
   * higher value would call others committed. What was deleted had been committed, also where the role has yet to hear of it.
   */
  get highWatermark(): Offset {
    return Math.max(this.#role?.highWatermark ?? this.#highWatermark, this.log.logStartOffset)
  }

  /** Who serves consumers here; null where nobody does. @param fromReplica whether a follower will do. */
  readsOf(fromReplica: boolean): CommittedReads | null {
    return fromReplica && this.#role?.kind === 'follower' ? this.#role.reads : this.leader
  }

  /** @throws VltavaError NOT_LEADER_OR_FOLLOWER; definite, because nothing was done yet. */
  requireLeader(): LeaderRole {
    if (this.#role?.kind === 'leader') return this.#role
    throw new VltavaError(
      'NOT_LEADER_OR_FOLLOWER',
      `Broker ${this.options.nodeId} does not lead this partition.`,
      { definite: true },
    )
  }

  /**
   * For a request that knows of a newer leader epoch than this replica: metadata reaches clients and brokers in any order.
   * @param timeoutMs from 0.
   * @returns null where the epoch is known, else a promise that resolves when it is, the time is up, or the replica goes.
   */
  whenEpochKnown(leaderEpoch: LeaderEpoch, timeoutMs: number): Promise<void> | null {
    if (leaderEpoch <= this.#leaderEpoch || this.#closed) return null
    this.#epochWaiters ??= new ThresholdWaiters(this.options.environment.clock, this.#leaderEpoch)
    return this.#epochWaiters.when(leaderEpoch, timeoutMs)
  }

  /** To be wired to the log's own events. */
  written(endOffset: Offset): void {
    this.#role?.written(endOffset)
    this.writtenFetches.wakeAll()
  }

  /** To be wired to the log's own events. */
  flushed(flushedOffset: Offset): void {
    if (this.#role?.kind === 'leader') this.#role.flushed(flushedOffset)
    else if (this.#role?.kind === 'follower') {
      const countedOffset = this.#role.flushed(flushedOffset)
      if (countedOffset !== null) this.options.reportFlush(this, countedOffset)
      else this.options.logTouched(this)
    }
  }

  /** To be wired to the log's own events: records left it at its start. */
  logStartMoved(startOffset: Offset): void {
    this.leader?.logStartMoved(startOffset)
    this.options.logTouched(this)
    // Parked followers are to do the same.
    this.writtenFetches.wakeAll()
  }

  /** To be wired to the log's own events: what is known to be damaged changed. */
  damageChanged(): void {
    this.options.logTouched(this)
  }

  /** Takes the role that metadata gives. Calls must not overlap; the registry runs them one after the other. */
  async update(target: PartitionTarget): Promise<void> {
    if (this.#closed) return
    const { image } = target
    if (this.#keepsRole(image)) {
      this.#refresh(target)
      return
    }
    await this.#endRole()
    if (image.leader === this.options.nodeId) await this.#becomeLeader(target)
    else if (image.leader !== null) this.#becomeFollower(image.leader, target)
    this.#leaderEpoch = image.leaderEpoch
    this.#epochWaiters?.reached(image.leaderEpoch)
    this.options.unsettled(this)
    this.#logRole(image)
  }

  /** Whether time alone changes nothing here. */
  get isAtRest(): boolean {
    return this.#role?.isAtRest ?? true
  }

  tick(): void {
    const { leader } = this
    if (leader !== null) leader.options.core.lagTimeMaxChanged(this.options.settings.replicaLagTimeMaxMs)
    this.#role?.tick()
  }

  /** Ends the role for good. The log stays open; whoever opened it closes it. */
  async end(): Promise<void> {
    this.#closed = true
    this.#epochWaiters?.close()
    await this.#endRole()
  }

  #keepsRole(image: PartitionImage): boolean {
    const role = this.#role
    if (role === null || role.leaderEpoch !== image.leaderEpoch) return false
    return role.kind === 'leader'
      ? image.leader === this.options.nodeId
      : image.leader === role.options.leaderId
  }

  #refresh(target: PartitionTarget): void {
    this.follower?.reads.chosen(isChosen(target.image, this.options.nodeId))
    const role = this.leader
    if (role === null) return
    const { leaderEpoch, partitionEpoch, isr, synced, observers } = target.image
    role.configure(target.limits)
    role.apply(role.options.core.brokersChanged(target.brokers))
    role.apply(role.options.core.isrCommitted({ leaderEpoch, partitionEpoch, isr, synced, observers }))
  }

  async #endRole(): Promise<void> {
    const role = this.#role
    if (role === null) return
    this.#highWatermark = role.highWatermark
    this.#role = null
    if (role.kind === 'leader') {
      role.end(
        new VltavaError(
          'NOT_LEADER_OR_FOLLOWER',
          'The leadership ended before the records were acknowledged; they may still appear.',
        ),
      )
    } else {
      this.options.unfollowLeader(this)
    }
    this.committedFetches.wakeAll()
    this.writtenFetches.wakeAll()
    // A follower's write that is under way belongs to its epoch; the next role begins where the log ends after it.
    if (role.kind === 'leader') {
      await this.log.flush()
      return
    }
    await role.end()
    this.#highWatermark = role.highWatermark
  }

  async #becomeLeader(target: PartitionTarget): Promise<void> {
    const { image, brokers, brokerEpoch, limits } = target
    const { environment, settings, nodeId, topicId, partition, proposeIsr } = this.options
    // Before the leader serves: a follower with an older tail must find where this epoch began (REP-08).
    await this.log.beginEpoch(image.leaderEpoch)
    if (this.#closed) return
    const core = new PartitionLeader({
      brokerId: nodeId,
      brokerEpoch,
      leaderEpoch: image.leaderEpoch,
      partitionEpoch: image.partitionEpoch,
      replicas: image.replicas,
      observers: image.observers,
      isr: image.isr,
      synced: image.synced,
      brokers,
      minInsyncReplicas: limits.minInsyncReplicas,
      flushMessages: limits.flushMessages,
      logStartOffset: this.log.logStartOffset,
      logEndOffset: this.log.logEndOffset,
      flushedOffset: this.log.flushedOffset,
      highWatermark: this.#highWatermark,
      epochs: this.log.epochs,
      lagTimeMaxMs: settings.replicaLagTimeMaxMs,
      nowMs: environment.clock.monotonicMs(),
    })
    const { log, committedFetches } = this
    this.#role = new LeaderRole({
      nodeId,
      topicId,
      partition,
      environment,
      core,
      log,
      limits,
      committedFetches,
      proposeIsr,
      unsettled: () => this.options.unsettled(this),
    })
  }

  #becomeFollower(leaderId: NodeId, { image }: PartitionTarget): void {
    const { environment, settings, nodeId, topicId, partition } = this.options
    const { log, committedFetches } = this
    const core = new PartitionFollower({
      leaderId,
      leaderEpoch: image.leaderEpoch,
      logStartOffset: log.logStartOffset,
      logEndOffset: log.logEndOffset,
      flushedOffset: log.flushedOffset,
      highWatermark: this.#highWatermark,
      epochs: log.epochs,
    })
    const role = new FollowerRole({
      topicId,
      partition,
      environment,
      core,
      log,
      leaderId,
      committedFetches,
      silenceMaxMs: () => settings.replicaLagTimeMaxMs,
      isChosen: isChosen(image, nodeId),
    })
    this.#role = role
    this.options.followLeader(this, role)
  }

  #logRole(image: PartitionImage): void {
    const { environment, topicId, partition } = this.options
    environment.log.info('partition-role', {
      topicId,
      partition,
      role: this.#role?.kind ?? 'offline',
      leader: image.leader,
      leaderEpoch: image.leaderEpoch,
      isr: image.isr,
      logEndOffset: this.log.logEndOffset,
      highWatermark: this.#highWatermark,
    })
  }
}

/** Whether consumers may be sent to the replica: it is in sync, or nobody waits for it and they know that. */
function isChosen({ isr, observers }: PartitionImage, nodeId: NodeId): boolean {
  return isr.includes(nodeId) || observers.includes(nodeId)
}
