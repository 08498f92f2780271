// What the checks of a history find, and which of it counts as an error.
import type { HistoryKey, HistoryValue, SeenRecord } from './history.ts'

/** Every finding has a name, and belongs to a check of the acceptance catalogue. */
export const CHECKS = {
  'inconsistent-offsets': 'CHK-2',
  G1a: 'CHK-3',
  'lost-write': 'CHK-4',
  duplicate: 'CHK-5',
  'int-poll-skip': 'CHK-6',
  'int-nonmonotonic-poll': 'CHK-7',
  'poll-skip': 'CHK-8',
  'nonmonotonic-poll': 'CHK-9',
  'nonmonotonic-send': 'CHK-10',
  'int-nonmonotonic-send': 'CHK-11',
  'int-send-skip': 'CHK-11',
  'precommitted-read': 'CHK-12',
  unseen: 'CHK-13',
  phantom: 'CHK-14',
  G0: 'CHK-15',
  'G0-process': 'CHK-15',
  'G0-realtime': 'CHK-15',
  G1c: 'CHK-15',
  'G1c-process': 'CHK-15',
  'G1c-realtime': 'CHK-15',
  'realtime-lag': 'CHK-16',
  'consume-count': 'CHK-17',
  'ack-truth': 'CHK-19',
} as const satisfies Record<string, `CHK-${number}`>

export type CheckName = keyof typeof CHECKS
export type CycleName = Extract<CheckName, `G0${string}` | 'G1c' | `G1c-${string}`>

export const CHECK_NAMES = Object.keys(CHECKS) as readonly CheckName[]

/** Two records that one process saw or sent one after the other, by their places among the offsets that are in use. */
export interface Pair {
  readonly from: SeenRecord
  readonly to: SeenRecord
  /** How many places the second is behind the first; 1 is right. */
  readonly delta: number
}

export interface Gap extends Pair {
  /** What lies between, at most the first `EVIDENCE_MAX`. */
  readonly skipped: readonly SeenRecord[]
  readonly skippedCount: number
}

/** One operation has to come before another. */
export interface CycleEdge {
  /** `ww` it wrote the value before; `wr` it wrote what the other read; the others by their times. */
  readonly type: 'ww' | 'wr' | 'process' | 'realtime'
  /** The events that end the two operations, or begin them where they never ended. */
  readonly from: number
  readonly to: number
  /** Of `ww` (the later value) and `wr`. */
  readonly key?: HistoryKey
  readonly value?: HistoryValue
}

/** What proves a finding. Numbers that are called events are indices of events. */
export interface EvidenceOf {
  'inconsistent-offsets': {
    readonly offset: number
    /** At most the first `EVIDENCE_MAX`. */
    readonly values: readonly { readonly value: HistoryValue; readonly event: number }[]
    readonly count: number
  }
  G1a: { readonly offset: number; readonly value: HistoryValue; readonly sendEvent: number }
  'lost-write': {
    readonly value: HistoryValue
    readonly offset: number
    readonly sendEvent: number
    /** The furthest record that was read. */
    readonly readUpTo: SeenRecord
  }
  duplicate: {
    readonly value: HistoryValue
    /** At most the first `EVIDENCE_MAX`. */
    readonly offsets: readonly number[]
    readonly count: number
  }
  'int-poll-skip': Gap
  'int-nonmonotonic-poll': Pair
  'poll-skip': Gap
  'nonmonotonic-poll': Pair
  'nonmonotonic-send': Pair
  'int-nonmonotonic-send': Pair
  'int-send-skip': Gap
  'precommitted-read': { readonly offset: number; readonly value: HistoryValue }
  unseen: {
    /** At most the first `EVIDENCE_MAX`. */
    readonly values: readonly { readonly value: HistoryValue; readonly event: number }[]
    readonly count: number
  }
  phantom: { readonly offset: number; readonly value: HistoryValue }
  'realtime-lag': {
    readonly lagMs: number
    readonly maxMs: number
    /** The last offset that had been read; -1 for none. */
    readonly position: number
  }
  'consume-count': { readonly value: HistoryValue; readonly offset: number; readonly count: number }
  'ack-truth': {
    readonly offset: number
    /** What was acknowledged or read there. */
    readonly value: HistoryValue
    readonly promisedBy: 'acknowledged' | 'consumed'
    /** null: nothing is there. */
    readonly found: HistoryValue | null
  }
}

type EvidenceFor<Name extends CheckName> = Name extends keyof EvidenceOf
  ? EvidenceOf[Name]
  : { readonly edges: readonly CycleEdge[] }

/** How many values or records evidence lists; the rest is counted. */
export const EVIDENCE_MAX = 20

/** What a check says; whether that is an error is decided by whom it says it to. */
export type Report = {
  readonly [Name in CheckName]: {
    readonly name: Name
    /** null where it is about several keys. */
    readonly key: HistoryKey | null
    readonly process: number | null
    /** The events that show it, in their order. */
    readonly events: readonly number[]
    readonly evidence: EvidenceFor<Name>
    /** In plain words. */
    readonly message: string
  }
}[CheckName]

export type Finding<Name extends CheckName = CheckName> = Extract<Report, { readonly name: Name }> & {
  readonly check: (typeof CHECKS)[Name]
  /** It is no error here: what was asked for does not exclude it. */
  readonly isAllowed: boolean
}

/**
 * Why something may be no error where it was found. `rebalance`: the process shared its keys in a group, which moves its
 * position without its doing. `write-order`: it follows from the order of writes by offset, which is none of transactions.
 */
export type Excuse = 'rebalance' | 'write-order'

/** Tells of something a check found. */
export type Tell = (report: Report, excuse?: Excuse) => void

export function findingOf(report: Report, isAllowed: boolean): Finding {
  return { ...report, check: CHECKS[report.name], isAllowed }
}

/** A value as text for a message. */
export function show(value: HistoryValue): string {
  const text = JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

/** The parts of a list that is longer than what is shown of it. */
export function listed(shown: readonly (string | number)[], count: number): string {
  const more = count > shown.length ? ` and ${count - shown.length} more` : ''
  return `${shown.join(', ')}${more}`
}
