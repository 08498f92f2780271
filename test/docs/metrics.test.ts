// Holds docs/metrics.md to the table of metrics.
import { describe, it } from 'vitest'
import { METRIC_ROWS } from '../../src/server/metrics/metrics-endpoint.ts'
import { expectGenerated } from './documents.ts'
import { code, table } from './markdown.ts'

describe('docs/metrics.md', () => {
  it('the metrics: as in the code', () => {
    const rows = METRIC_ROWS.map(({ name, type, labels, help }) => [
      code(name),
      type,
      labels.map(code).join(', '),
      help,
    ])
    expectGenerated({
      path: 'docs/metrics.md',
      name: 'metrics',
      body: table(['Metric', 'Type', 'Labels', 'Meaning'], rows),
    })
  })
})
