import type { Clock } from '../../base/clock.ts'
import { toVltavaError } from '../../model/errors.ts'
import type { Channel, Listener, ListenerFactory, ListenOptions } from '../../net/transport.ts'

/** A port of a dead node can be in use for a moment: the system lends it to a socket that dials. */
const REOPEN_TIMEOUT_MS = 5_000
const REOPEN_PAUSE_MS = 20

export interface NodePortOptions {
  readonly clock: Clock
  readonly listeners: ListenerFactory
  readonly host: string
  readonly allowedOrigins: readonly string[]
}

/**
 * The port of one node over all of its runs. It is open before the first run begins, because the nodes must know the ports
 * of all before any of them starts; who comes meanwhile waits.
 */
export class NodePort implements ListenerFactory {
  readonly port: number
  readonly #options: NodePortOptions
  readonly #door: Door
  /** Until the first run takes it. */
  #reserved: Listener | null

  private constructor(
    options: NodePortOptions,
    reserved: { readonly listener: Listener; readonly door: Door },
  ) {
    this.#options = options
    this.#door = reserved.door
    this.#reserved = reserved.listener
    this.port = reserved.listener.port
  }

  /** Takes a free port. */
  static async reserve(options: NodePortOptions): Promise<NodePort> {
    const door = new Door()
    const { host, allowedOrigins } = options
    const listener = await options.listeners.listen({
      host,
      port: 0,
      allowedOrigins,
      onChannel: (channel) => door.enter(channel),
      httpHandler: (request) => door.owner?.httpHandler?.(request) ?? null,
    })
    return new NodePort(options, { listener, door })
  }

  async listen(options: ListenOptions): Promise<Listener> {
    const reserved = this.#reserved
    if (reserved === null) return await this.#reopen(options)
    this.#reserved = null
    this.#door.open(options)
    return reserved
  }

  /** Gives the port back, if no run took it. */
  async close(): Promise<void> {
    await this.#reserved?.close()
  }

  async #reopen(options: ListenOptions): Promise<Listener> {
    const { clock, listeners } = this.#options
    const deadlineMs = clock.monotonicMs() + REOPEN_TIMEOUT_MS
    for (;;) {
      try {
        return await listeners.listen(options)
      } catch (thrown) {
        const isOver = clock.monotonicMs() >= deadlineMs
        if (isOver || toVltavaError(thrown).code !== 'INVALID_ARGUMENT') throw thrown
        await new Promise<void>((resolve) => clock.setTimer(REOPEN_PAUSE_MS, resolve))
      }
    }
  }
}

/** Where channels wait until the node is there. */
class Door {
  readonly #waiting: Channel[] = []
  owner: ListenOptions | null = null

  enter(channel: Channel): void {
    if (this.owner === null) this.#waiting.push(channel)
    else this.owner.onChannel(channel)
  }

  open(owner: ListenOptions): void {
    this.owner = owner
    for (const channel of this.#waiting.splice(0)) owner.onChannel(channel)
  }
}
