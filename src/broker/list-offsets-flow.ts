import { VltavaError } from '../model/errors.ts'
import { type Offset, partitionKey } from '../model/ids.ts'
import type { RequestOf, ResponseOf } from '../protocol/api.ts'
import type { listOffsets } from '../protocol/list-offsets.ts'
import type { LeaderRole } from './leader-role.ts'
import { partitionErrorOf } from './partition-error.ts'
import type { PartitionRegistry } from './partition-registry.ts'

type Request = RequestOf<typeof listOffsets>
type PartitionRequest = Request['partitions'][number]
type Response = ResponseOf<typeof listOffsets>
type PartitionResponse = Response['partitions'][number]

/** Finds offsets by place or time in partitions that this broker leads. */
export class ListOffsetsFlow {
  readonly #registry: PartitionRegistry

  constructor(options: { readonly registry: PartitionRegistry }) {
    this.#registry = options.registry
  }

  async handle(request: Request): Promise<Response> {
    return { partitions: await Promise.all(request.partitions.map((partition) => this.#find(partition))) }
  }

  async #find(request: PartitionRequest): Promise<PartitionResponse> {
    try {
      const role = this.#registry.require(partitionKey(request.topicId, request.partition)).requireLeader()
      role.checkEpoch(request.currentLeaderEpoch)
      const offset = await offsetOf(role, request.spec)
      if (role.hasEnded) throw new VltavaError('NOT_LEADER_OR_FOLLOWER')
      const { log } = role.options
      const { logStartOffset, logEndOffset } = log
      return {
        error: null,
        offset,
        leaderEpoch: role.leaderEpoch,
        logStartOffset,
        highWatermark: role.highWatermark,
        logEndOffset,
      }
    } catch (thrown) {
      const error = partitionErrorOf(thrown)
      return { error, offset: null, leaderEpoch: 0, logStartOffset: 0, highWatermark: 0, logEndOffset: 0 }
    }
  }
}

/**
 * Right after a failover the high watermark of the new leader may be below what its predecessor acknowledged. Until
 * it has reached the start of this leader epoch, "latest" and times have no certain answer (REP-32).
 */
async function offsetOf(role: LeaderRole, spec: PartitionRequest['spec']): Promise<Offset | null> {
  const { log, core } = role.options
  if (spec.type === 'earliest') return log.logStartOffset
  const isCertain = role.highWatermark >= core.leaderEpochStartOffset
  if (spec.type === 'latest') {
    if (!isCertain) throw notAvailable(role)
    return role.highWatermark
  }
  const found = await log.offsetForTimestamp({ timestampMs: spec.timestampMs, endOffset: role.highWatermark })
  if (found === null && !isCertain) throw notAvailable(role)
  return found?.offset ?? null
}

function notAvailable(role: LeaderRole): VltavaError {
  const { leaderEpochStartOffset } = role.options.core
  return new VltavaError(
    'OFFSET_NOT_AVAILABLE',
    `The new leader has confirmed offsets up to ${role.highWatermark} of ${leaderEpochStartOffset} only; try again.`,
  )
}
