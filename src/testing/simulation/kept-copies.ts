// Who of an in-sync set keeps its copy, whatever becomes of the moves of its partition and of the roles of its replicas. Those take
// copies away, or make observers of them, while bits are flipped and disks lost on others, and neither the cluster nor anybody can
// mend what the only copy that stays has lost.
import type { ClusterImage, PartitionImage } from '../../metadata/cluster-image.ts'
import type { NodeId, PartitionIndex, TopicName } from '../../model/ids.ts'

/** A move that an operator wants. */
export interface WantedMove {
  readonly topic: TopicName
  readonly partition: PartitionIndex
  /** null cancels the move that is under way. */
  readonly replicas: readonly NodeId[] | null
}

/** Each has one request under way at a time, and takes up the next once that is answered or given up. */
export type Asker = 'moves' | 'roles' | 'drains'

export interface KeptCopiesOptions {
  readonly newestMetadata: () => ClusterImage | null
  /** The nodes whose copies of a partition are not whole, or may not be. */
  readonly spoilt: (of: Pick<WantedMove, 'topic' | 'partition'>) => readonly NodeId[]
}

export class KeptCopies {
  readonly #options: KeptCopiesOptions
  /** What was asked for and not answered, by asker, topic and partition: each may begin at any moment, or never. */
  readonly #asked: Readonly<Record<Asker, Map<string, readonly (readonly NodeId[])[]>>> = {
    moves: new Map(),
    roles: new Map(),
    drains: new Map(),
  }

  constructor(options: KeptCopiesOptions) {
    this.#options = options
  }

  /** Whether a member of the ISR besides this node keeps its copy. */
  isKeptByAnother(topic: TopicName, partition: PartitionImage, nodeId: NodeId): boolean {
    const { isr, reassignment } = partition
    const ends = [...this.#askedFor({ topic, partition: partition.partition })]
    // A move ends with its target or, cancelled, with the replicas of before.
    if (reassignment !== null) ends.push(reassignment.target, reassignment.original)
    return isr.some((member) => member !== nodeId && ends.every((end) => end.includes(member)))
  }

  /**
   * Whether an operator may ask for a move, for all that is known: it must not leave the only copy to a node that has none that is
   * whole. If so, the move counts as one that may happen from now on, until the answer.
   * @param by who asks; 'roles' names those who may still vote as the replicas. Default 'moves'.
   */
  ask(move: WantedMove, by: Asker = 'moves'): boolean {
    const { replicas } = move
    const asked = this.#asked[by]
    const before = asked.get(keyOf(move)) ?? []
    if (replicas !== null) asked.set(keyOf(move), [...before, replicas])
    const isSafe = this.#options.spoilt(move).every((nodeId) => this.#isKept(move, nodeId))
    if (!isSafe) asked.set(keyOf(move), before)
    return isSafe
  }

  /** The cluster has refused what was asked for, or begun it. */
  answered(move: WantedMove, by: Asker = 'moves'): void {
    this.#asked[by].delete(keyOf(move))
  }

  #askedFor(move: Pick<WantedMove, 'topic' | 'partition'>): readonly (readonly NodeId[])[] {
    const key = keyOf(move)
    return Object.values(this.#asked).flatMap((asked) => asked.get(key) ?? [])
  }

  #isKept({ topic, partition: index }: WantedMove, nodeId: NodeId): boolean {
    const image = this.#options.newestMetadata()
    const partition = image?.topics.get(image.topicIds.get(topic) ?? '')?.partitions[index]
    return partition === undefined || this.isKeptByAnother(topic, partition, nodeId)
  }
}

function keyOf({ topic, partition }: Pick<WantedMove, 'topic' | 'partition'>): string {
  return `${topic}/${partition}`
}
