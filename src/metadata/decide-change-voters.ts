import { VltavaError } from '../model/errors.ts'
import type { MetadataOffset } from '../model/ids.ts'
import { VOTERS_MAX } from '../model/limits.ts'
import type { VoterImage } from './cluster-image.ts'
import { causeOf, type Decision, type DecisionContext, type VoterChange } from './decision.ts'

export interface VotersChanged {
  readonly metadataOffset: MetadataOffset
  readonly voters: readonly VoterImage[]
}

export type VoterChangeRequest = VoterChange & {
  /** Where a voter that is added says that it is reached. */
  readonly url: string | null
}

/**
 * Makes one node a voter of the controller quorum, or takes its vote. Whether that is safe at this moment decides the
 * consensus, when the records are proposed.
 * @throws VltavaError DUPLICATE_VOTER, VOTER_NOT_FOUND, INVALID_REQUEST
 */
export function decideChangeVoters(
  context: DecisionContext,
  request: VoterChangeRequest,
): Decision<VotersChanged> {
  const { kind, nodeId, directoryId, url } = request
  const { voters: before } = context.image
  const present = before.find((voter) => voter.nodeId === nodeId)
  if (kind === 'add') checkNew(request, { present, count: before.length })
  else checkRemovable(request, { present, count: before.length })
  const voters =
    kind === 'add'
      ? [...before, { nodeId, directoryId, url }]
      : before.filter((voter) => voter.nodeId !== nodeId)
  const detail = `controller ${nodeId} with directory ${directoryId} ${kind === 'add' ? 'was added' : 'was removed'}`
  const cause = causeOf(context, 'operator', detail)
  return {
    records: [{ type: 'voters-changed', voters, cause }],
    response: { metadataOffset: context.nextOffset, voters },
    voterChange: { kind, nodeId, directoryId },
  }
}

interface Present {
  readonly present: VoterImage | undefined
  readonly count: number
}

function checkNew({ nodeId, directoryId }: VoterChangeRequest, { present, count }: Present): void {
  if (present?.directoryId === directoryId) {
    throw new VltavaError(
      'DUPLICATE_VOTER',
      `Controller ${nodeId} with directory ${directoryId} votes already.`,
    )
  }
  if (present !== undefined) {
    throw new VltavaError(
      'DUPLICATE_VOTER',
      `Controller ${nodeId} votes with directory ${present.directoryId}. If that one is lost, remove it first: the new ` +
        `directory ${directoryId} does not remember how it voted. If it is not, give the new node another id.`,
    )
  }
  if (count >= VOTERS_MAX) {
    throw new VltavaError(
      'INVALID_REQUEST',
      `There are ${count} voters, at most ${VOTERS_MAX} are possible. Remove one first.`,
    )
  }
}

function checkRemovable({ nodeId, directoryId }: VoterChangeRequest, { present, count }: Present): void {
  if (present?.directoryId !== directoryId) {
    const shown = present === undefined ? 'does not vote' : `votes with directory ${present.directoryId}`
    throw new VltavaError(
      'VOTER_NOT_FOUND',
      `Controller ${nodeId} ${shown}; it has no vote with directory ${directoryId}.`,
    )
  }
  if (count === 1) {
    throw new VltavaError(
      'INVALID_REQUEST',
      `Controller ${nodeId} is the only voter; without it nothing could be decided. Add another one first.`,
    )
  }
}
