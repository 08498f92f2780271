import { VltavaError } from '../model/errors.ts'
import type { NodeId, PartitionIndex } from '../model/ids.ts'
import type { RequestOf } from '../protocol/api.ts'
import type { changeReplicaRole } from '../protocol/replica-role.ts'
import { resolveTimeoutMs } from './admin-options.ts'
import { showValue } from './options.ts'

export interface ReplicaRoleOptions {
  readonly topic: string
  readonly partition: PartitionIndex
  /** Which replica. */
  readonly broker: NodeId
  /** Milliseconds for the whole call. 100 to 300,000, default 30,000. */
  readonly timeoutMs?: number
}

type Request = RequestOf<typeof changeReplicaRole>

/** @throws VltavaError INVALID_ARGUMENT */
export function resolveReplicaRole(given: ReplicaRoleOptions, role: Request['role']): Request {
  const { topic, partition, broker, ...rest } = given
  const call = role === 'voter' ? 'promoteReplica' : 'demoteReplica'
  const isNumber = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0
  const problem =
    typeof topic !== 'string'
      ? `the topic must be text, got ${showValue(topic)}`
      : !isNumber(partition)
        ? `the partition must be a number from 0, got ${showValue(partition)}`
        : !isNumber(broker)
          ? `the broker must be a number from 0, got ${showValue(broker)}`
          : null
  if (problem !== null) throw new VltavaError('INVALID_ARGUMENT', `${call}: ${problem}.`)
  return { topic, partition, brokerId: broker, role, timeoutMs: resolveTimeoutMs(rest, call) }
}
