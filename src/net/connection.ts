import { assert } from '../base/assert.ts'
import { type Deferred, deferred } from '../base/async/deferred.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { ERRORS, errorNameOf } from '../model/error-codes.ts'
import { VltavaError } from '../model/errors.ts'
import {
  HEADER_MAX_BYTES,
  HEADER_UNAUTHENTICATED_MAX_BYTES,
  MESSAGE_MAX_BYTES,
  MESSAGE_UNAUTHENTICATED_MAX_BYTES,
  OUTPUT_BUFFER_MAX_BYTES,
  REQUESTS_IN_FLIGHT_MAX,
} from '../model/limits.ts'
import type { AnyApi, RequestOf, ResponseOf } from '../protocol/api.ts'
import { decodeDetail, decodeResponseBody, encodeBody } from '../protocol/codec.ts'
import { decodeFrame, encodeFrame, FRAME_KIND, type Frame } from '../protocol/frame.ts'
import { CLOSE_CODES, type CloseCodeName, type SentCloseCodeName } from './close-codes.ts'
import type { Incoming, Outgoing, PeerIdentity, RequestOptions, Session } from './exchange.ts'
import { type PendingRequest, RequestTable } from './request-table.ts'
import type { Channel, CloseReason } from './transport.ts'

/** Serves what comes in; `Router` is one. */
export interface Dispatcher {
  dispatch(connection: Connection, frame: Frame): void
}

export interface ConnectionOptions {
  readonly channel: Channel
  /** Answers what the other end asks. */
  readonly router: Dispatcher
  readonly clock: Clock
  readonly log: Log
  /** Who dialled trusts the node it chose to call as a client; who accepted trusts nobody before the hello. */
  readonly side: 'dialed' | 'accepted'
}

/**
 * One connection: requests and responses in both directions over a channel, answered in any order. Every request ends:
 * with its response, with the error the other end sent, at its deadline, or with the connection.
 */
export class Connection {
  readonly remoteAddress: string
  /** Resolves when the channel is gone; never rejects. */
  readonly closed: Promise<CloseReason>

  readonly #channel: Channel
  readonly #router: Dispatcher
  readonly #log: Log
  readonly #requests: RequestTable
  readonly #closed: Deferred<CloseReason> = deferred()
  readonly #closeHooks = new Set<(reason: CloseReason) => void>()
  readonly #drainHooks = new Set<() => void>()
  #isOpen = true
  #session: Session
  #identity: PeerIdentity | null = null
  #headerMaxBytes: number
  #remoteVersions: ReadonlyMap<number, number> | null = null
  /** Why this side ended the connection, or how the channel ended; null while it is open. */
  #closeReason: CloseReason | null = null
  #isGone = false
  #serving = 0
  #lateResponses = 0

  /** Starts to receive at once. */
  constructor(options: ConnectionOptions) {
    const { channel, router, clock, log, side } = options
    this.#channel = channel
    this.#router = router
    this.#log = log
    this.#requests = new RequestTable(clock)
    this.remoteAddress = channel.remoteAddress
    this.closed = this.#closed.promise
    this.#session = side === 'accepted' ? 'new' : 'client'
    this.#headerMaxBytes = side === 'accepted' ? HEADER_UNAUTHENTICATED_MAX_BYTES : HEADER_MAX_BYTES
    if (side === 'accepted') channel.limitMessages(MESSAGE_UNAUTHENTICATED_MAX_BYTES)
    channel.start({
      onMessage: (message) => this.#receive(message),
      onClose: (reason) => this.#gone(reason),
      onDrain: () => {
        for (const hook of this.#drainHooks) hook()
      },
    })
  }

  /** False from the moment either side closed; no request is answered or sent any more. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  get session(): Session {
    return this.#session
  }

  get identity(): PeerIdentity | null {
    return this.#identity
  }

  /** Bytes that wait to be sent. Who serves much data holds back while this is large; see `onDrain`. */
  get bufferedBytes(): number {
    return this.#channel.bufferedBytes
  }

  /** Requests of this side without an answer yet. */
  get requestsInFlight(): number {
    return this.#requests.size
  }

  /** Responses that came after their request had failed, or that nobody asked for. They are ignored. */
  get lateResponses(): number {
    return this.#lateResponses
  }

  /**
   * Sends a request and waits for its response.
   * @throws VltavaError what the other end answered; REQUEST_TIMED_OUT and CONNECTION_LOST, both indefinite;
   *   CONNECTION_FAILED (definite) on a connection that is closed; SERVER_BUSY (definite) with REQUESTS_IN_FLIGHT_MAX
   *   under way; MESSAGE_TOO_LARGE; UNSUPPORTED_VERSION when the other end does not know the API.
   */
  request<A extends AnyApi>(
    api: A,
    body: RequestOf<A>,
    options: RequestOptions,
  ): Promise<Incoming<ResponseOf<A>>> {
    return new Promise((resolve, reject) => {
      if (this.#requests.size >= REQUESTS_IN_FLIGHT_MAX) {
        const detail = `${REQUESTS_IN_FLIGHT_MAX} requests to ${this.remoteAddress} wait for an answer already.`
        throw new VltavaError('SERVER_BUSY', detail)
      }
      const correlationId = this.#requests.nextId()
      const frame = { kind: FRAME_KIND.request, api, correlationId, body, payload: options.payload }
      if (!this.#sendCall(frame)) throw this.#notSent(api)
      this.#requests.add(correlationId, {
        api,
        timeoutMs: options.timeoutMs,
        onResponse: (response) => this.#settle(api, response, { resolve, reject }),
        onFailure: reject,
      })
    })
  }

  /**
   * Sends a one-way message, or a request whose response nobody wants (produce with acks 0).
   * @returns false on a closed connection; true says only that the message was handed over.
   * @throws VltavaError MESSAGE_TOO_LARGE, UNSUPPORTED_VERSION
   */
  notify<A extends AnyApi>(api: A, body: RequestOf<A>, payload?: readonly Uint8Array[]): boolean {
    return this.#sendCall({ kind: FRAME_KIND.oneWay, api, correlationId: 0, body, payload })
  }

  /** Ends the connection. What waits for a response fails with CONNECTION_LOST now; `closed` follows. */
  close(code: SentCloseCodeName = 'NORMAL', detail: string = CLOSE_CODES[code].meaning): void {
    if (!this.#isOpen) return
    this.#end({ code: CLOSE_CODES[code].code, reason: detail })
    this.#channel.close(CLOSE_CODES[code].code, detail)
  }

  /** Ends the connection without a word to the other end. */
  abort(code: CloseCodeName = 'ABNORMAL', detail: string = CLOSE_CODES[code].meaning): void {
    if (!this.#isOpen) return
    const reason = { code: CLOSE_CODES[code].code, reason: detail }
    this.#end(reason)
    this.#channel.abort(reason)
  }

  /** Calls back once when the channel is gone, at once if it is. Returns how to take that back. */
  onClose(callback: (reason: CloseReason) => void): () => void {
    if (this.#isGone && this.#closeReason !== null) callback(this.#closeReason)
    else this.#closeHooks.add(callback)
    return () => this.#closeHooks.delete(callback)
  }

  /** Calls back each time `bufferedBytes` is 0 after DRAIN_THRESHOLD_BYTES or more. Returns how to take that back. */
  onDrain(callback: () => void): () => void {
    this.#drainHooks.add(callback)
    return () => this.#drainHooks.delete(callback)
  }

  /** For the handshake: the hello was answered, from now on the other end is served as a client. */
  admit(): void {
    assert(this.#session === 'new', 'a connection is admitted once')
    this.#session = 'client'
    this.#headerMaxBytes = HEADER_MAX_BYTES
    this.#channel.limitMessages(MESSAGE_MAX_BYTES)
  }

  /** For the handshake: the other end has proved the cluster secret, for this connection and for ever. */
  proveIdentity(identity: PeerIdentity): void {
    assert(this.#session === 'client', 'an identity is proved once, after the hello')
    assert(this.#identity === null, 'an identity never changes')
    this.#identity = identity
    this.#session = 'peer'
  }

  /** For the handshake: what the other end speaks, by API key. Requests are sent in the older version of the two. */
  learnVersions(versions: ReadonlyMap<number, number>): void {
    this.#remoteVersions = versions
  }

  /** For the router: takes one of the places for requests that are being served; false when none is free. */
  beginServing(): boolean {
    if (this.#serving >= REQUESTS_IN_FLIGHT_MAX) return false
    this.#serving++
    return true
  }

  /** For the router: gives the place back. */
  endServing(): void {
    this.#serving--
  }

  /** For the router. Does nothing once the connection is closed. @throws VltavaError MESSAGE_TOO_LARGE */
  respond<A extends AnyApi>(api: A, request: Frame, response: Outgoing<ResponseOf<A>>): void {
    const { apiKey, apiVersion, correlationId } = request
    const body = encodeBody(api.response, response.body)
    const header = { kind: FRAME_KIND.response, apiKey, apiVersion, correlationId, errorCode: 0, body }
    this.#send(encodeFrame(header, response.payload))
  }

  /** For the router. Does nothing once the connection is closed. */
  respondError(request: Frame, error: VltavaError): void {
    const { apiKey, apiVersion, correlationId } = request
    const errorCode = ERRORS[error.code].code
    const body = error.message.slice(0, DETAIL_MAX_CHARACTERS)
    this.#send(encodeFrame({ kind: FRAME_KIND.response, apiKey, apiVersion, correlationId, errorCode, body }))
  }

  #sendCall<A extends AnyApi>(call: {
    readonly kind: 0 | 2
    readonly api: A
    readonly correlationId: number
    readonly body: RequestOf<A>
    readonly payload: readonly Uint8Array[] | undefined
  }): boolean {
    if (!this.#isOpen) return false
    const { kind, api, correlationId, payload } = call
    const body = encodeBody(api.request, call.body)
    const apiVersion = this.#versionFor(api)
    const header = { kind, apiKey: api.key, apiVersion, correlationId, errorCode: 0, body }
    return this.#send(encodeFrame(header, payload))
  }

  #versionFor(api: AnyApi): number {
    if (this.#remoteVersions === null) return api.version
    const remote = this.#remoteVersions.get(api.key)
    if (remote !== undefined) return Math.min(api.version, remote)
    const detail = `${this.remoteAddress} does not know the API ${api.name}; it may run an older version.`
    throw new VltavaError('UNSUPPORTED_VERSION', detail)
  }

  #send(parts: readonly Uint8Array[]): boolean {
    if (!this.#isOpen) return false
    if (this.#channel.bufferedBytes > OUTPUT_BUFFER_MAX_BYTES) {
      const detail = `${this.#channel.bufferedBytes} bytes wait for a reader that does not read`
      this.#log.warn('connection-output-overflow', { remoteAddress: this.remoteAddress, detail })
      // Not a close frame: it would wait behind all those bytes.
      this.abort('OUTPUT_OVERFLOW', detail)
      return false
    }
    this.#channel.send(parts)
    return true
  }

  #receive(message: Uint8Array): void {
    if (!this.#isOpen) return
    let frame: Frame
    try {
      frame = decodeFrame(message, this.#headerMaxBytes)
    } catch (error) {
      this.#violated(error)
      return
    }
    if (frame.kind !== FRAME_KIND.response) {
      this.#router.dispatch(this, frame)
      return
    }
    const request = this.#requests.take(frame.correlationId)
    if (request === undefined) this.#lateResponses++
    else request.onResponse(frame)
  }

  #settle<A extends AnyApi>(
    api: A,
    response: Frame,
    promise: { resolve(value: Incoming<ResponseOf<A>>): void; reject(error: unknown): void },
  ): void {
    try {
      if (response.apiKey !== api.key) {
        throw new VltavaError('PROTOCOL_VIOLATION', `A response of API ${response.apiKey} to ${api.name}.`)
      }
      if (response.errorCode === 0) {
        promise.resolve({ body: decodeResponseBody(api, response.body), payload: response.payload })
        return
      }
      const detail = decodeDetail(response.body)
      promise.reject(new VltavaError(errorNameOf(response.errorCode), detail === '' ? undefined : detail))
    } catch (error) {
      // The other end did something, nobody knows what.
      const detail = error instanceof Error ? error.message : undefined
      promise.reject(new VltavaError('PROTOCOL_VIOLATION', detail, { cause: error, definite: false }))
      this.#violated(error)
    }
  }

  #violated(error: unknown): void {
    if (!(error instanceof VltavaError)) throw error
    this.#log.warn('protocol-violation', { remoteAddress: this.remoteAddress, detail: error.message })
    this.close('PROTOCOL_VIOLATION', error.message)
  }

  #end(reason: CloseReason): void {
    this.#isOpen = false
    this.#closeReason = reason
    this.#requests.failAll((request) => this.#lost(request))
  }

  #gone(reason: CloseReason): void {
    if (this.#isOpen) this.#end(reason)
    this.#isGone = true
    const told = this.#closeReason ?? reason
    this.#closed.resolve(told)
    const hooks = [...this.#closeHooks]
    this.#closeHooks.clear()
    this.#drainHooks.clear()
    for (const hook of hooks) hook(told)
  }

  #lost(request: PendingRequest): VltavaError {
    const detail = `The connection to ${this.remoteAddress} ended while ${request.api.name} was under way (${this.#why()}).`
    return new VltavaError('CONNECTION_LOST', detail, { definite: false, cause: this.#closeReason?.error })
  }

  #notSent(api: AnyApi): VltavaError {
    const detail = `${api.name} was not sent: the connection to ${this.remoteAddress} is closed (${this.#why()}).`
    return new VltavaError('CONNECTION_FAILED', detail, { definite: true, cause: this.#closeReason?.error })
  }

  #why(): string {
    const { code, reason } = this.#closeReason ?? { code: CLOSE_CODES.ABNORMAL.code, reason: '' }
    return reason === '' ? `code ${code}` : `code ${code}: ${reason}`
  }
}

/** Characters of an error's detail; the same bound as in errors inside of a response (protocol/error-schema.ts). */
const DETAIL_MAX_CHARACTERS = 4_096
