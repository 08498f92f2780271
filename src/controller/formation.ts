// The birth of a cluster, and how a node with an empty directory finds the one it belongs to. An empty directory never
// votes: a cluster forms by itself only when all listed voters answer, all are empty and all were given the same list.
// The voter with the lowest id then makes the cluster id; the others take it over from its answers. What fixes the
// voters, their node and directory ids, is durable before anybody is told (RAFT-23). A node with an empty directory that
// finds a cluster takes part without a vote, until it is made a voter by a change of the voters.
import { Sleeper } from '../base/async/sleeper.ts'
import { toBase64Url } from '../base/bytes.ts'
import { sameMembers } from '../metadata/partition-change.ts'
import { toVltavaError, VltavaError } from '../model/errors.ts'
import type { NodeId } from '../model/ids.ts'
import { backoffMs } from '../net/backoff.ts'
import type { ResponseOf } from '../protocol/api.ts'
import { quorumProbe } from '../protocol/quorum.ts'
import type { ConnectPeer, ControllerDirectory, ControllerEnvironment } from './controller-environment.ts'
import { type Formation, FormationFile, type Membership } from './formation-file.ts'

const PROBE_TIMEOUT_MS = 1_000
/** Between rounds at most: a cluster forms this soon after its last node came up. */
const PAUSE_MAX_MS = 500
/** Between repetitions of the same warning. */
const WARNING_INTERVAL_MS = 10_000
const CLUSTER_ID_BYTES = 16

type ProbeAnswer = ResponseOf<typeof quorumProbe>

interface Answer extends ProbeAnswer {
  readonly nodeId: NodeId
}

export interface FormationOptions {
  readonly environment: ControllerEnvironment
  readonly nodeId: NodeId
  /** The listed voters, this node included. */
  readonly voters: readonly NodeId[]
  readonly directory: Omit<ControllerDirectory, 'openMetadataLog'>
  readonly metadataPath: string
  readonly connectPeer: ConnectPeer
  /** Makes a stored vote (none yet) durable. */
  readonly prepareToVote: () => Promise<void>
}

export class ClusterFormation {
  readonly #options: FormationOptions
  readonly #file: FormationFile
  readonly #sleeper: Sleeper
  #membership: Membership | null = null
  /** The last warning, and when it was given. */
  #warned = { text: '', atMs: 0 }

  constructor(options: FormationOptions) {
    this.#options = options
    this.#file = new FormationFile(options.environment, options.metadataPath)
    this.#sleeper = new Sleeper(options.environment.clock)
  }

  /** What is durable of it; null while the cluster has not been formed or found. */
  get membership(): Membership | null {
    return this.#membership
  }

  /**
   * Reads what this directory knows.
   * @throws VltavaError STORAGE_ERROR when it cannot be read, INCONSISTENT_CLUSTER_ID when it contradicts the directory
   */
  async load(): Promise<Membership | null> {
    const membership = await this.#file.read()
    if (membership === null) return null
    const { directory } = this.#options
    const { clusterId } = membership.formation
    if (directory.clusterId !== null && directory.clusterId !== clusterId) {
      throw new VltavaError(
        'INCONSISTENT_CLUSTER_ID',
        `${directory.path} belongs to cluster ${directory.clusterId}, but its metadata to ${clusterId}: ` +
          'files of two clusters were mixed. Restore the directory, or start with an empty one.',
      )
    }
    await this.#adopt(membership)
    return membership
  }

  /** Forms or finds the cluster, however long that takes. null when `stop` ended it. */
  async run(): Promise<Membership | null> {
    for (let attempt = 1; !this.#sleeper.isStopped; attempt++) {
      const membership = await this.#attempt()
      if (membership !== null) return membership
      const { random } = this.#options.environment
      await this.#sleeper.sleep(backoffMs({ attempt, maxMs: PAUSE_MAX_MS, random }))
    }
    return null
  }

  stop(): void {
    this.#sleeper.stop()
  }

  /**
   * What this node tells a voter that asks.
   * @throws VltavaError INCONSISTENT_CLUSTER_ID when the directory belongs to a cluster but lost its formation: it is
   *   not empty, and whoever takes it for empty could form a second cluster.
   */
  answer(): ProbeAnswer {
    const { directory, voters } = this.#options
    if (this.#membership === null && directory.clusterId !== null) {
      throw new VltavaError(
        'INCONSISTENT_CLUSTER_ID',
        `This directory belongs to cluster ${directory.clusterId} but has lost its metadata.`,
      )
    }
    const formation = this.#membership?.formation ?? null
    return { directoryId: directory.directoryId, voters, formation }
  }

  async #attempt(): Promise<Membership | null> {
    const { voters, nodeId } = this.#options
    const others = voters.filter((voter) => voter !== nodeId)
    const answers = (await Promise.all(others.map((other) => this.#probe(other)))).filter(
      (answer) => answer !== null,
    )
    if (this.#sleeper.isStopped) return null
    const formed = answers.filter(({ formation }) => formation !== null)
    if (formed.length > 0) return await this.#join(formed)
    return await this.#found(answers)
  }

  async #probe(nodeId: NodeId): Promise<Answer | null> {
    const { connectPeer, directory, voters, environment } = this.#options
    try {
      const connection = await connectPeer(nodeId)
      const request = { directoryId: directory.directoryId, voters }
      const { body } = await connection.request(quorumProbe, request, { timeoutMs: PROBE_TIMEOUT_MS })
      return { nodeId, ...body }
    } catch (thrown) {
      const { code, message } = toVltavaError(thrown)
      environment.log.debug('voter-did-not-answer', { nodeId, code, reason: message })
      return null
    }
  }

  /** The cluster exists: this directory is one of its voters, or it is new, or it may have forgotten how it voted. */
  async #join(answers: readonly Answer[]): Promise<Membership | null> {
    const { nodeId, directory } = this.#options
    const formation = answers[0]!.formation!
    const clusters = new Map(answers.map((answer) => [answer.formation!.clusterId, `node ${answer.nodeId}`]))
    if (directory.clusterId !== null) clusters.set(directory.clusterId, 'this directory')
    if (clusters.size > 1) {
      const shown = [...clusters].map(([clusterId, member]) => `${member} belongs to ${clusterId}`).join(', ')
      this.#warn(
        'clusters-differ',
        `The listed voters are not of one cluster: ${shown}. Check addresses and directories.`,
      )
      return null
    }
    const isListed = formation.voters.some(
      (voter) => voter.nodeId === nodeId && voter.directoryId === directory.directoryId,
    )
    // A directory that has a cluster id took part already, perhaps as a voter that was added later; without the formation its
    // votes are lost, too.
    const takesPart = directory.clusterId === null
    const membership = { formation, isVoter: isListed && takesPart, takesPart }
    if (!membership.isVoter) this.#warnThatItDoesNotVote(membership)
    return await this.#settle(membership)
  }

  /** Forms the cluster, if everybody is there and agrees and it is this node's turn. */
  async #found(answers: readonly Answer[]): Promise<Membership | null> {
    const { voters, nodeId, directory, environment } = this.#options
    const disagreeing = answers.find((answer) => !sameMembers(answer.voters, voters))
    if (disagreeing !== undefined) {
      this.#warn(
        'voter-lists-differ',
        `No cluster is formed: this node was told the voters ${sorted(voters)}, node ${disagreeing.nodeId} was told ` +
          `${sorted(disagreeing.voters)}. Give all nodes the same list.`,
      )
      return null
    }
    if (directory.clusterId !== null) {
      this.#warn(
        'metadata-lost',
        `This directory belongs to cluster ${directory.clusterId} but has lost its metadata; it waits for a voter that has it.`,
      )
      return null
    }
    if (answers.length < voters.length - 1 || voters.some((voter) => voter < nodeId)) return null
    const directories = new Map(answers.map((answer) => [answer.nodeId, answer.directoryId]))
    directories.set(nodeId, directory.directoryId)
    if (new Set(directories.values()).size < voters.length) {
      this.#warn(
        'directories-not-distinct',
        'No cluster is formed: two voters have the same directory id; one is a copy.',
      )
      return null
    }
    const clusterId = new Uint8Array(CLUSTER_ID_BYTES)
    environment.random.fill(clusterId)
    const formation: Formation = {
      clusterId: toBase64Url(clusterId),
      voters: voters.map((voter) => ({ nodeId: voter, directoryId: directories.get(voter)! })),
    }
    return await this.#settle({ formation, isVoter: true, takesPart: true })
  }

  async #settle(membership: Membership): Promise<Membership> {
    // In this order: whoever finds a formation without a stored vote, or a cluster id without a formation, knows that
    // the other was there and is lost.
    if (membership.takesPart) await this.#options.prepareToVote()
    await this.#file.write(membership)
    await this.#adopt(membership)
    const { clusterId, voters } = membership.formation
    this.#options.environment.log.info('cluster-joined', {
      clusterId,
      voters: voters.map(({ nodeId }) => nodeId),
      isVoter: membership.isVoter,
    })
    return membership
  }

  async #adopt(membership: Membership): Promise<void> {
    const { directory } = this.#options
    if (directory.clusterId === null) await directory.adoptClusterId(membership.formation.clusterId)
    this.#membership = membership
  }

  #warnThatItDoesNotVote({ takesPart }: Membership): void {
    const { environment, directory, nodeId } = this.#options
    environment.log.warn('not-a-voter', {
      directoryId: directory.directoryId,
      reason: takesPart
        ? 'this directory is not one of the voters with which the cluster was formed'
        : 'this directory belongs to the cluster but has no metadata; it may have voted and forgotten it',
      detail: takesPart
        ? `It follows the quorum without a vote. To give it one: vltava quorum add-voter ${nodeId}.`
        : 'It serves as a broker only. A controller that lost its metadata needs an empty data directory to come back.',
    })
  }

  #warn(event: string, reason: string): void {
    const nowMs = this.#options.environment.clock.monotonicMs()
    if (this.#warned.text === reason && nowMs - this.#warned.atMs < WARNING_INTERVAL_MS) return
    this.#warned = { text: reason, atMs: nowMs }
    this.#options.environment.log.warn(event, { reason })
  }
}

function sorted(voters: readonly NodeId[]): string {
  return `[${voters.toSorted((a, b) => a - b).join(', ')}]`
}
