import { assert } from '../../base/assert.ts'
import { concatBytes } from '../../base/bytes.ts'
import type { Clock, Timer } from '../../base/clock.ts'
import { VltavaError } from '../../model/errors.ts'
import { CLOSE_TIMEOUT_MS, MESSAGE_MAX_BYTES } from '../../model/limits.ts'
import { CLOSE_CODES, closeReasonText } from '../close-codes.ts'
import { parseServerUrl } from '../server-url.ts'
import { SUBPROTOCOL } from '../subprotocol.ts'
import {
  type Channel,
  type ChannelHandlers,
  type CloseReason,
  type ConnectOptions,
  DRAIN_THRESHOLD_BYTES,
  type Transport,
} from '../transport.ts'

/** What this file uses of the browser's WebSocket (https://websockets.spec.whatwg.org). */
export interface BrowserWebSocket {
  binaryType: string
  readonly bufferedAmount: number
  readonly readyState: number
  onopen: ((event: never) => void) | null
  onmessage: ((event: { readonly data: unknown }) => void) | null
  onerror: ((event: never) => void) | null
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null
  send(data: Uint8Array): void
  close(code?: number, reason?: string): void
}

export type BrowserWebSocketConstructor = new (url: string, protocol: string) => BrowserWebSocket

export interface WebTransportOptions {
  readonly clock: Clock
  /** The global WebSocket of the browser. */
  readonly WebSocket: BrowserWebSocketConstructor
}

const OPEN = 1
/** A browser does not say when its buffer is empty; it is asked this often while it holds much. */
const DRAIN_POLL_MS = 10

/** Opens channels over the WebSocket of a browser, which tells little: no status, no cause of a failure, no pings. */
export class WebTransport implements Transport {
  readonly #options: WebTransportOptions

  constructor(options: WebTransportOptions) {
    this.#options = options
  }

  connect(url: string, options: ConnectOptions): Promise<Channel> {
    const { clock, WebSocket } = this.#options
    return new Promise((resolve, reject) => {
      const { host, port } = parseServerUrl(url)
      const { signal, timeoutMs } = options
      if (signal?.aborted === true) throw new VltavaError('CONNECTION_FAILED', `${url}: the caller gave up.`)
      const ws = new WebSocket(url, SUBPROTOCOL)
      ws.binaryType = 'arraybuffer'
      // It says nothing, and a close event follows; but outside of browsers an error nobody listens to is thrown.
      ws.onerror = () => {}
      const settle = (): void => {
        timer.cancel()
        signal?.removeEventListener('abort', onAbort)
        ws.onopen = ws.onclose = null
      }
      const fail = (problem: string): void => {
        settle()
        ws.close()
        reject(new VltavaError('CONNECTION_FAILED', `${url}: ${problem}`))
      }
      const onAbort = (): void => fail('the caller gave up.')
      const timer = clock.setTimer(timeoutMs, () => fail(`no WebSocket was opened within ${timeoutMs} ms.`))
      signal?.addEventListener('abort', onAbort)
      ws.onopen = () => {
        settle()
        resolve(new WebChannel({ ws, clock, remoteAddress: `${host}:${port}` }))
      }
      ws.onclose = () => fail('no WebSocket was opened; the browser does not tell why.')
    })
  }
}

class WebChannel implements Channel {
  readonly remoteAddress: string
  readonly #ws: BrowserWebSocket
  readonly #clock: Clock
  #handlers: ChannelHandlers | null = null
  /** What came before `start`. */
  #early: Uint8Array[] = []
  #messageMaxBytes = MESSAGE_MAX_BYTES
  #state: 'open' | 'closing' | 'closed' = 'open'
  #closeTimer: Timer | null = null
  #drainTimer: Timer | null = null
  /** How the channel ended while early messages still waited. */
  #earlyClose: CloseReason | null = null

  constructor(options: {
    readonly ws: BrowserWebSocket
    readonly clock: Clock
    readonly remoteAddress: string
  }) {
    this.#ws = options.ws
    this.#clock = options.clock
    this.remoteAddress = options.remoteAddress
    this.#ws.onmessage = (event) => this.#received(event.data)
    this.#ws.onclose = ({ code, reason }) => this.#gone({ code, reason: closeReasonText(reason) })
  }

  get bufferedBytes(): number {
    return this.#ws.bufferedAmount
  }

  start(handlers: ChannelHandlers): void {
    assert(this.#handlers === null, 'a channel is started once')
    this.#handlers = handlers
    this.#clock.afterPendingIo(() => {
      const early = this.#early
      this.#early = []
      for (const message of early) this.#deliver(message)
      if (this.#earlyClose !== null) this.#gone(this.#earlyClose)
    })
  }

  send(parts: readonly Uint8Array[]): void {
    if (this.#state !== 'open' || this.#ws.readyState !== OPEN) return
    this.#ws.send(concatBytes(parts))
    if (this.#drainTimer === null && this.#ws.bufferedAmount > DRAIN_THRESHOLD_BYTES) this.#pollDrain()
  }

  limitMessages(maxBytes: number): void {
    this.#messageMaxBytes = maxBytes
  }

  close(code: number, reason: string): void {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    this.#ws.close(code, closeReasonText(reason))
    // A browser waits for the other side as long as TCP does.
    const { code: abnormal } = CLOSE_CODES.ABNORMAL
    this.#closeTimer = this.#clock.setTimer(CLOSE_TIMEOUT_MS, () =>
      this.#gone({ code: abnormal, reason: '' }),
    )
  }

  abort(reason: CloseReason = { code: CLOSE_CODES.ABNORMAL.code, reason: '' }): void {
    if (this.#state === 'closed') return
    this.#state = 'closing'
    this.#ws.onclose = null
    this.#ws.close()
    this.#clock.afterPendingIo(() => this.#gone(reason))
  }

  #received(data: unknown): void {
    if (this.#state !== 'open') return
    if (!(data instanceof ArrayBuffer)) {
      this.close(CLOSE_CODES.PROTOCOL_VIOLATION.code, 'text messages are not part of the protocol')
      return
    }
    const message = new Uint8Array(data)
    // Also while earlier ones still wait for their delivery.
    if (this.#handlers === null || this.#early.length > 0) this.#early.push(message)
    else this.#deliver(message)
  }

  #deliver(message: Uint8Array): void {
    if (this.#state !== 'open') return
    if (message.length <= this.#messageMaxBytes) this.#handlers?.onMessage(message)
    else this.close(CLOSE_CODES.MESSAGE_TOO_LARGE.code, `a message of ${message.length} bytes`)
  }

  #gone(reason: CloseReason): void {
    if (this.#state === 'closed') return
    if (this.#handlers === null || this.#early.length > 0) {
      // After what came before it.
      this.#earlyClose = reason
      return
    }
    this.#state = 'closed'
    this.#ws.onclose = this.#ws.onmessage = null
    this.#closeTimer?.cancel()
    this.#drainTimer?.cancel()
    this.#handlers.onClose(reason)
  }

  #pollDrain(): void {
    this.#drainTimer = this.#clock.setTimer(DRAIN_POLL_MS, () => {
      this.#drainTimer = null
      if (this.#state !== 'open') return
      if (this.#ws.bufferedAmount > 0) this.#pollDrain()
      else this.#handlers?.onDrain?.()
    })
  }
}
