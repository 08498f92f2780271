// The invariants of the catalogue (INV-1 to INV-25) over all nodes of a simulated cluster.
import type { ClusterImage } from '../../../metadata/cluster-image.ts'
import type { NodeId } from '../../../model/ids.ts'
import { IsrInvariants } from './isr-invariants.ts'
import { MetadataInvariants } from './metadata-invariants.ts'
import type { ObservedNode } from './observed-node.ts'
import { ReplicaInvariants } from './replica-invariants.ts'
import { demand } from './violation.ts'

/** Events between two comparisons of whole logs. */
const DEEP_EVERY_EVENTS = 500

export class ClusterInvariants {
  readonly #replicas = new ReplicaInvariants()
  readonly #metadata = new MetadataInvariants()
  readonly #isr = new IsrInvariants()
  #events = 0

  /**
   * To be called after every event in which a node may have changed, when all that it set off is over.
   * @param changed the nodes in which something may be different since the last call; null: any. What follows from a change
   *   for others, more that is committed or newer metadata, is looked at in all of them.
   * @throws InvariantViolation
   */
  check(nodes: readonly ObservedNode[], changed: ReadonlySet<NodeId> | null = null): void {
    const touched = changed === null ? nodes : nodes.filter(({ id }) => changed.has(id))
    const { newest } = this.#metadata
    const committed = this.#replicas.commits
    this.#metadata.check(touched)
    this.#replicas.checkCheap(touched)
    const isForAll = newest !== this.#metadata.newest || committed !== this.#replicas.commits
    this.#isr.check(nodes, {
      touched: isForAll ? nodes : touched,
      newest: this.#metadata.newest,
      committedEnd: (key) => this.#replicas.committedEnd(key),
    })
    if (++this.#events % DEEP_EVERY_EVENTS === 0) this.checkDeep(nodes)
  }

  /** Compares what the files hold; also to be called at rest. @throws InvariantViolation */
  checkDeep(nodes: readonly ObservedNode[]): void {
    const committed = this.#metadata.newest
    if (committed !== null) this.#replicas.checkDeep(nodes, committed)
  }

  /** A record was acknowledged to a client: it must be committed by now (CHK-19). @throws InvariantViolation */
  acknowledged(key: { readonly topicId: string; readonly partition: number }, offset: number): void {
    const end = this.#replicas.committedEnd(`${key.topicId}/${key.partition}`)
    demand(
      offset < end,
      'CHK-19',
      () =>
        `offset ${offset} of ${key.topicId}/${key.partition} was acknowledged, but only ${end} records are committed`,
    )
  }

  /** A deletion up to the offset was acknowledged to a client (REP-44). */
  deleted(key: { readonly topicId: string; readonly partition: number }, offset: number): void {
    this.#replicas.deleted(`${key.topicId}/${key.partition}`, offset)
  }

  /** A record was read by a client: it must have been committed before (REP-35). @throws InvariantViolation */
  read(key: { readonly topicId: string; readonly partition: number }, offset: number): void {
    const end = this.#replicas.committedEnd(`${key.topicId}/${key.partition}`)
    demand(
      offset < end,
      'REP-35',
      () =>
        `offset ${offset} of ${key.topicId}/${key.partition} was read, but only ${end} records are committed`,
    )
  }

  /** The id of a topic, by the newest committed metadata; null where there is none of that name. */
  topicId(name: string): string | null {
    return this.#metadata.newest?.topicIds.get(name) ?? null
  }

  /** The newest committed metadata that any node has shown; null before the first. */
  get newestMetadata(): ClusterImage | null {
    return this.#metadata.newest
  }

  /** Partitions that were spread over racks. */
  get spreadOverRacks(): number {
    return this.#metadata.spreadOverRacks
  }

  /** How often replicas were placed past a cordoned broker that was alive. */
  get passedOver(): number {
    return this.#metadata.passedOver
  }

  /** Exclusive: all below was committed at some time. @param key topic id and partition. */
  committedEnd(key: string): number {
    return this.#replicas.committedEnd(key)
  }

  diskReplaced(nodeId: number): void {
    this.#metadata.forget(nodeId)
    this.#isr.diskReplaced(nodeId)
  }
}
