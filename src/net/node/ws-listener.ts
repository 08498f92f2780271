import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { type Deferred, deferred } from '../../base/async/deferred.ts'
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import { VltavaError } from '../../model/errors.ts'
import {
  CLOSE_TIMEOUT_MS,
  CONNECTIONS_MAX,
  HTTP_HEADER_MAX_BYTES,
  HTTP_HEADERS_MAX,
  HTTP_REQUEST_TIMEOUT_MS,
} from '../../model/limits.ts'
import { CLOSE_CODES } from '../close-codes.ts'
import { SUBPROTOCOL } from '../subprotocol.ts'
import type { Listener, ListenerFactory, ListenOptions } from '../transport.ts'
import { answerHttp } from './http-answer.ts'
import { refusalOf, type UpgradeRefusal } from './upgrade-check.ts'
import { WsChannel } from './ws-channel.ts'
import { WS_OPTIONS } from './ws-options.ts'

export interface WsListenerOptions {
  readonly clock: Clock
  readonly log: Log
  /** Sockets at a time, those of HTTP requests included; more are dropped as they come. Default CONNECTIONS_MAX. */
  readonly connectionsMax?: number
}

/** Listens with one HTTP server that serves WebSockets and, beside them, the paths of the HTTP handler. */
export class WsListenerFactory implements ListenerFactory {
  readonly #options: WsListenerOptions

  constructor(options: WsListenerOptions) {
    this.#options = options
  }

  listen(options: ListenOptions): Promise<Listener> {
    return new WsListener(this.#options, options).open()
  }
}

class WsListener implements Listener {
  readonly #clock: Clock
  readonly #log: Log
  readonly #options: ListenOptions
  readonly #server: Server
  readonly #wss: WebSocketServer
  /** All that are open: ws keeps no list of its own. Bounded by the sockets the server accepts. */
  readonly #channels = new Set<WsChannel>()
  #port = 0
  #nextDropLogMs = Number.NEGATIVE_INFINITY
  #closed: Deferred<void> | null = null
  #isServerClosed = false

  constructor(settings: WsListenerOptions, options: ListenOptions) {
    this.#clock = settings.clock
    this.#log = settings.log
    this.#options = options
    this.#wss = new WebSocketServer({
      ...WS_OPTIONS,
      noServer: true,
      clientTracking: false,
      handleProtocols: () => SUBPROTOCOL,
    })
    this.#server = createServer({
      maxHeaderSize: HTTP_HEADER_MAX_BYTES,
      headersTimeout: HTTP_REQUEST_TIMEOUT_MS,
      requestTimeout: HTTP_REQUEST_TIMEOUT_MS,
      keepAliveTimeout: HTTP_REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
    })
    this.#server.maxHeadersCount = HTTP_HEADERS_MAX
    this.#server.maxConnections = settings.connectionsMax ?? CONNECTIONS_MAX
    this.#server.on('drop', () => this.#dropped())
    this.#server.on('request', (request, response) => {
      answerHttp({ request, response, handler: options.httpHandler, log: this.#log })
    })
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade({ request, socket, head }))
  }

  get port(): number {
    return this.#port
  }

  open(): Promise<Listener> {
    const { host, port } = this.#options
    return new Promise((resolve, reject) => {
      const onError = (error: Error): void => reject(listenError(error, this.#options))
      this.#server.once('error', onError)
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', onError)
        this.#server.on('error', (error) => this.#log.error('listener-failed', { error }))
        this.#port = (this.#server.address() as AddressInfo).port
        resolve(this)
      })
    })
  }

  close(): Promise<void> {
    if (this.#closed !== null) return this.#closed.promise
    this.#closed = deferred<void>()
    const timer = this.#clock.setTimer(CLOSE_TIMEOUT_MS, () => {
      this.#server.closeAllConnections()
      for (const channel of [...this.#channels]) channel.abort()
    })
    // Called when the last socket is gone, upgraded ones included; their channels end a turn later.
    this.#server.close(() => {
      timer.cancel()
      this.#isServerClosed = true
      this.#settleClose()
    })
    const { code, meaning } = CLOSE_CODES.SHUTTING_DOWN
    for (const channel of [...this.#channels]) channel.close(code, meaning)
    return this.#closed.promise
  }

  #settleClose(): void {
    if (this.#isServerClosed && this.#channels.size === 0) this.#closed?.resolve()
  }

  /** A connection was refused because there are too many. One line for many of them (SEC-53). */
  #dropped(): void {
    const nowMs = this.#clock.monotonicMs()
    if (nowMs < this.#nextDropLogMs) return
    this.#nextDropLogMs = nowMs + DROP_LOG_INTERVAL_MS
    this.#log.warn('connections-dropped', { port: this.#port, connectionsMax: this.#server.maxConnections })
  }

  #upgrade(upgrade: {
    readonly request: IncomingMessage
    readonly socket: Duplex
    readonly head: Buffer
  }): void {
    const { request, socket, head } = upgrade
    const refusal =
      this.#closed === null ? refusalOf(request, this.#options.allowedOrigins ?? []) : SHUTTING_DOWN
    if (refusal !== null) {
      refuse(socket, refusal)
      return
    }
    this.#wss.handleUpgrade(request, socket, head, (ws) => this.#accept(ws, request.socket))
  }

  #accept(ws: WebSocket, socket: Socket): void {
    // Nothing is read before the channel is started.
    ws.pause()
    const channel = new WsChannel({
      ws,
      socket,
      masking: 'none',
      remoteAddress: `${socket.remoteAddress}:${socket.remotePort}`,
      clock: this.#clock,
      onGone: (gone) => {
        this.#channels.delete(gone)
        this.#settleClose()
      },
    })
    this.#channels.add(channel)
    this.#options.onChannel(channel)
  }
}

/** How often Node looks for requests that exceed their time; its default is 30 s. */
const CHECK_INTERVAL_MS = 1_000
const DROP_LOG_INTERVAL_MS = 10_000

const SHUTTING_DOWN: UpgradeRefusal = { status: 503, problem: 'this node is stopping' }

function refuse(socket: Duplex, refusal: UpgradeRefusal): void {
  const { status, problem } = refusal
  const body = `${problem}\n`
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_TEXTS[status]}`,
    'Connection: close',
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${body.length}`,
  ]
  // The socket has left the HTTP server, and with it its error handler and its time limits.
  socket.on('error', () => socket.destroy())
  socket.once('finish', () => socket.destroy())
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`)
}

const STATUS_TEXTS: Readonly<Record<UpgradeRefusal['status'], string>> = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  503: 'Service Unavailable',
}

function listenError(error: Error, options: ListenOptions): VltavaError {
  const { host, port } = options
  const problem = LISTEN_PROBLEMS['code' in error ? String(error.code) : ''] ?? error.message
  return new VltavaError('INVALID_ARGUMENT', `port ${port} on ${host} ${problem}`, { cause: error })
}

const LISTEN_PROBLEMS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is in use; choose another one, or stop what listens there.',
  EACCES: 'needs more rights than this process has; choose a port from 1024 on.',
  EADDRNOTAVAIL: 'cannot be listened on: the address is none of this machine.',
  ENOTFOUND: 'cannot be listened on: the host name is not known.',
}
