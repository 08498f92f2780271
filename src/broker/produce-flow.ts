import type { Timer } from '../base/clock.ts'
import type { ErrorName } from '../model/error-codes.ts'
import { toVltavaError, VltavaError } from '../model/errors.ts'
import { partitionKey } from '../model/ids.ts'
import type { RequestOf, ResponseOf } from '../protocol/api.ts'
import type { produce } from '../protocol/produce.ts'
import type { BrokerCounters, TopicCounters } from './broker-counters.ts'
import type { BrokerEnvironment } from './broker-environment.ts'
import type { PendingAck } from './delayed-requests.ts'
import type { Appended, LeaderRole } from './leader-role.ts'
import { partitionErrorOf } from './partition-error.ts'
import type { PartitionRegistry } from './partition-registry.ts'

type Request = RequestOf<typeof produce>
type Response = ResponseOf<typeof produce>
type PartitionResponse = Response['partitions'][number]

/**
 * How long a batch may wait for its leader epoch to be known here. As a rule metadata is a few milliseconds behind that of the
 * client; a broker that the controller does not reach must not hold the batch back from the next leader.
 */
const EPOCH_WAIT_MAX_MS = 500

/** Errors that speak of the records themselves. */
const REJECTING: ReadonlySet<ErrorName> = new Set(['CORRUPT_MESSAGE', 'INVALID_RECORD', 'MESSAGE_TOO_LARGE'])

export interface ProduceFlowOptions {
  readonly environment: BrokerEnvironment
  readonly registry: PartitionRegistry
  readonly counters: BrokerCounters
}

/** Appends what clients send and answers when the records are as safe as they asked. */
export class ProduceFlow {
  readonly #options: ProduceFlowOptions

  constructor(options: ProduceFlowOptions) {
    this.#options = options
  }

  handle(request: Request, payload: Uint8Array): Promise<Response> {
    let length = 0
    for (const { batchesBytes } of request.partitions) length += batchesBytes
    if (length !== payload.length) {
      throw new VltavaError(
        'INVALID_REQUEST',
        `The payload has ${payload.length} bytes, the partitions name ${length}.`,
      )
    }
    const deadline = new ProduceDeadline(this.#options.environment, request.timeoutMs)
    let position = 0
    const responses = request.partitions.map((partition) => {
      const batches = payload.subarray(position, position + partition.batchesBytes)
      position += partition.batchesBytes
      return this.#append(partition, { batches, acks: request.acks, deadline })
    })
    return Promise.all(responses)
      .then((partitions) => ({ partitions }))
      .finally(() => deadline.cancel())
  }

  async #append(
    target: Request['partitions'][number],
    { batches, acks, deadline }: { batches: Uint8Array; acks: Request['acks']; deadline: ProduceDeadline },
  ): Promise<PartitionResponse> {
    let counted: TopicCounters | null = null
    try {
      const partition = this.#options.registry.require(partitionKey(target.topicId, target.partition))
      counted = this.#options.counters.topic(target.topicId)
      counted.produceRequests++
      const { currentLeaderEpoch } = target
      const epochKnown = partition.whenEpochKnown(
        currentLeaderEpoch,
        Math.min(deadline.timeoutMs, EPOCH_WAIT_MAX_MS),
      )
      if (epochKnown !== null) await epochKnown
      const role = partition.requireLeader()
      role.checkEpoch(currentLeaderEpoch)
      // No await from here: the role that was checked is the one that appends.
      const appended = role.append(batches, acks)
      counted.messagesIn += appended.endOffset - appended.baseOffset
      counted.bytesIn += batches.length
      if (acks === -1) await this.#whenCommitted(role, appended, deadline)
      else await appended.written
      return {
        error: null,
        baseOffset: appended.baseOffset,
        leaderEpoch: role.leaderEpoch,
        logStartOffset: role.options.log.logStartOffset,
      }
    } catch (thrown) {
      if (counted !== null) countFailure(counted, thrown, batches.length)
      return { error: partitionErrorOf(thrown), baseOffset: 0, leaderEpoch: 0, logStartOffset: 0 }
    }
  }

  #whenCommitted(role: LeaderRole, appended: Appended, deadline: ProduceDeadline): Promise<void> {
    return new Promise((resolve, reject) => {
      let settled = false
      const ack: PendingAck = {
        endOffset: appended.endOffset,
        settle(error) {
          if (settled) return
          settled = true
          if (error === null) resolve()
          else reject(error)
        },
      }
      role.pendingAcks.add(ack)
      deadline.onDue(() => {
        if (settled) return
        role.pendingAcks.remove(ack)
        ack.settle(
          new VltavaError(
            'REQUEST_TIMED_OUT',
            `Written, but not acknowledged in time: ${role.describeMissing(appended.endOffset)}.`,
          ),
        )
      })
      // A failed write never becomes visible to the high watermark; without this the request would wait in vain.
      appended.written.catch((error: unknown) => {
        role.pendingAcks.remove(ack)
        ack.settle(toVltavaError(error))
      })
      role.pendingAcks.release(role.highWatermark)
    })
  }
}

function countFailure(counted: TopicCounters, thrown: unknown, bytes: number): void {
  counted.failedProduceRequests++
  const { code } = toVltavaError(thrown)
  if (REJECTING.has(code)) counted.bytesRejected += bytes
}

/** The one deadline of a produce request; its timer exists only once something waits. */
class ProduceDeadline {
  readonly timeoutMs: number
  readonly #environment: BrokerEnvironment
  readonly #startedAtMs: number
  readonly #callbacks: (() => void)[] = []
  #timer: Timer | null = null

  constructor(environment: BrokerEnvironment, timeoutMs: number) {
    this.#environment = environment
    this.timeoutMs = timeoutMs
    this.#startedAtMs = environment.clock.monotonicMs()
  }

  /** The time that a batch has waited for its leader epoch counts as well. */
  onDue(callback: () => void): void {
    const { clock } = this.#environment
    this.#callbacks.push(callback)
    const leftMs = Math.max(0, this.timeoutMs - (clock.monotonicMs() - this.#startedAtMs))
    this.#timer ??= clock.setTimer(leftMs, () => {
      for (const due of this.#callbacks) due()
    })
  }

  cancel(): void {
    this.#timer?.cancel()
  }
}
