// SIM-27: a checker that has never failed is no checker. Each of these logs does one thing wrong, in the middle of correct
// work, and the checker says that and nothing else.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { type CheckOptions, checkHistory } from '../../src/history/check-history.ts'
import type { CheckName } from '../../src/history/finding.ts'
import type { SeenRecord, SendStep } from '../../src/history/history.ts'
import { KEYS, MemoryLog } from './memory-log.ts'

const KEY = KEYS[0]!

interface BrokenLog {
  /** What is found, no more and no less. */
  readonly finds: readonly CheckName[]
  readonly options?: CheckOptions
  readonly isWithoutFinalPhase?: true
  /** Before the random work. */
  readonly before?: (log: MemoryLog) => void
  readonly after?: (log: MemoryLog) => void
}

/** Three records more, and a process that has read up to before them. */
function three(
  log: MemoryLog,
): readonly [process: number, first: SeenRecord, second: SeenRecord, third: SeenRecord] {
  const process = log.reader(KEY)
  const read = log.logs.get(KEY)!.slice(-1)
  if (read.length > 0) log.poll(process, { [KEY]: read })
  return [process, log.send(KEY), log.send(KEY), log.send(KEY)]
}

const BROKEN_LOGS: Readonly<Record<string, BrokenLog>> = {
  'acknowledges a record and does not write it': {
    finds: ['lost-write'],
    before: (log) => {
      const [value, offset] = [log.nextValue(), log.nextOffset(KEY)]
      log.run(log.recorder.newProcess(), { f: 'send', steps: [['send', KEY, value, offset]] })
      log.send(KEY)
    },
  },
  'acknowledges before it writes, loses the record and gives its offset to the next one': {
    finds: ['inconsistent-offsets', 'lost-write'],
    after: (log) => {
      const [offset] = log.send(KEY)
      const other = log.nextValue()
      log.logs.get(KEY)!.splice(-1, 1, [offset, other])
      log.run(log.recorder.newProcess(), { f: 'send', steps: [['send', KEY, other, offset]] })
    },
  },
  'loses the end of the log': {
    finds: ['unseen'],
    after: (log) => {
      log.send(KEY)
      log.logs.get(KEY)!.pop()
    },
  },
  'loses the end of the log after it was read': {
    finds: ['unseen'],
    after: (log) => {
      const record = log.send(KEY)
      log.poll(log.recorder.newProcess(), { [KEY]: [record] })
      log.logs.get(KEY)!.pop()
    },
  },
  'shows one half of a transaction only': {
    finds: ['lost-write'],
    before: (log) => {
      const [offset, value, other] = [log.nextOffset(KEY), log.nextValue(), log.nextValue()]
      const process = log.recorder.newProcess()
      const steps: SendStep[] = [
        ['send', KEY, value, offset],
        ['send', KEYS[1]!, other, log.append(KEYS[1]!, other)],
      ]
      log.run(process, { f: 'txn', steps }, 'info')
      log.send(KEY)
    },
  },
  'writes a record twice': {
    finds: ['duplicate'],
    after: (log) => {
      const [, value] = log.send(KEY)
      log.append(KEY, String(value))
    },
  },
  'gives an offset to a second record after the first was read': {
    finds: ['inconsistent-offsets'],
    // Everything is read from the beginning once more there, and the first record would be missing.
    isWithoutFinalPhase: true,
    before: (log) => {
      const [offset, value] = log.send(KEY)
      log.poll(log.recorder.newProcess(), { [KEY]: [[offset, value]] })
      const other = log.nextValue()
      log.logs.set(KEY, [[offset, other]])
      log.run(log.recorder.newProcess(), { f: 'send', steps: [['send', KEY, other, offset]] })
      log.poll(log.recorder.newProcess(), { [KEY]: [[offset, other]] })
    },
  },
  'returns a write that it has refused': {
    finds: ['G1a'],
    after: (log) => {
      const value = log.nextValue()
      log.append(KEY, value)
      log.run(log.recorder.newProcess(), { f: 'send', steps: [['send', KEY, value]] }, 'fail')
    },
  },
  'returns bytes that nobody has sent': {
    finds: ['phantom'],
    after: (log) => {
      log.append(KEY, 'garbage')
    },
  },
  'leaves a record out of a poll': {
    finds: ['int-poll-skip'],
    after: (log) => {
      const [process, first, , third] = three(log)
      log.poll(process, { [KEY]: [first, third] })
    },
  },
  'leaves a record out between two polls': {
    finds: ['poll-skip'],
    after: (log) => {
      const [process, first, , third] = three(log)
      log.poll(process, { [KEY]: [first] })
      log.poll(process, { [KEY]: [third] })
    },
  },
  'leaves every third record out': {
    finds: ['int-poll-skip', 'poll-skip'],
    after: (log) => {
      const process = log.reader(KEY)
      const records = Array.from({ length: 9 }, () => log.send(KEY)).filter((_, i) => i % 3 !== 1)
      for (let at = 0; at < records.length; at += 3) log.poll(process, { [KEY]: records.slice(at, at + 3) })
    },
  },
  'returns a record twice in a poll': {
    finds: ['int-nonmonotonic-poll'],
    after: (log) => {
      const [process, first, second] = three(log)
      log.poll(process, { [KEY]: [first, first, second] })
    },
  },
  'returns the records of a poll in the wrong order': {
    finds: ['int-nonmonotonic-poll'],
    after: (log) => {
      const process = log.reader(KEY)
      const records = [log.send(KEY), log.send(KEY)]
      log.poll(process, { [KEY]: records.toReversed() })
    },
  },
  'returns the last record of a poll again in the next one': {
    finds: ['nonmonotonic-poll'],
    after: (log) => {
      const [process, first, second] = three(log)
      log.poll(process, { [KEY]: [first] })
      log.poll(process, { [KEY]: [first, second] })
    },
  },
  'turns the sends of a process round': {
    finds: ['nonmonotonic-send'],
    after: (log) => {
      const process = log.recorder.newProcess()
      const [first, second] = [log.nextOffset(KEY), log.nextOffset(KEY)]
      for (const offset of [second, first]) {
        const value = log.nextValue()
        log.logs.get(KEY)!.push([offset, value])
        log.run(process, { f: 'send', steps: [['send', KEY, value, offset]] })
      }
      log.logs.get(KEY)!.sort(([a], [b]) => a - b)
    },
  },
  'turns the values of one send round': {
    finds: ['int-nonmonotonic-send'],
    after: (log) => {
      const values = [log.nextValue(), log.nextValue()] as const
      const [first, second] = [log.append(KEY, values[0]), log.append(KEY, values[1])]
      log.logs.get(KEY)!.splice(-2, 2, [first, values[1]], [second, values[0]])
      const steps: SendStep[] = [
        ['send', KEY, values[0], second],
        ['send', KEY, values[1], first],
      ]
      log.run(log.recorder.newProcess(), { f: 'send', steps })
    },
  },
  'shows a transaction its own records before the commit': {
    finds: ['precommitted-read'],
    after: (log) => {
      const value = log.nextValue()
      const offset = log.append(KEY, value)
      const steps = [
        ['send', KEY, value, offset],
        ['poll', { [KEY]: [[offset, value]] }],
      ] as const
      log.run(log.recorder.newProcess(), { f: 'txn', steps })
    },
  },
  'returns a record before it is sent': {
    finds: ['G1c-realtime'],
    after: (log) => {
      const value = log.nextValue()
      const offset = log.append(KEY, value)
      log.poll(log.recorder.newProcess(), { [KEY]: [[offset, value]] })
      log.run(log.recorder.newProcess(), { f: 'send', steps: [['send', KEY, value, offset]] })
    },
  },
  'lets information flow in a circle between two transactions': {
    finds: ['G1c'],
    after: (log) => {
      const values = [log.nextValue(), log.nextValue()] as const
      const records = values.map((value): SeenRecord => [log.append(KEY, value), value])
      const invocations = values.map((value) =>
        log.invoke(log.recorder.newProcess(), { f: 'txn', steps: [['send', KEY, value], ['poll']] }),
      )
      for (const [i, invocation] of invocations.entries()) {
        const steps = [
          ['send', KEY, values[i]!, records[i]![0]],
          ['poll', { [KEY]: [records[1 - i]!] }],
        ] as const
        log.complete(invocation, { f: 'txn', steps }, 'ok')
      }
    },
  },
  'writes two sends in an order that time forbids': {
    finds: ['G0-realtime'],
    options: { wwEdges: true, forbidden: ['G0-realtime'] },
    after: (log) => {
      const [first, second] = [log.nextOffset(KEY), log.nextOffset(KEY)]
      for (const offset of [second, first]) {
        const value = log.nextValue()
        log.logs.get(KEY)!.push([offset, value])
        log.run(log.recorder.newProcess(), { f: 'send', steps: [['send', KEY, value, offset]] })
      }
      log.logs.get(KEY)!.sort(([a], [b]) => a - b)
    },
  },
  'gives a committed record to a subscribed process again': {
    finds: ['consume-count'],
    after: (log) => {
      const process = log.recorder.newProcess()
      const record = log.send(KEY)
      log.run(process, { f: 'subscribe', keys: [KEY] })
      for (let i = 0; i < 2; i++) log.run(process, { f: 'txn', steps: [['poll', { [KEY]: [record] }]] })
    },
  },
  'does not return the new records for a long time': {
    finds: ['realtime-lag'],
    options: { finalLagMaxMs: 400 },
    after: (log) => {
      log.send(KEY)
      log.finalPhase()
      const process = log.reader(KEY)
      for (let i = 0; i < 400; i++) log.poll(process, {})
    },
  },
}

function historyOf(seed: number, broken: BrokenLog): MemoryLog {
  const log = new MemoryLog(seededRandom(seed))
  broken.before?.(log)
  log.work(150)
  broken.after?.(log)
  if (broken.isWithoutFinalPhase !== true) log.finalPhase()
  return log
}

function errorsOf(log: MemoryLog, options: CheckOptions = {}): readonly CheckName[] {
  const { findings } = checkHistory(log.recorder.events, options)
  return [...new Set(findings.filter(({ isAllowed }) => !isAllowed).map(({ name }) => name))].sort()
}

describe('checkHistory', () => {
  it('SIM-27: any history of a correct log -> no error, and nothing but sends that interleave is told at all', () => {
    const broken: BrokenLog = { finds: [] }
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const { events } = historyOf(seed, broken).recorder
        const { valid, counts, statistics } = checkHistory(events, { wwEdges: true, finalLagMaxMs: 1_000 })
        expect([valid, [...counts.keys()]]).toEqual([true, []])
        expect(statistics.unread).toBe(0)
      }),
      { numRuns: 150 },
    )
  })

  it('SIM-27: the histories of the correct log -> hold all outcomes, polls that failed, crashes and records read', () => {
    const kinds = new Set<string>()
    for (let seed = 0; seed < 20; seed++) {
      for (const { type, operation } of historyOf(seed, { finds: [] }).recorder.events) {
        kinds.add(`${operation.f} ${type}`)
      }
    }
    for (const kind of [
      'send ok',
      'send fail',
      'send info',
      'poll ok',
      'poll fail',
      'assign ok',
      'crash info',
    ]) {
      expect(kinds).toContain(kind)
    }
  })

  for (const [what, broken] of Object.entries(BROKEN_LOGS)) {
    it(`SIM-27: a log that ${what} -> ${broken.finds.join(', ')}`, () => {
      fc.assert(
        fc.property(fc.integer(), (seed) => {
          expect(errorsOf(historyOf(seed, broken), broken.options)).toEqual(broken.finds.toSorted())
        }),
        { numRuns: 25 },
      )
    })
  }
})
