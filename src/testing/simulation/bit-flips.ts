// Flips bits of records that were committed, on the disk of one replica at a time: what a medium may do to data at rest. The
// other members of the in-sync set have the same records whole, or what happens would be nobody's to mend.
import type { Random } from '../../base/random.ts'
import type { ClusterImage } from '../../metadata/cluster-image.ts'
import { batchSizeOf, HEADER_BYTES, nextOffsetOf } from '../../record/batch-format.ts'
import { chance, oneOf } from './draw.ts'
import { DATA_DIR, type SimulatedCluster } from './simulated-cluster.ts'
import type { SimulatedNode } from './simulated-node.ts'

export interface BitFlipsOptions {
  readonly cluster: Pick<SimulatedCluster, 'nodes'>
  readonly newestMetadata: () => ClusterImage | null
  /** Exclusive: all below was committed. @param key topic id and partition. */
  readonly committedEnd: (key: string) => number
  readonly random: Random
  readonly onTrace: (line: string) => void
}

/** A batch that may be hit. */
interface Target {
  readonly path: string
  readonly position: number
  readonly sizeBytes: number
}

export class BitFlips {
  readonly #options: BitFlipsOptions

  constructor(options: BitFlipsOptions) {
    this.#options = options
  }

  /** Replicas with bits that are still flipped, as `node-1 topic/0`. */
  get left(): readonly string[] {
    return this.#directories().flatMap((directory) =>
      this.#options.cluster.nodes
        .filter(({ disk }) => disk.fileSystem.flippedNames(`${DATA_DIR}/topics/${directory}`).length > 0)
        .map(({ name }) => `${name} ${directory}`),
    )
  }

  /** @returns whether there was a record that could be hit. */
  strike(node: SimulatedNode): boolean {
    const { random } = this.#options
    const targets = this.#targets(node)
    if (targets.length === 0) return false
    const { path, position, sizeBytes } = oneOf(random, targets)
    // Most bytes are payload, but most of what can go wrong is in the header.
    const at = position + (chance(random, 50) ? random.below(HEADER_BYTES) : random.below(sizeBytes))
    const hit = node.disk.fileSystem.flip(path, at, 1 << random.below(8))
    if (hit) this.#options.onTrace(`${node.name} has a flipped bit at ${at} of ${path}`)
    return hit
  }

  #targets(node: SimulatedNode): readonly Target[] {
    const hurt = this.left
    const targets: Target[] = []
    for (const { topicId, partitions } of this.#options.newestMetadata()?.topics.values() ?? []) {
      for (const { partition, isr } of partitions) {
        const directory = `${topicId}/${partition}`
        const isKeptByAnother = isr.some((member) => member !== node.id)
        if (!isKeptByAnother || hurt.some((replica) => replica.endsWith(directory))) continue
        targets.push(...this.#targetsIn(node, directory))
      }
    }
    return targets
  }

  /** The last batch of the active segment is left out: above the recovery point it cannot be told from a torn one. */
  #targetsIn({ disk }: SimulatedNode, directory: string): readonly Target[] {
    const path = `${DATA_DIR}/topics/${directory}`
    const committedEnd = this.#options.committedEnd(directory)
    const names = disk.fileSystem.peekNames(path).filter((name) => name.endsWith('.log'))
    return names.flatMap((name) => {
      const bytes = disk.fileSystem.peek(`${path}/${name}`)!
      const targets: Target[] = []
      for (let position = 0; position + HEADER_BYTES <= bytes.length; ) {
        const sizeBytes = batchSizeOf(bytes, position)
        if (sizeBytes < HEADER_BYTES || position + sizeBytes > bytes.length) break
        if (nextOffsetOf(bytes, position) > committedEnd) break
        targets.push({ path: `${path}/${name}`, position, sizeBytes })
        position += sizeBytes
      }
      return name === names.at(-1) ? targets.slice(0, -1) : targets
    })
  }

  #directories(): readonly string[] {
    return [...(this.#options.newestMetadata()?.topics.values() ?? [])].flatMap(({ topicId, partitions }) =>
      partitions.map(({ partition }) => `${topicId}/${partition}`),
    )
  }
}
