// What must hold of the metadata on every node after every event.
import { crc32c } from '../../../base/crc32c.ts'
import type {
  BrokerImage,
  ClusterImage,
  PartitionImage,
  TopicImage,
} from '../../../metadata/cluster-image.ts'
import { minIsrOf } from '../../../metadata/eligible-replicas.ts'
import { metadataBatchSchema } from '../../../metadata/metadata-records.ts'
import { decodeWire } from '../../../protocol/codec.ts'
import type { ObservedNode } from './observed-node.ts'
import { Placements } from './placements.ts'
import { demand } from './violation.ts'

const READ_MAX_BYTES = 1024 * 1024

interface MetadataState {
  run: number
  /** Committed entries that were compared. */
  compared: number
  term: number
  committedImage: ClusterImage | null
  appliedImage: ClusterImage | null
}

export class MetadataInvariants {
  /** CRC of each committed entry by index - 1; null for the empty ones. */
  readonly #entries = new Map<number, number | null>()
  /** The picture that follows from the entries up to an offset, as text. */
  readonly #images = new Map<number, string>()
  readonly #leaders = new Map<number, number>()
  readonly #nodes = new Map<number, MetadataState>()
  readonly #placements = new Placements()
  /** Committed entries that `#placements` knows. */
  #followed = 0
  #newest: ClusterImage | null = null

  /** The newest committed metadata that any node has shown; null before the first. */
  get newest(): ClusterImage | null {
    return this.#newest
  }

  /** Partitions that were spread over racks. */
  get spreadOverRacks(): number {
    return this.#placements.spread
  }

  /** How often replicas were placed past a cordoned broker. */
  get passedOver(): number {
    return this.#placements.passedOver
  }

  check(nodes: readonly ObservedNode[]): void {
    for (const node of nodes) {
      const state = this.#stateOf(node)
      this.#checkController(node, state)
      this.#checkBroker(node, state)
    }
  }

  /** The disk of a node was replaced: what it knew is gone, rightly. */
  forget(id: number): void {
    this.#nodes.delete(id)
  }

  #checkController(node: ObservedNode, state: MetadataState): void {
    const { controller } = node.server
    const voter = controller?.voter ?? null
    if (controller === null || voter === null) return
    const { driver } = voter
    demand(
      driver.term >= state.term,
      'INV-17',
      () => `node ${node.id} went back from term ${state.term} to ${driver.term}`,
    )
    state.term = driver.term
    if (driver.isLeader) this.#checkLeader(node.id, driver.term)
    this.#checkEntries(node, state)
    const { image } = controller
    if (image === state.committedImage) return
    this.#checkImage(image, `the controller of node ${node.id}`)
    state.committedImage = image
    if (this.#newest === null || image.metadataOffset > this.#newest.metadataOffset) this.#newest = image
  }

  #checkLeader(id: number, term: number): void {
    const known = this.#leaders.get(term)
    if (known === undefined) this.#leaders.set(term, id)
    else demand(known === id, 'INV-22', () => `nodes ${known} and ${id} both led the quorum in term ${term}`)
  }

  #checkEntries(node: ObservedNode, state: MetadataState): void {
    const log = node.server.controller!.voter!.controller.committedLog
    demand(
      log.startOffset <= (log.snapshot?.index ?? 0) + 1,
      'INV-20',
      () =>
        `the log of node ${node.id} begins at ${log.startOffset}, its snapshot ends at ${log.snapshot?.index ?? 0}`,
    )
    demand(
      log.startOffset <= state.compared + 1 || !node.server.controller!.voter!.driver.isLeader,
      'INV-21',
      () =>
        `node ${node.id} leads, and goes from offset ${state.compared} to a snapshot up to ${log.startOffset - 1}`,
    )
    // What a snapshot stands for cannot be compared by entries; its image is.
    state.compared = Math.max(state.compared, log.startOffset - 1)
    while (state.compared < log.endOffset) {
      const entries = log.read({ fromOffset: state.compared + 1, maxBytes: READ_MAX_BYTES })
      for (const entry of entries) {
        const crc = entry === null ? null : crc32c(entry)
        const at = state.compared++
        const known = this.#entries.get(at)
        if (known === undefined) {
          this.#entries.set(at, crc)
          this.#follow(at, entry)
        } else {
          demand(
            known === crc,
            'INV-22',
            () => `node ${node.id} has committed another entry ${at + 1} than a node before it`,
          )
        }
      }
    }
  }

  /** What is decided by the records before needs all of them: behind a gap, which only a snapshot leaves, nothing is asked. */
  #follow(at: number, entry: Uint8Array | null): void {
    if (at !== this.#followed) return
    this.#followed++
    if (entry !== null) this.#placements.committed(decodeWire(metadataBatchSchema, entry), at + 1)
  }

  #checkBroker(node: ObservedNode, state: MetadataState): void {
    const image = node.server.broker?.image
    if (image === undefined || image === state.appliedImage || image.metadataOffset === 0) return
    const who = `broker ${node.id}`
    this.#checkImage(image, who)
    if (state.appliedImage !== null) checkForward(state.appliedImage, image, who)
    state.appliedImage = image
  }

  #checkImage(image: ClusterImage, who: string): void {
    if (image.metadataOffset === 0) return
    const text = showImage(image)
    const known = this.#images.get(image.metadataOffset)
    if (known !== undefined) {
      demand(
        known === text,
        'INV-10',
        () => `${who} has at metadata offset ${image.metadataOffset} ${text}, another node had ${known}`,
      )
      return
    }
    this.#images.set(image.metadataOffset, text)
    for (const topic of image.topics.values()) {
      for (const partition of topic.partitions)
        checkPartition(partition, {
          topic,
          brokers: image.brokers,
          where: `${who}: ${topic.name}/${partition.partition}`,
        })
    }
  }

  #stateOf(node: ObservedNode): MetadataState {
    let state = this.#nodes.get(node.id)
    if (state === undefined) {
      state = { run: node.run, compared: 0, term: 0, committedImage: null, appliedImage: null }
      this.#nodes.set(node.id, state)
    }
    if (state.run !== node.run) {
      // A new run hands everything out anew; what its broker applied must not go back all the same. The term may: one that
      // was not stored yet has bound nobody, and two leaders of one term would show that a stored one was lost.
      state.run = node.run
      state.term = 0
      state.compared = 0
      state.committedImage = null
    }
    return state
  }
}

function checkPartition(
  partition: PartitionImage,
  of: {
    readonly topic: TopicImage
    readonly brokers: ReadonlyMap<number, BrokerImage>
    readonly where: string
  },
): void {
  const { topic, brokers, where } = of
  const { leader, isr, elr, lastKnownElr, replicas, observers } = partition
  demand(
    !observers.some((id) => isr.includes(id) || elr.includes(id) || !replicas.includes(id)),
    'INV-11',
    () => `${where}: observers ${observers.join(',')}, ISR ${isr.join(',')}, ELR ${elr.join(',')}`,
  )
  demand(
    leader === null || isr.includes(leader),
    'INV-3',
    () => `${where}: the leader ${leader} is not in the ISR ${isr.join(',')}`,
  )
  demand(
    isr.every((id) => replicas.includes(id)),
    'INV-11',
    () => `${where}: ISR ${isr.join(',')}, replicas ${replicas.join(',')}`,
  )
  const fenced = isr.filter((id) => brokers.get(id)?.fenced !== false)
  demand(
    fenced.length === 0,
    'INV-11',
    () => `${where}: fenced brokers ${fenced.join(',')} in the ISR ${isr.join(',')}, leader ${leader}`,
  )
  demand(
    elr.every((id) => replicas.includes(id) && !isr.includes(id)),
    'INV-11',
    () => `${where}: ISR ${isr.join(',')}, ELR ${elr.join(',')}, replicas ${replicas.join(',')}`,
  )
  const minIsr = minIsrOf(topic, partition)
  demand(
    elr.length === 0 || isr.length < minIsr,
    'INV-11',
    () => `${where}: ELR ${elr.join(',')} beside the ISR ${isr.join(',')} where ${minIsr} are enough`,
  )
  demand(
    isr.length + elr.length > 0 || lastKnownElr.length >= minIsr,
    'INV-12',
    () => `${where}: nobody is eligible, and only ${lastKnownElr.join(',')} are known that were`,
  )
}

/** Epochs never go back on any node (INV-23). */
function checkForward(before: ClusterImage, after: ClusterImage, who: string): void {
  demand(
    after.metadataOffset > before.metadataOffset,
    'INV-23',
    () => `${who} went from metadata offset ${before.metadataOffset} to ${after.metadataOffset}`,
  )
  for (const [id, broker] of before.brokers) {
    const now = after.brokers.get(id)
    demand(
      now === undefined || now.brokerEpoch >= broker.brokerEpoch,
      'INV-23',
      () => `${who}: broker ${id} went from broker epoch ${broker.brokerEpoch} to ${now!.brokerEpoch}`,
    )
  }
  for (const [topicId, topic] of before.topics) {
    const kept = after.topics.get(topicId)?.partitions
    if (kept === undefined) continue
    demand(
      kept.length >= topic.partitions.length,
      'GROWTH',
      () => `${who}: ${topic.name} went from ${topic.partitions.length} partitions to ${kept.length}`,
    )
    for (const old of topic.partitions) {
      const now = kept[old.partition]!
      demand(
        now.leaderEpoch >= old.leaderEpoch && now.partitionEpoch >= old.partitionEpoch,
        'INV-23',
        () =>
          `${who}: ${topic.name}/${old.partition} went from epochs ${old.leaderEpoch}, ${old.partitionEpoch} to ${now.leaderEpoch}, ${now.partitionEpoch}`,
      )
    }
  }
}

/** In one order, whatever the order in which fields and maps were filled: an image may come from a snapshot. */
function showImage(image: ClusterImage): string {
  return JSON.stringify(image, (_, value: unknown) => {
    if (value instanceof Map) return [...(value as Map<string, unknown>)].sort(byName)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    return Object.fromEntries(Object.entries(value).sort(byName))
  })
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return String(a) < String(b) ? -1 : 1
}
