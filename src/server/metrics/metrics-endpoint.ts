// GET /metrics. The text format, escaping and the metrics of the process are the library's; it is loaded with the first
// request, because it costs 56 ms that a start has no use for.
import type { Counter, Gauge, Registry } from 'prom-client'
import type { HttpResponse } from '../../net/transport.ts'
import { BROKER_METRICS } from './broker-metrics.ts'
import { CONTROLLER_METRICS } from './controller-metrics.ts'
import type { MeteredNode } from './metered-node.ts'
import type { MetricRow } from './metric-row.ts'
import { PARTITION_METRICS } from './partition-metrics.ts'

export const METRIC_ROWS: readonly MetricRow[] = [
  ...BROKER_METRICS,
  ...PARTITION_METRICS,
  ...CONTROLLER_METRICS,
]

export class MetricsEndpoint {
  readonly #node: MeteredNode
  #registry: Promise<Registry> | null = null

  /** @param node read anew with each request; its roles may come and go. */
  constructor(node: MeteredNode) {
    this.#node = node
  }

  /** The present values in the Prometheus text format. */
  async answer(): Promise<HttpResponse> {
    this.#registry ??= this.#makeRegistry()
    const registry = await this.#registry
    return { status: 200, body: await registry.metrics(), contentType: registry.contentType }
  }

  async #makeRegistry(): Promise<Registry> {
    const prometheus = (await import('prom-client')).default
    const registry = new prometheus.Registry()
    prometheus.collectDefaultMetrics({ register: registry })
    const node = this.#node
    for (const { name, help, type, labels, samples } of METRIC_ROWS) {
      const metric = {
        name,
        help,
        labelNames: [...labels],
        registers: [registry],
        async collect(this: Counter | Gauge) {
          const found = await samples(node)
          this.reset()
          // Without labels a reset leaves a sample of 0 behind, also where this node has nothing to tell.
          if (labels.length === 0) this.remove()
          for (const sample of found) this.inc(sample.labels ?? {}, sample.value)
        },
      }
      if (type === 'counter') new prometheus.Counter(metric)
      else new prometheus.Gauge(metric)
    }
    return registry
  }
}
