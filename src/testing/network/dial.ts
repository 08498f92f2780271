import type { Timer } from '../../base/clock.ts'
import { VltavaError } from '../../model/errors.ts'
import type { Channel, ConnectOptions } from '../../net/transport.ts'
import type { Link } from './link.ts'
import type { NetworkContext } from './network-context.ts'
import { type Party, setPartyTimer } from './party.ts'
import type { SimulatedChannel } from './simulated-channel.ts'
import type { SimulatedListener } from './simulated-listener.ts'

/** Where a dial goes, as it is at this moment. */
export interface Route {
  readonly there: Link
  readonly back: Link
  /** Nothing gets there, or nothing comes back. */
  readonly isStalled: boolean
  readonly listener: SimulatedListener | null
}

export interface DialOptions {
  readonly context: NetworkContext
  readonly party: Party
  readonly url: string
  readonly options: ConnectOptions
  /** For the trace. */
  readonly label: string
  readonly route: () => Route
  /** Makes the channel and gives its other end to the listener; returns the end of the dialer, which opens later. */
  readonly accept: (
    listener: SimulatedListener,
    onOpened: (channel: SimulatedChannel) => void,
  ) => SimulatedChannel
  readonly onOver: () => void
  readonly resolve: (channel: Channel) => void
  readonly reject: (error: VltavaError) => void
}

/**
 * An attempt to open a channel: TCP's handshake, in which the process at the other end takes no part, then the request
 * for a WebSocket, which its listener answers. `held`: nothing gets there or back; `requested`: the clock of the
 * listener will tell it; `answered`: the answer is on its way, as the first of what comes out of the channel.
 */
export class Dial {
  readonly #party: Party
  readonly #options: DialOptions
  readonly #timeout: Timer
  #state: 'held' | 'handshake' | 'requested' | 'answered' | 'over' = 'held'
  #handshake: Timer | null = null
  #destination: Party | null = null
  #channel: SimulatedChannel | null = null

  constructor(options: DialOptions) {
    this.#options = options
    this.#party = options.party
    const { signal, timeoutMs } = options.options
    const callback = (): void => {
      options.context.counts.dialsTimedOut++
      this.#fail(`no channel was opened within ${timeoutMs} ms.`)
    }
    this.#timeout = setPartyTimer(this.#party, { delayMs: timeoutMs, callback })
    signal?.addEventListener('abort', this.#giveUp)
    this.#trace('dial')
    this.refresh()
  }

  /** A link or a machine has changed. */
  refresh(): void {
    if (this.#state !== 'held') return
    const { random } = this.#options.context
    const { there, back } = this.#options.route()
    this.#state = 'handshake'
    const roundTripMs = there.drawLatencyMs(random) + back.drawLatencyMs(random)
    const callback = (): void => this.#request()
    this.#handshake = setPartyTimer(this.#party, { delayMs: roundTripMs, callback })
  }

  /** A process has ended, alone or with its machine: the one that dials, or the one that was to answer. */
  partyEnded(party: Party): void {
    if (this.#party === party) {
      this.#settle()
    } else if (this.#state === 'requested' && this.#destination === party) {
      this.#startAnew()
    }
  }

  readonly #giveUp = (): void => {
    this.#fail('the caller gave up.')
  }

  #request(): void {
    const { context, route } = this.#options
    const { there, isStalled, listener } = route()
    if (isStalled) {
      this.#state = 'held'
    } else if (listener === null || there.refuseDials) {
      context.counts.dialsRefused++
      this.#fail('connection refused; nothing listens there.')
    } else {
      this.#state = 'requested'
      this.#destination = listener.party
      const delayMs = there.drawLatencyMs(context.random)
      const callback = (): void => this.#arrive(listener)
      setPartyTimer(listener.party, { delayMs, callback })
    }
  }

  #arrive(listener: SimulatedListener): void {
    const isLost = this.#options.route().there.blocked || listener.isClosed
    if (this.#state === 'over') {
      if (!isLost) this.#arriveLate(listener)
    } else if (isLost) {
      this.#startAnew()
    } else {
      this.#state = 'answered'
      this.#channel = this.#accept(listener)
    }
  }

  /** The dialer is gone, but its request is there. */
  #arriveLate(listener: SimulatedListener): void {
    this.#options.context.counts.lateAccepts++
    const channel = this.#accept(listener)
    if (this.#party.isAlive) channel.abort()
    else channel.die()
  }

  #startAnew(): void {
    this.#state = 'held'
    this.refresh()
  }

  #accept(listener: SimulatedListener): SimulatedChannel {
    this.#trace('accept')
    return this.#options.accept(listener, (channel) => this.#opened(channel))
  }

  #opened(channel: SimulatedChannel): void {
    if (this.#state === 'over') return
    if (channel.isGone) {
      this.#fail('the connection was reset before it was open.')
      return
    }
    this.#settle()
    this.#trace('open')
    this.#options.resolve(channel)
  }

  #fail(problem: string): void {
    const channel = this.#channel
    this.#settle()
    channel?.abort()
    this.#trace('dial-failed')
    this.#options.reject(new VltavaError('CONNECTION_FAILED', `${this.#options.url}: ${problem}`))
  }

  /** The arrival stays: what was requested is answered, whether or not anybody waits for it. */
  #settle(): void {
    this.#state = 'over'
    this.#timeout.cancel()
    this.#handshake?.cancel()
    this.#options.options.signal?.removeEventListener('abort', this.#giveUp)
    this.#options.onOver()
  }

  #trace(what: string): void {
    this.#options.context.trace?.event(`${what} ${this.#options.label}`)
  }
}
