import type { Timer } from '../../base/clock.ts'
import type { Link } from './link.ts'
import type { NetworkContext } from './network-context.ts'
import { type Arrival, isLocalReset, type Parcel, type Sent, sizeOf } from './parcel.ts'
import type { PipeEnd } from './pipe-end.ts'
import { SendWindow } from './send-window.ts'

export interface PipeOptions {
  readonly context: NetworkContext
  /** For the trace. */
  readonly route: string
  readonly source: PipeEnd
  readonly target: PipeEnd
  readonly link: Link
  /** The way back. */
  readonly backLink: Link
}

/** After a blockade TCP's next attempt is due within this time. */
const NEXT_ATTEMPT_MAX_MS = 200
/** The two ends of a channel that breaks learn of it within this time. */
const BREAK_SPREAD_MS = 100
const NEVER_MS = Number.NEGATIVE_INFINITY

/**
 * One direction of a channel: a queue that keeps the order, and what the faults of the network do to it. The times of
 * arrival are in the time of the target, and one timer of its clock waits for the first; what has overtaken it on the
 * way waits behind it.
 */
export class Pipe {
  readonly route: string
  readonly #context: NetworkContext
  readonly #source: PipeEnd
  readonly #target: PipeEnd
  readonly #link: Link
  readonly #backLink: Link
  readonly #window: SendWindow
  /** Set by `join`, before anybody else knows this pipe. */
  #reverse!: Pipe
  readonly #queue: Parcel[] = []
  #timer: Timer | null = null
  /** When the timer is due: clocks that compute with fractions may say a hair less when they call. */
  #timerDueMs = 0
  /** When what was sent so far has left the source, in the time of the target. */
  #sentUntilMs = NEVER_MS
  #isHeld: boolean
  #hasReset = false

  constructor(options: PipeOptions) {
    const { context, route, source, backLink } = options
    this.#context = context
    this.route = route
    this.#source = source
    this.#target = options.target
    this.#link = options.link
    this.#backLink = backLink
    this.#isHeld = options.link.blocked
    this.#window = new SendWindow({ context, route, source, backLink, isStalled: () => this.#isStalled })
  }

  static join(there: Pipe, back: Pipe): void {
    there.#reverse = back
    back.#reverse = there
  }

  get bufferedBytes(): number {
    return this.#window.bufferedBytes
  }

  /** Whether the news is under way that the channel is no more; nothing can come behind it. */
  get hasReset(): boolean {
    return this.#hasReset
  }

  /** How much of the message that is arriving now has arrived, in bytes. */
  get arrivingBytes(): number {
    const head = this.#queue[0]
    if (head === undefined || this.#link.blocked || head.what.kind !== 'message') return 0
    const leftMs = Math.max(0, head.arrivalMs - this.#target.party.clock.monotonicMs())
    // 0 times Infinity is no number.
    const leftBytes = leftMs === 0 ? 0 : leftMs * this.#link.bytesPerMs
    return Math.max(0, Math.floor(head.what.bytes.length - leftBytes))
  }

  put(what: Sent): void {
    if (this.#hasReset) {
      this.#lose(what)
      return
    }
    const bytes = sizeOf(what)
    this.#window.sent(bytes)
    const isStalled = this.#isStalled
    if (isStalled) this.#window.stall()
    if (this.#target.isGone) {
      this.#lose(what)
      if (!isStalled) this.#resetSource(0)
      return
    }
    const { counts, random } = this.#context
    if (this.#link.blocked) counts.bytesHeld += bytes
    this.#queue.push({ what, arrivalMs: this.#arrivalMs(bytes, this.#link.drawLatencyMs(random)) })
    this.#arm()
  }

  /** The target has begun to receive. */
  targetStarted(): void {
    this.#arm()
  }

  /** The target is gone: what is under way arrives nowhere. */
  targetGone(): void {
    this.#loseFrom(0)
  }

  /** The source is gone. Some of what is under way still arrives, then the news. */
  sourceLeft(): void {
    this.sourceVanished()
    this.#putReset({ isLocal: false, delayMs: this.#link.drawLatencyMs(this.#context.random) })
  }

  /** The source is gone without a word. Some of what is under way still arrives. */
  sourceVanished(): void {
    this.#window.stop()
    this.#loseFrom(this.#context.random.below(this.#queue.length + 1))
  }

  /** The source is gone, and with it what it did not get through. */
  sourceGaveUp(): void {
    this.#window.stop()
    this.#loseFrom(0)
  }

  /** The channel breaks on its way. */
  break(): void {
    const { random } = this.#context
    this.#loseFrom(this.#link.blocked ? 0 : random.below(this.#queue.length + 1))
    const delayMs = this.#link.drawLatencyMs(random) + random.below(BREAK_SPREAD_MS)
    this.#putReset({ isLocal: true, delayMs })
  }

  /** A link, a machine or an end may have changed. */
  refresh(): void {
    if (this.#link.blocked !== this.#isHeld) {
      this.#isHeld = this.#link.blocked
      if (this.#isHeld) this.#hold()
      else this.#release()
    }
    if (this.#source.isGone) return
    if (this.#isStalled) {
      this.#window.stall()
      return
    }
    this.#window.flow()
    if (this.#target.isGone && this.#window.hasUnacknowledged) {
      this.#resetSource(this.#context.random.below(NEXT_ATTEMPT_MAX_MS))
    }
  }

  /** Whether what is sent does not arrive, or its acknowledgement does not. */
  get #isStalled(): boolean {
    return this.#link.blocked || this.#backLink.blocked || this.#target.party.machine.isOff
  }

  #arrivalMs(bytes: number, latencyMs: number): number {
    const nowMs = this.#target.party.clock.monotonicMs()
    this.#sentUntilMs = Math.max(this.#sentUntilMs, nowMs) + bytes / this.#link.bytesPerMs
    return this.#sentUntilMs + latencyMs
  }

  #arm(): void {
    if (this.#timer !== null || !this.#target.isReceiving) return
    const head = this.#queue[0]
    if (head === undefined || this.#isBlocked(head)) return
    const { clock } = this.#target.party
    this.#timerDueMs = head.arrivalMs
    this.#timer = clock.setTimer(head.arrivalMs - clock.monotonicMs(), this.#deliver)
  }

  readonly #deliver = (): void => {
    this.#timer = null
    const nowMs = Math.max(this.#timerDueMs, this.#target.party.clock.monotonicMs())
    // What has arrived is read in one turn, as from a socket; what a handler does can end that at each message.
    while (this.#target.isReceiving) {
      const head = this.#queue[0]
      if (head === undefined || head.arrivalMs > nowMs || this.#isBlocked(head)) break
      this.#queue.shift()
      this.#window.delivered(sizeOf(head.what))
      this.#target.receive(head.what)
    }
    this.#arm()
  }

  #isBlocked({ what }: Parcel): boolean {
    return this.#link.blocked && !isLocalReset(what)
  }

  #hold(): void {
    for (const { what } of this.#queue) this.#context.counts.bytesHeld += sizeOf(what)
    // A channel that breaks takes what is held with it.
    if (isLocalReset(this.#queue.at(-1)?.what)) this.#loseFrom(0)
    this.#rearm()
  }

  #release(): void {
    const { random } = this.#context
    const delayMs = this.#link.drawLatencyMs(random) + random.below(NEXT_ATTEMPT_MAX_MS)
    this.#sentUntilMs = NEVER_MS
    for (const parcel of this.#queue) parcel.arrivalMs = this.#arrivalMs(sizeOf(parcel.what), delayMs)
    this.#rearm()
  }

  /** The machine of the target knows nothing of this channel and says so. */
  #resetSource(delayMs: number): void {
    const reverse = this.#reverse
    if (reverse.#hasReset) return
    const { counts, random } = this.#context
    counts.halfOpenResets++
    const roundTripMs = this.#link.drawLatencyMs(random) + this.#backLink.drawLatencyMs(random)
    reverse.#putReset({ isLocal: false, delayMs: delayMs + roundTripMs })
  }

  #putReset(reset: { readonly isLocal: boolean; readonly delayMs: number }): void {
    if (this.#hasReset) return
    this.#hasReset = true
    if (this.#target.isGone) return
    const what = { kind: 'reset', isLocal: reset.isLocal } as const
    this.#queue.push({ what, arrivalMs: this.#arrivalMs(0, reset.delayMs) })
    this.#arm()
  }

  /** Loses what is under way but for the first ones, and a reset, which is no part of the stream. */
  #loseFrom(kept: number): void {
    if (kept >= this.#queue.length) return
    const lost = this.#queue.splice(kept)
    const last = lost.at(-1)
    for (const { what } of lost) this.#lose(what)
    if (last?.what.kind === 'reset') this.#queue.push(last)
    this.#sentUntilMs = NEVER_MS
    this.#rearm()
  }

  #lose(what: Arrival): void {
    if (what.kind !== 'message') return
    this.#context.counts.messagesLost++
    this.#context.trace?.event(`lost ${this.route}.${what.number}`)
  }

  #rearm(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#arm()
  }
}
