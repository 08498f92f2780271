import { VltavaError } from '../model/errors.ts'
import { type Offset, partitionKey } from '../model/ids.ts'
import type { RequestOf, ResponseOf } from '../protocol/api.ts'
import type { replicaRead } from '../protocol/replica-read.ts'
import type { ReadRange } from '../storage/hot-tail.ts'
import { bytesOf, type FetchAnswer } from './fetch-slots.ts'
import { partitionErrorOf } from './partition-error.ts'
import type { PartitionRegistry } from './partition-registry.ts'

/** Serves other replicas what they need to repair their logs. */
export class ReplicaReadFlow {
  readonly #registry: PartitionRegistry

  constructor(options: { readonly registry: PartitionRegistry }) {
    this.#registry = options.registry
  }

  async handle(request: RequestOf<typeof replicaRead>): Promise<FetchAnswer<ResponseOf<typeof replicaRead>>> {
    const { topicId, partition, offset, maxBytes } = request
    try {
      const { log } = this.#registry.require(partitionKey(topicId, partition))
      if (offset >= log.logEndOffset) {
        throw new VltavaError('OFFSET_OUT_OF_RANGE', `The log of this replica ends at ${log.logEndOffset}.`)
      }
      const endOffset = Math.min(request.endOffset, log.logEndOffset)
      const within = await log.read({ offset, endOffset, maxBytes, atLeastOneBatch: true })
      // Compaction may have emptied what was several batches, of which the end of the damage was one.
      const batches =
        within.length > 0 ? within : await log.read(firstBatch({ offset, endOffset: log.logEndOffset }))
      // Asked for when the batches were read: a compaction may have ended meanwhile.
      const { compactedBelow } = log.compaction
      return { body: { error: null, batchesBytes: bytesOf(batches), compactedBelow }, payload: batches }
    } catch (thrown) {
      return { body: { error: partitionErrorOf(thrown), batchesBytes: 0, compactedBelow: 0 }, payload: [] }
    }
  }
}

function firstBatch(range: { readonly offset: Offset; readonly endOffset: Offset }): ReadRange {
  return { ...range, maxBytes: 1, atLeastOneBatch: true }
}
