// Watches the brokers while this controller is active: their heartbeats, their links, and the timer that ends in
// fencing. Nobody is fenced before the sockets were read: after a stall of this process the heartbeats lie in them.
import { setTimerAfterIo } from '../base/async/timer-after-io.ts'
import type { Clock, Timer } from '../base/clock.ts'
import { BrokerLiveness, type DueBroker, type LivenessSettings } from '../metadata/broker-liveness.ts'
import type { BrokerImage, ClusterImage } from '../metadata/cluster-image.ts'
import type { RunContact } from '../metadata/decide-broker-removal.ts'
import type { IncarnationId, MetadataOffset, NodeId } from '../model/ids.ts'
import type { Connection } from '../net/connection.ts'
import type { PeerIdentity } from '../net/exchange.ts'

/** Before a broker is fenced again whose fencing was not accepted. */
const RETRY_PAUSE_MIN_MS = 50

export interface BrokerSessionsOptions {
  readonly clock: Clock
  readonly settings: LivenessSettings
  /** Whether this node's own link to that run of a broker closed or was refused. */
  readonly isLinkDown: (broker: BrokerImage) => boolean
  /** Resolves to whether the broker is fenced, or need not be. Never rejects. */
  readonly fence: (due: DueBroker) => Promise<boolean>
}

/** How a run of a broker was heard last. The connection may be closed by now. */
interface Contact {
  readonly connection: Connection
  heardAtMs: number
}

export class BrokerSessions {
  readonly #options: BrokerSessionsOptions
  readonly #liveness: BrokerLiveness
  /** By run, because what a dead run sent may arrive after its successor was heard. */
  readonly #contacts = new Map<IncarnationId, Contact>()
  /** The runs that are registered, fenced or not. */
  #registered: ClusterImage['brokers'] = new Map()
  /** Those of them that are watched. */
  #watched = new Map<NodeId, BrokerImage>()
  readonly #startedAtMs: number
  #timer: Timer | null = null
  #stopped = false

  /**
   * Gives every unfenced broker of the image a full session, but only the grace where this node's own link to it is
   * down: it may have lost its link to the old controller for the same reason for which there is a new one.
   */
  constructor(options: BrokerSessionsOptions, image: ClusterImage) {
    this.#options = options
    this.#liveness = new BrokerLiveness(options.settings)
    this.follow(image)
    const nowMs = options.clock.monotonicMs()
    this.#startedAtMs = nowMs
    for (const broker of this.#watched.values()) {
      if (options.isLinkDown(broker)) this.#liveness.linkClosed(broker.brokerId, nowMs)
    }
    this.#schedule()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  /** Watches exactly the unfenced brokers of the image; a new run starts with a full session. */
  follow(image: ClusterImage): void {
    const watched = new Map<NodeId, BrokerImage>()
    for (const broker of image.brokers.values()) {
      if (broker.fenced) continue
      watched.set(broker.brokerId, broker)
      if (this.#watched.get(broker.brokerId)?.brokerEpoch !== broker.brokerEpoch) this.#track(broker)
    }
    for (const brokerId of this.#watched.keys()) {
      if (!watched.has(brokerId)) this.#liveness.forget(brokerId)
    }
    this.#watched = watched
    this.#forgetEarlierRuns(image)
    this.#registered = image.brokers
    this.#schedule()
  }

  /** A request of that run of a broker came in over this connection. */
  heardOver({ nodeId, incarnationId }: PeerIdentity, connection: Connection): void {
    const heardAtMs = this.#options.clock.monotonicMs()
    const contact = this.#contacts.get(incarnationId)
    if (contact?.connection === connection) {
      contact.heardAtMs = heardAtMs
      return
    }
    this.#contacts.set(incarnationId, { connection, heardAtMs })
    if (this.#watched.get(nodeId)?.incarnationId === incarnationId) this.#liveness.linkRestored(nodeId)
    connection.onClose(() => {
      if (this.#stopped || this.#contacts.get(incarnationId)?.connection !== connection) return
      if (this.#registered.get(nodeId)?.incarnationId !== incarnationId) this.#contacts.delete(incarnationId)
      if (this.#watched.get(nodeId)?.incarnationId !== incarnationId) return
      this.#liveness.linkClosed(nodeId, this.#options.clock.monotonicMs())
      this.#schedule()
    })
  }

  /** Whether that run, fenced or not, was heard within the time of a session over a connection that is open still. */
  isHeard(incarnationId: IncarnationId): boolean {
    const contact = this.#contacts.get(incarnationId)
    if (contact === undefined || !contact.connection.isOpen) return false
    const { clock, settings } = this.#options
    return clock.monotonicMs() - contact.heardAtMs < settings.sessionTimeoutMs
  }

  /** As `isHeard`; that nobody has been heard says nothing before the time of a session has passed. */
  contactOf(incarnationId: IncarnationId): RunContact {
    if (this.isHeard(incarnationId)) return 'heard'
    const { clock, settings } = this.#options
    return clock.monotonicMs() - this.#startedAtMs < settings.sessionTimeoutMs ? 'unknown' : 'silent'
  }

  /** A heartbeat of that run came in. */
  heartbeat(
    run: { readonly brokerId: NodeId; readonly brokerEpoch: number },
    appliedOffset: MetadataOffset,
  ): void {
    if (this.#watched.get(run.brokerId)?.brokerEpoch !== run.brokerEpoch) return
    this.#liveness.heartbeat(run, this.#options.clock.monotonicMs())
    this.#liveness.applied(run.brokerId, appliedOffset)
  }

  /** How far every unfenced broker but this one is known to have applied the metadata log; Infinity without others. */
  appliedByOthers(brokerId: NodeId): MetadataOffset {
    let lowest = Number.POSITIVE_INFINITY
    for (const other of this.#watched.keys()) {
      if (other !== brokerId) lowest = Math.min(lowest, this.#liveness.appliedOffset(other))
    }
    return lowest
  }

  #track(broker: BrokerImage): void {
    const nowMs = this.#options.clock.monotonicMs()
    this.#liveness.track(broker, nowMs)
    // The link may have closed while the broker was not watched yet.
    const isClosed = this.#contacts.get(broker.incarnationId)?.connection.isOpen === false
    if (isClosed) this.#liveness.linkClosed(broker.brokerId, nowMs)
  }

  /** Those whose connection is open are forgotten when it closes. */
  #forgetEarlierRuns(image: ClusterImage): void {
    for (const { brokerId, incarnationId } of this.#registered.values()) {
      if (image.brokers.get(brokerId)?.incarnationId === incarnationId) continue
      if (this.#contacts.get(incarnationId)?.connection.isOpen === false) this.#contacts.delete(incarnationId)
    }
  }

  #schedule(): void {
    this.#timer?.cancel()
    this.#timer = null
    const dueAtMs = this.#liveness.nextDueAtMs()
    if (dueAtMs === null || this.#stopped) return
    const { clock } = this.#options
    this.#timer = setTimerAfterIo(clock, dueAtMs - clock.monotonicMs(), () => this.#fenceDue())
  }

  #fenceDue(): void {
    this.#timer = null
    for (const due of this.#liveness.due(this.#options.clock.monotonicMs())) {
      // Taken out now, so that it is not fenced twice while the first request is under way.
      this.#liveness.forget(due.brokerId)
      const retry = (): void => this.#tryAgain(due)
      this.#options.fence(due).then((done) => {
        if (!done) retry()
      }, retry)
    }
    this.#schedule()
  }

  /** The fencing was not accepted: the broker is due again after another grace, and no sooner than after a pause. */
  #tryAgain({ brokerId, brokerEpoch }: DueBroker): void {
    const broker = this.#watched.get(brokerId)
    if (this.#stopped || broker?.brokerEpoch !== brokerEpoch) return
    const nowMs = this.#options.clock.monotonicMs()
    this.#liveness.track(broker, nowMs)
    // Without a grace it would be due at once, and be refused at once, for as long as leadership moves or the queue is full.
    const pauseMs = Math.max(0, RETRY_PAUSE_MIN_MS - this.#options.settings.disconnectGraceMs)
    this.#liveness.linkClosed(brokerId, nowMs + pauseMs)
    this.#schedule()
  }
}
