import { AssertionError, assert } from '../base/assert.ts'
import type { Log } from '../base/log.ts'
import { VltavaError } from '../model/errors.ts'
import { REQUESTS_IN_FLIGHT_MAX } from '../model/limits.ts'
import type { AnyApi, RequestOf, ResponseOf } from '../protocol/api.ts'
import { API_BY_KEY } from '../protocol/api-table.ts'
import { decodeRequestBody } from '../protocol/codec.ts'
import { FRAME_KIND, type Frame } from '../protocol/frame.ts'
import type { SentCloseCodeName } from './close-codes.ts'
import type { Connection, Dispatcher } from './connection.ts'
import type { Incoming, Outgoing } from './exchange.ts'

/** A request as its handler sees it. Who asks is known from the connection, never from the message. */
export interface Call<A extends AnyApi> extends Incoming<RequestOf<A>> {
  readonly connection: Connection
}

/** null: there is nothing to answer. Only a call that came one-way may end so. */
export type Answer<A extends AnyApi> = Outgoing<ResponseOf<A>> | null

/**
 * Serves one API. It answers at once or with a promise; what it answers to a one-way call is dropped. A VltavaError it
 * throws goes to the caller with code and message. Anything else is logged and becomes UNKNOWN_SERVER_ERROR, except an
 * AssertionError: that is a bug, and it goes on to end the process.
 */
export type Handler<A extends AnyApi> = (call: Call<A>) => Answer<A> | Promise<Answer<A>>

export interface HandlerOptions {
  /** Closes the connection with this code after an error was answered; for the steps of the handshake. */
  readonly closeAfterError?: SentCloseCodeName
}

interface Route extends HandlerOptions {
  readonly api: AnyApi
  readonly handler: Handler<AnyApi>
}

/** Brings what comes in to the handler of its API, after it has checked whether this connection may call it. */
export class Router implements Dispatcher {
  readonly #log: Log
  readonly #routes = new Map<number, Route>()
  #refusedCalls = 0
  #droppedCalls = 0

  constructor(log: Log) {
    this.#log = log
  }

  /** Calls that the connection had no right to (SEC-30, SEC-31), requests and one-way ones. */
  get refusedCalls(): number {
    return this.#refusedCalls
  }

  /** One-way calls that failed or found no handler or no free place; nobody was told. */
  get droppedCalls(): number {
    return this.#droppedCalls
  }

  handle<A extends AnyApi>(api: A, handler: Handler<A>, options: HandlerOptions = {}): void {
    // Who may call is decided by the table, so an API outside of it would be open to nobody or, worse, to anybody.
    assert(API_BY_KEY.get(api.key) === api, `API ${api.name} is not in the table`)
    assert(!this.#routes.has(api.key), `API ${api.name} has a handler already`)
    this.#routes.set(api.key, { api, handler: handler as Handler<AnyApi>, ...options })
  }

  /** Serves a request or one-way message. A handler that answers at once is answered in this turn. */
  dispatch(connection: Connection, frame: Frame): void {
    // By the table and not by the handlers: also an API this node does not serve tells a stranger nothing else.
    const api = API_BY_KEY.get(frame.apiKey)
    if (!mayCall(connection, api)) {
      this.#refuse(connection, frame)
      return
    }
    const route = this.#routes.get(frame.apiKey)
    try {
      checkCall(frame, route)
      this.#serve(connection, frame, route)
    } catch (error) {
      this.#fail({ connection, frame, route, error })
    }
  }

  #serve(connection: Connection, frame: Frame, route: Route): void {
    const body = decodeRequestBody(route.api, frame.body)
    if (!connection.beginServing()) {
      const detail = `${REQUESTS_IN_FLIGHT_MAX} requests of this connection are being served already.`
      throw new VltavaError('SERVER_BUSY', detail)
    }
    let isParked = false
    try {
      const answer = route.handler({ connection, body, payload: frame.payload })
      isParked = answer instanceof Promise
      if (answer instanceof Promise) this.#park({ connection, frame, route, answer })
      else respond({ connection, frame, route, answer })
    } finally {
      if (!isParked) connection.endServing()
    }
  }

  #park(parked: {
    readonly connection: Connection
    readonly frame: Frame
    readonly route: Route
    readonly answer: Promise<Answer<AnyApi>>
  }): void {
    const { connection, frame, route } = parked
    parked.answer.then(
      (answer) => {
        connection.endServing()
        try {
          respond({ connection, frame, route, answer })
        } catch (error) {
          this.#fail({ connection, frame, route, error })
        }
      },
      (error: unknown) => {
        connection.endServing()
        this.#fail({ connection, frame, route, error })
      },
    )
  }

  #refuse(connection: Connection, frame: Frame): void {
    this.#refusedCalls++
    const isNew = connection.session === 'new'
    if (frame.kind === FRAME_KIND.request) {
      const detail = isNew
        ? 'The first request of a connection is hello.'
        : `API ${frame.apiKey} is served only to nodes that proved the cluster secret.`
      connection.respondError(frame, new VltavaError('CLUSTER_AUTHORIZATION_FAILED', detail))
    }
    if (isNew) connection.close('HELLO_EXPECTED')
  }

  #fail(failure: {
    readonly connection: Connection
    readonly frame: Frame
    readonly route: Route | undefined
    readonly error: unknown
  }): void {
    const { connection, frame, route, error } = failure
    if (error instanceof AssertionError) throw error
    if (!(error instanceof VltavaError)) {
      const { remoteAddress } = connection
      this.#log.error('request-failed', { api: route?.api.name ?? frame.apiKey, remoteAddress, error })
    }
    if (frame.kind === FRAME_KIND.request) {
      // The message of a foreign error can hold paths and internals; it stays in the log.
      const told = error instanceof VltavaError ? error : new VltavaError('UNKNOWN_SERVER_ERROR')
      connection.respondError(frame, told)
    } else {
      this.#droppedCalls++
    }
    if (route?.closeAfterError !== undefined) connection.close(route.closeAfterError)
  }
}

function mayCall(connection: Connection, api: AnyApi | undefined): boolean {
  // An unknown API is answered as such, but not to a stranger.
  if (api === undefined) return connection.session !== 'new'
  switch (api.caller) {
    case 'anyone':
      return true
    case 'client':
      return connection.session !== 'new'
    case 'peer':
      return connection.session === 'peer' && connection.identity !== null
  }
}

function checkCall(frame: Frame, route: Route | undefined): asserts route is Route {
  if (route === undefined) {
    const api = API_BY_KEY.get(frame.apiKey)
    const detail =
      api === undefined
        ? `API ${frame.apiKey} is not known here; this node may run an older version.`
        : `This node does not serve ${api.name}; a node with the role ${api.servedBy} does.`
    throw new VltavaError('UNSUPPORTED_VERSION', detail)
  }
  const { api } = route
  if (frame.apiVersion > api.version) {
    const detail = `${api.name} version ${frame.apiVersion} is not known here; up to ${api.version} is.`
    throw new VltavaError('UNSUPPORTED_VERSION', detail)
  }
  if (api.oneWay && frame.kind === FRAME_KIND.request) {
    throw new VltavaError('INVALID_REQUEST', `${api.name} is one-way; it has no response to wait for.`)
  }
}

function respond(exchange: {
  readonly connection: Connection
  readonly frame: Frame
  readonly route: Route
  readonly answer: Answer<AnyApi>
}): void {
  const { connection, frame, route, answer } = exchange
  if (frame.kind !== FRAME_KIND.request) return
  if (answer === null) {
    throw new VltavaError('INVALID_REQUEST', `This ${route.api.name} has no response; send it one-way.`)
  }
  connection.respond(route.api, frame, answer)
}
