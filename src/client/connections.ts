// The connections of one client: one for each broker, shared by its producers, consumers and admin calls.
import { Sleeper } from '../base/async/sleeper.ts'
import { toVltavaError, VltavaError } from '../model/errors.ts'
import type { ClusterId, NodeId } from '../model/ids.ts'
import { backoffMs } from '../net/backoff.ts'
import type { Connection } from '../net/connection.ts'
import { type HelloResponse, openConnection } from '../net/open-connection.ts'
import { Router } from '../net/router.ts'
import type { RequestOf } from '../protocol/api.ts'
import { metadataChanged } from '../protocol/cluster-metadata.ts'
import type { ResolvedClientSettings } from './client-options.ts'
import type { ClientEnvironment } from './environment.ts'
import { closedError } from './errors.ts'

/** Where a broker is reached. */
export interface BrokerAddress {
  readonly url: string
  /** The broker that has to be there; null for a bootstrap server, which may be any. */
  readonly brokerId: NodeId | null
}

export interface ConnectionsOptions {
  readonly environment: ClientEnvironment
  readonly settings: ResolvedClientSettings
  readonly software: string
  /** The cluster as far as it is known by then. */
  readonly clusterId: () => ClusterId | null
  readonly onHint: (hint: RequestOf<typeof metadataChanged>) => void
}

/** One address, for as long as the client lives. */
interface Link {
  readonly url: string
  connection: Connection | null
  /** Who answered there. */
  nodeId: NodeId | null
  dialing: Promise<Connection> | null
  /** Dials that failed, and connections that did not last, in a row. */
  failures: number
  notBeforeMs: number
}

export class Connections {
  readonly #options: ConnectionsOptions
  readonly #router: Router
  readonly #links = new Map<string, Link>()
  readonly #sleeper: Sleeper
  readonly #abort = new AbortController()

  constructor(options: ConnectionsOptions) {
    this.#options = options
    this.#sleeper = new Sleeper(options.environment.clock)
    this.#router = new Router(options.environment.log)
    this.#router.handle(metadataChanged, ({ body }) => {
      options.onHint(body)
      return null
    })
  }

  /** The open connection to this broker, under whichever address it was dialled; null when there is none. */
  openTo(address: BrokerAddress): Connection | null {
    const { url, brokerId } = address
    const direct = this.#links.get(url)
    if (direct !== undefined && isOpen(direct) && (brokerId === null || direct.nodeId === brokerId)) {
      return direct.connection
    }
    if (brokerId === null) return null
    for (const link of this.#links.values()) {
      if (link.nodeId === brokerId && isOpen(link)) return link.connection
    }
    return null
  }

  /** Whether the address failed a moment ago and is not dialled again yet. */
  isResting(address: BrokerAddress): boolean {
    const notBeforeMs = this.#links.get(address.url)?.notBeforeMs ?? Number.NEGATIVE_INFINITY
    return notBeforeMs > this.#options.environment.clock.monotonicMs()
  }

  /**
   * The connection to this broker, dialled when there is none. Whoever asks meanwhile gets the same one. After a
   * failure the dial waits for its back-off first, so asking again and again is harmless.
   * @throws VltavaError CONNECTION_FAILED, CLOSED, and what `openConnection` throws
   */
  async dial(address: BrokerAddress): Promise<Connection> {
    if (this.#sleeper.isStopped) throw closedError('client')
    const open = this.openTo(address)
    if (open !== null) return open
    const { url, brokerId } = address
    const link = this.#link(url)
    if (!isOpen(link)) {
      link.dialing ??= this.#dial(link).finally(() => {
        link.dialing = null
      })
      await link.dialing
    }
    const { connection, nodeId } = link
    if (connection !== null && (brokerId === null || nodeId === brokerId)) return connection
    const who = connection === null ? 'it closed the connection at once' : `node ${nodeId} answered`
    throw new VltavaError('CONNECTION_FAILED', `${url} should be broker ${brokerId}, but ${who}.`)
  }

  /** Closes everything and resolves when all of it is gone; what is under way fails. */
  async close(): Promise<void> {
    this.#sleeper.stop()
    this.#abort.abort()
    const ends: Promise<unknown>[] = []
    for (const { connection, dialing } of this.#links.values()) {
      if (dialing !== null) ends.push(dialing)
      if (connection === null) continue
      connection.close()
      ends.push(connection.closed)
    }
    await Promise.allSettled(ends)
  }

  #link(url: string): Link {
    let link = this.#links.get(url)
    if (link === undefined) {
      link = { url, connection: null, nodeId: null, dialing: null, failures: 0, notBeforeMs: 0 }
      this.#links.set(url, link)
    }
    return link
  }

  async #dial(link: Link): Promise<Connection> {
    const { environment, settings, software, clusterId } = this.#options
    const { clock, log, transport } = environment
    const waitMs = link.notBeforeMs - clock.monotonicMs()
    if (waitMs > 0) await this.#sleeper.sleep(waitMs)
    if (this.#sleeper.isStopped) throw closedError('client')
    try {
      const { connection, server } = await openConnection({
        transport,
        url: link.url,
        router: this.#router,
        clock,
        log,
        software,
        clusterId: clusterId(),
        asPeer: null,
        timeoutMs: settings.connectTimeoutMs,
        signal: this.#abort.signal,
      })
      const refusal = this.#refusalOf(link, server)
      if (refusal !== null) {
        connection.close()
        throw refusal
      }
      this.#opened(link, connection, server.nodeId)
      return connection
    } catch (thrown) {
      const error = toVltavaError(thrown)
      this.#rest(link)
      if (!this.#sleeper.isStopped) {
        log.debug('dial-failed', { url: link.url, failures: link.failures, detail: error.message })
      }
      throw error
    }
  }

  #opened(link: Link, connection: Connection, nodeId: NodeId): void {
    const { clock, log } = this.#options.environment
    const openedAtMs = clock.monotonicMs()
    link.connection = connection
    link.nodeId = nodeId
    log.debug('connected', { url: link.url, nodeId })
    connection.onClose(({ code, reason }) => {
      link.connection = null
      // One that lasted starts anew at once; one that is opened and closed in a loop is slowed down.
      const lastedMs = clock.monotonicMs() - openedAtMs
      if (lastedMs >= this.#options.settings.retryBackoffMaxMs) link.failures = 0
      else this.#rest(link)
      log.debug('disconnected', { url: link.url, nodeId, code, reason })
    })
  }

  /** Why a connection that was opened is of no use, if it is not. */
  #refusalOf(link: Link, server: HelloResponse): VltavaError | null {
    if (this.#sleeper.isStopped) return closedError('client')
    if (server.isBroker) return null
    const detail = `Node ${server.nodeId} at ${link.url} is a controller only; give the addresses of brokers.`
    return new VltavaError('CONNECTION_FAILED', detail)
  }

  #rest(link: Link): void {
    const { environment, settings } = this.#options
    link.failures++
    const pauseMs = backoffMs({
      attempt: link.failures,
      baseMs: settings.retryBackoffMs,
      maxMs: settings.retryBackoffMaxMs,
      random: environment.random,
    })
    link.notBeforeMs = environment.clock.monotonicMs() + pauseMs
  }
}

function isOpen(link: Link): boolean {
  return link.connection?.isOpen ?? false
}
