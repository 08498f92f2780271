import type { MetadataRecord } from '../../../metadata/metadata-records.ts'
import type { NodeId } from '../../../model/ids.ts'

export interface CommittedBroker {
  readonly fenced: boolean
  readonly shuttingDown: boolean
  readonly cordoned: boolean
  readonly rack: string | null
}

/** The brokers after some committed records: by the records alone, and not by the picture that nodes make of them. */
export class CommittedBrokers {
  readonly #brokers = new Map<NodeId, CommittedBroker>()

  get(brokerId: NodeId): CommittedBroker | undefined {
    return this.#brokers.get(brokerId)
  }

  all(): readonly CommittedBroker[] {
    return [...this.#brokers.values()]
  }

  /** To be called for every record, in the order of the log. */
  committed(record: MetadataRecord): void {
    switch (record.type) {
      case 'broker-registered': {
        const { brokerId, rack } = record
        const cordoned = this.#brokers.get(brokerId)?.cordoned ?? false
        this.#brokers.set(brokerId, { fenced: true, shuttingDown: false, cordoned, rack })
        return
      }
      case 'broker-fencing-changed': {
        const { fenced, shuttingDown } = record
        this.#change(record.brokerId, { fenced, shuttingDown })
        return
      }
      case 'broker-cordon-changed':
        this.#change(record.brokerId, { cordoned: record.cordoned })
        return
      case 'broker-unregistered':
        this.#brokers.delete(record.brokerId)
        return
      default:
    }
  }

  #change(brokerId: NodeId, change: Partial<CommittedBroker>): void {
    const broker = this.#brokers.get(brokerId)
    if (broker !== undefined) this.#brokers.set(brokerId, { ...broker, ...change })
  }
}
