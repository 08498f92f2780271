import type { Clock, Timer } from '../../../src/base/clock.ts'
import { seededRandom } from '../../../src/base/random.ts'
import type { Listener, ListenerFactory, Transport } from '../../../src/net/transport.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import {
  SimulatedNetwork,
  type SimulatedNetworkOptions,
} from '../../../src/testing/network/simulated-network.ts'
import { ChannelProbe } from '../../contracts/transport-contract.ts'

const PORT = 7101

/** The clock of one run of a process, which can be paused and ended. */
export class PartyClock implements Clock {
  readonly #clock: Clock
  readonly #aheadMs: number
  #state: 'running' | 'paused' | 'ended' = 'running'
  readonly #late: (() => void)[] = []

  /** @param aheadMs how much later it is by this clock. */
  constructor(clock: Clock, aheadMs = 0) {
    this.#clock = clock
    this.#aheadMs = aheadMs
  }

  pause(): void {
    this.#state = 'paused'
  }

  resume(): void {
    this.#state = 'running'
    for (const callback of this.#late.splice(0)) this.setTimer(0, callback)
  }

  end(): void {
    this.#state = 'ended'
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs() + this.#aheadMs
  }

  wallMs(): number {
    return this.#clock.wallMs()
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    return this.#guarded(callback, (call) => this.#clock.setTimer(delayMs, call))
  }

  afterPendingIo(callback: () => void): Timer {
    // Behind all timers that are due now, as what has arrived is one of them here.
    return this.#guarded(callback, (call) => this.#clock.setTimer(0, call))
  }

  #guarded(callback: () => void, set: (call: () => void) => Timer): Timer {
    let isCancelled = false
    const call = (): void => {
      if (isCancelled || this.#state === 'ended') return
      if (this.#state === 'paused') this.#late.push(call)
      else callback()
    }
    const timer = set(call)
    return {
      cancel: () => {
        isCancelled = true
        timer.cancel()
      },
    }
  }
}

/** One run of a process that listens at its name, and what it accepted. */
export interface TestParty {
  readonly name: string
  readonly clock: PartyClock
  readonly endpoint: Transport & ListenerFactory
  readonly accepted: ChannelProbe[]
  readonly listener: Listener
}

export interface Dialed {
  readonly outcome: ChannelProbe | Error | null
}

/** Why a dial failed; null while it is under way or when it did not. */
export function failureOf({ outcome }: Dialed): string | null {
  return outcome instanceof Error ? outcome.message : null
}

/** A simulated network, parties on it, and the one time they share. */
export class TestParties {
  readonly clock = new ManualClock()
  readonly network: SimulatedNetwork
  readonly events: string[] = []

  constructor(options: Partial<SimulatedNetworkOptions> & { readonly seed?: number } = {}) {
    this.network = new SimulatedNetwork({
      random: seededRandom(options.seed ?? 1),
      onEvent: (event) => this.events.push(`${this.clock.monotonicMs().toFixed(3)} ${event}`),
      ...options,
    })
  }

  async start(name: string, aheadMs = 0): Promise<TestParty> {
    const clock = new PartyClock(this.clock, aheadMs)
    const endpoint = this.network.endpoint({ name, clock })
    const accepted: ChannelProbe[] = []
    const listening = endpoint.listen({
      host: name,
      port: PORT,
      onChannel: (channel) => accepted.push(new ChannelProbe(channel).start()),
    })
    await this.advance(0)
    return { name, clock, endpoint, accepted, listener: await listening }
  }

  async startAll(...names: readonly string[]): Promise<TestParty[]> {
    const parties: TestParty[] = []
    for (const name of names) parties.push(await this.start(name))
    return parties
  }

  dial(
    from: TestParty,
    toName: string,
    options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
  ): Dialed {
    const dialed: { outcome: ChannelProbe | Error | null } = { outcome: null }
    from.endpoint.connect(`ws://${toName}:${PORT}`, { timeoutMs: 1_000, isPeer: true, ...options }).then(
      (channel) => {
        dialed.outcome = new ChannelProbe(channel).start()
      },
      (error: Error) => {
        dialed.outcome = error
      },
    )
    return dialed
  }

  /** Both ends of a new channel. */
  async open(from: TestParty, to: TestParty): Promise<{ dialer: ChannelProbe; acceptor: ChannelProbe }> {
    const dialed = this.dial(from, to.name)
    await this.advance(1_000)
    const { outcome } = dialed
    if (!(outcome instanceof ChannelProbe)) throw new Error(`the dial failed: ${outcome?.message}`)
    return { dialer: outcome, acceptor: to.accepted.at(-1)! }
  }

  /** Goes on in time; after each instant all promises settle. */
  async advance(ms: number): Promise<void> {
    const endMs = this.clock.monotonicMs() + ms
    for (;;) {
      await settlePromises()
      const nextMs = this.clock.nextTimerMs
      if (nextMs === null || nextMs > endMs) break
      this.clock.advance(nextMs - this.clock.monotonicMs())
    }
    this.clock.advance(endMs - this.clock.monotonicMs())
    await settlePromises()
  }
}

/** A latency without chance. */
export function fixedMs(ms: number): { latency: { minMs: number; meanMs: number } } {
  return { latency: { minMs: ms, meanMs: ms } }
}

/** Sends messages that consist of their number, padded. */
export function sendNumbers(from: ChannelProbe, count: number, bytes = 1): void {
  for (let i = 0; i < count; i++) from.channel.send([Uint8Array.of(i), new Uint8Array(bytes - 1)])
}

export function numbersOf(probe: ChannelProbe): number[] {
  return probe.messages.map((message) => message[0]!)
}

export function firstNumbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}

export function closeCodes(probe: ChannelProbe): number[] {
  return probe.closes.map(({ code }) => code)
}

function settlePromises(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
