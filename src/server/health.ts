import type { HttpHandler, HttpResponse } from '../net/transport.ts'

export interface HealthOptions {
  /** Why the node is not ready, in a few words; null when it is. */
  readonly whyNotReady: () => string | null
  /** Answers GET /metrics. */
  readonly metrics: () => Promise<HttpResponse>
}

/** GET /healthz: the process answers. GET /readyz: it serves, or 503 and why not. GET /metrics: for Prometheus. */
export function healthHandler(options: HealthOptions): HttpHandler {
  const answer = (status: number, body: string): HttpResponse => ({
    status,
    body: `${body}\n`,
    contentType: 'text/plain; charset=utf-8',
  })
  return ({ path }) => {
    if (path === '/healthz') return answer(200, 'ok')
    if (path === '/metrics') return options.metrics()
    if (path !== '/readyz') return null
    const why = options.whyNotReady()
    return why === null ? answer(200, 'ready') : answer(503, why)
  }
}
