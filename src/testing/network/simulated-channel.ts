import { assert, unreachable } from '../../base/assert.ts'
import type { Timer } from '../../base/clock.ts'
import { CLOSE_TIMEOUT_MS, MESSAGE_MAX_BYTES } from '../../model/limits.ts'
import { CLOSE_CODES, closeReasonText } from '../../net/close-codes.ts'
import { Keepalive } from '../../net/node/keepalive.ts'
import type { Channel, ChannelHandlers, CloseReason } from '../../net/transport.ts'
import type { NetworkContext } from './network-context.ts'
import { type Arrival, CONTROL_BYTES } from './parcel.ts'
import { type Party, setPartyTimer } from './party.ts'
import type { Pipe } from './pipe.ts'
import type { PipeEnd } from './pipe-end.ts'

export interface SimulatedChannelOptions {
  readonly context: NetworkContext
  readonly party: Party
  readonly remoteAddress: string
  /** A dialer's end opens when the answer of the other end has come. */
  readonly state: 'opening' | 'open'
  /** The end has opened or, if it is gone, failed to. */
  readonly onOpened?: (channel: SimulatedChannel) => void
  /** This end is gone, and its party, where it lives, was told so. */
  readonly onGone: (channel: SimulatedChannel) => void
}

const ABNORMAL: CloseReason = { code: CLOSE_CODES.ABNORMAL.code, reason: '' }

/**
 * One end of a simulated channel. It behaves as an end over WebSocket does, closing handshake and keepalive included;
 * what lies between the two ends is the business of its pipes.
 */
export class SimulatedChannel implements Channel, PipeEnd {
  readonly party: Party
  readonly remoteAddress: string
  readonly #context: NetworkContext
  readonly #onOpened: ((channel: SimulatedChannel) => void) | undefined
  readonly #onGone: (channel: SimulatedChannel) => void
  /** Set by `attach`, before the party knows this end. */
  #outgoing!: Pipe
  #incoming!: Pipe
  #handlers: ChannelHandlers | null = null
  #state: 'opening' | 'open' | 'closing' | 'gone'
  /** How the channel ended, until the party was told. */
  #untold: CloseReason | null = null
  #keepalive: Keepalive | null = null
  #closeTimer: Timer | null = null
  #messageMaxBytes = MESSAGE_MAX_BYTES
  #messagesSent = 0
  #bytesRead = 0

  constructor(options: SimulatedChannelOptions) {
    this.#context = options.context
    this.party = options.party
    this.remoteAddress = options.remoteAddress
    this.#state = options.state
    this.#onOpened = options.onOpened
    this.#onGone = options.onGone
  }

  attach(pipes: { readonly outgoing: Pipe; readonly incoming: Pipe }): void {
    this.#outgoing = pipes.outgoing
    this.#incoming = pipes.incoming
    if (this.#state === 'open') this.#keepAlive()
  }

  get isGone(): boolean {
    return this.#state === 'gone'
  }

  get isReceiving(): boolean {
    return this.#state === 'opening' || (this.#handlers !== null && this.#state !== 'gone')
  }

  get bufferedBytes(): number {
    return this.#state === 'gone' ? 0 : this.#outgoing.bufferedBytes
  }

  start(handlers: ChannelHandlers): void {
    assert(this.#handlers === null, 'a channel is started once')
    this.#handlers = handlers
    if (this.#untold === null) this.#incoming.targetStarted()
    else this.#tellSoon()
  }

  limitMessages(maxBytes: number): void {
    this.#messageMaxBytes = maxBytes
  }

  send(parts: readonly Uint8Array[]): void {
    if (this.#state !== 'open') return
    const bytes = joined(parts)
    const number = ++this.#messagesSent
    const message = { kind: 'message', number, bytes } as const
    this.#context.counts.messagesSent++
    this.#context.trace?.sent(this.#outgoing.route, message)
    this.#outgoing.put(message)
  }

  close(code: number, reason: string): void {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    this.#context.trace?.event(`close ${this.#outgoing.route} ${code}`)
    this.#outgoing.put({ kind: 'close', reason: { code, reason: closeReasonText(reason) } })
    const callback = (): void => this.abort()
    this.#closeTimer = setPartyTimer(this.party, { delayMs: CLOSE_TIMEOUT_MS, callback })
  }

  abort(reason: CloseReason = ABNORMAL): void {
    if (this.#state === 'gone') return
    this.#context.trace?.event(`abort ${this.#outgoing.route}`)
    this.#outgoing.sourceLeft()
    this.#leave()
    this.#untold = reason
    this.#tellSoon()
  }

  /** The process of this end is gone. Its machine, where it still runs, tells the other end. */
  die(): void {
    if (this.#state !== 'gone') {
      if (this.party.machine.isOff) this.#outgoing.sourceVanished()
      else this.#outgoing.sourceLeft()
      this.#leave()
    }
    this.#onGone(this)
  }

  receive(arrival: Arrival): void {
    switch (arrival.kind) {
      case 'message':
        this.#received(arrival)
        break
      case 'ping':
        this.#controlReceived()
        this.#outgoing.put({ kind: 'pong' })
        break
      case 'pong':
        this.#controlReceived()
        break
      case 'opened':
        this.#state = 'open'
        this.#keepAlive()
        this.#onOpened?.(this)
        break
      case 'close':
        this.#context.trace?.event(`closed ${this.#incoming.route} ${arrival.reason.code}`)
        if (this.#state === 'open') this.#outgoing.put(arrival)
        this.#finish(arrival.reason)
        break
      case 'reset':
        this.#context.trace?.event(`reset ${this.#incoming.route}`)
        this.#finish(ABNORMAL)
        break
      default:
        unreachable(arrival)
    }
  }

  drained(): void {
    if (this.#state === 'open') this.#handlers?.onDrain?.()
  }

  retransmitTimedOut(): void {
    this.#outgoing.sourceGaveUp()
    this.#finish(ABNORMAL)
  }

  #received(message: { readonly number: number; readonly bytes: Uint8Array }): void {
    const { bytes } = message
    this.#bytesRead += bytes.length
    this.#keepalive?.messageReceived()
    // An end that is closing takes what still comes and keeps it to itself.
    if (this.#state !== 'open') return
    if (bytes.length > this.#messageMaxBytes) {
      this.close(CLOSE_CODES.MESSAGE_TOO_LARGE.code, `a message of ${bytes.length} bytes`)
      return
    }
    this.#context.counts.messagesDelivered++
    this.#context.trace?.event(`receive ${this.#incoming.route}.${message.number}`)
    this.#handlers?.onMessage(bytes)
  }

  #controlReceived(): void {
    this.#bytesRead += CONTROL_BYTES
    this.#keepalive?.controlReceived(CONTROL_BYTES)
  }

  #keepAlive(): void {
    if (!this.#context.hasKeepalive) return
    this.#keepalive = new Keepalive({
      clock: this.party.clock,
      bytesRead: () => this.#bytesRead + this.#incoming.arrivingBytes,
      ping: () => {
        if (this.#state === 'open') this.#outgoing.put({ kind: 'ping' })
      },
      onDead: (why) => {
        this.#context.counts.keepaliveTimeouts++
        this.#context.trace?.event(`keepalive-timeout ${this.#outgoing.route}`)
        this.abort({ code: CLOSE_CODES.KEEPALIVE_TIMEOUT.code, reason: why })
      },
    })
  }

  #leave(): void {
    this.#state = 'gone'
    this.#incoming.targetGone()
    this.#keepalive?.stop()
    this.#closeTimer?.cancel()
  }

  #finish(reason: CloseReason): void {
    const isOpening = this.#state === 'opening'
    this.#leave()
    this.#untold = reason
    if (isOpening) this.#onOpened?.(this)
    if (this.#handlers === null) this.#onGone(this)
    else this.#tell()
  }

  #tellSoon(): void {
    if (this.#handlers === null) this.#onGone(this)
    else setPartyTimer(this.party, { delayMs: 0, callback: () => this.#tell() })
  }

  #tell(): void {
    if (this.#untold === null) return
    const reason = this.#untold
    this.#untold = null
    this.#handlers?.onClose(reason)
    this.#onGone(this)
  }
}

/** Always a copy, also of a sole part: the two ends must not share memory that a network would not share. */
function joined(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const bytes = new Uint8Array(length)
  let position = 0
  for (const part of parts) {
    bytes.set(part, position)
    position += part.length
  }
  return bytes
}
