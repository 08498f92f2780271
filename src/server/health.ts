import type { HttpHandler, HttpResponse } from '../net/transport.ts'

export interface HealthOptions {
  /** Why the node is not ready, in a few words; null when it is. */
  readonly whyNotReady: () => string | null
  /** Answers GET /metrics. */
  readonly metrics: () => Promise<HttpResponse>
  /** Why the node takes no records although it serves them; null when it does take them. */
  readonly readOnlyReason: () => string | null
}

/**
 * GET /healthz: the process answers. GET /readyz: it serves, or 503 and why not. Both say when it only reads. GET /metrics:
 * for Prometheus.
 */
export function healthHandler(options: HealthOptions): HttpHandler {
  const answer = (status: number, body: string): HttpResponse => ({
    status,
    body: `${body}\n`,
    contentType: 'text/plain; charset=utf-8',
  })
  return ({ path }) => {
    if (path === '/metrics') return options.metrics()
    const reason = options.readOnlyReason()
    const readOnly = reason === null ? '' : `\nread-only: ${reason}`
    if (path === '/healthz') return answer(200, `ok${readOnly}`)
    if (path !== '/readyz') return null
    const why = options.whyNotReady()
    return why === null ? answer(200, `ready${readOnly}`) : answer(503, why)
  }
}
