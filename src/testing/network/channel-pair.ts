import type { LinkTable } from './link.ts'
import type { NetworkContext } from './network-context.ts'
import type { Party } from './party.ts'
import { Pipe } from './pipe.ts'
import { SimulatedChannel } from './simulated-channel.ts'

export interface ChannelPairOptions {
  readonly context: NetworkContext
  readonly links: LinkTable
  /** For the trace. */
  readonly number: number
  readonly dialer: Party
  readonly acceptor: Party
  /** What the dialer dialled, as host:port. */
  readonly address: string
  readonly onDialerOpened: (channel: SimulatedChannel) => void
  readonly onAcceptedGone: (channel: SimulatedChannel) => void
  /** Neither end exists any more. */
  readonly onOver: (pair: ChannelPair) => void
}

/** The two ends of one channel and what lies between them. The end of the dialer opens when it hears so. */
export class ChannelPair {
  readonly dialer: SimulatedChannel
  readonly accepted: SimulatedChannel
  readonly #options: ChannelPairOptions
  readonly #there: Pipe
  readonly #back: Pipe

  constructor(options: ChannelPairOptions) {
    this.#options = options
    const { context, links, number, dialer, acceptor } = options
    this.dialer = new SimulatedChannel({
      context,
      party: dialer,
      remoteAddress: options.address,
      state: 'opening',
      onOpened: options.onDialerOpened,
      onGone: () => this.#ended(),
    })
    this.accepted = new SimulatedChannel({
      context,
      party: acceptor,
      remoteAddress: dialer.name,
      state: 'open',
      onGone: (channel) => {
        options.onAcceptedGone(channel)
        this.#ended()
      },
    })
    const link = links.get(dialer.name, acceptor.name)
    const backLink = links.get(acceptor.name, dialer.name)
    this.#there = new Pipe({
      context,
      route: `${dialer.name}>${acceptor.name} #${number}`,
      source: this.dialer,
      target: this.accepted,
      link,
      backLink,
    })
    this.#back = new Pipe({
      context,
      route: `${acceptor.name}>${dialer.name} #${number}`,
      source: this.accepted,
      target: this.dialer,
      link: backLink,
      backLink: link,
    })
    Pipe.join(this.#there, this.#back)
    this.dialer.attach({ outgoing: this.#there, incoming: this.#back })
    this.accepted.attach({ outgoing: this.#back, incoming: this.#there })
    this.#back.put({ kind: 'opened' })
  }

  /** Whether both ends live and nothing is about to end them. */
  get isWhole(): boolean {
    const { dialer, accepted } = this
    return !dialer.isGone && !accepted.isGone && !this.#there.hasReset && !this.#back.hasReset
  }

  get names(): readonly [dialer: string, acceptor: string] {
    return [this.dialer.party.name, this.accepted.party.name]
  }

  /** Ends it on its way, in each direction on its own; only while it is whole. */
  break(): void {
    const { context } = this.#options
    context.counts.channelsBroken++
    context.trace?.event(`break ${this.#there.route}`)
    this.#there.break()
    this.#back.break()
  }

  /** A link, a machine or an end may have changed. */
  refresh(): void {
    this.#there.refresh()
    this.#back.refresh()
  }

  /** The process of a party has ended. */
  partyEnded(party: Party): void {
    if (this.dialer.party === party) this.dialer.die()
    if (this.accepted.party === party) this.accepted.die()
  }

  #ended(): void {
    if (this.dialer.isGone && this.accepted.isGone) this.#options.onOver(this)
  }
}
