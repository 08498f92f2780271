// What a consumer reads and how far it is. Pure: the fetcher brings batches and errors, the reader takes batches out.
import { assert } from '../base/assert.ts'
import type { EpochPosition, VltavaError } from '../model/errors.ts'
import type { LeaderEpoch, NodeId, Offset, PartitionIndex } from '../model/ids.ts'
import type { FetchedBatch } from './fetched-batches.ts'
import { placeOf, type StartPosition } from './start-position.ts'

/** `locating`: the offset to start at is not known yet. `failed`: until `seek`, nothing is fetched. */
export type PartitionPhase = 'locating' | 'fetching' | 'failed'

/** A question about a partition that is under way at a broker. */
export interface UnderWay {
  readonly brokerId: NodeId
  readonly leaderEpoch: LeaderEpoch
  /** Whether another replica than the leader is asked. */
  readonly fromReplica: boolean
}

export class PartitionState {
  readonly partition: PartitionIndex
  phase: PartitionPhase
  /** Where to locate. */
  start: StartPosition
  /** The next offset to hand out; -1 while locating for the first time. */
  position: Offset
  /** The leader epoch of the record before the position, or what the user gave; -1 while it is not known. */
  positionEpoch: LeaderEpoch
  /** The lowest offset from which on everything that was handed out is of that epoch. */
  epochStartOffset: Offset
  /** The next offset to fetch. */
  fetchOffset: Offset
  /** As `positionEpoch`, of the record before the fetch offset. */
  fetchEpoch: LeaderEpoch
  isPaused = false
  /** Counts seeks and resets: what was fetched or taken under another number is void. */
  revision = 0
  /** An answer counts only while this is still the object it was asked under. */
  underWay: UnderWay | null = null
  readonly batches: FetchedBatch[] = []
  /** Why the partition failed; set in that phase. */
  failure: VltavaError | null = null
  /** The user has been told of the failure. */
  isFailureTold = false
  /** The leader epoch of the last question, or the one in which none could be asked; -1 before. */
  triedEpoch: LeaderEpoch = -1
  /** As of the newest answer; null before. */
  highWatermark: Offset | null = null
  /** Errors in a row. */
  failures = 0
  notBeforeMs = 0
  lastError: VltavaError | null = null
  /** When the first error in a row happened; null while there is none. */
  failingSinceMs: number | null = null
  /** When the user was told of it last. */
  problemToldAtMs = 0
  /** When a leader first said that the offset is beyond its log, and was not believed; null while there is no doubt. */
  doubtedSinceMs: number | null = null
  /** The broker that was to be asked last; null before. */
  brokerId: NodeId | null = null
  /** The replica that was chosen to be read in place of the leader; null while none is. */
  replicaId: NodeId | null = null
  /** The one whose records came last; null since it failed. */
  servedByReplicaId: NodeId | null = null
  /** The one that failed last; null before. */
  failedReplicaId: NodeId | null = null
  /** Until when the leader is read, because another replica did not give what was asked for. */
  leaderUntilMs = 0

  constructor(partition: PartitionIndex, start: StartPosition) {
    this.partition = partition
    this.start = start
    const place = placeOf(start)
    this.phase = place === null ? 'locating' : 'fetching'
    this.position = place?.offset ?? -1
    this.positionEpoch = place?.leaderEpoch ?? -1
    this.epochStartOffset = this.position
    this.fetchOffset = this.position
    this.fetchEpoch = this.positionEpoch
  }

  /** The last question was answered well. */
  worked(): void {
    this.failures = 0
    this.notBeforeMs = 0
    this.lastError = null
    this.failingSinceMs = null
    this.doubtedSinceMs = null
  }

  /** Nothing that was fetched is held any more, and the next record is the one at this place. */
  standAt({ offset, leaderEpoch }: EpochPosition): void {
    this.position = offset
    this.positionEpoch = leaderEpoch
    this.epochStartOffset = offset
    this.fetchOffset = offset
    this.fetchEpoch = leaderEpoch
  }
}

/** A batch that was taken out, and what it belongs to. */
export interface TakenBatch {
  readonly state: PartitionState
  readonly batch: FetchedBatch
  readonly revision: number
}

export class SubscriptionState {
  /** In the order in which they are asked for: who got records goes to the end. */
  readonly #partitions = new Map<PartitionIndex, PartitionState>()
  /** Those that hold batches, in the order in which they are handed out. */
  readonly #ready: PartitionState[] = []
  #bufferedBytes = 0
  /** Whether partitions that are added are to wait for a `resume`, as those did that were there. */
  pausesAdded = false

  constructor(positions: ReadonlyMap<PartitionIndex, StartPosition>) {
    for (const [partition, start] of positions) {
      this.#partitions.set(partition, new PartitionState(partition, start))
    }
  }

  /** Reads one more partition. */
  add(partition: PartitionIndex, start: StartPosition): void {
    assert(!this.#partitions.has(partition), `partition ${partition} is read already`)
    const state = new PartitionState(partition, start)
    state.isPaused = this.pausesAdded
    this.#partitions.set(partition, state)
  }

  partitions(): IterableIterator<PartitionState> {
    return this.#partitions.values()
  }

  partition(partition: PartitionIndex): PartitionState | null {
    return this.#partitions.get(partition) ?? null
  }

  /** Bytes of the frames of which a batch is still held. */
  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  /** The offset to start at is known now. */
  located(state: PartitionState, offset: Offset): void {
    assert(
      state.phase === 'locating' && state.batches.length === 0,
      'only what is being located can be found',
    )
    state.phase = 'fetching'
    state.standAt({ offset, leaderEpoch: -1 })
    state.worked()
  }

  /** Goes on elsewhere, maybe before the position; only once everything fetched was handed out. */
  relocate(state: PartitionState, start: StartPosition): void {
    assert(state.position === state.fetchOffset, 'records that were fetched are handed out before a reset')
    state.revision++
    state.phase = 'locating'
    state.start = start
  }

  /** Takes what was fetched at the partition's fetch offset. */
  received(state: PartitionState, batches: readonly FetchedBatch[]): void {
    if (batches.length === 0) return
    assert(batches[0]!.firstOffset === state.fetchOffset, 'what was fetched continues the position')
    if (state.batches.length === 0) this.#ready.push(state)
    for (const batch of batches) {
      if (batch.frame.hold()) this.#bufferedBytes += batch.frame.bytes
      state.batches.push(batch)
    }
    const last = batches[batches.length - 1]!
    state.fetchOffset = last.nextOffset
    state.fetchEpoch = last.leaderEpoch
    this.#partitions.delete(state.partition)
    this.#partitions.set(state.partition, state)
  }

  /** The next batch to hand out, partition by partition in turn; null when there is none but of paused partitions. */
  take(): TakenBatch | null {
    const at = this.#ready.findIndex(({ isPaused }) => !isPaused)
    if (at === -1) return null
    const [state] = this.#ready.splice(at, 1)
    const batch = state!.batches.shift()!
    if (state!.batches.length > 0) this.#ready.push(state!)
    return { state: state!, batch, revision: state!.revision }
  }

  /** Everything below the offset has been handed out. */
  handedOut(taken: TakenBatch, nextOffset: Offset): void {
    const { state, revision, batch } = taken
    assert(state.revision === revision, 'nothing is handed out of a batch that a seek made void')
    assert(nextOffset > state.position, 'an offset is handed out once, and never after a later one')
    state.position = nextOffset
    if (state.positionEpoch === batch.leaderEpoch) return
    state.positionEpoch = batch.leaderEpoch
    state.epochStartOffset = batch.firstOffset
  }

  /**
   * The taken batch is done with, or what was not handed out of it waits again, in front of all others.
   * @returns whether that freed memory.
   */
  putBack(taken: TakenBatch): boolean {
    const { state, batch, revision } = taken
    if (state.revision !== revision || state.position >= batch.nextOffset) return this.#release(batch)
    if (state.batches.length === 0) this.#ready.unshift(state)
    state.batches.unshift({ ...batch, firstOffset: Math.max(batch.firstOffset, state.position) })
    return false
  }

  /** @returns whether that freed memory. */
  #release(batch: FetchedBatch): boolean {
    if (!batch.frame.release()) return false
    this.#bufferedBytes -= batch.frame.bytes
    assert(this.#bufferedBytes >= 0, 'a frame is released once')
    return true
  }

  /** Goes on at the place; what was fetched or taken before is void. */
  seek(state: PartitionState, place: EpochPosition): void {
    for (const batch of state.batches) this.#release(batch)
    state.batches.length = 0
    const at = this.#ready.indexOf(state)
    if (at !== -1) this.#ready.splice(at, 1)
    state.revision++
    state.phase = 'fetching'
    state.standAt(place)
    state.underWay = null
    state.failure = null
    state.isFailureTold = false
    state.worked()
  }

  fail(state: PartitionState, failure: VltavaError): void {
    state.phase = 'failed'
    state.failure = failure
    state.isFailureTold = false
    state.lastError = failure
  }

  /**
   * The failure to tell the user now: one not told yet whose partition has nothing left to hand out. Where nothing else
   * is being read, one that was told is told again, instead of waiting for ever.
   */
  failureToTell(): VltavaError | null {
    let first: PartitionState | null = null
    let isReading = false
    for (const state of this.#partitions.values()) {
      if (state.isPaused) continue
      if (state.phase !== 'failed' || state.batches.length > 0) isReading = true
      else if (first === null || (first.isFailureTold && !state.isFailureTold)) first = state
    }
    if (first === null || (first.isFailureTold && isReading)) return null
    first.isFailureTold = true
    return first.failure
  }
}
