import { describe, expect, it } from 'vitest'
import { checkHistory } from '../../src/history/check-history.ts'
import type { SeenRecord } from '../../src/history/history.ts'
import { HistoryRecorder } from '../../src/history/history-recorder.ts'

const OPERATIONS = 200_000

// With any work in proportion to the square of the operations, these would run for hours.
describe('checkHistory', () => {
  it('200,000 operations, each record of which is there twice and in the wrong order -> all is found, a part is kept', () => {
    const recorder = new HistoryRecorder()
    let timeMs = 0
    for (let i = 0; i < OPERATIONS / 2; i++) {
      recorder.record({
        process: i % 10,
        timeMs: timeMs++,
        operation: { f: 'send', steps: [['send', 'x', i, i]] },
      })
      const offset = OPERATIONS - i
      const poll = { f: 'poll', steps: [['poll', { x: [[offset, i]] }]] } as const
      recorder.record({ process: 10 + (i % 10), timeMs: timeMs++, operation: poll })
    }
    const { counts, findings, statistics } = checkHistory(recorder.events, { wwEdges: true })
    expect(statistics.operations).toBe(OPERATIONS)
    expect(counts.get('duplicate')?.errors).toBe(OPERATIONS / 2)
    expect(counts.get('nonmonotonic-poll')?.errors).toBe(OPERATIONS / 2 - 10)
    expect(findings.filter(({ name }) => name === 'duplicate')).toHaveLength(100)
  })

  it('100,000 sends acknowledged at offset 0, and one value that is everywhere -> findings that list a few of them', () => {
    const recorder = new HistoryRecorder()
    const count = OPERATIONS / 2
    for (let i = 0; i < count; i++) {
      recorder.record({ process: 0, timeMs: i, operation: { f: 'send', steps: [['send', 'x', i, 0]] } })
    }
    const records = Array.from({ length: count }, (_, offset): SeenRecord => [offset, 7])
    recorder.record({
      process: 1,
      timeMs: count,
      operation: { f: 'poll', steps: [['poll', { x: records }]] },
    })
    const { findings } = checkHistory(recorder.events)
    expect(findings.find(({ name }) => name === 'inconsistent-offsets')!.evidence).toMatchObject({
      offset: 0,
      count,
    })
    const duplicate = findings.find(({ name }) => name === 'duplicate')!
    expect(duplicate.evidence).toMatchObject({ value: 7, count })
    expect(duplicate.message.length).toBeLessThan(1_000)
  })
})
