// What clients say and hear of moves of replicas.
import { VltavaError } from '../model/errors.ts'
import type { NodeId, PartitionIndex } from '../model/ids.ts'
import type { ResponseOf } from '../protocol/api.ts'
import { errorOfWire } from '../protocol/error-schema.ts'
import type { alterPartitionReassignments } from '../protocol/reassign.ts'

export interface WantedReplicas {
  readonly topic: string
  readonly partition: PartitionIndex
  /** The wanted replicas, the preferred leader first; null cancels the move that is under way. */
  readonly replicas: readonly NodeId[] | null
}

/** What became of the request for one partition. */
export interface ReassignmentStarted {
  readonly topic: string
  readonly partition: PartitionIndex
  /** Why nothing was changed; null where the move is under way, complete or cancelled. */
  readonly error: VltavaError | null
}

/** A partition whose replicas are being moved. */
export interface OngoingReassignment {
  readonly topic: string
  readonly partition: PartitionIndex
  readonly leader: NodeId | null
  readonly isr: readonly NodeId[]
  /** The replicas before the move, to which cancelling goes back. */
  readonly original: readonly NodeId[]
  /** The replicas after it. It is complete when all of them but the observers are in the ISR. */
  readonly target: readonly NodeId[]
  /** Which of the replicas are observers. */
  readonly observers: readonly NodeId[]
}

/** The answer for one partition with its error as clients have them. */
export function started({
  error,
  ...of
}: ResponseOf<typeof alterPartitionReassignments>['partitions'][number]): ReassignmentStarted {
  return { ...of, error: error === null ? null : errorOfWire(error) }
}

/** @throws VltavaError INVALID_ARGUMENT that names what is wrong. */
export function checkWantedReplicas(partitions: readonly WantedReplicas[]): void {
  const isId = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 0
  const problem = !Array.isArray(partitions)
    ? 'the partitions must be a list'
    : partitions.some(({ topic }) => typeof topic !== 'string')
      ? 'every topic must be text'
      : partitions.some(({ partition }) => !isId(partition))
        ? 'every partition must be a number from 0'
        : partitions.some(
              ({ replicas }) => replicas !== null && !(Array.isArray(replicas) && replicas.every(isId)),
            )
          ? 'the replicas must be a list of broker ids, or null to cancel'
          : null
  if (problem !== null) throw new VltavaError('INVALID_ARGUMENT', `reassignPartitions: ${problem}.`)
}
