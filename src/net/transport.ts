// The transport port: message channels between two processes, whatever carries them. test/contracts/
// transport-contract.ts holds every implementation to what is promised here.

/** How a channel ended. */
export interface CloseReason {
  /** A code of net/close-codes.ts or of the WebSocket layer. */
  readonly code: number
  readonly reason: string
  /** What the platform said, where it said anything; for logs. */
  readonly error?: unknown
}

export interface ChannelHandlers {
  /**
   * One whole message, in the order in which they were sent. The bytes are the receiver's, and nobody changes them;
   * they can be a view that keeps a larger buffer alive, so what is kept for long is copied.
   */
  onMessage(bytes: Uint8Array): void
  /** Exactly once, in a turn of its own. Nothing comes after it. */
  onClose(reason: CloseReason): void
  /** `bufferedBytes` has come back to 0 after it was above DRAIN_THRESHOLD_BYTES (or, it may be, above 0). */
  onDrain?(): void
}

/** Whoever waits for `onDrain` first checks that `bufferedBytes` is above this; below it might never be called. */
export const DRAIN_THRESHOLD_BYTES = 64 * 1024

/** An ordered, reliable stream of binary messages in both directions. */
export interface Channel {
  /** Who is at the other end, for logs and error messages. */
  readonly remoteAddress: string
  /**
   * Bytes given to `send` that the platform has not taken yet. This is the only back pressure: `send` never waits and
   * never refuses, so whoever sends much watches this number, stops, and goes on at `onDrain`.
   */
  readonly bufferedBytes: number
  /**
   * Begins to deliver. Called once, right after the channel was got; what arrives earlier waits.
   */
  start(handlers: ChannelHandlers): void
  /**
   * Sends the parts, joined, as one message. The parts belong to the channel from then on and must never change again:
   * it may hold them until the network has taken them. After `close`, `abort` or `onClose` it does nothing.
   */
  send(parts: readonly Uint8Array[]): void
  /**
   * Bounds the messages to be received, in bytes. A larger one is not delivered and ends the channel with code
   * MESSAGE_TOO_LARGE, if the platform can tell, before all of it was received. From the start MESSAGE_MAX_BYTES.
   */
  limitMessages(maxBytes: number): void
  /**
   * Ends the channel after what was sent before. The other side gets the code (1000 or 4000 to 4999) and the reason
   * (cut to 123 ASCII characters). From now on nothing is delivered here except `onClose`, which comes when the other
   * side has agreed or after CLOSE_TIMEOUT_MS.
   */
  close(code: number, reason: string): void
  /**
   * Ends the channel at once; what was sent may be lost. The other side sees code 1006 (1005 from a browser). `onClose` follows in a turn of
   * its own, here with the code and reason given (default 1006).
   */
  abort(reason?: CloseReason): void
}

export interface ConnectOptions {
  /** Milliseconds for everything up to an open channel. */
  readonly timeoutMs: number
  /** Whether both ends are nodes of one cluster, whose links may skip the masking of WebSocket frames. */
  readonly isPeer: boolean
  /** Gives up early; the promise rejects at once. */
  readonly signal?: AbortSignal
}

export interface Transport {
  /**
   * Opens a channel to ws://host:port or wss://host:port.
   * @throws VltavaError CONNECTION_FAILED, within the time, saying what was wrong; INVALID_ARGUMENT for such a URL.
   */
  connect(url: string, options: ConnectOptions): Promise<Channel>
}

/** A request on the HTTP side of a listener, such as GET /healthz. Bodies are not read. */
export interface HttpRequest {
  readonly method: 'GET' | 'HEAD'
  /** Without the query. */
  readonly path: string
}

export interface HttpResponse {
  readonly status: number
  readonly body: string
  readonly contentType: string
}

/** Answers a request, or null for a path that does not exist. */
export type HttpHandler = (request: HttpRequest) => HttpResponse | null | Promise<HttpResponse | null>

export interface ListenOptions {
  readonly host: string
  /** 0 chooses a free port. */
  readonly port: number
  /** Called for every channel that was accepted; it calls `start` at once. */
  readonly onChannel: (channel: Channel) => void
  /** Where the transport has an HTTP side; without it every path but the WebSocket's is 404. */
  readonly httpHandler?: HttpHandler
  /** Web origins whose pages may connect, such as `https://console.example.com`. Default: none. */
  readonly allowedOrigins?: readonly string[]
}

export interface Listener {
  readonly port: number
  /** Takes no more channels, closes those that are open with SHUTTING_DOWN, and resolves when all of them are gone. */
  close(): Promise<void>
}

export interface ListenerFactory {
  /** @throws VltavaError INVALID_ARGUMENT when the address cannot be listened on (in use, not local, not permitted). */
  listen(options: ListenOptions): Promise<Listener>
}
