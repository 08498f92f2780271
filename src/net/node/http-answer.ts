import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Log } from '../../base/log.ts'
import { SUBPROTOCOL } from '../subprotocol.ts'
import type { HttpHandler, HttpResponse } from '../transport.ts'
import { pathOf } from './upgrade-check.ts'

interface HttpExchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly handler: HttpHandler | undefined
  readonly log: Log
}

/** Answers a plain HTTP request. Only GET and HEAD exist, and bodies are not read. */
export function answerHttp(exchange: HttpExchange): void {
  const { request, response, log } = exchange
  const onError = (error: unknown): void => {
    log.error('http-request-failed', { path: pathOf(request), error })
    if (response.headersSent) response.destroy()
    else send(exchange, text(500, 'the node hit an unexpected error; its log has the details'))
  }
  try {
    const answer = answerOf(exchange)
    if (answer instanceof Promise) answer.then((settled) => send(exchange, settled)).catch(onError)
    else send(exchange, answer)
  } catch (error) {
    onError(error)
  }
}

function answerOf(exchange: HttpExchange): HttpResponse | Promise<HttpResponse> {
  const { request, response, handler } = exchange
  const { method } = request
  if (method !== 'GET' && method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD')
    // There may be a body; nobody reads it.
    response.setHeader('Connection', 'close')
    return text(405, 'only GET and HEAD are served')
  }
  const path = pathOf(request)
  if (path === '/') {
    response.setHeader('Upgrade', 'websocket')
    return text(426, `this is a Vltava node: connect with a WebSocket of the subprotocol ${SUBPROTOCOL}`)
  }
  const answer = handler?.({ method, path }) ?? null
  return answer instanceof Promise ? answer.then(orNotFound) : orNotFound(answer)
}

function orNotFound(answer: HttpResponse | null): HttpResponse {
  return answer ?? text(404, 'there is nothing at this path')
}

function text(status: number, body: string): HttpResponse {
  return { status, body: `${body}\n`, contentType: 'text/plain; charset=utf-8' }
}

function send(exchange: HttpExchange, answer: HttpResponse): void {
  const { request, response } = exchange
  response.writeHead(answer.status, {
    'Content-Type': answer.contentType,
    'Content-Length': Buffer.byteLength(answer.body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  })
  response.end(request.method === 'HEAD' ? undefined : answer.body)
}
