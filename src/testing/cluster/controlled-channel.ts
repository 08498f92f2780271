import { assert } from '../../base/assert.ts'
import type { Clock, Timer } from '../../base/clock.ts'
import { KEEPALIVE_TIMEOUT_MS } from '../../model/limits.ts'
import { CLOSE_CODES } from '../../net/close-codes.ts'
import type { Channel, ChannelHandlers, CloseReason } from '../../net/transport.ts'

const ABNORMAL: CloseReason = { code: CLOSE_CODES.ABNORMAL.code, reason: '' }
/** What a channel says that has heard nothing for so long. */
const SILENT: CloseReason = {
  code: CLOSE_CODES.KEEPALIVE_TIMEOUT.code,
  reason: `no sign of life for ${KEEPALIVE_TIMEOUT_MS} ms`,
}

export interface ControlledChannelOptions {
  readonly channel: Channel
  readonly clock: Clock
  /** Nothing more comes out of the channel, nor goes in. */
  readonly onGone: (channel: ControlledChannel) => void
}

/**
 * A channel that a cluster can hold, as a network does that loses all packets, and take away from its owner, as the end
 * of a process does. While it is held, what was sent waits, as TCP would send it again and again, and what comes waits as
 * well; an end that closes it meanwhile, or gives it up after KEEPALIVE_TIMEOUT_MS, hears of it at once, the other end when
 * the network is whole again.
 */
export class ControlledChannel implements Channel {
  readonly #channel: Channel
  readonly #clock: Clock
  readonly #onGone: (channel: ControlledChannel) => void
  #handlers: ChannelHandlers | null = null
  #isHeld = false
  /** How often it was held; tells a release from a hold that came after it. */
  #holds = 0
  /** Gives up a channel that is held for too long. */
  #silence: Timer | null = null
  /** In the order in which they came; delivered when the hold ends. */
  readonly #arrived: (() => void)[] = []
  readonly #unsent: (readonly Uint8Array[])[] = []
  #unsentBytes = 0
  /** How the owner ended it while it was held, to be passed on later. */
  #ending: (() => void) | null = null
  /** `closing`: the owner has closed it and hears only of the end; `gone`: the owner hears nothing any more. */
  #state: 'open' | 'closing' | 'gone' = 'open'
  #isOver = false

  constructor(options: ControlledChannelOptions) {
    this.#channel = options.channel
    this.#clock = options.clock
    this.#onGone = options.onGone
  }

  get remoteAddress(): string {
    return this.#channel.remoteAddress
  }

  get bufferedBytes(): number {
    return this.#state === 'open' ? this.#channel.bufferedBytes + this.#unsentBytes : 0
  }

  start(handlers: ChannelHandlers): void {
    assert(this.#handlers === null, 'a channel is started once')
    this.#handlers = handlers
    this.#channel.start({
      onMessage: (bytes) => this.#arrive(() => this.#message(bytes)),
      onClose: (reason) => this.#arrive(() => this.#closed(reason)),
      onDrain: () => this.#arrive(() => this.#drained()),
    })
  }

  limitMessages(maxBytes: number): void {
    this.#channel.limitMessages(maxBytes)
  }

  send(parts: readonly Uint8Array[]): void {
    if (this.#state !== 'open') return
    if (!this.#isHeld) {
      this.#channel.send(parts)
      return
    }
    this.#unsent.push(parts)
    for (const part of parts) this.#unsentBytes += part.length
  }

  close(code: number, reason: string): void {
    if (this.#state === 'gone') return
    this.#state = 'closing'
    if (this.#isHeld) this.#endHeld({ code, reason }, () => this.#channel.close(code, reason))
    else this.#channel.close(code, reason)
  }

  abort(reason: CloseReason = ABNORMAL): void {
    if (this.#state === 'gone') return
    this.#state = 'closing'
    if (this.#isHeld) this.#endHeld(reason, () => this.#channel.abort())
    else this.#channel.abort(reason)
  }

  /** From now on nothing passes. */
  hold(): void {
    this.#isHeld = true
    this.#holds++
    this.#silence ??= this.#clock.setTimer(KEEPALIVE_TIMEOUT_MS, () => this.abort(SILENT))
  }

  /** What was held passes now, in a turn of its own. */
  release(): void {
    const holds = this.#holds
    this.#clock.afterPendingIo(() => {
      if (!this.#isHeld || holds !== this.#holds) return
      this.#letThrough()
      this.#sendHeld()
      for (const deliver of this.#arrived.splice(0)) deliver()
    })
  }

  /** The process of the owner is gone: it hears nothing any more, and the other end sees 1006. */
  die(): void {
    if (this.#isOver) return
    this.#state = 'gone'
    if (this.#isHeld) this.#ending = () => this.#channel.abort()
    else this.#endNow()
  }

  /** As `die`, whatever is held. */
  destroy(): void {
    this.#state = 'gone'
    this.#letThrough()
    this.#endNow()
  }

  #letThrough(): void {
    this.#isHeld = false
    this.#silence?.cancel()
    this.#silence = null
  }

  #endNow(): void {
    this.#channel.abort()
    // One that was never started would not tell that it has ended.
    if (this.#handlers === null) this.start({ onMessage() {}, onClose() {} })
  }

  #arrive(deliver: () => void): void {
    if (this.#isHeld) this.#arrived.push(deliver)
    else deliver()
  }

  #message(bytes: Uint8Array): void {
    if (this.#state === 'open') this.#handlers!.onMessage(bytes)
  }

  #drained(): void {
    if (this.#state === 'open') this.#handlers!.onDrain?.()
  }

  #closed(reason: CloseReason): void {
    if (this.#isOver) return
    this.#isOver = true
    const isHeard = this.#state !== 'gone'
    this.#state = 'gone'
    if (isHeard) this.#handlers!.onClose(reason)
    this.#onGone(this)
  }

  /** The owner hears of the end now; the channel itself stays until the network is whole again. */
  #endHeld(reason: CloseReason, pass: () => void): void {
    if (this.#ending !== null) return
    this.#ending = pass
    this.#clock.afterPendingIo(() => {
      if (this.#state === 'gone') return
      this.#state = 'gone'
      this.#handlers?.onClose(reason)
    })
  }

  #sendHeld(): void {
    const hadUnsent = this.#unsentBytes > 0
    for (const parts of this.#unsent.splice(0)) this.#channel.send(parts)
    this.#unsentBytes = 0
    if (this.#ending !== null) this.#ending()
    else if (hadUnsent && this.#channel.bufferedBytes === 0) this.#drained()
  }
}
