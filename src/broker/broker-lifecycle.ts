import type { Sleeper } from '../base/async/sleeper.ts'
import type { ReportedTail } from '../metadata/decide-heartbeat.ts'
import type { ErrorName } from '../model/error-codes.ts'
import { toVltavaError } from '../model/errors.ts'
import type { BrokerEpoch, DirectoryId, MetadataOffset, TopicPartition } from '../model/ids.ts'
import { PARTITIONS_PER_REQUEST_MAX } from '../model/limits.ts'
import { brokerHeartbeat, registerBroker } from '../protocol/broker-lifecycle.ts'
import type { BrokerEnvironment, BrokerIdentity, BrokerSettings } from './broker-environment.ts'
import type { ControllerLink } from './controller-link.ts'

const REGISTRATION_PAUSE_MS = 200

/** Why a process ends whose broker the cluster does not know any more. */
export const UNREGISTERED = 'an operator unregistered this broker; a new start registers it as a new one'

/** What a heartbeat is refused for that ends the process, and why in words. */
const FATAL: Readonly<Partial<Record<ErrorName, string>>> = {
  STALE_BROKER_EPOCH: 'another process registered under the id of this broker',
  BROKER_ID_NOT_REGISTERED: UNREGISTERED,
}

/** What the data directory remembers of the run before. */
export interface PreviousRun {
  readonly directoryId: DirectoryId
  readonly brokerEpoch: BrokerEpoch | null
  readonly cleanShutdown: boolean
}

export interface BrokerLifecycleOptions {
  readonly environment: BrokerEnvironment
  readonly settings: BrokerSettings
  readonly identity: BrokerIdentity
  readonly link: ControllerLink
  readonly sleeper: Sleeper
  readonly previousRun: PreviousRun
  /** Makes the new broker epoch durable in the data directory, before the broker may be unfenced under it. */
  readonly saveBrokerEpoch: (brokerEpoch: BrokerEpoch) => Promise<void>
  readonly onRegistered: () => void
  /** How far the metadata was applied to the hosted partitions. */
  readonly appliedOffset: () => MetadataOffset
  /** null until the logs of the replayed image are open; then those that are missing or damaged. */
  readonly offlineLogs: () => readonly TopicPartition[] | null
  /** Logs of which a part is damaged. */
  readonly damagedLogs: () => readonly TopicPartition[]
  /** Logs that were cut off when they were opened; asked for once `offlineLogs` is not null. */
  readonly droppedTails: () => readonly ReportedTail[]
}

/** Registers this run of the broker, keeps its session alive and asks to be unfenced or to stop. */
export class BrokerLifecycle {
  readonly #options: BrokerLifecycleOptions
  #brokerEpoch: BrokerEpoch | null = null
  #fenced = true
  #wantShutdown = false
  #mayShutDown = false
  #hurried = false

  constructor(options: BrokerLifecycleOptions) {
    this.#options = options
  }

  /** null until registered. */
  get brokerEpoch(): BrokerEpoch | null {
    return this.#brokerEpoch
  }

  /** What the controller said last. */
  get isFenced(): boolean {
    return this.#fenced
  }

  get mayShutDown(): boolean {
    return this.#mayShutDown
  }

  /** Registers, however long that takes, then sends heartbeats until the sleeper stops. */
  async run(): Promise<void> {
    const { settings, sleeper } = this.#options
    await this.#register()
    while (!sleeper.isStopped) {
      this.#hurried = false
      await this.#heartbeat()
      // Something to report may have come up while the heartbeat was under way.
      if (!this.#hurried) await sleeper.sleep(settings.heartbeatIntervalMs)
    }
  }

  /** From now on the heartbeats ask to have the leaderships moved away. */
  requestShutdown(): void {
    this.#wantShutdown = true
    this.hurry()
  }

  /** Sends the next heartbeat at once, after something it reports has changed. */
  hurry(): void {
    this.#hurried = true
    this.#options.sleeper.wake()
  }

  async #register(): Promise<void> {
    const { environment, settings, identity, link, sleeper, previousRun } = this.#options
    while (!sleeper.isStopped) {
      try {
        const { brokerEpoch } = await link.request(
          registerBroker,
          {
            incarnationId: identity.incarnationId,
            directoryId: previousRun.directoryId,
            url: identity.url,
            previousBrokerEpoch: previousRun.brokerEpoch,
            cleanShutdown: previousRun.cleanShutdown,
            rack: identity.rack,
          },
          { timeoutMs: settings.controllerRequestTimeoutMs },
        )
        await this.#options.saveBrokerEpoch(brokerEpoch)
        this.#brokerEpoch = brokerEpoch
        environment.log.info('broker-registered', { brokerEpoch, cleanShutdown: previousRun.cleanShutdown })
        this.#options.onRegistered()
        return
      } catch (thrown) {
        if (sleeper.isStopped) return
        const { code, message } = toVltavaError(thrown)
        environment.log.warn('registration-failed', { code, reason: message })
        await sleeper.sleep(REGISTRATION_PAUSE_MS)
      }
    }
  }

  async #heartbeat(): Promise<void> {
    const { environment, settings, link, sleeper } = this.#options
    const brokerEpoch = this.#brokerEpoch
    if (brokerEpoch === null) return
    const offlineLogs = this.#options.offlineLogs()
    try {
      const answer = await link.request(
        brokerHeartbeat,
        {
          brokerEpoch,
          metadataOffset: this.#options.appliedOffset(),
          wantUnfenced: offlineLogs !== null && !this.#wantShutdown,
          wantShutdown: this.#wantShutdown,
          offlineLogs: this.#fenced ? (offlineLogs ?? []) : [],
          droppedTails: this.#fenced && offlineLogs !== null ? this.#options.droppedTails() : [],
          damagedLogs: this.#options.damagedLogs().slice(0, PARTITIONS_PER_REQUEST_MAX),
        },
        { timeoutMs: settings.heartbeatTimeoutMs },
      )
      if (answer.fenced !== this.#fenced)
        environment.log.info(answer.fenced ? 'broker-fenced' : 'broker-unfenced', { brokerEpoch })
      this.#fenced = answer.fenced
      this.#mayShutDown = answer.mayShutDown
    } catch (thrown) {
      if (sleeper.isStopped) return
      const error = toVltavaError(thrown)
      // Registered under neither: what this process knows of itself counts for nothing any more.
      const reason = FATAL[error.code]
      if (reason !== undefined) {
        environment.process.fail(reason, error)
        return
      }
      environment.log.warn('heartbeat-failed', { code: error.code, reason: error.message })
    }
  }
}
