import { type CheckName, type Excuse, type Finding, findingOf, type Report } from './finding.ts'

/** Transactions of different producers interleave, so these say nothing about a log (CHK-15). */
const ALWAYS_ALLOWED: readonly CheckName[] = ['int-send-skip', 'G0', 'G0-process', 'G0-realtime']

const EXCUSED: Readonly<Record<Excuse, readonly CheckName[]>> = {
  rebalance: ['poll-skip', 'nonmonotonic-poll'],
  'write-order': ['G1c', 'G1c-process', 'G1c-realtime'],
}

export interface FindingRules {
  /** Names that are no errors, beyond those that never are. */
  readonly allowed?: readonly CheckName[]
  /** Names that are errors in any case. */
  readonly forbidden?: readonly CheckName[]
  /** How many findings of one name are kept; the rest is counted. Default 100. */
  readonly findingsMax?: number
}

export interface NameCount {
  readonly errors: number
  readonly allowed: number
}

/** Keeps what the checks find, and decides what of it is an error. */
export class FindingList {
  readonly #allowed: ReadonlySet<CheckName>
  readonly #forbidden: ReadonlySet<CheckName>
  readonly #findingsMax: number
  readonly #findings: Finding[] = []
  readonly #counts = new Map<CheckName, { errors: number; allowed: number }>()

  constructor(rules: FindingRules) {
    this.#forbidden = new Set(rules.forbidden)
    this.#allowed = new Set([...ALWAYS_ALLOWED, ...(rules.allowed ?? [])])
    this.#findingsMax = rules.findingsMax ?? 100
  }

  /** Errors first; otherwise as they were found. */
  get findings(): readonly Finding[] {
    return this.#findings.toSorted((a, b) => Number(a.isAllowed) - Number(b.isAllowed))
  }

  /** Also of those that were not kept. */
  get counts(): ReadonlyMap<CheckName, NameCount> {
    return this.#counts
  }

  get hasErrors(): boolean {
    return [...this.#counts.values()].some(({ errors }) => errors > 0)
  }

  add(report: Report, excuse?: Excuse): void {
    const isAllowed = this.#isAllowed(report.name, excuse)
    const count = this.#counts.get(report.name) ?? { errors: 0, allowed: 0 }
    this.#counts.set(report.name, count)
    const kept = isAllowed ? ++count.allowed : ++count.errors
    if (kept <= this.#findingsMax) this.#findings.push(findingOf(report, isAllowed))
  }

  #isAllowed(name: CheckName, excuse: Excuse | undefined): boolean {
    if (this.#forbidden.has(name)) return false
    return this.#allowed.has(name) || (excuse !== undefined && EXCUSED[excuse].includes(name))
  }
}
