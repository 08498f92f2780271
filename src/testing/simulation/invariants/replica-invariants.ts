// What must hold of every replica of a partition after every event.

import type { Partition } from '../../../broker/partition.ts'
import { type ClusterImage, isEligible, type PartitionImage } from '../../../metadata/cluster-image.ts'
import { CommittedHistory } from './committed-history.ts'
import type { ObservedNode } from './observed-node.ts'
import { ReplicaLog, type StoredBatch } from './replica-log.ts'
import { demand } from './violation.ts'

interface ReplicaState {
  readonly log: ReplicaLog
  generation: number
  comparedTo: number
  highWatermark: number
  /** The leader epoch for which this node was noted as the leader. */
  ledEpoch: number
}

export class ReplicaInvariants {
  readonly #histories = new Map<string, CommittedHistory>()
  /** By the object that a run of a node has for it; what runs before had is gone with them. */
  readonly #replicas = new WeakMap<Partition, ReplicaState>()
  /** Who led a partition in which leader epoch: `key@epoch` to node. */
  readonly #leaders = new Map<string, number>()
  /** By topic id and partition: an offset below which an acknowledged deletion has left nothing. */
  readonly #deleted = new Map<string, number>()
  #commits = 0

  /** Grows whenever more of any partition is found to be committed. */
  get commits(): number {
    return this.#commits
  }

  /** Exclusive: everything below was committed at some time. @param key topic id and partition. */
  committedEnd(key: string): number {
    return this.#histories.get(key)?.endOffset ?? 0
  }

  /** A deletion was acknowledged: no leader from now on may have records below. */
  deleted(key: string, offset: number): void {
    this.#deleted.set(key, Math.max(offset, this.#deleted.get(key) ?? 0))
  }

  /** After every event: what costs next to nothing. */
  checkCheap(nodes: readonly ObservedNode[]): void {
    for (const node of nodes) {
      for (const partition of node.server.broker?.registry.hosted ?? []) this.#checkReplica(node, partition)
    }
  }

  /** Now and then: compares the files. @param committed the newest committed metadata. */
  checkDeep(nodes: readonly ObservedNode[], committed: ClusterImage): void {
    for (const node of nodes) {
      for (const partition of node.server.broker?.registry.hosted ?? []) {
        const { topicId } = partition.options
        const topic = committed.topics.get(topicId)
        const image = topic?.partitions[partition.options.partition]
        if (image !== undefined && partition.leader?.leaderEpoch === image.leaderEpoch)
          this.#checkDeleted(partition, `node ${node.id}`)
        this.#checkFiles(node, partition, image ?? null)
      }
    }
  }

  #checkReplica(node: ObservedNode, partition: Partition): void {
    const { highWatermark, log, key } = partition
    const state = this.#stateOf(node, partition)
    const who = (): string => `${key}: node ${node.id}`
    demand(
      highWatermark >= state.highWatermark,
      'INV-16',
      () => `${who()} took its high watermark back from ${state.highWatermark} to ${highWatermark}`,
    )
    state.highWatermark = highWatermark
    demand(
      log.logStartOffset <= highWatermark || highWatermark === 0,
      'INV-25',
      () => `${who()} starts at ${log.logStartOffset}, above its high watermark ${highWatermark}`,
    )
    const { leader, follower } = partition
    // A follower that begins inside of a batch needs nothing below, but has it written from the start of the batch. When its role
    // ends meanwhile, the log begins where it did again before the next role does.
    const isBetweenRoles = leader === null && follower === null
    const logEndOffset = Math.max(log.logEndOffset, follower?.options.core.logEndOffset ?? 0)
    demand(
      isBetweenRoles || highWatermark <= logEndOffset,
      'INV-25',
      () => `${who()} has the high watermark ${highWatermark}, its log ends at ${log.logEndOffset}`,
    )
    const fetchers = node.server.broker?.fetchers.countOf(partition) ?? 0
    demand(leader === null || fetchers === 0, 'INV-14', () => `${who()} leads and fetches`)
    demand(
      follower === null || fetchers === 1 || (node.isStopping && fetchers === 0),
      'INV-14',
      () => `${who()} follows with ${fetchers} fetchers`,
    )
    if (leader !== null && leader.leaderEpoch !== state.ledEpoch) {
      this.#checkLeader(node, partition, leader.leaderEpoch)
      state.ledEpoch = leader.leaderEpoch
    }
    const history = this.#historyOf(key)
    if (highWatermark > history.endOffset) {
      this.#commits++
      history.extend(state.log.read(partition.log.logEndOffset), highWatermark, `node ${node.id}`)
    }
  }

  #checkLeader(node: ObservedNode, partition: Partition, leaderEpoch: number): void {
    const name = `${partition.key}@${leaderEpoch}`
    const known = this.#leaders.get(name)
    if (known === undefined) this.#leaders.set(name, node.id)
    else
      demand(
        known === node.id,
        'INV-19',
        () => `${partition.key}: nodes ${known} and ${node.id} both lead in leader epoch ${leaderEpoch}`,
      )
  }

  #checkFiles(node: ObservedNode, partition: Partition, image: PartitionImage | null): void {
    const state = this.#stateOf(node, partition)
    const history = this.#historyOf(partition.key)
    history.compactedBelow = partition.log.compaction.compactedBelow
    const batches = state.log.read(partition.log.logEndOffset)
    if (state.generation !== state.log.generation) {
      state.generation = state.log.generation
      state.comparedTo = 0
    }
    const who = `node ${node.id}`
    const isMember = image !== null && isEligible(image, node.id)
    const { logEndOffset } = partition.log
    if (isMember) {
      demand(
        logEndOffset >= history.endOffset,
        'INV-5',
        () =>
          `${partition.key}: ${who} may be elected (ISR ${image.isr.join(',')}, ELR ${image.elr.join(',')}) and ends at ${logEndOffset}, but ${history.endOffset} was committed (INV-13)`,
      )
    }
    const { leader } = partition
    if (leader !== null && image !== null && leader.leaderEpoch === image.leaderEpoch) {
      this.#checkPresentLeader(partition, image, who)
    }
    // A member of ISR or ELR must hold all that was committed (INV-1, 4); any replica what it itself calls committed.
    // One that begins anew inside of a batch, from its start on, has nothing yet and has to fetch that batch first.
    const { logStartOffset, readableFrom } = partition.log
    const hasBegun = partition.highWatermark > logStartOffset && logEndOffset > readableFrom
    const claimed = hasBegun ? partition.highWatermark : 0
    const to = isMember ? history.endOffset : Math.min(claimed, history.endOffset)
    const from = Math.max(state.comparedTo, readableFrom)
    if (from < to) {
      state.comparedTo = history.compare(batches, { from, to, who, invariant: isMember ? 'INV-1' : 'INV-7' })
    }
    this.#checkEpochs(partition, { batches, who })
  }

  #checkDeleted(partition: Partition, who: string): void {
    const deletedTo = this.#deleted.get(partition.key) ?? 0
    demand(
      partition.log.logStartOffset >= deletedTo,
      'REP-44',
      () =>
        `${partition.key}: the leader ${who} starts at ${partition.log.logStartOffset}, but all below ${deletedTo} was deleted`,
    )
  }

  #checkPresentLeader(partition: Partition, image: PartitionImage, who: string): void {
    const core = partition.leader!.options.core
    const { maximalIsr, kind, isr } = core.isr
    const missing = image.isr.filter((id) => !maximalIsr.includes(id))
    demand(
      missing.length === 0,
      'INV-6',
      () =>
        `${partition.key}: the leader ${who} counts ${maximalIsr.join(',')}, the controller has ${image.isr.join(',')} in the ISR`,
    )
    demand(
      kind !== 'committed' || maximalIsr.length === isr.length,
      'INV-6',
      () => `${partition.key}: the leader ${who} proposes nothing and counts others than its ISR`,
    )
  }

  #checkEpochs(
    partition: Partition,
    at: { readonly batches: readonly StoredBatch[]; readonly who: string },
  ): void {
    const { batches, who } = at
    const { epochs, logEndOffset, readableFrom } = partition.log
    let before = { epoch: -1, startOffset: -1 }
    for (const entry of epochs.entries) {
      demand(
        entry.epoch > before.epoch && entry.startOffset > before.startOffset,
        'INV-15',
        () => `${partition.key}: ${who} has the leader epochs ${JSON.stringify(epochs.entries)}`,
      )
      before = entry
    }
    for (const batch of batches) {
      if (batch.endOffset > logEndOffset) break
      if (batch.baseOffset < readableFrom) continue
      demand(
        epochs.epochAt(batch.baseOffset) === batch.leaderEpoch,
        'INV-15',
        () =>
          `${partition.key}: ${who} holds a batch at ${batch.baseOffset} of leader epoch ${batch.leaderEpoch}; its epochs say ${epochs.epochAt(batch.baseOffset)}`,
      )
    }
  }

  #historyOf(key: string): CommittedHistory {
    let history = this.#histories.get(key)
    if (history === undefined) {
      history = new CommittedHistory(key)
      this.#histories.set(key, history)
    }
    return history
  }

  #stateOf(node: ObservedNode, partition: Partition): ReplicaState {
    let state = this.#replicas.get(partition)
    if (state === undefined) {
      const log = new ReplicaLog(node.fileSystem, { ...partition.options, dataDir: node.dataDir })
      state = { log, generation: 0, comparedTo: 0, highWatermark: 0, ledEpoch: -1 }
      this.#replicas.set(partition, state)
    }
    return state
  }
}
