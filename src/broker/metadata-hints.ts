import type { ClusterImage } from '../metadata/cluster-image.ts'
import { deltaFor } from '../metadata/image-delta.ts'
import type { Connection } from '../net/connection.ts'
import { metadataChanged } from '../protocol/cluster-metadata.ts'

/** More than this in one change: a client is better served by asking. */
const PARTITIONS_PER_HINT_MAX = 1_000

/** Tells the clients that have asked for metadata here when partitions get another leader. */
export class MetadataHints {
  readonly #connections = new Set<Connection>()

  subscribe(connection: Connection): void {
    if (this.#connections.has(connection) || !connection.isOpen) return
    this.#connections.add(connection)
    connection.onClose(() => this.#connections.delete(connection))
  }

  publish(nodeId: number, images: { readonly before: ClusterImage; readonly after: ClusterImage }): void {
    if (this.#connections.size === 0) return
    const { changed } = deltaFor(nodeId, images.before, images.after)
    const partitions = changed
      .filter(
        ({ before, after }) => before?.leader !== after.leader || before.leaderEpoch !== after.leaderEpoch,
      )
      .slice(0, PARTITIONS_PER_HINT_MAX)
      .map(({ topic, after }) => ({
        topicId: topic.topicId,
        partition: after.partition,
        leader: after.leader,
        leaderEpoch: after.leaderEpoch,
      }))
    if (partitions.length === 0) return
    for (const connection of this.#connections) {
      connection.notify(metadataChanged, { metadataOffset: images.after.metadataOffset, partitions })
    }
  }
}
