// What the active controller answers to operators of the quorum: who votes and how far everybody is, one voter more or less,
// and who leads.
import { Sleeper } from '../base/async/sleeper.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { decideChangeVoters, type VotersChanged } from '../metadata/decide-change-voters.ts'
import { VltavaError } from '../model/errors.ts'
import type { DirectoryId, NodeId } from '../model/ids.ts'
import { QUORUM_MEMBERS_MAX } from '../model/limits.ts'
import type { Call } from '../net/router.ts'
import type { RequestOf, ResponseOf } from '../protocol/api.ts'
import type { addVoter, describeQuorum, removeVoter, transferController } from '../protocol/quorum-admin.ts'
import type { Controller } from './controller.ts'
import type { RaftDriver } from './raft-driver.ts'
import type { RaftPeers } from './raft-peers.ts'
import { transferRefusalOf } from './refusals.ts'
import { runOnce } from './run-once.ts'

/** Between looks whether leadership has moved. */
const TRANSFER_POLL_MS = 5

export interface QuorumFlowsOptions {
  readonly nodeId: NodeId
  readonly directoryId: DirectoryId
  readonly url: string | null
  readonly controller: Controller
  readonly driver: RaftDriver
  readonly peers: RaftPeers
  readonly clock: Clock
  readonly log: Log
}

type Answer<A> = Promise<{ readonly body: ResponseOf<A> }>
type Member = ResponseOf<typeof describeQuorum>['members'][number]

export class QuorumFlows {
  readonly #options: QuorumFlowsOptions
  readonly #sleeper: Sleeper

  constructor(options: QuorumFlowsOptions) {
    this.#options = options
    this.#sleeper = new Sleeper(options.clock)
  }

  /** Ends all waits. */
  stop(): void {
    this.#sleeper.stop()
  }

  /** What it tells is as new as anything committed before the request came in (RAFT-31). */
  async describe({ body }: Call<typeof describeQuorum>): Answer<typeof describeQuorum> {
    const { controller, driver, nodeId } = this.#options
    this.#demandActive()
    await driver.confirmNewest(body.timeoutMs)
    const { term } = driver
    const committedOffset = controller.image.metadataOffset
    return { body: { leaderId: nodeId, term, committedOffset, members: this.#members() } }
  }

  async addVoter({ body }: Call<typeof addVoter>): Answer<typeof addVoter> {
    this.#demandActive()
    const { driver, peers } = this.#options
    const { nodeId } = body
    const directoryId = body.directoryId ?? driver.followers.find(({ id }) => id === nodeId)?.directoryId
    if (directoryId === undefined) {
      throw new VltavaError(
        'VOTER_NOT_READY',
        `Node ${nodeId} does not follow the quorum. Start it with the role controller and an empty data directory, and give it ` +
          'the addresses of the other controllers.',
      )
    }
    return await this.#change('add', { ...body, directoryId, url: peers.urlOf(nodeId) })
  }

  async removeVoter({ body }: Call<typeof removeVoter>): Answer<typeof removeVoter> {
    this.#demandActive()
    const { nodeId } = body
    const { voters } = this.#options.controller.image
    const directoryId = body.directoryId ?? voters.find((voter) => voter.nodeId === nodeId)?.directoryId
    if (directoryId === undefined) {
      throw new VltavaError('VOTER_NOT_FOUND', `Node ${nodeId} is no voter of the controller quorum.`)
    }
    return await this.#change('remove', { ...body, directoryId, url: null })
  }

  async transfer({ body }: Call<typeof transferController>): Answer<typeof transferController> {
    const { controller, driver, clock, log } = this.#options
    this.#demandActive()
    const { nodeId, timeoutMs } = body
    const result = driver.transferLeadership(nodeId)
    if (result.kind === 'not-leader') throw controller.notController()
    if (result.kind === 'refused') throw transferRefusalOf(result, nodeId)
    log.info('controller-transfer', { to: nodeId, term: driver.term })
    const deadlineMs = clock.monotonicMs() + timeoutMs
    while (driver.leader !== nodeId) {
      if (driver.isLeader && driver.transferringTo !== nodeId) throw gaveUp(nodeId)
      if (clock.monotonicMs() >= deadlineMs) {
        throw new VltavaError('REQUEST_TIMED_OUT', `Node ${nodeId} did not lead within ${timeoutMs} ms.`)
      }
      if (this.#sleeper.isStopped) throw new VltavaError('SHUTTING_DOWN', 'The controller is stopping.')
      await this.#sleeper.sleep(TRANSFER_POLL_MS)
    }
    return { body: { controllerId: nodeId, term: driver.term } }
  }

  async #change(
    kind: 'add' | 'remove',
    request: Omit<RequestOf<typeof addVoter>, 'directoryId'> & {
      readonly directoryId: DirectoryId
      readonly url: string | null
    },
  ): Promise<{ readonly body: VotersChanged }> {
    const { controller, log } = this.#options
    const { nodeId, directoryId, url, timeoutMs } = request
    const body = await runOnce(controller, {
      decide: (context) => decideChangeVoters(context, { kind, nodeId, directoryId, url }),
      timeoutMs,
    })
    const voters = body.voters.map((voter) => voter.nodeId)
    log.info('voters-changed', { kind, nodeId, directoryId, voters })
    return { body }
  }

  /** Those that vote first. A disk that has a vote but is not the one that answers counts as silent. */
  #members(): readonly Member[] {
    const { controller, driver, peers, nodeId, directoryId, url, clock } = this.#options
    const nowMs = clock.monotonicMs()
    const own: Member = {
      nodeId,
      directoryId,
      url: url ?? peers.urlOf(nodeId),
      isVoter: driver.isVoter,
      endOffset: driver.lastIndex,
      silentMs: 0,
      isCaughtUp: true,
    }
    const followers = driver.followers.map(
      (follower): Member => ({
        nodeId: follower.id,
        directoryId: follower.directoryId,
        url: peers.urlOf(follower.id),
        isVoter: follower.isVoter,
        endOffset: follower.matchIndex,
        silentMs: Math.max(0, Math.round(nowMs - follower.heardAtMs)),
        isCaughtUp: follower.isCaughtUp,
      }),
    )
    const heard = [own, ...followers]
    const unheard = controller.image.voters
      .filter((voter) => !heard.some((member) => member.directoryId === voter.directoryId))
      .map((voter): Member => ({ ...voter, isVoter: true, endOffset: 0, silentMs: null, isCaughtUp: false }))
    return [...heard, ...unheard]
      .toSorted((a, b) => Number(b.isVoter) - Number(a.isVoter) || a.nodeId - b.nodeId)
      .slice(0, QUORUM_MEMBERS_MAX)
  }

  #demandActive(): void {
    const { controller } = this.#options
    if (controller.activeTerm === null) throw controller.notController()
  }
}

function gaveUp(nodeId: NodeId): VltavaError {
  return new VltavaError(
    'REQUEST_TIMED_OUT',
    `Node ${nodeId} did not take over in time, so this controller goes on. See with "vltava quorum describe" whether it answers ` +
      'and has caught up.',
    { definite: true },
  )
}
