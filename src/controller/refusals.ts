// What whoever asked is told when the consensus does not take a proposal.
import { VltavaError } from '../model/errors.ts'
import type { ChangeRefusal, ChangeResult, TransferResult } from '../raft/types.ts'

type Refused = Exclude<ChangeResult, { readonly kind: 'accepted' | 'not-leader' }>

/** The error for a proposal that was not accepted, though this node leads. Nothing was changed. */
export function refusalOf(result: Refused): VltavaError {
  switch (result.kind) {
    case 'overloaded':
      return new VltavaError('SERVER_BUSY', 'Too many metadata changes wait for a majority of the voters.')
    case 'transferring':
      return new VltavaError(
        'SERVER_BUSY',
        `Leadership of the quorum is moving to node ${result.to}; try again.`,
      )
    case 'refused':
      return changeRefusalOf(result.reason)
  }
}

function changeRefusalOf(reason: ChangeRefusal): VltavaError {
  switch (reason) {
    case 'term-not-committed':
    case 'change-pending':
      return new VltavaError(
        'SERVER_BUSY',
        'Another change of the voters, or the first entry of this controller, is not committed yet; try again.',
      )
    case 'not-caught-up':
      return new VltavaError(
        'VOTER_NOT_READY',
        'The node has not asked for the metadata log with this directory, or lacks too much of it. Start it with the role ' +
          'controller and an empty data directory, wait until "vltava quorum describe" shows that it has caught up, and try again.',
      )
    case 'quorum-at-risk':
      return new VltavaError(
        'QUORUM_AT_RISK',
        'Of the voters that would be left, fewer than a majority have answered lately: nothing could be decided any more. ' +
          'Bring voters back, or remove one that does not answer.',
      )
    case 'already-voter':
    case 'other-directory':
      return new VltavaError('DUPLICATE_VOTER')
    case 'unknown-voter':
      return new VltavaError('VOTER_NOT_FOUND')
    case 'last-voter':
    case 'too-many-voters':
      return new VltavaError('INVALID_REQUEST', `The number of voters does not allow this (${reason}).`)
  }
}

export function transferRefusalOf(
  result: Extract<TransferResult, { readonly kind: 'refused' }>,
  nodeId: number,
): VltavaError {
  switch (result.reason) {
    case 'unknown-voter':
      return new VltavaError('VOTER_NOT_FOUND', `Node ${nodeId} is no voter of the controller quorum.`)
    case 'is-leader':
      return new VltavaError('ELECTION_NOT_NEEDED', `Node ${nodeId} leads the controller quorum already.`)
    case 'transferring':
      return new VltavaError('SERVER_BUSY', 'Leadership of the quorum is moving to another node; try again.')
    case 'not-caught-up':
      return new VltavaError(
        'VOTER_NOT_READY',
        `Node ${nodeId} has not answered lately, or lacks too much of the metadata log. See with "vltava quorum describe" how far it is.`,
      )
  }
}
