import { describe, expect, it } from 'vitest'
import {
  ALLOWED_CHECKS,
  type ChaosReport,
  exitCodeOf,
  isClean,
  reportAsJson,
  reportAsText,
} from '../../src/cli/chaos-verdict.ts'
import { checkHistory } from '../../src/history/check-history.ts'
import type { HistoryOperation, SeenRecord } from '../../src/history/history.ts'
import { HistoryRecorder } from '../../src/history/history-recorder.ts'

/** Two records were sent and acknowledged; a reader read to the end what is given here. */
function checked(read: readonly SeenRecord[]): ChaosReport['check'] {
  const recorder = new HistoryRecorder()
  const step = (operation: HistoryOperation, outcome: HistoryOperation): void => {
    const invocation = recorder.invoke({ process: recorder.newProcess(), timeMs: 1, operation })
    recorder.complete(invocation, { type: 'ok', timeMs: 1, operation: outcome })
  }
  const send = (value: string, offset: number): void =>
    step(
      { f: 'send', steps: [['send', 't/0', value]] },
      { f: 'send', steps: [['send', 't/0', value, offset]] },
    )
  send('a', 0)
  send('b', 1)
  recorder.record({ process: recorder.newProcess(), timeMs: 1, operation: { f: 'final-phase' } })
  step({ f: 'poll', steps: [['poll']] }, { f: 'poll', steps: [['poll', { 't/0': read }]] })
  return checkHistory(recorder.events, { allowed: ALLOWED_CHECKS })
}

const CLEAN: ChaosReport = {
  seed: 7,
  isInterrupted: false,
  durationMs: 10_000,
  statistics: {
    operations: 1_234,
    acknowledged: 1_000,
    indefinite: 3,
    failed: 2,
    read: 2_000,
    worstGapMs: 1_500.4,
  },
  faults: { kill: 2, slow: 1 },
  check: checked([
    [0, 'a'],
    [1, 'b'],
  ]),
  problems: [],
  historyFile: '/there/history.jsonl',
  dataDir: '/there/data',
}

describe('the verdict of a chaos run', () => {
  it('nothing found -> clean, exit 0', () => {
    expect(isClean(CLEAN)).toBe(true)
    expect(exitCodeOf(CLEAN)).toBe(0)
    expect(reportAsText(CLEAN)).toMatch(/findings +none\n.*verdict +clean\n/s)
  })

  it('an acknowledged record that nobody read -> exit 1, and the finding is named', () => {
    const report = { ...CLEAN, check: checked([[1, 'b']]) }
    expect(isClean(report)).toBe(false)
    expect(exitCodeOf(report)).toBe(1)
    expect(reportAsText(report)).toMatch(/CHK-4 lost-write.*verdict +NOT CLEAN/s)
    expect(reportAsJson(report)).toMatchObject({
      clean: false,
      findings: [{ name: 'lost-write' }],
    })
  })

  it('a duplicate -> counted and tolerated, exit 0', () => {
    const report = {
      ...CLEAN,
      check: checked([
        [0, 'a'],
        [1, 'b'],
        [2, 'b'],
      ]),
    }
    expect(exitCodeOf(report)).toBe(0)
    expect(reportAsJson(report)).toMatchObject({ clean: true, duplicates: 1, findings: [] })
    expect(reportAsText(report)).toMatch(/duplicates +1 \(tolerated/)
  })

  it('a clean history but a node that crashed -> exit 1, and the problem is told', () => {
    const report = { ...CLEAN, problems: ['node 2 ended by itself'] }
    expect(exitCodeOf(report)).toBe(1)
    expect(reportAsText(report)).toContain('  node 2 ended by itself\n')
    expect(reportAsJson(report)).toMatchObject({ clean: false, problems: ['node 2 ended by itself'] })
  })

  it('interrupted -> exit 130, no verdict', () => {
    const report = { ...CLEAN, isInterrupted: true, check: null }
    expect(exitCodeOf(report)).toBe(130)
    expect(reportAsText(report)).toMatch(/findings +not checked\n.*verdict +none: interrupted/s)
    expect(reportAsJson(report)).toMatchObject({ clean: false, interrupted: true })
  })

  it('summary -> every number', () => {
    expect(reportAsText(CLEAN)).toContain(
      [
        'operations         1,234',
        'acknowledged       1,000 records',
        'indefinite         3 (no answer: they may have been appended)',
        'failed             2 (surely not appended)',
        'read               2,000 records, those that were read more than once included',
        'duplicates         0 (tolerated: there is no idempotent producer yet)',
        'worst gap          1.50 s without an acknowledgement',
        'faults             kill 2, slow 1',
      ].join('\n'),
    )
  })
})
