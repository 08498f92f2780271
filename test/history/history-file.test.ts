import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import type { HistoryEvent } from '../../src/history/history.ts'
import {
  formatHistory,
  HISTORY_HEADER,
  HistoryParser,
  historyLine,
  parseHistory,
} from '../../src/history/history-file.ts'
import { MemoryLog } from './memory-log.ts'
import { Script } from './script.ts'

function randomEvents(seed: number): readonly HistoryEvent[] {
  const log = new MemoryLog(seededRandom(seed))
  log.work(60)
  log.finalPhase()
  return log.recorder.events
}

const INVOKE = '{"index":0,"timeMs":0,"process":0,"type":"invoke","operation":'
const SENDING = `${INVOKE}{"f":"send","steps":[["send","x","a"]]}}`
const SENT =
  '{"index":1,"timeMs":1,"process":0,"type":"ok","operation":{"f":"send","steps":[["send","x","a",0]]}}'

function file(...lines: readonly string[]): string {
  return HISTORY_HEADER + lines.map((line) => `${line}\n`).join('')
}

describe('history files', () => {
  it('the text of a small history -> a header and a line for each event', () => {
    const script = new Script().send('ok', [['x', 'a', 0]], 3)
    expect(formatHistory(script.events)).toBe(
      '{"format":"vltava-history","version":1}\n' +
        '{"index":0,"timeMs":0,"process":3,"type":"invoke","operation":{"f":"send","steps":[["send","x","a"]]}}\n' +
        '{"index":1,"timeMs":1,"process":3,"type":"ok","operation":{"f":"send","steps":[["send","x","a",0]]}}\n',
    )
  })

  it('any history, cut into pieces anywhere -> the same events come back', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 200 }), (seed, pieceCharacters) => {
        const events = randomEvents(seed)
        const text = formatHistory(events)
        const parser = new HistoryParser()
        for (let at = 0; at < text.length; at += pieceCharacters)
          parser.push(text.slice(at, at + pieceCharacters))
        expect(parser.finish()).toEqual({ events, tornLine: null })
      }),
      { numRuns: 20 },
    )
  })

  it('every kind of operation and outcome -> comes back', () => {
    const script = new Script()
      .subscribe(0, ['x', 'y'])
      .poll('info', {}, 0, ['x'])
      .txn(
        'fail',
        [
          ['send', 'x', 1],
          ['poll', { y: [[4, 'ž "']] }],
        ],
        1,
      )
      .assign(1, [], true)
      .finalPhase()
    script.run(1, 'info', { f: 'crash' })
    script.invoke(2, { f: 'poll', steps: [['poll']] })
    expect(parseHistory(formatHistory(script.events)).events).toEqual(script.events)
  })

  it('a key that is a name of the language -> stays a key', () => {
    const poll = '{"f":"poll","steps":[["poll"]]}'
    const polled =
      '{"index":1,"timeMs":0,"process":0,"type":"ok","operation":{"f":"poll","steps":[["poll",{"__proto__":[[0,"a"]]}]]}}'
    const { operation } = parseHistory(file(`${INVOKE}${poll}}`, polled)).events[1]!
    expect('steps' in operation && Object.keys(operation.steps[0]![1]!)).toEqual(['__proto__'])
  })

  it('Windows line ends, and a last line without an end -> are read', () => {
    const text = file(SENDING, SENT)
    expect(parseHistory(text.replaceAll('\n', '\r\n')).events).toHaveLength(2)
    expect(parseHistory(text.trimEnd())).toMatchObject({ events: [{}, {}], tornLine: null })
  })

  it('a last line that was cut off anywhere -> torn: refused, or left out and reported', () => {
    const text = file(SENDING)
    for (let cut = 1; cut < SENT.length; cut++) {
      const torn = text + SENT.slice(0, cut)
      expect(() => parseHistory(torn)).toThrow(
        'The history cannot be read: line 3 is torn: the recorder was cut off while writing; remove it or pass --allow-torn-tail.',
      )
      expect(parseHistory(torn, { allowTornTail: true })).toMatchObject({
        events: [{ index: 0 }],
        tornLine: 3,
      })
    }
  })

  it('a broken line that has an end -> not torn: refused in any case', () => {
    const text = file(SENDING, SENT.slice(0, 30))
    expect(() => parseHistory(text, { allowTornTail: true })).toThrow(/line 3 is not JSON: ".*index.*"/)
  })

  it.each([
    ['', 'it is empty; a history begins with the line {"format":"vltava-history","version":1}'],
    ['{"form', 'line 1 is torn'],
    [`${SENDING}\n`, 'line 1 must be the header {"format":"vltava-history","version":1}, got {"index":0'],
    ['null\n', 'line 1 must be the header'],
    [
      '{"format":"vltava-history","version":2}\n',
      'line 1 has version 2; this program reads version 1. Use the one',
    ],
    ['{"format":"vltava-history"}\n', 'line 1 has version nothing; this program reads version 1'],
  ])('the header %j -> %s', (text, message) => {
    expect(() => parseHistory(text, { allowTornTail: true })).toThrow(message)
  })

  it.each([
    ['a line that is empty', '', 'line 2 is not JSON: ""'],
    ['no object', '[]', 'line 2: the event must be an object, got []'],
    [
      'a field too many',
      SENDING.replace('"timeMs"', '"time"'),
      'must have no fields but index, timeMs, process, type, operation, error, got "time"',
    ],
    [
      'no time',
      SENDING.replace('"timeMs":0,', ''),
      'timeMs must be a number of milliseconds from 0, got nothing',
    ],
    [
      'a process that is text',
      SENDING.replace('"process":0', '"process":"p"'),
      'process must be an integer from 0 to 2^53-1, got "p"',
    ],
    [
      'an unknown type',
      SENDING.replace('"invoke"', '"begin"'),
      'type must be one of "invoke", "ok", "fail", "info", got "begin"',
    ],
    [
      'an unknown operation',
      SENDING.replace('"send"', '"write"'),
      'operation.f must be one of "send", "poll", "txn", "assign", "subscribe", "crash", "final-phase", got "write"',
    ],
    [
      'a field of another operation',
      SENDING.replace('"steps"', '"keys"'),
      'operation must have no fields but f, steps, rebalanced, got "keys"',
    ],
    [
      'steps that are no list',
      SENDING.replace('[["send","x","a"]]', '{}'),
      'operation.steps must be a list, got {}',
    ],
    [
      'a poll in a send',
      SENDING.replace('["send","x","a"]', '["poll"]'),
      'operation.steps[0][0] must be "send", got "poll"',
    ],
    [
      'a send without a value',
      SENDING.replace('"x","a"', '"x"'),
      'operation.steps[0] must be ["send", key, value] or have an offset behind',
    ],
    [
      'an empty key',
      SENDING.replace('"x"', '""'),
      'operation.steps[0][1] must be a key: text such as "orders/0", got ""',
    ],
    [
      'a value that is a list',
      SENDING.replace('"a"', '[1]'),
      'operation.steps[0][2] must be a value: text or a number, got [1]',
    ],
    [
      'an offset too early',
      SENDING.replace('"a"', '"a",0'),
      'operation.steps[0][3] must be absent: an offset is known only afterwards, got 0',
    ],
    [
      'records too early',
      `${INVOKE}{"f":"poll","steps":[["poll",{}]]}}`,
      'operation.steps[0][1] must be absent',
    ],
    ['keys that are numbers', `${INVOKE}{"f":"assign","keys":[1]}}`, 'operation.keys[0] must be a key'],
    [
      'a flag that is a number',
      `${INVOKE}{"f":"assign","keys":[],"seekToBeginning":1}}`,
      'operation.seekToBeginning must be true or false, got 1',
    ],
    [
      'an error of nothing',
      SENDING.replace('"type"', '"error":"CLOSED","type"'),
      'error must be absent where nothing failed, got "CLOSED"',
    ],
    [
      'a completion without an invocation',
      SENT.replace('"index":1', '"index":0'),
      'line 2: process 0 completes send as ok, but it has invoked nothing',
    ],
    [
      'an index that is too high',
      SENDING.replace('"index":0', '"index":7'),
      'line 2: its index must be 0, got 7: events are missing',
    ],
  ])('an event with %s -> refused', (_, line, message) => {
    expect(() => parseHistory(file(line))).toThrow(message)
  })

  it.each([
    [
      'a second invocation',
      SENDING.replace('"index":0', '"index":1'),
      'process 0 invokes send, but its send (event 0) has not completed',
    ],
    [
      'time that goes back',
      SENT.replace('"timeMs":1', '"timeMs":-1'),
      'timeMs must be a number of milliseconds from 0, got -1',
    ],
    [
      'another value',
      SENT.replace('"a"', '"b"'),
      'process 0 completes another operation than it invoked (event 0): step 1 differs',
    ],
    [
      'an offset that is text',
      SENT.replace('"a",0', '"a","0"'),
      'operation.steps[0][3] must be an integer from 0 to 2^53-1, got "0"',
    ],
  ])('behind a send, %s -> refused with its line', (_, line, message) => {
    expect(() => parseHistory(file(SENDING, line))).toThrow(`The history cannot be read: line 3: ${message}.`)
  })

  it.each([
    [
      'says nothing',
      '[["poll"]]',
      'operation.steps[0] must say what it returned, an empty object for nothing',
    ],
    [
      'has a record without a value',
      '[["poll",{"x":[[0]]}]]',
      'operation.steps[0][1]["x"][0] must be [offset, value], got [0]',
    ],
    [
      'has a negative offset',
      '[["poll",{"x":[[-1,"a"]]}]]',
      'operation.steps[0][1]["x"][0][0] must be an integer from 0',
    ],
    [
      'has too many parts',
      '[["poll",{},1]]',
      'operation.steps[0] must be ["poll"] or ["poll", {key: [[offset, value], ...]}]',
    ],
  ])('a poll that %s -> refused', (_, steps, message) => {
    const polling = `${INVOKE}{"f":"poll","steps":[["poll"]]}}`
    const polled = `{"index":1,"timeMs":0,"process":0,"type":"ok","operation":{"f":"poll","steps":${steps}}}`
    expect(() => parseHistory(file(polling, polled))).toThrow(message)
  })

  it('an offset of null -> the same as none', () => {
    const sent = SENT.replace('"a",0', '"a",null')
    expect(parseHistory(file(SENDING, sent)).events[1]!.operation).toEqual({
      f: 'send',
      steps: [['send', 'x', 'a']],
    })
  })

  it('a line without an end -> refused before it fills the memory', () => {
    const parser = new HistoryParser()
    parser.push(HISTORY_HEADER)
    const piece = 'x'.repeat(16 * 1024 * 1024)
    for (let i = 0; i < 4; i++) parser.push(piece)
    expect(() => parser.push('x')).toThrow('line 2 is longer than 67108864 characters')
  })

  it('a line that was written alone -> ends with a line end', () => {
    const [event] = new Script().send('ok', [['x', 'a', 0]]).events
    expect(historyLine(event!)).toMatch(/^\{.*\}\n$/)
  })
})
