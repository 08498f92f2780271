// The checker: all checks over one history. It is the one judge of the simulator, of tests with real processes and of
// what users record. The checks are those of Jepsen's Kafka workload (jepsen-io/jepsen, tests/kafka.clj).
import { checkConsumeCounts } from './check-consume-counts.ts'
import { checkCycles } from './check-cycles.ts'
import { checkLag } from './check-lag.ts'
import { checkLostWrites, checkUnseen } from './check-losses.ts'
import { checkBetweenPolls, checkInsidePolls } from './check-poll-order.ts'
import { checkSendOrder } from './check-send-order.ts'
import { checkDuplicates, checkOffsets, checkPrecommittedReads, checkSources } from './check-values.ts'
import type { CheckName, Finding, Tell } from './finding.ts'
import { FindingList, type FindingRules, type NameCount } from './finding-list.ts'
import type { HistoryEvent, HistoryKey } from './history.ts'
import { type HistoryIndex, indexHistory } from './history-index.ts'
import { type RecordKeyOf, Superseded } from './superseded.ts'

export interface CheckOptions extends FindingRules {
  /**
   * Whether the search for cycles uses the order of writes by offset as well. Cycles that need it are no errors, unless
   * they are forbidden. Default false.
   */
  readonly wwEdges?: boolean
  /** By key, where its log starts in the end: records below may have been deleted. Default: none ever was. */
  readonly logStartOffsets?: ReadonlyMap<HistoryKey, number>
  /**
   * The keys of the records, where logs are compacted: one may be missing if a reader found a later one of its key. Default:
   * none is.
   */
  readonly recordKeyOf?: RecordKeyOf
  /** How late a poll of the final phase may be, in milliseconds. Default: that is not judged. */
  readonly finalLagMaxMs?: number
}

export interface HistoryStatistics {
  readonly events: number
  readonly operations: number
  readonly processes: number
  readonly keys: number
  /** Milliseconds from the first event to the last. */
  readonly durationMs: number
  /** Values that were sent: `acknowledged`, `failed` and `indefinite` together. */
  readonly sent: number
  readonly acknowledged: number
  /** Surely not written. */
  readonly failed: number
  /** Nobody knows but readers. */
  readonly indefinite: number
  /** Different values that successful polls returned. */
  readonly read: number
  /** Acknowledged values that nobody has read. */
  readonly unread: number
  /** Operations that never ended. */
  readonly open: number
  /** How long the latest poll was behind, at least (CHK-16). */
  readonly worstLagMs: number
}

export interface CheckedHistory {
  /** No finding is an error. */
  readonly valid: boolean
  /** Errors first. At most `findingsMax` of each name that are errors, and as many that are not. */
  readonly findings: readonly Finding[]
  /** How many there are of each name, also of those that were not kept. */
  readonly counts: ReadonlyMap<CheckName, NameCount>
  readonly statistics: HistoryStatistics
}

/**
 * Judges a history. It takes time and memory in proportion to the records in it, sorting aside.
 * @throws VltavaError INVALID_ARGUMENT when the events are no history: a process does two operations at once, time goes
 *   back, a value is sent twice to one key. The message names the event.
 */
export function checkHistory(events: readonly HistoryEvent[], options: CheckOptions = {}): CheckedHistory {
  const history = indexHistory(events)
  const list = new FindingList(options)
  const tell: Tell = (report, excuse) => list.add(report, excuse)
  checkOffsets(history, tell)
  checkSources(history, tell)
  const logStarts = options.logStartOffsets ?? new Map<HistoryKey, number>()
  const superseded = new Superseded(history, options.recordKeyOf ?? null, logStarts)
  const lost = checkLostWrites(history, { logStarts, superseded }, tell)
  checkDuplicates(history, tell)
  checkInsidePolls(history, superseded, tell)
  checkBetweenPolls(history, superseded, tell)
  checkSendOrder(history, { logStarts, superseded }, tell)
  checkPrecommittedReads(history, tell)
  const unread = checkUnseen(history, { lost, logStarts, superseded }, tell)
  checkCycles(history, options.wwEdges ?? false, tell)
  const worstLagMs = checkLag(history, options.finalLagMaxMs ?? null, tell)
  checkConsumeCounts(history, tell)
  return {
    valid: !list.hasErrors,
    findings: list.findings,
    counts: list.counts,
    statistics: { ...countsOf(history), unread, worstLagMs },
  }
}

function countsOf({
  events,
  operations,
  keys,
}: HistoryIndex): Omit<HistoryStatistics, 'unread' | 'worstLagMs'> {
  const values = { ok: 0, fail: 0, info: 0 }
  let open = 0
  for (const { type, writes, completed } of operations) {
    values[type] += writes.length
    if (completed === null) open++
  }
  let read = 0
  for (const { okReads } of keys.values()) read += okReads.size
  return {
    events: events.length,
    operations: operations.length,
    processes: new Set(operations.map(({ process }) => process)).size,
    keys: keys.size,
    durationMs: events.length === 0 ? 0 : events[events.length - 1]!.timeMs - events[0]!.timeMs,
    sent: values.ok + values.fail + values.info,
    acknowledged: values.ok,
    failed: values.fail,
    indefinite: values.info,
    read,
    open,
  }
}
