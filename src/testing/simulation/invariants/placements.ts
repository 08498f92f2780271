// Where replicas come to, by the committed records in their order: to brokers that may take them, and of a new partition to as many
// racks as that can be. And no broker is taken away while it hosts any.
import type { MetadataRecord, MetadataRecordOf } from '../../../metadata/metadata-records.ts'
import type { NodeId, TopicId } from '../../../model/ids.ts'
import { type CommittedBroker, CommittedBrokers } from './committed-brokers.ts'
import { demand } from './violation.ts'

type Placed = Pick<MetadataRecordOf<'partition-created'>, 'topicId' | 'partition' | 'replicas'>

export class Placements {
  readonly #brokers = new CommittedBrokers()
  /** By topic and partition index. */
  readonly #replicas = new Map<TopicId, (readonly NodeId[])[]>()
  #spread = 0
  #passedOver = 0

  /** Partitions that began in as many racks as they could, and could have begun in fewer. */
  get spread(): number {
    return this.#spread
  }

  /** How often replicas were placed while a broker was alive and cordoned. */
  get passedOver(): number {
    return this.#passedOver
  }

  /**
   * To be called for every committed batch, once, in the order of the log.
   * @throws InvariantViolation RACKS, REMOVAL
   */
  committed(records: readonly MetadataRecord[], metadataOffset: number): void {
    const where = `metadata offset ${metadataOffset}`
    for (const record of records) {
      if (record.type === 'partition-created') {
        this.#checkRacks(record, where)
        this.#place(record, where)
      }
      if (record.type === 'partition-changed' && record.replicas !== null)
        this.#place({ ...record, replicas: record.replicas }, where)
      if (record.type === 'topic-deleted') this.#replicas.delete(record.topicId)
      if (record.type === 'broker-unregistered') this.#checkRemoval(record.brokerId, where)
      this.#brokers.committed(record)
    }
  }

  #place({ topicId, partition, replicas }: Placed, where: string): void {
    const partitions = this.#replicas.get(topicId) ?? []
    const before = partitions[partition] ?? []
    const added = replicas.filter((id) => !before.includes(id))
    const refused = added.filter((id) => this.#brokers.get(id)?.cordoned !== false)
    demand(
      refused.length === 0,
      'REMOVAL',
      () =>
        `${where}: ${topicId}/${partition} gets replicas on ${refused.join(',')}, cordoned or not registered`,
    )
    const isPassedOver = ({ fenced, cordoned }: CommittedBroker): boolean => cordoned && !fenced
    if (added.length > 0 && this.#brokers.all().some(isPassedOver)) this.#passedOver++
    partitions[partition] = replicas
    this.#replicas.set(topicId, partitions)
  }

  #checkRemoval(brokerId: NodeId, where: string): void {
    demand(
      this.#brokers.get(brokerId)?.fenced === true,
      'REMOVAL',
      () => `${where}: broker ${brokerId} is taken away, which is not fenced`,
    )
    for (const [topicId, partitions] of this.#replicas) {
      const partition = partitions.findIndex((replicas) => replicas.includes(brokerId))
      demand(
        partition === -1,
        'REMOVAL',
        () => `${where}: broker ${brokerId} is taken away, and hosts ${topicId}/${partition}`,
      )
    }
  }

  /** Racks count where every broker has one that may take replicas. */
  #checkRacks({ topicId, partition, replicas }: Placed, where: string): void {
    const open = this.#brokers
      .all()
      .filter((broker) => !(broker.fenced || broker.shuttingDown || broker.cordoned))
    if (open.some(({ rack }) => rack === null)) return
    const racksCount = new Set(open.map(({ rack }) => rack)).size
    const used = new Set(replicas.map((id) => this.#brokers.get(id)?.rack)).size
    const possible = Math.min(replicas.length, racksCount)
    demand(
      used === possible,
      'RACKS',
      () =>
        `${where}: ${topicId}/${partition} is placed on ${replicas.join(',')} in ${used} racks of ${possible}`,
    )
    if (replicas.length > 1 && racksCount < open.length && replicas.length < open.length) this.#spread++
  }
}
