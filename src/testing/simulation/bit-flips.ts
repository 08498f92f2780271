// Flips bits of records that were committed, on the disk of one replica at a time: what a medium may do to data at rest. The
// other members of the in-sync set have the same records whole and keep them, or what happens would be nobody's to mend.
import type { Cpu } from '../../base/cpu.ts'
import type { Random } from '../../base/random.ts'
import type { ClusterImage, PartitionImage, TopicImage } from '../../metadata/cluster-image.ts'
import type { NodeId } from '../../model/ids.ts'
import {
  ATTRIBUTES_POSITION,
  batchSizeOf,
  crcOf,
  HEADER_BYTES,
  nextOffsetOf,
} from '../../record/batch-format.ts'
import { chance, oneOf } from './draw.ts'
import { DATA_DIR, type SimulatedCluster } from './simulated-cluster.ts'
import type { SimulatedDisk } from './simulated-disk.ts'
import type { SimulatedNode } from './simulated-node.ts'

export interface BitFlipsOptions {
  readonly cluster: Pick<SimulatedCluster, 'nodes'>
  readonly newestMetadata: () => ClusterImage | null
  /** Exclusive: all below was committed. @param key topic id and partition. */
  readonly committedEnd: (key: string) => number
  /** The largest log start that any replica has had: what lies below may be nobody's to mend, and nobody reads it. */
  readonly logStartOf: (topic: string, partition: number) => number
  /** Whether a member of the ISR besides this node keeps its copy, whatever becomes of moves. */
  readonly isKeptByAnother: (topic: string, partition: PartitionImage, nodeId: NodeId) => boolean
  readonly cpu: Cpu
  readonly random: Random
  readonly onTrace: (line: string) => void
}

/** Of each partition so many batches count as what came last. */
const LAST_BATCHES = 4

/** The log of a partition, below the directory of all topics. */
interface Place {
  readonly directory: string
  readonly logStartOffset: number
}

interface Batch {
  readonly path: string
  readonly position: number
  readonly sizeBytes: number
  /** Exclusive. */
  readonly endOffset: number
}

export class BitFlips {
  readonly #options: BitFlipsOptions

  constructor(options: BitFlipsOptions) {
    this.#options = options
  }

  /** Replicas with bits that are still flipped, as `node-1 topic/0`. */
  get left(): readonly string[] {
    return this.#places().flatMap((place) =>
      this.#damaged(place).map(({ name }) => `${name} ${place.directory}`),
    )
  }

  /** The nodes on which bits of a partition are still flipped. */
  nodesLeft(topic: string, partition: number): readonly NodeId[] {
    const image = this.#options.newestMetadata()
    const found = image?.topics.get(image.topicIds.get(topic) ?? '')
    if (found === undefined) return []
    return this.#damaged(this.#placeOf(found, partition)).map(({ id }) => id)
  }

  /**
   * @param where `end`: in the last batches of a partition but one, which lie above its recovery point as a rule.
   * @returns whether there was a record that could be hit.
   */
  strike(node: SimulatedNode, where: 'anywhere' | 'end' = 'anywhere'): boolean {
    const { random } = this.#options
    const targets = this.#targets(node, where)
    if (targets.length === 0) return false
    const { path, position, sizeBytes } = oneOf(random, targets)
    // Most bytes are payload, but most of what can go wrong is in the header.
    const drawn = chance(random, 50) ? random.below(HEADER_BYTES) : random.below(sizeBytes)
    const at = position + drawn
    const hit = node.disk.fileSystem.flip(path, at, 1 << random.below(8))
    if (hit) this.#options.onTrace(`${node.name} has a flipped bit at ${at} of ${path}`)
    return hit
  }

  #targets(node: SimulatedNode, where: 'anywhere' | 'end'): readonly Batch[] {
    const { isKeptByAnother, newestMetadata } = this.#options
    const hurt = this.left
    const targets: Batch[] = []
    for (const topic of newestMetadata()?.topics.values() ?? []) {
      for (const partition of topic.partitions) {
        const place = this.#placeOf(topic, partition.partition)
        const { directory } = place
        if (!isKeptByAnother(topic.name, partition, node.id)) continue
        if (hurt.some((replica) => replica.endsWith(directory))) continue
        const found = this.#targetsIn(node, place)
        targets.push(...(where === 'end' ? found.slice(-LAST_BATCHES) : found))
      }
    }
    return targets
  }

  /**
   * The last batch of the active segment is left out, and so is what has no whole batch behind it that is fsynced: above the
   * recovery point it cannot be told from a torn one, once a power loss has taken the rest. The disk is asked and not the log:
   * the node may be down, after one power loss and before another.
   */
  #targetsIn({ disk }: SimulatedNode, place: Place): readonly Batch[] {
    const { directory, logStartOffset } = place
    const committedEnd = this.#options.committedEnd(directory)
    const paths = logPaths(disk, directory)
    return paths.flatMap((path) => {
      const batches = batchesOf(disk, path)
      const isActive = path === paths.at(-1)
      const followed = batches.filter((_, i) => this.#isThereForGood(disk, batches[i + 1]))
      const whole = isActive ? followed : batches
      return whole.filter(({ endOffset }) => endOffset > logStartOffset && endOffset <= committedEnd)
    })
  }

  /** Whether a batch is whole, and every power loss leaves it so. */
  #isThereForGood({ fileSystem }: SimulatedDisk, batch: Batch | undefined): boolean {
    if (batch === undefined) return false
    const { path, position, sizeBytes } = batch
    if (!fileSystem.isDurable(path, { start: position, end: position + sizeBytes })) return false
    const bytes = fileSystem.peek(path)!.subarray(position, position + sizeBytes)
    return this.#options.cpu.crc32c(bytes.subarray(ATTRIBUTES_POSITION)) === crcOf(bytes, 0)
  }

  #damaged(place: Place): readonly SimulatedNode[] {
    return this.#options.cluster.nodes.filter((node) => isDamaged(node, place))
  }

  #places(): readonly Place[] {
    return [...(this.#options.newestMetadata()?.topics.values() ?? [])].flatMap((topic) =>
      topic.partitions.map(({ partition }) => this.#placeOf(topic, partition)),
    )
  }

  #placeOf({ topicId, name }: TopicImage, partition: number): Place {
    return {
      directory: `${topicId}/${partition}`,
      logStartOffset: this.#options.logStartOf(name, partition),
    }
  }
}

/** Whether a bit is flipped in what does not lie below the log start. */
function isDamaged({ disk }: SimulatedNode, { directory, logStartOffset }: Place): boolean {
  return logPaths(disk, directory).some((path) => {
    const positions = disk.fileSystem.flippedPositions(path)
    if (positions.length === 0) return false
    const deletedBytes = batchesOf(disk, path)
      .filter(({ endOffset }) => endOffset <= logStartOffset)
      .map(({ position, sizeBytes }) => position + sizeBytes)
    return positions.some((position) => position >= Math.max(0, ...deletedBytes))
  })
}

function logPaths({ fileSystem }: SimulatedDisk, directory: string): readonly string[] {
  const path = `${DATA_DIR}/topics/${directory}`
  const names = fileSystem.peekNames(path).filter((name) => name.endsWith('.log'))
  return names.map((name) => `${path}/${name}`)
}

/** The whole batches of a file, as they were written. */
function batchesOf({ fileSystem }: SimulatedDisk, path: string): readonly Batch[] {
  const bytes = fileSystem.peek(path)!
  const batches: Batch[] = []
  for (let position = 0; position + HEADER_BYTES <= bytes.length; ) {
    const sizeBytes = batchSizeOf(bytes, position)
    if (sizeBytes < HEADER_BYTES || position + sizeBytes > bytes.length) break
    batches.push({ path, position, sizeBytes, endOffset: nextOffsetOf(bytes, position) })
    position += sizeBytes
  }
  return batches
}
