import type { HttpHandler, HttpResponse } from '../net/transport.ts'
import type { Readiness } from './readiness.ts'

export interface HealthOptions {
  readonly readiness: () => Readiness
  /** Answers GET /metrics. */
  readonly metrics: () => Promise<HttpResponse>
  /** Why the node takes no records although it serves them; null when it does take them. */
  readonly readOnlyReason: () => string | null
}

/**
 * GET /healthz: the process answers. GET /readyz: a JSON object that tells how far each role is; 503 while the node does not
 * serve. Both say when it only reads. GET /metrics: for Prometheus.
 */
export function healthHandler(options: HealthOptions): HttpHandler {
  return ({ path }) => {
    if (path === '/metrics') return options.metrics()
    const readOnly = options.readOnlyReason()
    if (path === '/healthz') {
      const body = readOnly === null ? 'ok\n' : `ok\nread-only: ${readOnly}\n`
      return { status: 200, body, contentType: 'text/plain; charset=utf-8' }
    }
    if (path !== '/readyz') return null
    return readyAnswer(options.readiness(), readOnly)
  }
}

function readyAnswer(readiness: Readiness, readOnly: string | null): HttpResponse {
  return {
    status: readiness.ready ? 200 : 503,
    body: `${JSON.stringify({ ...readiness, readOnly })}\n`,
    contentType: 'application/json',
  }
}
