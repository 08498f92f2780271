import { concatBytes } from '../../src/base/bytes.ts'
import { HEADER_MAX_BYTES, MESSAGE_MAX_BYTES } from '../../src/model/limits.ts'
import type { Channel, ChannelHandlers, CloseReason } from '../../src/net/transport.ts'
import { decodeWire } from '../../src/protocol/codec.ts'
import { decodeFrame, encodeFrame, type Frame, type OutgoingFrame } from '../../src/protocol/frame.ts'
import type { Wire } from '../../src/schema/schema.ts'
import { wire } from '../../src/schema/schema.ts'

/** A channel whose other end is the test. */
export class FakeChannel implements Channel {
  readonly remoteAddress = '192.0.2.1:5000'
  bufferedBytes = 0
  messageMaxBytes = MESSAGE_MAX_BYTES
  /** Everything that was sent, joined, and not taken by `takeFrames` yet. */
  sent: Uint8Array[] = []
  /** How this end was closed or aborted by the code under test. */
  readonly endings: ({ readonly how: 'close' | 'abort' } & Pick<CloseReason, 'code' | 'reason'>)[] = []
  #handlers: ChannelHandlers | null = null

  start(handlers: ChannelHandlers): void {
    this.#handlers = handlers
  }

  send(parts: readonly Uint8Array[]): void {
    this.sent.push(new Uint8Array(concatBytes(parts)))
  }

  limitMessages(maxBytes: number): void {
    this.messageMaxBytes = maxBytes
  }

  close(code: number, reason: string): void {
    this.endings.push({ how: 'close', code, reason })
  }

  abort(reason: CloseReason = { code: 1006, reason: '' }): void {
    this.endings.push({ how: 'abort', code: reason.code, reason: reason.reason })
  }

  deliverBytes(message: Uint8Array): void {
    this.#handlers?.onMessage(message)
  }

  /** Delivers a frame with these fields; the others are those of a request to API 0. */
  deliver(frame: Partial<OutgoingFrame>, payload?: Uint8Array): void {
    const whole = {
      kind: 0 as const,
      apiKey: 0,
      apiVersion: 0,
      correlationId: 1,
      errorCode: 0,
      body: null,
      ...frame,
    }
    this.deliverBytes(
      new Uint8Array(concatBytes([...encodeFrame(whole, payload === undefined ? [] : [payload])])),
    )
  }

  drain(): void {
    this.bufferedBytes = 0
    this.#handlers?.onDrain?.()
  }

  gone(code = 1006, reason = ''): void {
    this.#handlers?.onClose({ code, reason })
  }

  /** What was sent since the last call. */
  takeFrames(): (Omit<Frame, 'body'> & { readonly body: Wire })[] {
    const sent = this.sent
    this.sent = []
    return sent.map((message) => {
      const frame = decodeFrame(message, HEADER_MAX_BYTES)
      return { ...frame, body: decodeWire(wire(), frame.body) }
    })
  }
}
