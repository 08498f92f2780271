// What a chaos run comes to: its summary in words, as JSON, and as an exit code.
import type { CheckedHistory } from '../history/check-history.ts'
import type { CheckName } from '../history/finding.ts'
import { FAULT_NAMES, type FaultName } from './chaos-schedule.ts'
import type { ChaosStatistics } from './chaos-statistics.ts'
import { count, plural, seconds } from './output.ts'
import { EXIT } from './terminal.ts'

/**
 * What may happen: a producer that is not idempotent sends a batch again whose acknowledgement was lost, so its records
 * can stand in the log twice. That goes when there is an idempotent producer.
 */
export const ALLOWED_CHECKS: readonly CheckName[] = ['duplicate']

const FINDINGS_SHOWN_MAX = 20

export interface ChaosReport {
  readonly seed: number
  /** It was ended before its time; then nothing was checked. */
  readonly isInterrupted: boolean
  readonly durationMs: number
  readonly statistics: Pick<
    ChaosStatistics,
    'operations' | 'acknowledged' | 'indefinite' | 'failed' | 'read' | 'worstGapMs'
  >
  /** How many faults of each kind were injected. */
  readonly faults: Readonly<Partial<Record<FaultName, number>>>
  /** What the history says; null where it was not checked. */
  readonly check: CheckedHistory | null
  /** What is wrong besides: nodes that crashed, replicas that differ, partitions that got stuck. */
  readonly problems: readonly string[]
  readonly historyFile: string
  readonly dataDir: string
}

/** Clean: the history has no finding that counts, and nothing else is wrong. */
export function isClean({ isInterrupted, check, problems }: ChaosReport): boolean {
  return !isInterrupted && check !== null && check.valid && problems.length === 0
}

export function exitCodeOf(report: ChaosReport): number {
  if (report.isInterrupted) return EXIT.interrupted
  return isClean(report) ? EXIT.done : EXIT.failed
}

/** The same for programs. */
export function reportAsJson(report: ChaosReport): unknown {
  const { seed, isInterrupted, durationMs, statistics, faults, check, problems, historyFile, dataDir } =
    report
  const { operations, acknowledged, indefinite, failed, read, worstGapMs } = statistics
  return {
    clean: isClean(report),
    interrupted: isInterrupted,
    seed,
    durationMs,
    operations,
    acknowledged,
    indefinite,
    failed,
    read,
    duplicates: duplicatesOf(report),
    worstGapMs: Math.round(worstGapMs),
    faults,
    findings: check?.findings.filter(({ isAllowed }) => !isAllowed) ?? [],
    problems,
    historyFile,
    dataDir,
  }
}

/** The same for people. */
export function reportAsText(report: ChaosReport): string {
  const { statistics, faults, check, problems, historyFile } = report
  const injected = FAULT_NAMES.flatMap((name) =>
    faults[name] === undefined ? [] : [`${name} ${faults[name]}`],
  )
  const findings = check?.findings.filter(({ isAllowed }) => !isAllowed) ?? []
  const lines = [
    '',
    `operations         ${count(statistics.operations)}`,
    `acknowledged       ${count(statistics.acknowledged)} records`,
    `indefinite         ${count(statistics.indefinite)} (no answer: they may have been appended)`,
    `failed             ${count(statistics.failed)} (surely not appended)`,
    `read               ${count(statistics.read)} records, those that were read more than once included`,
    `duplicates         ${count(duplicatesOf(report))} (tolerated: there is no idempotent producer yet)`,
    `worst gap          ${seconds(statistics.worstGapMs)} without an acknowledgement`,
    `faults             ${injected.length === 0 ? 'none' : injected.join(', ')}`,
    `findings           ${check === null ? 'not checked' : findings.length === 0 ? 'none' : ''}`,
    ...findings
      .slice(0, FINDINGS_SHOWN_MAX)
      .map(
        ({ check: id, name, message, events }) => `  ${id} ${name}: ${message} (events ${events.join(', ')})`,
      ),
    ...(findings.length > FINDINGS_SHOWN_MAX ? [`  and ${findings.length - FINDINGS_SHOWN_MAX} more`] : []),
    ...(problems.length === 0 ? [] : [`other problems     ${plural(problems.length, 'problem')}`]),
    ...problems.map((problem) => `  ${problem.replaceAll('\n', '\n    ')}`),
    `history            ${historyFile}`,
    `verdict            ${verdictOf(report)}`,
    '',
  ]
  return lines.map((line) => `${line.trimEnd()}\n`).join('')
}

function verdictOf(report: ChaosReport): string {
  if (report.isInterrupted) return 'none: interrupted'
  return isClean(report) ? 'clean' : 'NOT CLEAN'
}

function duplicatesOf({ check }: ChaosReport): number {
  const found = check?.counts.get('duplicate')
  return (found?.allowed ?? 0) + (found?.errors ?? 0)
}
