import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { SUBPROTOCOL } from '../subprotocol.ts'

export interface UpgradeRefusal {
  readonly status: 400 | 403 | 404 | 503
  readonly problem: string
}

/**
 * Why a request may not become a WebSocket; null when it may. What ws checks itself (method, version, key) is left to it.
 * @param allowedOrigins web origins whose pages may connect, beside the page's own server.
 */
export function refusalOf(
  request: IncomingMessage,
  allowedOrigins: readonly string[],
): UpgradeRefusal | null {
  if (pathOf(request) !== '/') {
    return { status: 404, problem: 'WebSockets are served at / only' }
  }
  if (!offersSubprotocol(request)) {
    return { status: 400, problem: `the WebSocket subprotocol must be ${SUBPROTOCOL}` }
  }
  const { host, origin } = request.headers
  // Node asks for it in every request but those that ask for an upgrade.
  if (host === undefined) return { status: 400, problem: 'the Host header is missing' }
  if (origin !== undefined && !isAllowedOrigin({ origin, host, allowedOrigins })) {
    return {
      status: 403,
      problem: 'pages of this origin may not connect; see the setting for allowed origins',
    }
  }
  return null
}

export function pathOf(request: IncomingMessage): string {
  const url = request.url ?? '/'
  const query = url.indexOf('?')
  return query === -1 ? url : url.slice(0, query)
}

function offersSubprotocol(request: IncomingMessage): boolean {
  const offered = request.headers['sec-websocket-protocol'] ?? ''
  return offered.split(',').some((name) => name.trim() === SUBPROTOCOL)
}

/**
 * A browser lets any page open a WebSocket to any server and says only where the page came from (SEC-05). Pages of the
 * server itself may; but a name counts as "itself" only if DNS cannot point it here behind our back, which an attacker
 * can do with a name of his own (DNS rebinding). So that leaves addresses and localhost; names go on the list.
 */
function isAllowedOrigin(check: {
  readonly origin: string
  readonly host: string
  readonly allowedOrigins: readonly string[]
}): boolean {
  const { origin, host, allowedOrigins } = check
  if (allowedOrigins.includes(origin)) return true
  if (!URL.canParse(origin)) return false
  const page = new URL(origin)
  const hostname = page.hostname.replace(/^\[|\]$/g, '')
  return page.host === host && (hostname === 'localhost' || isIP(hostname) !== 0)
}
