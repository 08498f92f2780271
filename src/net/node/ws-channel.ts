import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import { assert } from '../../base/assert.ts'
import { concatBytes } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import { MESSAGE_MAX_BYTES } from '../../model/limits.ts'
import { CLOSE_CODES, closeReasonText } from '../close-codes.ts'
import type { Channel, ChannelHandlers, CloseReason } from '../transport.ts'
import { Keepalive } from './keepalive.ts'
import { WsFrameWriter } from './ws-frame-writer.ts'

/** How the frames this end sends are masked. A server never masks. */
export type Masking = 'none' | 'zero-key' | 'random-key'

export interface WsChannelOptions {
  /** Open, and paused until the channel is started. */
  readonly ws: WebSocket
  /** The socket under it. */
  readonly socket: Socket
  readonly masking: Masking
  readonly remoteAddress: string
  readonly clock: Clock
  /** The channel has ended. */
  readonly onGone?: (channel: WsChannel) => void
}

/** Close code of RFC 6455 for a kind of data that cannot be accepted. */
const UNSUPPORTED_DATA = 1003
/** Bytes of a ping or pong frame besides its data: 2, and 4 of masking key where a client sends it. */
const CONTROL_HEAD_BYTES = 2
const MASK_BYTES = 4
/** Bytes Node reads from a socket at once. */
const READ_MAX_BYTES = 64 * 1024

/** One end of a WebSocket of the ws library, the same for both sides. */
export class WsChannel implements Channel {
  readonly remoteAddress: string
  readonly #ws: WebSocket
  readonly #socket: Socket
  readonly #masking: Masking
  readonly #writer: WsFrameWriter
  readonly #keepalive: Keepalive
  readonly #onGone: ((channel: WsChannel) => void) | undefined
  #handlers: ChannelHandlers | null = null
  /** Whether messages are delivered; no longer, once this end closed. */
  #isDelivering = true
  #messageMaxBytes = MESSAGE_MAX_BYTES
  #bytesSinceMessage = 0
  #localReason: CloseReason | null = null
  #error: unknown

  constructor(options: WsChannelOptions) {
    const { ws, socket, masking, clock } = options
    this.#ws = ws
    this.#socket = socket
    this.#masking = masking
    this.remoteAddress = options.remoteAddress
    this.#onGone = options.onGone
    this.#writer = new WsFrameWriter(socket, masking === 'zero-key')
    this.#keepalive = new Keepalive({
      clock,
      bytesRead: () => socket.bytesRead,
      ping: () => ws.ping(),
      onDead: (why) => this.abort({ code: CLOSE_CODES.KEEPALIVE_TIMEOUT.code, reason: why }),
    })
    // What the other end sends is masked if this one is a server.
    const controlHeadBytes = CONTROL_HEAD_BYTES + (masking === 'none' ? MASK_BYTES : 0)
    ws.on('message', (data, isBinary) => this.#received(data as Buffer, isBinary))
    ws.on('ping', (data) => this.#keepalive.controlReceived(controlHeadBytes + data.length))
    ws.on('pong', (data) => this.#keepalive.controlReceived(controlHeadBytes + data.length))
    ws.on('error', (error) => {
      this.#error ??= error
    })
    ws.on('close', (code, reason) => this.#closed(code, reason))
    socket.on('drain', () => {
      if (this.#isDelivering) this.#handlers?.onDrain?.()
    })
  }

  get bufferedBytes(): number {
    // Everything goes through the socket: ws queues nothing of its own without compression.
    return this.#socket.writableLength
  }

  start(handlers: ChannelHandlers): void {
    assert(this.#handlers === null, 'a channel is started once')
    this.#handlers = handlers
    this.#ws.resume()
  }

  limitMessages(maxBytes: number): void {
    this.#messageMaxBytes = maxBytes
    this.#bytesSinceMessage = 0
    this.#socket.off('data', this.#watchSize)
    // ws has a limit of its own, fixed when the socket is opened; a lower one is watched from outside.
    if (maxBytes < MESSAGE_MAX_BYTES) this.#socket.on('data', this.#watchSize)
  }

  send(parts: readonly Uint8Array[]): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return
    if (this.#masking === 'random-key') {
      this.#writer.cork()
      this.#ws.send(concatBytes(parts))
    } else {
      this.#writer.write(parts)
    }
  }

  close(code: number, reason: string): void {
    this.#isDelivering = false
    this.#ws.close(code, closeReasonText(reason))
  }

  abort(reason?: CloseReason): void {
    this.#isDelivering = false
    this.#localReason ??= reason ?? null
    this.#ws.terminate()
  }

  #received(data: Buffer, isBinary: boolean): void {
    this.#keepalive.messageReceived()
    this.#bytesSinceMessage = 0
    if (!this.#isDelivering) return
    if (!isBinary) this.close(UNSUPPORTED_DATA, 'text messages are not part of the protocol')
    else if (data.length > this.#messageMaxBytes) this.#tooLarge(data.length)
    else this.#handlers?.onMessage(data)
  }

  // Runs after ws has seen the chunk, so the end of one message can count towards the next: one read is granted.
  readonly #watchSize = (chunk: Buffer): void => {
    this.#bytesSinceMessage += chunk.length
    if (this.#isDelivering && this.#bytesSinceMessage > this.#messageMaxBytes + READ_MAX_BYTES) {
      this.#tooLarge(this.#bytesSinceMessage)
      // The rest stays unread; the close timeout of ws ends the socket.
      this.#ws.pause()
    }
  }

  #tooLarge(bytes: number): void {
    const { code } = CLOSE_CODES.MESSAGE_TOO_LARGE
    this.close(code, `${bytes} bytes of a message; at most ${this.#messageMaxBytes} are allowed here`)
  }

  #closed(code: number, reason: Buffer): void {
    this.#isDelivering = false
    this.#keepalive.stop()
    const told = this.#localReason ?? { code, reason: closeReasonText(reason.toString('latin1')) }
    this.#handlers?.onClose(this.#error === undefined ? told : { ...told, error: this.#error })
    this.#onGone?.(this)
  }
}
