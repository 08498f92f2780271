import { type Deferred, deferred } from '../base/async/deferred.ts'
import type { Clock } from '../base/clock.ts'
import { VltavaError } from '../model/errors.ts'
import { CLOSE_CODES } from './close-codes.ts'
import { MemoryChannel } from './memory-channel.ts'
import { parseServerUrl } from './server-url.ts'
import type {
  Channel,
  ConnectOptions,
  Listener,
  ListenerFactory,
  ListenOptions,
  Transport,
} from './transport.ts'

/** The first port a listener gets that asks for any. */
const FREE_PORTS_FROM = 49_152
/** Parties that use the network without an endpoint of their own. */
const NAMELESS = 'memory'

interface Link {
  readonly dialerName: string
  readonly listenerName: string
  readonly dialer: MemoryChannel
}

/**
 * A network inside of one process that loses, delays and reorders nothing (net/memory-channel.ts has the order of
 * things). A node with both roles reaches its own controller through it, and tests run whole clusters on it. Addresses
 * are the host:port of listeners; the parties at both ends can have names, by which `disconnect` finds their channels.
 * There is no HTTP side.
 */
export class MemoryNetwork implements Transport, ListenerFactory {
  readonly #clock: Clock
  readonly #listeners = new Map<string, MemoryListener>()
  readonly #links = new Set<Link>()
  #nextPort = FREE_PORTS_FROM

  constructor(clock: Clock) {
    this.#clock = clock
  }

  connect(url: string, options: ConnectOptions): Promise<Channel> {
    return this.#connect({ name: NAMELESS, url, options })
  }

  listen(options: ListenOptions): Promise<Listener> {
    return this.#listen(NAMELESS, options)
  }

  /** The network as the party of this name uses it. */
  endpoint(name: string): Transport & ListenerFactory {
    return {
      connect: (url, options) => this.#connect({ name, url, options }),
      listen: (options) => this.#listen(name, options),
    }
  }

  /** Aborts the channels that are open between two parties, whoever dialled; new ones can be made at once. */
  disconnect(nameA: string, nameB: string): void {
    for (const { dialerName, listenerName, dialer } of [...this.#links]) {
      const isBetween =
        (dialerName === nameA && listenerName === nameB) || (dialerName === nameB && listenerName === nameA)
      if (isBetween) dialer.abort()
    }
  }

  #connect(dial: {
    readonly name: string
    readonly url: string
    readonly options: ConnectOptions
  }): Promise<Channel> {
    const { name, url } = dial
    const { signal } = dial.options
    return new Promise((resolve, reject) => {
      const key = keyOf(parseServerUrl(url))
      const giveUp = (): void => reject(new VltavaError('CONNECTION_FAILED', `${url}: the caller gave up.`))
      if (signal?.aborted === true) {
        giveUp()
        return
      }
      signal?.addEventListener('abort', giveUp)
      this.#clock.afterPendingIo(() => {
        signal?.removeEventListener('abort', giveUp)
        if (signal?.aborted === true) return
        const listener = this.#listeners.get(key)
        if (listener !== undefined) resolve(this.#link(name, listener))
        else
          reject(new VltavaError('CONNECTION_FAILED', `${url}: connection refused; nothing listens there.`))
      })
    })
  }

  #link(dialerName: string, listener: MemoryListener): Channel {
    const clock = this.#clock
    const accepted = new MemoryChannel({
      clock,
      remoteAddress: dialerName,
      onGone: (channel) => listener.forget(channel),
    })
    const dialer = new MemoryChannel({
      clock,
      remoteAddress: keyOf(listener.options),
      onGone: () => this.#links.delete(link),
    })
    const link = { dialerName, listenerName: listener.name, dialer }
    this.#links.add(link)
    MemoryChannel.join(dialer, accepted)
    listener.accept(accepted)
    return dialer
  }

  #listen(name: string, options: ListenOptions): Promise<Listener> {
    const port = options.port === 0 ? this.#freePort(options.host) : options.port
    const key = keyOf({ host: options.host, port })
    if (this.#listeners.has(key)) {
      const detail = `port ${port} on ${options.host} is in use; choose another one, or stop what listens there.`
      return Promise.reject(new VltavaError('INVALID_ARGUMENT', detail))
    }
    const listener = new MemoryListener({
      name,
      options: { ...options, port },
      onClose: () => this.#listeners.delete(key),
    })
    this.#listeners.set(key, listener)
    return Promise.resolve(listener)
  }

  #freePort(host: string): number {
    while (this.#listeners.has(keyOf({ host, port: this.#nextPort }))) this.#nextPort++
    return this.#nextPort++
  }
}

class MemoryListener implements Listener {
  readonly name: string
  readonly options: ListenOptions
  readonly #onClose: () => void
  readonly #channels = new Set<MemoryChannel>()
  #closed: Deferred<void> | null = null

  constructor(settings: {
    readonly name: string
    readonly options: ListenOptions
    readonly onClose: () => void
  }) {
    this.name = settings.name
    this.options = settings.options
    this.#onClose = settings.onClose
  }

  get port(): number {
    return this.options.port
  }

  accept(channel: MemoryChannel): void {
    this.#channels.add(channel)
    this.options.onChannel(channel)
  }

  forget(channel: MemoryChannel): void {
    this.#channels.delete(channel)
    if (this.#channels.size === 0) this.#closed?.resolve()
  }

  close(): Promise<void> {
    if (this.#closed !== null) return this.#closed.promise
    this.#closed = deferred<void>()
    this.#onClose()
    if (this.#channels.size === 0) this.#closed.resolve()
    const { code, meaning } = CLOSE_CODES.SHUTTING_DOWN
    for (const channel of [...this.#channels]) channel.close(code, meaning)
    return this.#closed.promise
  }
}

function keyOf(address: { readonly host: string; readonly port: number }): string {
  return `${address.host}:${address.port}`
}
