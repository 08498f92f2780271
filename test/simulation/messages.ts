// What the runner and its worker processes say to each other.
import type { FaultName } from '../../src/testing/simulation/simulation-plan.ts'

export interface RunRequest {
  readonly seed: number
  readonly faults?: readonly FaultName[]
  readonly invariants: boolean
}

/** One run, without what only its own process needs. */
export interface RunReport {
  readonly seed: number
  readonly failure: { readonly what: string; readonly atEvent: number; readonly atMs: number } | null
  readonly digest: string
  readonly prefixes: readonly string[]
  readonly events: number
  readonly virtualMs: number
  readonly cpuMs: number
  readonly marks: Readonly<Record<string, number>>
  readonly acknowledged: number
  readonly faults: readonly FaultName[]
  /** The end of the trace; empty where all was well. */
  readonly recent: readonly string[]
}
