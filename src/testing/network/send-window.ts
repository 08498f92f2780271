import type { Timer } from '../../base/clock.ts'
import type { Link } from './link.ts'
import { drawRetransmitTimeoutMs, type NetworkContext } from './network-context.ts'
import type { PipeEnd } from './pipe-end.ts'

export interface SendWindowOptions {
  readonly context: NetworkContext
  /** For the trace. */
  readonly route: string
  readonly source: PipeEnd
  /** The way that acknowledgements take. */
  readonly backLink: Link
  /** Whether nothing gets to the target or back now. */
  readonly isStalled: () => boolean
}

/**
 * What the source of a pipe knows of its bytes: how many the other side has not acknowledged, how many of those are more
 * than the buffers of the sockets hold, and for how long TCP still hopes. All of it goes by the clock of the source.
 */
export class SendWindow {
  readonly #options: SendWindowOptions
  #sentBytes = 0
  #deliveredBytes = 0
  #acknowledgedBytes = 0
  #ackTimer: Timer | null = null
  #hopeTimer: Timer | null = null

  constructor(options: SendWindowOptions) {
    this.#options = options
  }

  get bufferedBytes(): number {
    const { socketBufferBytes } = this.#options.context
    return Math.max(0, this.#sentBytes - this.#acknowledgedBytes - socketBufferBytes)
  }

  get hasUnacknowledged(): boolean {
    return this.#sentBytes > this.#acknowledgedBytes
  }

  sent(bytes: number): void {
    this.#sentBytes += bytes
  }

  /** The target has read so many bytes more. */
  delivered(bytes: number): void {
    this.#deliveredBytes += bytes
    const { backLink, source } = this.#options
    if (backLink.blocked || source.isGone) return
    // Nobody looks at bytes below the size of the buffers, so that a turn of its own would be wasted on them.
    if (this.bufferedBytes === 0) this.#acknowledgedBytes = this.#deliveredBytes
    else this.#startAck()
  }

  /** Nothing gets through: the source waits for acknowledgements, and not for ever. */
  stall(): void {
    const { context, source } = this.#options
    if (this.#hopeTimer !== null || source.isGone || !this.hasUnacknowledged) return
    this.#hopeTimer = source.party.clock.setTimer(drawRetransmitTimeoutMs(context), this.#loseHope)
  }

  /** It does again. */
  flow(): void {
    this.stop()
    if (this.#deliveredBytes > this.#acknowledgedBytes) this.#startAck()
  }

  /** The source is gone, or its bytes flow. */
  stop(): void {
    this.#hopeTimer?.cancel()
    this.#hopeTimer = null
  }

  #startAck(): void {
    if (this.#ackTimer !== null) return
    const { context, source, backLink } = this.#options
    this.#ackTimer = source.party.clock.setTimer(backLink.drawLatencyMs(context.random), this.#acknowledge)
  }

  readonly #acknowledge = (): void => {
    this.#ackTimer = null
    const { source, backLink } = this.#options
    if (source.isGone || backLink.blocked) return
    const hadBuffered = this.bufferedBytes > 0
    this.#acknowledgedBytes = this.#deliveredBytes
    if (hadBuffered && this.bufferedBytes === 0) source.drained()
  }

  readonly #loseHope = (): void => {
    this.#hopeTimer = null
    const { context, route, source, isStalled } = this.#options
    if (source.isGone || !isStalled() || !this.hasUnacknowledged) return
    context.counts.retransmitTimeouts++
    context.trace?.event(`retransmit-timeout ${route}`)
    source.retransmitTimedOut()
  }
}
