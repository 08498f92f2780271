import type { MeteredNode } from './metered-node.ts'

export type Labels = Readonly<Record<string, string | number>>

export interface Sample {
  readonly value: number
  readonly labels?: Labels
}

/** One metric: its name in the endpoint, what it means, and how to read it when somebody asks. */
export interface MetricRow {
  readonly name: string
  readonly help: string
  /** A counter only grows while the process lives. */
  readonly type: 'gauge' | 'counter'
  readonly labels: readonly string[]
  readonly samples: (node: MeteredNode) => Iterable<Sample> | Promise<Iterable<Sample>>
}
