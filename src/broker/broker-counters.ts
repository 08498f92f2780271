// What a broker counts for its operators, since its start. Plain fields: a hot path pays one addition, and whoever asks
// for the metrics reads them.
import type { TopicId } from '../model/ids.ts'

export class TopicCounters {
  messagesIn = 0
  bytesIn = 0
  bytesOut = 0
  /** Of produces that were refused because of their records. */
  bytesRejected = 0
  replicationBytesIn = 0
  replicationBytesOut = 0
  /** Records that a follower here cut off, because its leader does not have them. */
  truncatedRecords = 0
  /** Each partition of a request counts. */
  produceRequests = 0
  fetchRequests = 0
  failedProduceRequests = 0
  failedFetchRequests = 0
}

export class BrokerCounters {
  readonly #topics = new Map<TopicId, TopicCounters>()
  isrShrinks = 0
  isrExpands = 0
  /** Proposals of an in-sync set that the controller refused, or never answered. */
  failedIsrUpdates = 0

  /** The counters of a topic that this broker hosts, made with the first use. */
  topic(topicId: TopicId): TopicCounters {
    let counters = this.#topics.get(topicId)
    if (counters === undefined) {
      counters = new TopicCounters()
      this.#topics.set(topicId, counters)
    }
    return counters
  }

  get topics(): ReadonlyMap<TopicId, TopicCounters> {
    return this.#topics
  }

  /** To be called when a topic was deleted. */
  forget(topicId: TopicId): void {
    this.#topics.delete(topicId)
  }
}
