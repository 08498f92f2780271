// Nodes as the invariants look at them, made by hand, with files of their own. A sound cluster is the start of every
// test; what it changes is the smallest wrong thing.
import { EpochHistory, type EpochView } from '../../../../src/log/epoch-history.ts'
import type { BrokerImage, ClusterImage, PartitionImage } from '../../../../src/metadata/cluster-image.ts'
import { metadataBatchSchema } from '../../../../src/metadata/metadata-records.ts'
import { partitionKey } from '../../../../src/model/ids.ts'
import { encodeWire } from '../../../../src/protocol/codec.ts'
import { committedIsr, type IsrState } from '../../../../src/replication/isr.ts'
import { MemoryFileSystem } from '../../../../src/storage/memory-file-system.ts'
import type { ObservedNode } from '../../../../src/testing/simulation/invariants/observed-node.ts'
import { InvariantViolation } from '../../../../src/testing/simulation/invariants/violation.ts'
import { id128 } from '../../../metadata/cluster-fixture.ts'
import { rawBatch, utf8 } from '../../../record/batches.ts'

export const TOPIC_ID = 'dG9waWMtdG9waWMtdG9waQ'
export const KEY = partitionKey(TOPIC_ID, 0)
const DATA_DIR = '/data'
const DIRECTORY = `${DATA_DIR}/topics/${TOPIC_ID}/0`

export interface BatchPlan {
  readonly baseOffset: number
  readonly records?: number
  readonly leaderEpoch?: number
  /** What it holds; differs in the CRC. */
  readonly text?: string
}

export function batch({
  baseOffset,
  records = 10,
  leaderEpoch = 1,
  text = 'the same',
}: BatchPlan): Uint8Array {
  return rawBatch(utf8(text), { baseOffset, leaderEpoch, recordsCount: records })
}

/** A metadata batch; those of different labels differ. */
export function metadataEntry(label: string): Uint8Array {
  return encodeWire(metadataBatchSchema, [{ type: 'topic-deleted', topicId: id128(label) }])
}

export function segmentName(baseOffset: number): string {
  return `${String(baseOffset).padStart(20, '0')}.log`
}

/** The files of one replica. */
export class ReplicaFiles {
  readonly fileSystem: MemoryFileSystem
  #segment = segmentName(0)
  #sizeBytes = 0

  constructor(fileSystem: MemoryFileSystem = new MemoryFileSystem()) {
    this.fileSystem = fileSystem
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  async append(...batches: readonly Uint8Array[]): Promise<void> {
    await this.fileSystem.makeDirectory(DIRECTORY)
    const file = await this.fileSystem.open(`${DIRECTORY}/${this.#segment}`, 'create')
    for (const bytes of batches) {
      await file.write([bytes], this.#sizeBytes)
      this.#sizeBytes += bytes.length
    }
    await file.close()
  }

  async truncate(sizeBytes: number): Promise<void> {
    const file = await this.fileSystem.open(`${DIRECTORY}/${this.#segment}`, 'create')
    await file.truncate(sizeBytes)
    await file.close()
    this.#sizeBytes = sizeBytes
  }

  roll(baseOffset: number): void {
    this.#segment = segmentName(baseOffset)
    this.#sizeBytes = 0
  }

  /** Appends go to a compacted segment now, which is to take the place of those that begin in a range. */
  compactTo(baseOffset: number, endOffset: number): void {
    this.#segment = segmentName(baseOffset).replace('.log', `-${segmentName(endOffset)}.swap`)
    this.#sizeBytes = 0
  }

  async removeSegment(baseOffset: number): Promise<void> {
    await this.fileSystem.remove(`${DIRECTORY}/${segmentName(baseOffset)}`)
  }
}

interface FakeLog {
  logStartOffset: number
  /** Up to here old records are being removed; the log start follows. */
  trimmingTo: number
  readonly readableFrom: number
  logEndOffset: number
  flushedOffset: number
  compaction: { compactedBelow: number }
  epochs: Pick<EpochView, 'entries' | 'epochAt'>
}

/** A partition on one node, as one run of the process has it. */
export class FakeReplica {
  readonly key = KEY
  readonly options = { topicId: TOPIC_ID, partition: 0 }
  readonly log: FakeLog = {
    logStartOffset: 0,
    trimmingTo: 0,
    get readableFrom() {
      return Math.max(this.logStartOffset, this.trimmingTo)
    },
    logEndOffset: 0,
    flushedOffset: 0,
    compaction: { compactedBelow: 0 },
    epochs: new EpochHistory([]),
  }
  highWatermark = 0
  leader: {
    readonly leaderEpoch: number
    readonly options: { readonly core: { readonly isr: IsrState } }
  } | null = null
  follower: object | null = null
  fetchers = 0

  lead(leaderEpoch: number, isr: IsrState): void {
    this.leader = { leaderEpoch, options: { core: { isr } } }
    this.follower = null
    this.fetchers = 0
  }

  follow(): void {
    this.leader = null
    this.follower = { options: { core: { logEndOffset: 0 } } }
    this.fetchers = 1
  }

  /** All there is: written, fsynced and known to be committed. */
  reach(offset: number): void {
    this.log.logEndOffset = offset
    this.log.flushedOffset = offset
    this.highWatermark = offset
  }
}

interface FakeController {
  image: ClusterImage
  term: number
  isLeader: boolean
  /** What it has committed; null is the empty entry of a term. */
  entries: (Uint8Array | null)[]
  /** Offset of the first entry, when others are in a snapshot. */
  startOffset?: number
  snapshotIndex?: number
}

export class FakeNode {
  readonly id: number
  run = 1
  isStopping = false
  files = new ReplicaFiles()
  replica: FakeReplica | null = new FakeReplica()
  controller: FakeController | null = null
  image: ClusterImage

  constructor(id: number, image: ClusterImage) {
    this.id = id
    this.image = image
  }

  observed(): ObservedNode {
    const { id, run, isStopping, files, replica, controller, image } = this
    const server = {
      broker: {
        image,
        registry: { hosted: replica === null ? [] : [replica] },
        fetchers: { countOf: (of: FakeReplica) => of.fetchers },
      },
      controller: controller === null ? null : observedController(controller),
    }
    return {
      id,
      run,
      isStopping,
      fileSystem: files.fileSystem,
      dataDir: DATA_DIR,
      server: server as unknown as ObservedNode['server'],
    }
  }
}

function observedController({
  image,
  term,
  isLeader,
  entries,
  startOffset = 1,
  snapshotIndex = startOffset - 1,
}: FakeController): object {
  return {
    image,
    isActive: isLeader,
    voter: {
      driver: { term, isLeader },
      controller: {
        committedLog: {
          startOffset,
          snapshot: snapshotIndex === 0 ? null : { index: snapshotIndex },
          endOffset: startOffset - 1 + entries.length,
          // Two at a time, so that reading goes on where it ended.
          read: ({ fromOffset }: { readonly fromOffset: number }) =>
            entries.slice(fromOffset - startOffset, fromOffset - startOffset + 2),
        },
      },
    },
  }
}

export function brokerImage(brokerId: number, change: Partial<BrokerImage> = {}): BrokerImage {
  return {
    brokerId,
    brokerEpoch: 10 + brokerId,
    incarnationId: `incarnation-${brokerId}`,
    directoryId: `directory-${brokerId}`,
    url: `ws://node-${brokerId}:1`,
    fenced: false,
    shuttingDown: false,
    unfencedEpoch: 10 + brokerId,
    stateOffset: 20,
    rack: null,
    cordoned: false,
    ...change,
  }
}

export interface ImageChange {
  readonly metadataOffset?: number
  readonly partition?: Partial<PartitionImage>
  readonly brokers?: readonly BrokerImage[]
  readonly configs?: Readonly<Record<string, string>>
}

/** Three brokers and one topic with one partition on all of them, led by node 1. */
export function clusterImage(change: ImageChange = {}): ClusterImage {
  const brokers = change.brokers ?? [1, 2, 3].map((id) => brokerImage(id))
  const partition: PartitionImage = {
    partition: 0,
    replicas: [1, 2, 3],
    isr: [1, 2, 3],
    leader: 1,
    leaderEpoch: 1,
    partitionEpoch: 5,
    elr: [],
    lastKnownElr: [],
    observers: [],
    synced: true,
    droppedTails: [],
    reassignment: null,
    ...change.partition,
  }
  return {
    metadataOffset: change.metadataOffset ?? 30,
    clusterId: 'a-cluster',
    voters: [],
    brokers: new Map(brokers.map((broker) => [broker.brokerId, broker])),
    topics: new Map([
      [
        TOPIC_ID,
        {
          topicId: TOPIC_ID,
          name: 'orders',
          configs: new Map(Object.entries(change.configs ?? { 'min.insync.replicas': '2' })),
          partitions: [partition],
        },
      ],
    ]),
    topicIds: new Map([['orders', TOPIC_ID]]),
    deletedTopics: new Map(),
    brokerConfigs: new Map(),
  }
}

/** A cluster at rest in which all is well: three replicas with the same three batches, all committed. */
export class SoundCluster {
  readonly image = clusterImage()
  readonly nodes: readonly [FakeNode, FakeNode, FakeNode]

  private constructor() {
    this.nodes = [1, 2, 3].map((id) => new FakeNode(id, this.image)) as [FakeNode, FakeNode, FakeNode]
  }

  static async create(): Promise<SoundCluster> {
    const cluster = new SoundCluster()
    for (const node of cluster.nodes) {
      await node.files.append(...[0, 10, 20].map((baseOffset) => batch({ baseOffset })))
      node.replica!.log.epochs = new EpochHistory([{ epoch: 1, startOffset: 0 }])
      node.replica!.reach(30)
      node.replica!.follow()
    }
    const [leader] = cluster.nodes
    leader.replica!.lead(1, committedIsr(5, [1, 2, 3]))
    leader.controller = {
      image: cluster.image,
      term: 3,
      isLeader: true,
      entries: [null, metadataEntry('entry')],
    }
    return cluster
  }

  get observed(): ObservedNode[] {
    return this.nodes.map((node) => node.observed())
  }

  /** Everybody learns of it. */
  setImage(change: ImageChange): void {
    const image = clusterImage({ metadataOffset: 31, ...change })
    for (const node of this.nodes) {
      node.image = image
      if (node.controller !== null) node.controller.image = image
    }
  }
}

/** The number of the invariant that does not hold, with its words; null when all is well. */
export function violationOf(check: () => void): string | null {
  try {
    check()
    return null
  } catch (thrown) {
    if (!(thrown instanceof InvariantViolation)) throw thrown
    if (!thrown.message.startsWith(`${thrown.invariant}: `)) throw thrown
    return thrown.invariant
  }
}
