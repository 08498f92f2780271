// The controller of one voter. On every voter it keeps the committed image. On the leader of the quorum it is active:
// it decides on the speculative image, proposes the records, and answers once they are committed.
import { assert } from '../base/assert.ts'
import type { DueBroker } from '../metadata/broker-liveness.ts'
import { type BrokerImage, type ClusterImage, EMPTY_IMAGE } from '../metadata/cluster-image.ts'
import { decidePreferredLeaders } from '../metadata/decide-elect-leader.ts'
import { decideFenceBroker } from '../metadata/decide-fence-broker.ts'
import { decideFormCluster, type Formation } from '../metadata/decide-form-cluster.ts'
import type { Decision, DecisionContext } from '../metadata/decision.ts'
import { applyBatch } from '../metadata/image-apply.ts'
import { metadataBatchSchema } from '../metadata/metadata-records.ts'
import { SpeculativeImage } from '../metadata/speculative-image.ts'
import { VltavaError } from '../model/errors.ts'
import type { MetadataOffset, NodeId } from '../model/ids.ts'
import { decodeWire, encodeWire } from '../protocol/codec.ts'
import type { Entry, Snapshot } from '../raft/types.ts'
import { BrokerSessions } from './broker-sessions.ts'
import { CommittedLog } from './committed-log.ts'
import {
  COMMAND_TIMEOUT_MS,
  type ControllerEnvironment,
  type ControllerSettings,
} from './controller-environment.ts'
import { LeaderBalancer } from './leader-balancer.ts'
import { decodeSnapshot } from './metadata-snapshot.ts'
import { PendingCommands } from './pending-commands.ts'
import type { RaftDriver } from './raft-driver.ts'
import { refusalOf } from './refusals.ts'
import type { LoadedSnapshot, SnapshotFiles } from './snapshot-files.ts'
import { SnapshotMaker } from './snapshot-maker.ts'
import { assertSameVoters } from './voter-keys.ts'

export interface ControllerOptions {
  readonly environment: ControllerEnvironment
  readonly settings: ControllerSettings
  readonly nodeId: NodeId
  readonly formation: Formation
  /** Bytes of one batch of records at most. */
  readonly entryMaxBytes: number
  /** Whether this node's own link to that run of a broker closed or was refused. */
  readonly isLinkDown: (broker: BrokerImage) => boolean
  /** The snapshot that this directory holds; null when the log is whole. */
  readonly loaded: LoadedSnapshot | null
  readonly snapshotFiles: SnapshotFiles
}

/** What there is only while this node leads the quorum. */
interface ActiveTerm {
  readonly term: number
  readonly speculative: SpeculativeImage
  readonly pending: PendingCommands
  readonly sessions: BrokerSessions
  readonly balancer: LeaderBalancer
}

export type Decide<Response> = (context: DecisionContext) => Decision<Response>

export class Controller {
  readonly committedLog: CommittedLog
  readonly #options: ControllerOptions
  readonly #driver: () => RaftDriver
  readonly #maker: SnapshotMaker
  readonly #imageListeners = new Set<(image: ClusterImage) => void>()
  #image: ClusterImage = EMPTY_IMAGE
  #active: ActiveTerm | null = null

  /** @param driver gives the driver once it exists; it and the controller know each other. */
  constructor(options: ControllerOptions, driver: () => RaftDriver) {
    this.#options = options
    this.#driver = driver
    this.committedLog = new CommittedLog(options.environment.clock)
    if (options.loaded !== null) {
      this.#image = options.loaded.image
      this.committedLog.restore(options.loaded.snapshot)
      this.#checkCluster()
    }
    this.#maker = new SnapshotMaker({
      ...options.environment,
      ...options.settings,
      files: options.snapshotFiles,
      onMade: (snapshot) => {
        const lastDropped = driver().compact(snapshot)
        if (lastDropped !== null) this.committedLog.compact(snapshot, lastDropped)
      },
    })
  }

  /** The image of everything that is committed here. */
  get image(): ClusterImage {
    return this.#image
  }

  /** The term this node is active in; null on a standby. */
  get activeTerm(): number | null {
    return this.#active?.term ?? null
  }

  /** Where the active controller hears its brokers; null on a standby. */
  get sessions(): BrokerSessions | null {
    return this.#active?.sessions ?? null
  }

  /** Calls back with each committed image. Returns how to take that back. */
  onImage(listener: (image: ClusterImage) => void): () => void {
    this.#imageListeners.add(listener)
    return () => this.#imageListeners.delete(listener)
  }

  /** For the driver: the state of the leader takes the place of the own one, which is older. */
  restored(snapshot: Snapshot): void {
    assert(this.#active === null, 'INV-21: the active controller loads a snapshot')
    const { environment } = this.#options
    this.#image = decodeSnapshot(snapshot, environment.cpu)
    if (snapshot.voters !== undefined) assertSameVoters(this.#image, snapshot.voters)
    this.committedLog.restore(snapshot)
    this.#maker.restored()
    environment.log.info('metadata-snapshot-installed', { index: snapshot.index, term: snapshot.term })
    this.#show()
  }

  /** For the driver: committed entries, in order. */
  committed(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const records = entry.data === null ? [] : decodeWire(metadataBatchSchema, entry.data)
      this.#image = applyBatch(this.#image, records, entry.index)
      this.committedLog.append(entry)
      if (entry.voters !== undefined) assertSameVoters(this.#image, entry.voters)
    }
    this.#checkCluster()
    this.#maker.committed(entries, { image: this.#image, term: entries.at(-1)!.term })
    const active = this.#active
    if (active !== null) {
      for (const { index, term } of entries) active.pending.committed(index, term)
      active.sessions.follow(this.#image)
    }
    this.#show()
  }

  /** For the driver: role, term or leader may have changed, and everything committed was handed over. */
  progressed(): void {
    const { isLeaderReady, term } = this.#driver()
    if (this.#active !== null && !(isLeaderReady && term === this.#active.term)) this.#stepDown()
    if (this.#active === null && isLeaderReady) this.#activate(term)
  }

  /**
   * Decides at once, on everything decided before, and resolves when the outcome is committed. So does an error of the
   * decision and an answer without records: what they were decided on could still be lost.
   * @throws VltavaError what the decision throws; NOT_CONTROLLER on a standby, and when leadership is lost (indefinite
   *   once records were proposed); REQUEST_TIMED_OUT; SERVER_BUSY when too much is uncommitted; INVALID_REQUEST when
   *   the records do not fit into one batch.
   */
  async run<Response>(decide: Decide<Response>, timeoutMs = COMMAND_TIMEOUT_MS): Promise<Response> {
    const active = this.#active
    if (active === null) throw this.notController()
    const { speculative, pending } = active
    let outcome: Decision<Response> | VltavaError
    try {
      outcome = decide(this.#contextOf(speculative))
    } catch (thrown) {
      if (!(thrown instanceof VltavaError)) throw thrown
      outcome = thrown
    }
    const proposed = !(outcome instanceof VltavaError) && outcome.records.length > 0
    if (proposed) this.#propose(active, outcome as Decision<Response>)
    const offset = speculative.image.metadataOffset
    const committed =
      offset <= this.#image.metadataOffset ? null : pending.wait({ offset, proposed, timeoutMs })
    if (proposed) this.#driver().flush()
    if (committed !== null) await committed
    if (outcome instanceof VltavaError) throw outcome
    return outcome.response
  }

  /** The error for whoever asks a standby; it names where to ask, as far as known. */
  notController(): VltavaError {
    const { nodeId } = this.#options
    const { leader } = this.#driver()
    const where =
      leader === null
        ? 'no node is known to be it'
        : leader === nodeId
          ? 'it is about to become it'
          : `node ${leader} is, as far as known`
    return new VltavaError('NOT_CONTROLLER', `Node ${nodeId} is not the active controller; ${where}.`)
  }

  /** Resolves when nothing is written any more. */
  async stop(): Promise<void> {
    if (this.#active !== null) this.#stepDown()
    this.#imageListeners.clear()
    await this.#maker.stop()
  }

  #show(): void {
    this.#checkCluster()
    this.committedLog.wakeAll()
    for (const listener of [...this.#imageListeners]) listener(this.#image)
    this.#active?.balancer.settingsChanged()
  }

  #checkCluster(): void {
    const { clusterId } = this.#image
    const expected = this.#options.formation.clusterId
    assert(
      clusterId === null || clusterId === expected,
      `the metadata log is of cluster ${clusterId}, this directory of ${expected}`,
    )
  }

  #contextOf(speculative: SpeculativeImage): DecisionContext {
    return {
      image: speculative.image,
      nextOffset: speculative.nextOffset,
      observerId: this.#options.nodeId,
      wallMs: this.#options.environment.clock.wallMs(),
    }
  }

  #propose({ speculative, term }: ActiveTerm, { records, voterChange }: Decision<unknown>): void {
    const { entryMaxBytes } = this.#options
    const data = encodeWire(metadataBatchSchema, records)
    if (data.length > entryMaxBytes) {
      throw new VltavaError(
        'INVALID_REQUEST',
        `The change makes a metadata batch of ${data.length} bytes, at most ${entryMaxBytes} are possible. ` +
          'Ask for less at once, for example for fewer partitions.',
      )
    }
    const preview = speculative.preview(records)
    const result = this.#driver().propose(data, voterChange)
    if (result.kind === 'not-leader') throw this.notController()
    if (result.kind !== 'accepted') throw refusalOf(result)
    assertNext({ offset: speculative.nextOffset, term }, result)
    speculative.accept(preview)
  }

  #activate(term: number): void {
    const { environment, settings, isLinkDown, formation } = this.#options
    const { lastIndex } = this.#driver()
    // Only the active controller proposes, so behind the first entry of its term there is nothing yet.
    assert(
      this.#image.metadataOffset === lastIndex,
      `the log ends at ${lastIndex}, but only ${this.#image.metadataOffset} is applied`,
    )
    const fence = (due: DueBroker): Promise<boolean> => this.#fence(due).catch(this.#fail)
    this.#active = {
      term,
      speculative: new SpeculativeImage(this.#image),
      pending: new PendingCommands(environment.clock, term),
      sessions: new BrokerSessions({ clock: environment.clock, settings, isLinkDown, fence }, this.#image),
      balancer: new LeaderBalancer({
        clock: environment.clock,
        intervalMs: () => settings.balanceIntervalMs,
        balance: () => {
          this.#runOwn('balance-leaders', decidePreferredLeaders).catch(this.#fail)
        },
      }),
    }
    environment.log.info('controller-active', { term, metadataOffset: lastIndex })
    if (this.#image.clusterId === null) {
      this.#runOwn('form-cluster', (context) => decideFormCluster(context, formation)).catch(this.#fail)
    }
  }

  #stepDown(): void {
    const { term, pending, sessions, balancer } = this.#active!
    this.#active = null
    sessions.stop()
    balancer.stop()
    this.#options.environment.log.info('controller-standby', { term, leader: this.#driver().leader })
    pending.failAll()
    this.committedLog.wakeAll()
  }

  async #fence(due: DueBroker): Promise<boolean> {
    const { brokerId, brokerEpoch, evidence, detail } = due
    this.#options.environment.log.warn('broker-fenced', { brokerId, brokerEpoch, evidence, detail })
    return await this.#runOwn('fence-broker', (context) => decideFenceBroker(context, due))
  }

  /** Runs a command nobody asked for. @returns whether it was committed. */
  async #runOwn(what: string, decide: Decide<unknown>): Promise<boolean> {
    try {
      await this.run(decide)
      return true
    } catch (thrown) {
      if (!(thrown instanceof VltavaError)) throw thrown
      const { code, message } = thrown
      this.#options.environment.log.warn('controller-command-failed', { what, code, reason: message })
      return false
    }
  }

  readonly #fail = (error: unknown): false => {
    this.#options.environment.process.fail('the controller contradicts itself', error)
    return false
  }
}

function assertNext(
  expected: { readonly offset: MetadataOffset; readonly term: number },
  accepted: { readonly index: number; readonly term: number },
): void {
  assert(
    accepted.index === expected.offset && accepted.term === expected.term,
    `proposed ${expected.offset} in term ${expected.term}, accepted as ${accepted.index} in term ${accepted.term}`,
  )
}
