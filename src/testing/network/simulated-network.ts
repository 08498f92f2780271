import { assert } from '../../base/assert.ts'
import type { Clock } from '../../base/clock.ts'
import { crc32c as tableCrc32c } from '../../base/crc32c.ts'
import type { Random } from '../../base/random.ts'
import { VltavaError } from '../../model/errors.ts'
import { parseServerUrl } from '../../net/server-url.ts'
import type { Channel, ConnectOptions, ListenerFactory, Transport } from '../../net/transport.ts'
import { ChannelPair } from './channel-pair.ts'
import { Dial, type Route } from './dial.ts'
import { type LinkState, LinkTable } from './link.ts'
import { type Address, ListenerTable } from './listener-table.ts'
import type { NetworkContext } from './network-context.ts'
import { type NetworkCounts, zeroCounts } from './network-counts.ts'
import { NetworkTrace } from './network-trace.ts'
import type { Machine, Party } from './party.ts'
import type { SimulatedChannel } from './simulated-channel.ts'
import type { SimulatedListener } from './simulated-listener.ts'

export interface SimulatedNetworkOptions {
  /** Where every delay and every choice of the network comes from; its own stream, so that other draws do not shift it. */
  readonly random: Random
  /** Told of everything, in short lines for a trace. Checksums of messages are computed only with it. */
  readonly onEvent?: (event: string) => void
  /** CRC-32C for the trace, where there is a faster one than the table. */
  readonly crc32c?: (bytes: Uint8Array) => number
  /** How links are that `setLink` did not change, but for those inside of a machine. Default: LINK_DEFAULTS. */
  readonly link?: Partial<LinkState>
  /** Bytes on their way in one direction of a channel that its sender does not see buffered. Default 262,144. */
  readonly socketBufferBytes?: number
  /** Between these TCP goes on sending again. Default 5,000 to 60,000 ms. */
  readonly retransmitTimeoutMs?: { readonly minMs: number; readonly maxMs: number }
  /** Whether channels ping, as over WebSocket from Node, and end when nothing comes back. Default true. */
  readonly hasKeepalive?: boolean
}

const SOCKET_BUFFER_BYTES = 256 * 1024
const RETRANSMIT_TIMEOUT_MS = { minMs: 5_000, maxMs: 60_000 } as const

/**
 * A network for the simulator: ordered channels like WebSockets on TCP, with latency, bandwidth and the faults of real
 * networks, all drawn from one Random. It has no time of its own. What a party hears, it hears through timers of its
 * own clock, so a process whose clock calls nobody hears nothing, and one that was paused hears it all when it goes on.
 */
export class SimulatedNetwork {
  readonly counts: Readonly<NetworkCounts>
  readonly #context: NetworkContext
  readonly #links: LinkTable
  readonly #machines = new Map<string, Machine>()
  readonly #parties = new Set<Party>()
  readonly #listeners = new ListenerTable()
  readonly #pairs = new Set<ChannelPair>()
  readonly #dials = new Set<Dial>()
  #dialsMade = 0

  constructor(options: SimulatedNetworkOptions) {
    const retransmitTimeoutMs = options.retransmitTimeoutMs ?? RETRANSMIT_TIMEOUT_MS
    assert(
      retransmitTimeoutMs.minMs >= 0 && retransmitTimeoutMs.maxMs >= retransmitTimeoutMs.minMs,
      'retransmitTimeoutMs must be a range of 0 or more milliseconds',
    )
    const counts = zeroCounts()
    this.counts = counts
    this.#links = new LinkTable(options.link)
    this.#context = {
      random: options.random,
      counts,
      trace:
        options.onEvent === undefined
          ? null
          : new NetworkTrace(options.onEvent, options.crc32c ?? tableCrc32c),
      socketBufferBytes: options.socketBufferBytes ?? SOCKET_BUFFER_BYTES,
      retransmitTimeoutMs,
      hasKeepalive: options.hasKeepalive ?? true,
    }
  }

  /** Channels of which at least one end still lives, as far as it knows. */
  get openChannels(): number {
    return this.#pairs.size
  }

  get pendingDials(): number {
    return this.#dials.size
  }

  get openListeners(): number {
    return this.#listeners.size
  }

  /** Whether nobody holds anything of this network any more. */
  get isQuiescent(): boolean {
    return this.openChannels === 0 && this.pendingDials === 0 && this.openListeners === 0
  }

  /**
   * The network as one run of a process uses it.
   * @param process its name, by which faults find it, and the clock through which it is called.
   */
  endpoint(process: { readonly name: string; readonly clock: Clock }): Transport & ListenerFactory {
    const { name, clock } = process
    const machine = this.#machine(name)
    assert(!machine.isOff, `${name} has no power; call poweredOn first`)
    const party: Party = { name, clock, machine, isAlive: true }
    this.#parties.add(party)
    return {
      connect: (url, options) => this.#connect({ party, url, options }),
      listen: (options) => this.#listeners.listen(party, options),
    }
  }

  /** Changes one direction between two parties, whether they exist yet or not. */
  setLink(from: string, to: string, change: Partial<LinkState>): void {
    this.#links.get(from, to).set(change)
    this.#event(`link ${from}>${to} ${JSON.stringify(change)}`)
    this.#refresh()
  }

  /** Blocks what goes one way. */
  cut(from: string, to: string): void {
    this.setLink(from, to, { blocked: true })
  }

  /** Blocks, both ways, the links between parties of different groups. Others stay as they are. */
  partition(groups: readonly (readonly string[])[]): void {
    for (const group of groups) {
      for (const other of groups) {
        if (group === other) continue
        for (const from of group) for (const to of other) this.#links.get(from, to).set({ blocked: true })
      }
    }
    this.#event(`partition ${groups.map((group) => group.join(',')).join(' | ')}`)
    this.#refresh()
  }

  /** Unblocks all links and lets all dials through; latency and bandwidth stay. */
  heal(): void {
    for (const link of this.#links.all()) link.set({ blocked: false, refuseDials: false })
    this.#event('heal')
    this.#refresh()
  }

  /**
   * Breaks the open channels between two parties, whoever dialled. In each direction some of the messages under way
   * still arrive; then both ends see 1006, each at its own time.
   * @returns how many there were.
   */
  breakChannels(nameA: string, nameB: string): number {
    const between = [...this.#pairs].filter(({ isWhole, names: [dialer, acceptor] }) => {
      return isWhole && ((dialer === nameA && acceptor === nameB) || (dialer === nameB && acceptor === nameA))
    })
    for (const pair of between) pair.break()
    return between.length
  }

  /**
   * Breaks one open channel, any of them.
   * @returns the names of its two parties; null when none was open.
   */
  breakOne(): readonly [string, string] | null {
    const whole = [...this.#pairs].filter(({ isWhole }) => isWhole)
    if (whole.length === 0) return null
    const pair = whole[this.#context.random.below(whole.length)]!
    pair.break()
    return pair.names
  }

  /**
   * The process of this name has ended, in whatever way. Its machine tells the other ends of its channels, after some
   * of what it had sent, and refuses dials.
   */
  killed(name: string): void {
    this.#event(`killed ${name}`)
    this.#end(name)
  }

  /** The machine of this name has lost its power: nobody is told, and what is sent to it is lost. */
  powerLost(name: string): void {
    this.#event(`power-lost ${name}`)
    this.#machine(name).isOff = true
    this.#end(name)
  }

  /** The machine runs again. It knows nothing of earlier channels, and says so to whoever sends on them. */
  poweredOn(name: string): void {
    this.#event(`powered-on ${name}`)
    this.#machine(name).isOff = false
    this.#refresh()
  }

  #machine(name: string): Machine {
    let machine = this.#machines.get(name)
    if (machine === undefined) {
      machine = { name, isOff: false }
      this.#machines.set(name, machine)
    }
    return machine
  }

  #end(name: string): void {
    const ended = [...this.#parties].filter((party) => party.name === name)
    for (const party of ended) {
      party.isAlive = false
      this.#parties.delete(party)
      this.#listeners.partyEnded(party)
      for (const dial of [...this.#dials]) dial.partyEnded(party)
      for (const pair of [...this.#pairs]) pair.partyEnded(party)
    }
    this.#refresh()
  }

  #refresh(): void {
    for (const pair of [...this.#pairs]) pair.refresh()
    for (const dial of [...this.#dials]) dial.refresh()
  }

  #connect(dial: {
    readonly party: Party
    readonly url: string
    readonly options: ConnectOptions
  }): Promise<Channel> {
    const { party, url, options } = dial
    return new Promise((resolve, reject) => {
      const address = parseServerUrl(url)
      // What a process still asks for in the turn in which it ended is never answered.
      if (!party.isAlive) return
      if (options.signal?.aborted === true) {
        reject(new VltavaError('CONNECTION_FAILED', `${url}: the caller gave up.`))
        return
      }
      const number = ++this.#dialsMade
      const attempt: Dial = new Dial({
        context: this.#context,
        party,
        url,
        options,
        label: `${party.name}>${address.host}:${address.port} #${number}`,
        route: () => this.#route(party, address),
        accept: (listener, onOpened) => this.#join({ number, party, address, listener, onOpened }),
        onOver: () => this.#dials.delete(attempt),
        resolve,
        reject,
      })
      this.#dials.add(attempt)
    })
  }

  #route(party: Party, address: Address): Route {
    const listener = this.#listeners.at(address)
    const name = this.#listeners.ownerName(address)
    const there = this.#links.get(party.name, name)
    const back = this.#links.get(name, party.name)
    return { there, back, isStalled: there.blocked || back.blocked || this.#machine(name).isOff, listener }
  }

  #join(ends: {
    readonly number: number
    readonly party: Party
    readonly address: Address
    readonly listener: SimulatedListener
    readonly onOpened: (channel: SimulatedChannel) => void
  }): SimulatedChannel {
    const { number, party, address, listener } = ends
    const pair = new ChannelPair({
      context: this.#context,
      links: this.#links,
      number,
      dialer: party,
      acceptor: listener.party,
      address: `${address.host}:${address.port}`,
      onDialerOpened: ends.onOpened,
      onAcceptedGone: (channel) => listener.forget(channel),
      onOver: (over) => this.#pairs.delete(over),
    })
    this.#pairs.add(pair)
    listener.accept(pair.accepted)
    return pair.dialer
  }

  #event(text: string): void {
    this.#context.trace?.event(text)
  }
}
