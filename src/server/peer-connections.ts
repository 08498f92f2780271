import { VltavaError } from '../model/errors.ts'
import type { ClusterId, NodeId } from '../model/ids.ts'
import type { Connection } from '../net/connection.ts'
import { openConnection } from '../net/open-connection.ts'
import type { Router } from '../net/router.ts'
import type { Transport } from '../net/transport.ts'
import type { Environment } from './environment.ts'

const CONNECT_TIMEOUT_MS = 2_000

export interface PeerConnectionsOptions {
  readonly environment: Environment
  readonly router: Router
  readonly nodeId: NodeId
  readonly incarnationId: string
  readonly secret: Uint8Array
  readonly software: string
  readonly clusterId: () => ClusterId | null
  /** Leads to this node itself without a socket; a combined node talks to its own controller this way. */
  readonly loopback: { readonly transport: Transport; readonly url: string }
  /** The address this node was configured with for another one; null where there is none. */
  readonly urlOf: (nodeId: NodeId) => string | null
}

/** One authenticated connection to each other node, dialled when first wanted and shared by all who want it. */
export class PeerConnections {
  readonly #options: PeerConnectionsOptions
  readonly #open = new Map<NodeId, Connection>()
  readonly #dialling = new Map<NodeId, Promise<Connection>>()
  /** Ends what is being dialled as well: its timers would keep a process that has stopped. */
  readonly #closing = new AbortController()

  constructor(options: PeerConnectionsOptions) {
    this.#options = options
  }

  /**
   * @param url where the other node says that it is reached; counts for nodes without a configured address.
   * @throws VltavaError CONNECTION_FAILED and what the handshake throws.
   */
  connect(nodeId: NodeId, url: string | null = null): Promise<Connection> {
    if (this.#closing.signal.aborted)
      return Promise.reject(new VltavaError('SHUTTING_DOWN', 'The node is stopping.'))
    const open = this.#open.get(nodeId)
    if (open?.isOpen === true) return Promise.resolve(open)
    let dialling = this.#dialling.get(nodeId)
    if (dialling === undefined) {
      dialling = this.#dial(nodeId, url).finally(() => this.#dialling.delete(nodeId))
      this.#dialling.set(nodeId, dialling)
    }
    return dialling
  }

  close(): void {
    this.#closing.abort()
    for (const connection of this.#open.values()) connection.close('SHUTTING_DOWN')
    this.#open.clear()
  }

  async #dial(nodeId: NodeId, knownUrl: string | null): Promise<Connection> {
    const { environment, router, nodeId: ownId, incarnationId, secret, software, loopback } = this.#options
    const isSelf = nodeId === ownId
    // One connection serves all who want it, so its address must not depend on who dialled first: the one this node was
    // configured with wins over the one the other node advertises, which may suit clients only (a proxy, another network).
    const url = isSelf ? loopback.url : (this.#options.urlOf(nodeId) ?? knownUrl)
    if (url === null)
      throw new VltavaError('CONNECTION_FAILED', `The address of node ${nodeId} is not known yet.`)
    const { clock, random, log, mac } = environment
    const { connection } = await openConnection({
      transport: isSelf ? loopback.transport : environment.transport,
      url,
      router,
      clock,
      log,
      software,
      clusterId: this.#options.clusterId(),
      asPeer: { nodeId: ownId, incarnationId, expectedNodeId: nodeId, secret, mac, random },
      timeoutMs: CONNECT_TIMEOUT_MS,
      signal: this.#closing.signal,
    })
    if (this.#closing.signal.aborted) {
      connection.close('SHUTTING_DOWN')
      throw new VltavaError('SHUTTING_DOWN', 'The node is stopping.')
    }
    this.#open.set(nodeId, connection)
    connection.onClose(() => {
      if (this.#open.get(nodeId) === connection) this.#open.delete(nodeId)
    })
    return connection
  }
}
