import { assert } from '../base/assert.ts'
import type { Clock, Timer } from '../base/clock.ts'
import { CLOSE_TIMEOUT_MS, MESSAGE_MAX_BYTES } from '../model/limits.ts'
import { CLOSE_CODES, closeReasonText } from './close-codes.ts'
import type { Channel, ChannelHandlers, CloseReason } from './transport.ts'

/** What travels from one end to the other. */
type Parcel = { readonly bytes: Uint8Array } | { readonly close: CloseReason }

const ABNORMAL: CloseReason = { code: CLOSE_CODES.ABNORMAL.code, reason: '' }

/**
 * One end of a channel inside of one process. What is sent is copied and delivered through Clock.afterPendingIo: in
 * order, never in the turn of the sender, and behind the I/O that already waits, so that two ends that answer each
 * other at once cannot starve the rest of the process.
 */
export class MemoryChannel implements Channel {
  readonly remoteAddress: string
  readonly #clock: Clock
  readonly #onGone: (channel: MemoryChannel) => void
  /** Set by `join`, before anybody else knows this end. */
  #other!: MemoryChannel
  #handlers: ChannelHandlers | null = null
  /** On the way to this end. */
  #inbox: Parcel[] = []
  #isDeliverySet = false
  /** How the channel was aborted, until that is told. */
  #dropped: CloseReason | null = null
  #closeTimer: Timer | null = null
  #bufferedBytes = 0
  #messageMaxBytes = MESSAGE_MAX_BYTES
  #state: 'open' | 'closing' | 'closed' = 'open'

  constructor(options: {
    readonly clock: Clock
    readonly remoteAddress: string
    readonly onGone: (channel: MemoryChannel) => void
  }) {
    this.#clock = options.clock
    this.remoteAddress = options.remoteAddress
    this.#onGone = options.onGone
  }

  /** Connects two ends. */
  static join(a: MemoryChannel, b: MemoryChannel): void {
    a.#other = b
    b.#other = a
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes
  }

  start(handlers: ChannelHandlers): void {
    assert(this.#handlers === null, 'a channel is started once')
    this.#handlers = handlers
    this.#scheduleDelivery()
  }

  limitMessages(maxBytes: number): void {
    this.#messageMaxBytes = maxBytes
  }

  send(parts: readonly Uint8Array[]): void {
    if (this.#state !== 'open') return
    let length = 0
    for (const part of parts) length += part.length
    // Always a copy, also of a sole part: the two ends must not share memory that a network would not share.
    const bytes = new Uint8Array(length)
    let position = 0
    for (const part of parts) {
      bytes.set(part, position)
      position += part.length
    }
    this.#bufferedBytes += length
    this.#otherEnd().#arrive({ bytes })
  }

  close(code: number, reason: string): void {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    this.#otherEnd().#arrive({ close: { code, reason: closeReasonText(reason) } })
    // The other end answers when it gets there; one that was never started does not.
    this.#closeTimer = this.#clock.setTimer(CLOSE_TIMEOUT_MS, () => this.abort())
  }

  abort(reason: CloseReason = ABNORMAL): void {
    if (this.#state === 'closed') return
    this.#otherEnd().#drop(ABNORMAL)
    this.#drop(reason)
  }

  #otherEnd(): MemoryChannel {
    return this.#other
  }

  /** Ends this end in a turn of its own; what was on its way is lost. */
  #drop(reason: CloseReason): void {
    if (this.#state === 'closed' || this.#dropped !== null) return
    this.#state = 'closing'
    this.#dropped = reason
    this.#scheduleDelivery()
  }

  #arrive(parcel: Parcel): void {
    if (this.#state === 'closed') return
    this.#inbox.push(parcel)
    this.#scheduleDelivery()
  }

  #scheduleDelivery(): void {
    if (this.#isDeliverySet || this.#handlers === null) return
    if (this.#inbox.length === 0 && this.#dropped === null) return
    this.#isDeliverySet = true
    this.#clock.afterPendingIo(() => this.#deliver())
  }

  #deliver(): void {
    this.#isDeliverySet = false
    if (this.#dropped !== null) {
      this.#finish(this.#dropped)
      return
    }
    const parcels = this.#inbox
    this.#inbox = []
    for (const parcel of parcels) {
      if ('close' in parcel) {
        // The close frame of a real channel is answered with one of the same code.
        if (this.#state === 'open') this.#otherEnd().#arrive(parcel)
        this.#finish(parcel.close)
        return
      }
      this.#take(parcel.bytes)
      // A handler may have aborted; the rest is lost then.
      if (this.#dropped !== null) return
    }
  }

  #take(bytes: Uint8Array): void {
    this.#otherEnd().#taken(bytes.length)
    // An end that is closing takes what still comes and keeps it to itself.
    if (this.#state !== 'open') return
    if (bytes.length <= this.#messageMaxBytes) this.#handlers?.onMessage(bytes)
    else this.close(CLOSE_CODES.MESSAGE_TOO_LARGE.code, `a message of ${bytes.length} bytes`)
  }

  /** The other end has read this much. */
  #taken(bytes: number): void {
    if (this.#state === 'closed') return
    this.#bufferedBytes -= bytes
    if (this.#bufferedBytes === 0 && this.#state === 'open') this.#handlers?.onDrain?.()
  }

  #finish(reason: CloseReason): void {
    this.#state = 'closed'
    this.#bufferedBytes = 0
    this.#inbox = []
    this.#closeTimer?.cancel()
    this.#handlers?.onClose(reason)
    this.#onGone(this)
  }
}
