import { describe, expect, it } from 'vitest'
import type { HistoryEvent } from '../../src/history/history.ts'
import { historyKey, parseHistoryKey } from '../../src/history/history-key.ts'
import { LargestOffsets } from '../../src/history/history-offsets.ts'
import { HistoryRecorder } from '../../src/history/history-recorder.ts'
import { Script } from './script.ts'

const SEND = { f: 'send', steps: [['send', 't/0', 'a']] } as const
const POLL = { f: 'poll', steps: [['poll']] } as const

describe('HistoryRecorder', () => {
  it('an operation -> its two events, counted from 0, and each is told as it happens', () => {
    const told: HistoryEvent[] = []
    const recorder = new HistoryRecorder({ onEvent: (event) => told.push(event) })
    const invocation = recorder.invoke({ process: 3, timeMs: 5, operation: SEND })
    expect([...recorder.open.keys()]).toEqual([3])
    recorder.complete(invocation, { type: 'fail', timeMs: 7, error: 'NOT_ENOUGH_REPLICAS' })
    expect(recorder.events).toEqual([
      { index: 0, timeMs: 5, process: 3, type: 'invoke', operation: SEND },
      { index: 1, timeMs: 7, process: 3, type: 'fail', operation: SEND, error: 'NOT_ENOUGH_REPLICAS' },
    ])
    expect(told).toEqual(recorder.events)
    expect(recorder.open.size).toBe(0)
  })

  it('newProcess -> a number that neither it nor anybody else used', () => {
    const recorder = new HistoryRecorder()
    expect([recorder.newProcess(), recorder.newProcess()]).toEqual([0, 1])
    recorder.invoke({ process: 7, timeMs: 0, operation: SEND })
    expect(recorder.newProcess()).toBe(8)
  })

  it('a process with an operation open -> refused', () => {
    const recorder = new HistoryRecorder()
    recorder.invoke({ process: 0, timeMs: 0, operation: SEND })
    expect(() => recorder.invoke({ process: 0, timeMs: 1, operation: POLL })).toThrow(
      'process 0 invokes poll, but its send (event 0) has not completed',
    )
  })

  it('a second completion -> refused', () => {
    const recorder = new HistoryRecorder()
    const invocation = recorder.invoke({ process: 0, timeMs: 0, operation: SEND })
    recorder.complete(invocation, { type: 'ok', timeMs: 1 })
    expect(() => recorder.complete(invocation, { type: 'ok', timeMs: 2 })).toThrow(
      'event 0 has completed already',
    )
  })

  it('a process after an operation that ended as info -> refused: it is over', () => {
    const recorder = new HistoryRecorder()
    const invocation = recorder.invoke({ process: 0, timeMs: 0, operation: SEND })
    recorder.complete(invocation, { type: 'info', timeMs: 1 })
    expect(() => recorder.invoke({ process: 0, timeMs: 2, operation: SEND })).toThrow('process 0 is over')
  })

  it('time that goes back -> refused', () => {
    const recorder = new HistoryRecorder()
    const invocation = recorder.invoke({ process: 0, timeMs: 5, operation: SEND })
    expect(() => recorder.complete(invocation, { type: 'ok', timeMs: 4 })).toThrow('time never goes back')
  })

  it.each([
    ['another kind', POLL, 'send became poll'],
    ['another value', { f: 'send', steps: [['send', 't/0', 'b']] }, 'step 1 differs'],
    ['another key', { f: 'send', steps: [['send', 't/1', 'a']] }, 'step 1 differs'],
    ['fewer steps', { f: 'send', steps: [] }, '1 steps became 0'],
  ] as const)('a completion with %s than was invoked -> refused', (_, operation, message) => {
    const recorder = new HistoryRecorder()
    const invocation = recorder.invoke({ process: 0, timeMs: 0, operation: SEND })
    expect(() => recorder.complete(invocation, { type: 'ok', timeMs: 1, operation })).toThrow(message)
  })

  it('an assignment that completes with other keys, or from elsewhere -> refused', () => {
    for (const operation of [
      { f: 'assign', keys: ['t/1'] },
      { f: 'assign', keys: ['t/0'], seekToBeginning: true },
    ] as const) {
      const recorder = new HistoryRecorder()
      const invocation = recorder.invoke({ process: 0, timeMs: 0, operation: { f: 'assign', keys: ['t/0'] } })
      expect(() => recorder.complete(invocation, { type: 'ok', timeMs: 1, operation })).toThrow(
        'the keys differ',
      )
    }
  })
})

describe('history keys', () => {
  it('topic and partition -> one text, and back', () => {
    expect(historyKey('a.b-c', 12)).toBe('a.b-c/12')
    expect(parseHistoryKey('a.b-c/12')).toEqual({ topic: 'a.b-c', partition: 12 })
  })

  it.each(['orders', '/0', 'orders/', 'orders/x', 'orders/-1'])('%j -> refused', (key) => {
    expect(() => parseHistoryKey(key)).toThrow('must be topic/partition')
  })
})

describe('LargestOffsets', () => {
  it('events in pieces -> the largest offset of each key, -1 where none is known', () => {
    const script = new Script().send('info', [['x', 'a']]).send('ok', [['y', 'b', 4]])
    const largest = new LargestOffsets()
    largest.update(script.events)
    expect(Object.fromEntries(largest.byKey)).toEqual({ x: -1, y: 4 })
    script.poll('fail', {
      x: [
        [3, 'a'],
        [2, 'c'],
      ],
      z: [],
    })
    largest.update(script.events)
    expect(Object.fromEntries(largest.byKey)).toEqual({ x: 3, y: 4 })
  })
})
