// What a check of files found, in words that say where it is and what to do.
import type { Offset } from '../model/ids.ts'

/**
 * `damage`: records that were or may have been acknowledged are lost or wrong, or the node does not start.
 * `warning`: something is wrong that is made again by itself. `note`: worth knowing, nothing is wrong.
 */
export type Severity = 'damage' | 'warning' | 'note'

export interface Finding {
  readonly severity: Severity
  readonly path: string
  /** Bytes from the start of the file; null where it is about all of it. */
  readonly position: number | null
  /** The first offset that is concerned; null where no offset is. */
  readonly offset: Offset | null
  readonly what: string
  /** What a person can do; null for notes. */
  readonly advice: string | null
}

export type FindingCounts = Readonly<Record<Severity, number>>

/** Findings that are kept; a disk full of garbage must not fill the memory. The others are counted. */
export const FINDINGS_MAX = 10_000

export class FindingList {
  readonly #findings: Finding[] = []
  readonly #counts = { damage: 0, warning: 0, note: 0 }
  readonly #onFinding: (finding: Finding) => void

  /** @param onFinding is called for each finding that is kept, at once. */
  constructor(onFinding: (finding: Finding) => void = () => {}) {
    this.#onFinding = onFinding
  }

  add(finding: Finding): void {
    this.#counts[finding.severity]++
    if (this.#findings.length >= FINDINGS_MAX) return
    this.#findings.push(finding)
    this.#onFinding(finding)
  }

  get kept(): readonly Finding[] {
    return this.#findings
  }

  get counts(): FindingCounts {
    return { ...this.#counts }
  }
}
