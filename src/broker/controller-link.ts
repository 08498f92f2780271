import { Sleeper } from '../base/async/sleeper.ts'
import type { ClusterImage } from '../metadata/cluster-image.ts'
import { toVltavaError, VltavaError } from '../model/errors.ts'
import type { NodeId } from '../model/ids.ts'
import type { Connection } from '../net/connection.ts'
import type { Api, ResponseOf } from '../protocol/api.ts'
import { findController } from '../protocol/quorum.ts'
import type { BrokerEnvironment, ConnectPeer } from './broker-environment.ts'

const DISCOVERY_TIMEOUT_MS = 1_000
/** Between rounds over all voters while none knows a leader: an election takes some hundred milliseconds. */
const DISCOVERY_PAUSE_MS = 50

interface ActiveController {
  readonly controllerId: NodeId
  readonly connection: Connection
}

type FindControllerAnswer = ResponseOf<typeof findController>

interface FoundController {
  readonly controllerId: NodeId
  readonly term: number
}

export interface ControllerLinkOptions {
  readonly environment: BrokerEnvironment
  readonly connectPeer: ConnectPeer
  /** Who may be the active controller, as far as known now; this node first if it may: its own answer costs no network. */
  readonly voters: () => readonly ControllerAddress[]
}

export interface ControllerAddress {
  readonly nodeId: NodeId
  /** null where the configured address counts. */
  readonly url: string | null
  /** Whether it counts for a majority. */
  readonly isVoter: boolean
}

/** The controllers this node was given, and the voters that its image knows beside them. */
export function controllersKnown(
  listed: readonly Omit<ControllerAddress, 'isVoter'>[],
  image: ClusterImage,
): readonly ControllerAddress[] {
  const { voters, brokers } = image
  const isVoter = (id: NodeId): boolean => voters.length === 0 || voters.some(({ nodeId }) => nodeId === id)
  const added = voters.filter(({ nodeId }) => !listed.some((known) => known.nodeId === nodeId))
  return [
    ...listed.map(({ nodeId, url }) => ({ nodeId, url, isVoter: isVoter(nodeId) })),
    ...added.map(({ nodeId, url }) => ({
      nodeId,
      url: url ?? brokers.get(nodeId)?.url ?? null,
      isVoter: true,
    })),
  ]
}

/** Finds the active controller and sends requests to it, following it from node to node. */
export class ControllerLink {
  readonly #environment: BrokerEnvironment
  readonly #connectPeer: ConnectPeer
  readonly #voters: ControllerLinkOptions['voters']
  #active: ActiveController | null = null
  #discovery: Promise<ActiveController | null> | null = null
  readonly #sleeper: Sleeper
  readonly #waiting = new Set<() => void>()

  constructor(options: ControllerLinkOptions) {
    this.#environment = options.environment
    this.#connectPeer = options.connectPeer
    this.#voters = options.voters
    this.#sleeper = new Sleeper(options.environment.clock)
  }

  /** The controller of the last successful discovery. */
  get controllerId(): NodeId | null {
    return this.#active?.controllerId ?? null
  }

  /**
   * Sends a request to the active controller. An attempt that surely had no effect is repeated until the time is up;
   * any other failure is the caller's to judge.
   * @throws VltavaError of the controller's answer; REQUEST_TIMED_OUT (definite) when no controller was found in time.
   */
  async request<Request, Response>(
    api: Api<Request, Response>,
    body: Request,
    options: { readonly timeoutMs: number },
  ): Promise<Response> {
    const deadlineMs = this.#environment.clock.monotonicMs() + options.timeoutMs
    let lastError: VltavaError | null = null
    while (!this.#sleeper.isStopped) {
      const remainingMs = deadlineMs - this.#environment.clock.monotonicMs()
      if (remainingMs <= 0) break
      const active = this.#active ?? (await this.#discover())
      if (active === null) {
        await this.#sleeper.sleep(DISCOVERY_PAUSE_MS)
        continue
      }
      try {
        const request = active.connection.request(api, body, { timeoutMs: Math.max(1, remainingMs) })
        return (await this.#untilClosed(request)).body
      } catch (thrown) {
        lastError = toVltavaError(thrown)
        const moved = lastError.code === 'NOT_CONTROLLER' || lastError.code === 'CONNECTION_FAILED'
        if (moved || lastError.code === 'CONNECTION_LOST' || lastError.code === 'REQUEST_TIMED_OUT') {
          this.#forget(active)
        }
        if (!moved || !lastError.definite) throw lastError
        await this.#sleeper.sleep(DISCOVERY_PAUSE_MS)
      }
    }
    if (this.#sleeper.isStopped) throw new VltavaError('SHUTTING_DOWN', 'The broker is stopping.')
    const voters = this.#voters()
      .filter(({ isVoter }) => isVoter)
      .map(({ nodeId }) => nodeId)
      .join(', ')
    throw new VltavaError(
      'REQUEST_TIMED_OUT',
      `No active controller was found within ${options.timeoutMs} ms (voters ${voters}); a majority of them must run.` +
        (lastError === null ? '' : ` Last answer: ${lastError.message}`),
      { definite: true, ...(lastError === null ? {} : { cause: lastError }) },
    )
  }

  /** Resolves after the delay, or at once when the link closes. */
  pause(delayMs: number): Promise<void> {
    return this.#sleeper.sleep(delayMs)
  }

  close(): void {
    this.#active = null
    this.#sleeper.stop()
    for (const giveUp of [...this.#waiting]) giveUp()
  }

  /** The promise, or CONNECTION_LOST as soon as the link closes: a parked request would keep a stopping node waiting. */
  #untilClosed<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      // Not SHUTTING_DOWN, which says that nothing was done: the request is at the controller already.
      const giveUp = (): void => {
        reject(
          new VltavaError(
            'CONNECTION_LOST',
            'The broker is stopping; the controller may still carry this out.',
          ),
        )
      }
      this.#waiting.add(giveUp)
      promise.then(resolve, reject).finally(() => this.#waiting.delete(giveUp))
    })
  }

  #forget(active: ActiveController): void {
    if (this.#active === active) this.#active = null
  }

  #discover(): Promise<ActiveController | null> {
    this.#discovery ??= this.#ask().finally(() => {
      this.#discovery = null
    })
    return this.#discovery
  }

  /**
   * Resolves when a majority has answered and one of them knows a controller: any majority has a member of the one that
   * elected the newest. So voters that are silent delay nobody. Without such a majority it waits for all.
   */
  #newestAnswer(): Promise<FoundController | null> {
    return new Promise((resolve, reject) => {
      let best: FoundController | null = null
      let answered = 0
      const voters = this.#voters()
      const votersCount = voters.filter(({ isVoter }) => isVoter).length
      let left = voters.length
      for (const voter of voters) {
        this.#askOne(voter).then((answer) => {
          left--
          if (answer !== null && voter.isVoter) answered++
          if (answer !== null && answer.controllerId !== null && (best === null || answer.term > best.term))
            best = { controllerId: answer.controllerId, term: answer.term }
          if (left === 0 || (best !== null && 2 * answered > votersCount)) resolve(best)
        }, reject)
      }
    })
  }

  /** null when it does not answer. */
  async #askOne({ nodeId, url }: ControllerAddress): Promise<FindControllerAnswer | null> {
    try {
      const connection = await this.#connectPeer(nodeId, url)
      return (await connection.request(findController, {}, { timeoutMs: DISCOVERY_TIMEOUT_MS })).body
    } catch {
      return null
    }
  }

  /** Asks all voters at once, and takes the newest term's answer. */
  async #ask(): Promise<ActiveController | null> {
    const best = await this.#newestAnswer()
    const voter = this.#voters().find(({ nodeId }) => nodeId === best?.controllerId)
    if (best === null || voter === undefined) return null
    try {
      const connection = await this.#connectPeer(voter.nodeId, voter.url)
      if (this.#sleeper.isStopped) return null
      const active = { controllerId: voter.nodeId, connection }
      this.#active = active
      connection.onClose(() => this.#forget(active))
      return active
    } catch (thrown) {
      this.#environment.log.debug('controller-unreachable', {
        nodeId: voter.nodeId,
        reason: toVltavaError(thrown).message,
      })
      return null
    }
  }
}
