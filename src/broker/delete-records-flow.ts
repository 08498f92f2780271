import { VltavaError } from '../model/errors.ts'
import { type Offset, partitionKey } from '../model/ids.ts'
import type { RequestOf, ResponseOf } from '../protocol/api.ts'
import type { deleteRecords } from '../protocol/delete-records.ts'
import type { BrokerEnvironment } from './broker-environment.ts'
import type { LeaderRole } from './leader-role.ts'
import type { PendingDeletion } from './low-watermark.ts'
import { partitionErrorOf } from './partition-error.ts'
import type { PartitionRegistry } from './partition-registry.ts'

type Request = RequestOf<typeof deleteRecords>
type PartitionRequest = Request['partitions'][number]
type Response = ResponseOf<typeof deleteRecords>
type PartitionResponse = Response['partitions'][number]

/** Deletes the records below an offset; answers when no in-sync replica holds them any more, durably. */
export class DeleteRecordsFlow {
  readonly #environment: BrokerEnvironment
  readonly #registry: PartitionRegistry

  constructor(options: { readonly environment: BrokerEnvironment; readonly registry: PartitionRegistry }) {
    this.#environment = options.environment
    this.#registry = options.registry
  }

  async handle(request: Request): Promise<Response> {
    const deadlineMs = this.#environment.clock.monotonicMs() + request.timeoutMs
    return {
      partitions: await Promise.all(
        request.partitions.map((partition) => this.#delete(partition, deadlineMs)),
      ),
    }
  }

  async #delete(request: PartitionRequest, deadlineMs: number): Promise<PartitionResponse> {
    try {
      const partition = this.#registry.require(partitionKey(request.topicId, request.partition))
      const role = partition.requireLeader()
      role.checkEpoch(request.currentLeaderEpoch)
      const { log } = role.options
      if (!log.settings.cleanupDeletes)
        throw new VltavaError(
          'POLICY_VIOLATION',
          'The topic is compacted only (cleanup.policy=compact), so its records cannot be deleted by offset; write ' +
            'tombstones instead, or create the topic with cleanup.policy=compact,delete.',
        )
      const offset = offsetOf(role, request.beforeOffset)
      // No await until here: the log of the role that was checked is the one that is trimmed.
      await log.trimTo(offset)
      if (role.hasEnded)
        throw new VltavaError(
          'NOT_LEADER_OR_FOLLOWER',
          'The leadership ended during the deletion; try again.',
        )
      await this.#whenDeleted(role, offset, deadlineMs)
      return { error: null, logStartOffset: log.logStartOffset }
    } catch (thrown) {
      return { error: partitionErrorOf(thrown), logStartOffset: 0 }
    }
  }

  #whenDeleted(role: LeaderRole, offset: Offset, deadlineMs: number): Promise<void> {
    const { clock } = this.#environment
    return new Promise((resolve, reject) => {
      const deletion: PendingDeletion = {
        offset,
        settle(error) {
          timer.cancel()
          if (error === null) resolve()
          else reject(error)
        },
      }
      const timer = clock.setTimer(Math.max(0, deadlineMs - clock.monotonicMs()), () => {
        role.lowWatermark.remove(deletion)
        const missing = role.lowWatermark.startBelow(offset, role.inSyncFollowers).join(', ')
        const detail = role.options.core.isBelowMinIsr
          ? `Deleted by the leader, but too few replicas are in sync to be sure that the records do not come back (${role.describeIsr()}).`
          : `Deleted by the leader, but not yet by the in-sync replicas ${missing}; they will follow.`
        reject(new VltavaError('REQUEST_TIMED_OUT', detail))
      })
      role.lowWatermark.add(deletion)
      role.lowWatermark.release(() => role.inSyncFollowers)
    })
  }
}

/**
 * Up to where to delete.
 * @throws VltavaError OFFSET_OUT_OF_RANGE beyond the high watermark; OFFSET_NOT_AVAILABLE while a new leader does not
 *   know yet what is committed.
 */
function offsetOf(role: LeaderRole, beforeOffset: Offset | null): Offset {
  const { highWatermark } = role
  const { log, core } = role.options
  const isCommitted = beforeOffset === null ? core.isSettled : beforeOffset <= highWatermark
  if (isCommitted) return beforeOffset ?? highWatermark
  const range = `the log goes from ${log.logStartOffset} to ${log.logEndOffset}, committed up to ${highWatermark}`
  if (beforeOffset === null || (!core.isSettled && beforeOffset <= log.logEndOffset)) {
    const detail = `The new leader does not know yet what is committed (${range}); try again.`
    throw new VltavaError('OFFSET_NOT_AVAILABLE', detail)
  }
  throw new VltavaError(
    'OFFSET_OUT_OF_RANGE',
    `Records below offset ${beforeOffset} cannot be deleted: ${range}. Name an offset up to ${highWatermark}.`,
  )
}
