// The admin calls about the controller quorum.
import { VltavaError } from '../model/errors.ts'
import type { DirectoryId, MetadataOffset, NodeId } from '../model/ids.ts'
import { addVoter, describeQuorum, removeVoter, transferController } from '../protocol/quorum-admin.ts'
import { resolveTimeoutMs, type TimeoutOptions } from './admin-options.ts'
import type { ClientContext } from './client-context.ts'
import { askController, changeOnce } from './controller-requests.ts'
import { showValue } from './options.ts'

/** Adding and removing ask and answer alike. */
type VoterApi = typeof addVoter

/** A controller, with a vote or without. */
export interface QuorumMember {
  readonly nodeId: NodeId
  readonly directoryId: DirectoryId
  /** Where it says that it is reached; null where only the configured address is known. */
  readonly url: string | null
  readonly isVoter: boolean
  /** The last metadata offset that its disk is known to hold. */
  readonly endOffset: MetadataOffset
  /** Milliseconds since it last answered; 0 for the leader, null for a voter whose disk was never heard. */
  readonly silentMs: number | null
  /** Whether it follows closely: such a node can be made a voter. */
  readonly isCaughtUp: boolean
}

export interface QuorumDescription {
  /** The active controller, confirmed by a majority. */
  readonly leaderId: NodeId
  /** The Raft term that it leads. */
  readonly term: number
  /** The last metadata offset that is committed. */
  readonly committedOffset: MetadataOffset
  /** Those that vote first, each by node id. */
  readonly members: readonly QuorumMember[]
}

export interface VoterOptions extends TimeoutOptions {
  readonly nodeId: NodeId
  /** Which disk of that node. Default: the one it has, to add; the one that votes, to remove. */
  readonly directoryId?: DirectoryId
}

export interface TransferOptions extends TimeoutOptions {
  /** Who is to be the active controller. */
  readonly nodeId: NodeId
}

/** Calls about the controllers of a cluster. Made by the client: `client.admin.quorum`. */
export class QuorumAdmin {
  readonly #context: ClientContext

  constructor(context: ClientContext) {
    this.#context = context
  }

  /**
   * Who votes, who follows, and how far each of them is. It is as new as any change that was acknowledged before the call.
   * @throws VltavaError REQUEST_TIMED_OUT when there is no active controller, INVALID_ARGUMENT
   */
  async describe(options: TimeoutOptions = {}): Promise<QuorumDescription> {
    const { calls } = this.#context
    const deadlineMs = calls.deadlineMs(resolveTimeoutMs(options, 'quorum.describe'))
    return await askController(calls, { api: describeQuorum, request: {}, deadlineMs })
  }

  /**
   * Makes a controller that follows the quorum a voter, and waits until it has caught up. One change at a time.
   * @returns who votes now.
   * @throws VltavaError DUPLICATE_VOTER (not `definite` where an attempt of this call may have done it), VOTER_NOT_READY when it
   *   has not caught up in time, INVALID_REQUEST, INVALID_ARGUMENT
   */
  async addVoter(options: VoterOptions): Promise<readonly NodeId[]> {
    return await this.#changeVoters(addVoter, {
      call: 'quorum.addVoter',
      options,
      doneBefore: 'DUPLICATE_VOTER',
    })
  }

  /**
   * Takes the vote of a controller. It goes on to follow for as long as it runs.
   * @returns who votes now.
   * @throws VltavaError VOTER_NOT_FOUND (not `definite` where an attempt of this call may have done it), QUORUM_AT_RISK when too
   *   few of the others answer, INVALID_REQUEST for the last voter, INVALID_ARGUMENT
   */
  async removeVoter(options: VoterOptions): Promise<readonly NodeId[]> {
    return await this.#changeVoters(removeVoter, {
      call: 'quorum.removeVoter',
      options,
      doneBefore: 'VOTER_NOT_FOUND',
    })
  }

  /**
   * Makes another voter the active controller. Where it does not take over within an election timeout, the present one goes on.
   * @throws VltavaError VOTER_NOT_FOUND, VOTER_NOT_READY when it has not answered lately or lacks too much all the time,
   *   ELECTION_NOT_NEEDED, REQUEST_TIMED_OUT, INVALID_ARGUMENT
   */
  async transferController(options: TransferOptions): Promise<void> {
    const { nodeId, ...rest } = options
    checkNodeId(nodeId, 'quorum.transferController')
    const { calls } = this.#context
    const deadlineMs = calls.deadlineMs(resolveTimeoutMs(rest, 'quorum.transferController'))
    await askController(calls, { api: transferController, request: { nodeId }, deadlineMs })
  }

  async #changeVoters(
    api: VoterApi,
    of: {
      readonly call: string
      readonly options: VoterOptions
      /** What a second attempt is answered when the first one succeeded. */
      readonly doneBefore: 'DUPLICATE_VOTER' | 'VOTER_NOT_FOUND'
    },
  ): Promise<readonly NodeId[]> {
    const { nodeId, directoryId = null, ...rest } = of.options
    checkNodeId(nodeId, of.call)
    checkDirectoryId(directoryId, of.call)
    const { calls } = this.#context
    const deadlineMs = calls.deadlineMs(resolveTimeoutMs(rest, of.call))
    const request = { nodeId, directoryId }
    const { voters } = await changeOnce(calls, { api, request, deadlineMs, doneBefore: of.doneBefore })
    return voters.map((voter) => voter.nodeId)
  }
}

function checkNodeId(nodeId: unknown, call: string): void {
  if (Number.isSafeInteger(nodeId) && (nodeId as number) >= 0) return
  throw new VltavaError(
    'INVALID_ARGUMENT',
    `${call}: the node must be a number from 0, got ${showValue(nodeId)}.`,
  )
}

function checkDirectoryId(directoryId: unknown, call: string): void {
  if (directoryId === null || (typeof directoryId === 'string' && /^[A-Za-z0-9_-]{22}$/.test(directoryId)))
    return
  throw new VltavaError(
    'INVALID_ARGUMENT',
    `${call}: the directory must be 22 characters of base64url, as meta.json and describe show it, got ${showValue(directoryId)}.`,
  )
}
