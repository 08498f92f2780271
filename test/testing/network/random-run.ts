// Random use of a simulated network under random faults, for its properties.
import fc from 'fast-check'
import { expect } from 'vitest'
import { ChannelProbe } from '../../contracts/transport-contract.ts'
import { type Dialed, TestParties, type TestParty } from './test-parties.ts'

const NAMES = ['a', 'b', 'c'] as const
type Name = (typeof NAMES)[number]

export type Step =
  | { readonly kind: 'dial' | 'cut' | 'heal-link' | 'break'; readonly from: Name; readonly to: Name }
  | { readonly kind: 'send'; readonly channel: number; readonly count: number; readonly bytes: number }
  | { readonly kind: 'close' | 'abort'; readonly channel: number }
  | { readonly kind: 'kill' | 'power-loss' | 'start' | 'pause' | 'resume'; readonly name: Name }
  | { readonly kind: 'break-one' | 'heal' }
  | { readonly kind: 'wait'; readonly ms: number }

const name = fc.constantFrom(...NAMES)
const channel = fc.nat(30)
const wait: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('wait' as const),
  ms: fc.constantFrom(0, 1, 3, 20, 500, 8_000),
})
const use: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('dial' as const), from: name, to: name }),
  fc.record({
    kind: fc.constant('send' as const),
    channel,
    count: fc.integer({ min: 1, max: 8 }),
    bytes: fc.constantFrom(8, 300, 5_000),
  }),
  fc.record({ kind: fc.constantFrom('close' as const, 'abort' as const), channel }),
)
const fault: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('cut' as const, 'heal-link' as const, 'break' as const),
    from: name,
    to: name,
  }),
  fc.record({
    kind: fc.constantFrom(
      'kill' as const,
      'power-loss' as const,
      'start' as const,
      'pause' as const,
      'resume' as const,
    ),
    name,
  }),
  fc.record({ kind: fc.constantFrom('break-one' as const, 'heal' as const) }),
)
export const steps = fc.array(
  fc.oneof({ weight: 4, arbitrary: use }, { weight: 3, arbitrary: wait }, { weight: 2, arbitrary: fault }),
  { minLength: 20, maxLength: 120 },
)

/** One end that the test has in hand. */
export interface End {
  /** Counts the ends of a run. */
  readonly number: number
  readonly party: TestParty
  readonly probe: ChannelProbe
  sent: number
}

export class RandomRun {
  readonly parties: TestParties
  readonly ends: End[] = []
  readonly #live = new Map<Name, TestParty>()
  readonly #dials: { readonly party: TestParty; readonly dialed: Dialed }[] = []
  readonly #accepted = new Map<TestParty, number>()

  constructor(seed: number) {
    this.parties = new TestParties({
      seed,
      socketBufferBytes: 4_000,
      retransmitTimeoutMs: { minMs: 5_000, maxMs: 20_000 },
      link: { latency: { minMs: 0.5, meanMs: 3 }, bytesPerMs: 1_000 },
    })
  }

  async all(list: readonly Step[]): Promise<void> {
    for (const each of NAMES) await this.#start(each)
    for (const step of list) {
      await this.#do(step)
      this.#collect()
    }
  }

  /** No fault any more, and time enough for all that is decided by time. */
  async comeToRest(): Promise<void> {
    const { network } = this.parties
    for (const party of this.#live.values()) party.clock.resume()
    for (const each of NAMES) if (!this.#live.has(each)) network.poweredOn(each)
    network.heal()
    await this.parties.advance(120_000)
    this.#collect()
  }

  isAlive(end: End): boolean {
    return [...this.#live.values()].includes(end.party)
  }

  /** The ends that think themselves open. */
  get openEnds(): End[] {
    return this.ends.filter((end) => this.isAlive(end) && end.probe.closes.length === 0)
  }

  /** A message that names its end and counts. */
  send(end: End, bytes: number): void {
    const message = new Uint8Array(bytes)
    const view = new DataView(message.buffer)
    view.setUint32(0, end.number)
    view.setUint32(4, end.sent++)
    end.probe.channel.send([message])
  }

  async #do(step: Step): Promise<void> {
    const { network } = this.parties
    switch (step.kind) {
      case 'dial': {
        const party = this.#live.get(step.from)
        if (party === undefined) return
        this.#dials.push({ party, dialed: this.parties.dial(party, step.to, { timeoutMs: 5_000 }) })
        return
      }
      case 'send': {
        const end = this.#end(step.channel)
        for (let i = 0; end !== null && i < step.count; i++) this.send(end, step.bytes)
        return
      }
      case 'close':
        this.#end(step.channel)?.probe.channel.close(4000, 'enough')
        return
      case 'abort':
        this.#end(step.channel)?.probe.channel.abort()
        return
      case 'cut':
        network.cut(step.from, step.to)
        return
      case 'heal-link':
        network.setLink(step.from, step.to, { blocked: false })
        return
      case 'break':
        network.breakChannels(step.from, step.to)
        return
      case 'kill':
      case 'power-loss':
        this.#stop(step.name, step.kind)
        return
      case 'start':
        if (this.#live.has(step.name)) return
        network.poweredOn(step.name)
        await this.#start(step.name)
        return
      case 'pause':
        this.#live.get(step.name)?.clock.pause()
        return
      case 'resume':
        this.#live.get(step.name)?.clock.resume()
        return
      case 'break-one':
        network.breakOne()
        return
      case 'heal':
        network.heal()
        return
      case 'wait':
        await this.parties.advance(step.ms)
    }
  }

  async #start(which: Name): Promise<void> {
    this.#live.set(which, await this.parties.start(which))
  }

  #stop(which: Name, how: 'kill' | 'power-loss'): void {
    const party = this.#live.get(which)
    if (party === undefined) return
    this.#live.delete(which)
    party.clock.end()
    if (how === 'kill') this.parties.network.killed(which)
    else this.parties.network.powerLost(which)
  }

  /** Takes note of new ends. */
  #collect(): void {
    for (const { party, dialed } of this.#dials.splice(0)) {
      if (dialed.outcome === null) this.#dials.push({ party, dialed })
      else if (dialed.outcome instanceof ChannelProbe) this.#add(party, dialed.outcome)
    }
    for (const party of this.#live.values()) {
      const known = this.#accepted.get(party) ?? 0
      for (const probe of party.accepted.slice(known)) this.#add(party, probe)
      this.#accepted.set(party, party.accepted.length)
    }
  }

  #add(party: TestParty, probe: ChannelProbe): void {
    const end = { number: this.ends.length, party, probe, sent: 0 }
    this.ends.push(end)
    probe.onMessage = () => {
      expect(probe.closes.length).toBe(0)
      expect(this.isAlive(end)).toBe(true)
    }
  }

  #end(index: number): End | null {
    const alive = this.ends.filter((end) => this.isAlive(end))
    return alive[index % Math.max(1, alive.length)] ?? null
  }
}
