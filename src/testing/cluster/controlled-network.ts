// The links between the nodes of a test cluster and its clients, over whatever network they are made of.
import type { Clock } from '../../base/clock.ts'
import { VltavaError } from '../../model/errors.ts'
import { parseServerUrl } from '../../net/server-url.ts'
import type {
  Channel,
  ConnectOptions,
  Listener,
  ListenerFactory,
  ListenOptions,
  Transport,
} from '../../net/transport.ts'
import { ControlledChannel } from './controlled-channel.ts'

export interface ControlledNetworkOptions {
  readonly clock: Clock
  /** The network under it, as the party of this name uses it. */
  readonly endpoint: (party: string) => Transport & ListenerFactory
}

interface Link {
  readonly from: string
  readonly to: string
  readonly channel: ControlledChannel
}

/**
 * Parties, by their names, whose links can be cut. A channel is controlled at the end of whoever dialled, which knows both
 * parties; whoever dials from outside is not a party, and nothing is done to it.
 */
export class ControlledNetwork {
  readonly #options: ControlledNetworkOptions
  /** Who listens where; an address belongs to its party for good. */
  readonly #owners = new Map<string, string>()
  readonly #cuts = new Set<string>()
  readonly #links = new Set<Link>()
  readonly #waiting = new Set<() => void>()

  constructor(options: ControlledNetworkOptions) {
    this.#options = options
  }

  /** @param url where the party can be reached from now on. */
  setOwner(url: string, party: string): void {
    this.#owners.set(keyOf(url), party)
  }

  /** The network as one run of the process of a party uses it. */
  endpoint(party: string): ControlledEndpoint {
    const { clock, endpoint } = this.#options
    return new ControlledEndpoint({
      clock,
      network: endpoint(party),
      whenOpen: (url, options) => this.#whenOpen(party, url, options),
      onDialled: (url, channel) => this.#dialled(party, url, channel),
      onGone: (channel) => this.#forget(channel),
    })
  }

  /** Cuts every link between a party of one group and one of the other, both ways, until `heal`. */
  partition(groupA: readonly string[], groupB: readonly string[]): void {
    for (const a of groupA) for (const b of groupB) this.#cuts.add(cutOf(a, b))
    for (const { from, to, channel } of this.#links) if (this.#isCut(from, to)) channel.hold()
  }

  heal(): void {
    this.#cuts.clear()
    for (const { channel } of [...this.#links]) channel.release()
    for (const goOn of [...this.#waiting]) goOn()
  }

  /** Ends all channels, those that are held as well. */
  destroy(): void {
    for (const { channel } of [...this.#links]) channel.destroy()
  }

  #isCut(from: string, to: string | undefined): boolean {
    return to !== undefined && this.#cuts.has(cutOf(from, to))
  }

  /** Resolves with the milliseconds that are left when the way is open. */
  #whenOpen(from: string, url: string, options: ConnectOptions): Promise<number> {
    const { timeoutMs, signal } = options
    const to = this.#owners.get(keyOf(url))
    if (!this.#isCut(from, to)) return Promise.resolve(timeoutMs)
    const { clock } = this.#options
    const startMs = clock.monotonicMs()
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        timer.cancel()
        this.#waiting.delete(goOn)
        signal?.removeEventListener('abort', giveUp)
      }
      const fail = (problem: string): void => {
        settle()
        reject(new VltavaError('CONNECTION_FAILED', `${url}: ${problem}`))
      }
      const goOn = (): void => {
        settle()
        resolve(Math.max(1, timeoutMs - (clock.monotonicMs() - startMs)))
      }
      const giveUp = (): void => fail('the caller gave up.')
      const timer = clock.setTimer(timeoutMs, () => fail(`no channel was opened within ${timeoutMs} ms.`))
      this.#waiting.add(goOn)
      signal?.addEventListener('abort', giveUp)
      if (signal?.aborted === true) giveUp()
    })
  }

  #dialled(from: string, url: string, channel: ControlledChannel): void {
    const to = this.#owners.get(keyOf(url))
    if (to === undefined) return
    this.#links.add({ from, to, channel })
    if (this.#isCut(from, to)) channel.hold()
  }

  #forget(channel: ControlledChannel): void {
    for (const link of this.#links) if (link.channel === channel) this.#links.delete(link)
  }
}

interface EndpointOptions {
  readonly clock: Clock
  readonly network: Transport & ListenerFactory
  readonly whenOpen: (url: string, options: ConnectOptions) => Promise<number>
  readonly onDialled: (url: string, channel: ControlledChannel) => void
  readonly onGone: (channel: ControlledChannel) => void
}

/** What one run of a process does on the network; all of it ends with `die`. */
export class ControlledEndpoint implements Transport, ListenerFactory {
  readonly #options: EndpointOptions
  readonly #channels = new Set<ControlledChannel>()
  /** Everything it listened on. */
  readonly #listening = new Set<Promise<Listener>>()
  /** The dials under way. */
  readonly #dials = new Set<AbortController>()
  #isDead = false

  constructor(options: EndpointOptions) {
    this.#options = options
  }

  connect(url: string, options: ConnectOptions): Promise<Channel> {
    return new Promise((resolve, reject) => {
      this.#connect(url, options).then(
        (channel) => {
          if (channel !== null) resolve(channel)
        },
        (error: Error) => {
          if (!this.#isDead) reject(error)
        },
      )
    })
  }

  listen(options: ListenOptions): Promise<Listener> {
    return new Promise((resolve, reject) => {
      if (this.#isDead) return
      const opening = this.#options.network.listen({
        ...options,
        onChannel: (channel) => {
          const controlled = this.#control(channel)
          if (this.#isDead) controlled.die()
          else options.onChannel(controlled)
        },
      })
      this.#listening.add(opening)
      opening.then(
        (listener) => {
          if (!this.#isDead) resolve(listener)
        },
        (error: Error) => {
          if (!this.#isDead) reject(error)
        },
      )
    })
  }

  /** The process is gone: its channels break, its dials end, nobody listens any more, and none of it is told to it. */
  async die(): Promise<void> {
    this.#isDead = true
    for (const dial of [...this.#dials]) dial.abort()
    for (const channel of [...this.#channels]) channel.die()
    const opened = await Promise.allSettled(this.#listening)
    await Promise.all(
      opened.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value.close()] : [])),
    )
  }

  /** null when the process has ended meanwhile. */
  async #connect(url: string, options: ConnectOptions): Promise<ControlledChannel | null> {
    const { network, whenOpen, onDialled } = this.#options
    const { signal, ...rest } = options
    const dial = new AbortController()
    const onAbort = (): void => dial.abort()
    this.#dials.add(dial)
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted === true || this.#isDead) dial.abort()
    try {
      const timeoutMs = await whenOpen(url, { ...rest, signal: dial.signal })
      const opened = await network.connect(url, { ...rest, timeoutMs, signal: dial.signal })
      const channel = this.#control(opened)
      onDialled(url, channel)
      if (!this.#isDead) return channel
      channel.die()
      return null
    } finally {
      this.#dials.delete(dial)
      signal?.removeEventListener('abort', onAbort)
    }
  }

  #control(channel: Channel): ControlledChannel {
    const controlled = new ControlledChannel({
      channel,
      clock: this.#options.clock,
      onGone: (gone) => {
        this.#channels.delete(gone)
        this.#options.onGone(gone)
      },
    })
    this.#channels.add(controlled)
    return controlled
  }
}

function keyOf(url: string): string {
  const { host, port } = parseServerUrl(url)
  return `${host}:${port}`
}

function cutOf(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`
}
