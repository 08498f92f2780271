import { describe, expect, it } from 'vitest'
import { type AbortPosition, abortPositions } from '../../src/history/abort-positions.ts'
import { AckOracle } from '../../src/history/ack-oracle.ts'
import { type CheckOptions, checkHistory } from '../../src/history/check-history.ts'
import type { CheckName, Finding } from '../../src/history/finding.ts'
import type { SeenRecord } from '../../src/history/history.ts'
import { Script } from './script.ts'

function found(script: Script, options: CheckOptions = {}): readonly CheckName[] {
  return checkHistory(script.events, options).findings.map(({ name }) => name)
}

function first(script: Script, options: CheckOptions = {}): Finding {
  return checkHistory(script.events, options).findings[0]!
}

/** Acknowledged sends of v0, v1 ... at the offsets 0, 1 ... of x, each of its own process. */
function sent(count: number): Script {
  const script = new Script()
  for (let i = 0; i < count; i++) script.send('ok', [['x', `v${i}`, i]])
  return script
}

const record = (i: number): SeenRecord => [i, `v${i}`]

describe('checkHistory: single values', () => {
  it('CHK-1: offsets with gaps -> the records behind them follow each other', () => {
    const script = new Script()
      .send('ok', [['x', 'a', 0]])
      .send('ok', [['x', 'b', 100]])
      .poll('ok', {
        x: [
          [0, 'a'],
          [100, 'b'],
        ],
      })
    expect(checkHistory(script.events)).toMatchObject({ valid: true, findings: [] })
  })

  it('CHK-1: reads of any outcome, and unknown sends that were read -> they all show what stands where', () => {
    const script = sent(1)
      .poll('fail', { x: [[0, 'w']] })
      .send('info', [['x', 'w']])
    expect(found(script)).toEqual(['inconsistent-offsets'])
    const unread = sent(1).send('info', [['x', 'w', 0]])
    expect(found(unread)).toEqual([])
  })

  it('CHK-2: two readers see different values at one offset -> inconsistent-offsets with the events that show it', () => {
    const script = new Script()
      .send('info', [['x', 'a']])
      .send('info', [['x', 'b']])
      .poll('ok', { x: [[7, 'a']] })
      .poll('ok', { x: [[7, 'b']] })
    expect(first(script)).toMatchObject({ name: 'inconsistent-offsets', events: [5, 7] })
    expect(first(script).message).toBe(
      'x: offset 7 holds different values: "a" (event 5), "b" (event 7). An offset is given to one record only.',
    )
  })

  it('CHK-3: a failed send in a poll that failed itself -> nothing; many reads of it -> one finding', () => {
    const script = new Script().send('fail', [['x', 'a']]).poll('fail', { x: [[0, 'a']] })
    expect(found(script)).toEqual([])
    script.poll('ok', { x: [[0, 'a']] }).poll('ok', { x: [[0, 'a']] })
    expect(found(script)).toEqual(['G1a'])
  })

  it('CHK-4: the record behind the last one that was read -> not lost yet', () => {
    expect(found(sent(2).poll('ok', { x: [record(0)] }))).toEqual([])
  })

  it('CHK-4: the record was seen once more behind the last one that was read -> not lost yet', () => {
    const script = sent(2)
      .poll('ok', { x: [record(1)] })
      .poll('fail', { x: [[7, 'v0']] })
    expect(found(script)).toEqual(['duplicate'])
    expect(found(script.send('ok', [['x', 'v8', 8]]).poll('ok', { x: [[8, 'v8']] }))).toContain('lost-write')
  })

  it('CHK-5: a value twice in one poll at one offset -> no duplicate', () => {
    expect(found(sent(1).poll('ok', { x: [record(0), record(0)] }))).toEqual(['int-nonmonotonic-poll'])
  })

  it('CHK-12: a transaction reads its own send -> precommitted-read; that of another -> nothing', () => {
    const script = new Script().txn('ok', [
      ['send', 'x', 'a', 0],
      ['poll', { x: [[0, 'a']] }],
    ])
    expect(first(script)).toMatchObject({ check: 'CHK-12', name: 'precommitted-read', key: 'x' })
    const other = sent(1).txn('ok', [
      ['send', 'x', 'a', 1],
      ['poll', { x: [record(0)] }],
    ])
    expect(found(other)).toEqual([])
  })

  it('CHK-14: a value that nobody has sent -> phantom; one that is still being sent -> not', () => {
    const script = new Script().poll('ok', { x: [[0, 'z']] }, 4)
    expect(first(script)).toMatchObject({
      check: 'CHK-14',
      name: 'phantom',
      process: 4,
      evidence: { value: 'z' },
    })
    const pending = new Script()
    pending.invoke(0, { f: 'send', steps: [['send', 'x', 'z']] })
    expect(found(pending.poll('ok', { x: [[0, 'z']] }))).toEqual([])
  })

  it('CHK-14: a value that was sent to another key -> phantom', () => {
    expect(found(new Script().send('ok', [['x', 'a', 0]]).poll('ok', { y: [[0, 'a']] }))).toEqual(['phantom'])
  })

  it('numbers and texts that look alike -> different values', () => {
    expect(found(new Script().send('ok', [['x', 1, 0]]).poll('ok', { x: [[1, '1']] }))).toContain('phantom')
  })
})

describe('checkHistory: order of one process', () => {
  it('CHK-6, CHK-8: what was sent for sure and nobody has read -> skipped as well', () => {
    const script = sent(3).poll('ok', { x: [record(0), record(2)] }, 0)
    expect(found(script)).toEqual(['lost-write', 'int-poll-skip'])
  })

  it('CHK-8, CHK-9: jumps of a process that subscribed -> allowed, unless they are forbidden', () => {
    const script = sent(4).poll('ok', { x: [0, 1, 2, 3].map(record) })
    script.subscribe(0, ['x']).poll('ok', { x: [record(0)] }, 0)
    script.poll('ok', { x: [record(2)] }, 0).poll('ok', { x: [record(1)] }, 0)
    expect(checkHistory(script.events)).toMatchObject({
      valid: true,
      findings: [
        { name: 'poll-skip', isAllowed: true },
        { name: 'nonmonotonic-poll', isAllowed: true },
      ],
    })
    expect(checkHistory(script.events, { forbidden: ['poll-skip'] }).valid).toBe(false)
  })

  it('CHK-8: a crash of the client, and a process of its own -> each starts anew', () => {
    const script = sent(4).poll('ok', { x: [0, 1, 2, 3].map(record) })
    script.assign(0, ['x']).poll('ok', { x: [record(0)] }, 0)
    script.run(0, 'ok', { f: 'crash' }).poll('ok', { x: [record(2)] }, 0)
    script.poll('ok', { x: [record(3)] }, 1)
    expect(found(script)).toEqual([])
  })

  it('CHK-8: an assignment that failed -> changes nothing', () => {
    const script = sent(3).poll('ok', { x: [0, 1, 2].map(record) })
    script.assign(0, ['x']).poll('ok', { x: [record(0)] }, 0)
    script.run(0, 'fail', { f: 'assign', keys: [] }).poll('ok', { x: [record(2)] }, 0)
    expect(found(script)).toEqual(['poll-skip'])
  })

  it('CHK-10: a failed send that is in the log all the same -> is aborted, not turned round', () => {
    const script = new Script().send('ok', [['x', 'a', 5]], 0).send('fail', [['x', 'b']], 0)
    script.poll('ok', {
      x: [
        [4, 'b'],
        [5, 'a'],
      ],
    })
    expect(found(script)).toEqual(['G1a'])
  })

  it('CHK-10: a value that is there twice -> stands where it was acknowledged', () => {
    const script = new Script().send('ok', [['x', 'a', 5]], 0).send('ok', [['x', 'b', 4]], 0)
    script.poll('ok', {
      x: [
        [2, 'a'],
        [4, 'b'],
      ],
    })
    expect(found(script)).toEqual(['duplicate', 'nonmonotonic-send'])
  })

  it('CHK-10: an unknown offset, a failed send, another process -> nothing', () => {
    const script = new Script()
      .send('ok', [['x', 'a', 5]], 0)
      .send('ok', [['x', 'b']], 0)
      .send('ok', [['x', 'c', 1]], 0)
    expect(found(script)).toEqual([])
    const failed = new Script().send('ok', [['x', 'a', 5]], 0).send('fail', [['x', 'b', 1]], 0)
    expect(found(failed)).toEqual([])
    const others = new Script().send('ok', [['x', 'a', 5]], 0).send('ok', [['x', 'b', 1]], 1)
    expect(found(others)).toEqual([])
  })

  it('CHK-10: the offset is known by a read only -> nonmonotonic-send', () => {
    const script = new Script().send('ok', [['x', 'a', 5]], 0).send('info', [['x', 'b']], 0)
    expect(found(script)).toEqual([])
    script.poll('ok', {
      x: [
        [4, 'b'],
        [5, 'a'],
      ],
    })
    expect(found(script)).toEqual(['nonmonotonic-send'])
  })

  it('CHK-11: one operation -> turned round is an error, records of others in between are not', () => {
    const turned = new Script().send('ok', [
      ['x', 'a', 1],
      ['x', 'b', 0],
    ])
    expect(first(turned)).toMatchObject({ check: 'CHK-11', name: 'int-nonmonotonic-send', isAllowed: false })
    const between = new Script()
      .send('ok', [
        ['x', 'a', 0],
        ['x', 'c', 2],
      ])
      .send('ok', [['x', 'b', 1]])
    expect(checkHistory(between.events)).toMatchObject({
      valid: true,
      findings: [
        { check: 'CHK-11', name: 'int-send-skip', isAllowed: true, evidence: { skipped: [[1, 'b']] } },
      ],
    })
    expect(checkHistory(between.events, { forbidden: ['int-send-skip'] }).valid).toBe(false)
  })
})

describe('checkHistory: the final phase', () => {
  it('CHK-13: acknowledged and never read -> unseen, but only after the final phase has begun', () => {
    const script = sent(3).poll('ok', { x: [record(0)] })
    expect(checkHistory(script.events)).toMatchObject({ valid: true, statistics: { unread: 2 } })
    script.finalPhase().poll('ok', { x: [record(1)] })
    expect(first(script)).toMatchObject({
      check: 'CHK-13',
      name: 'unseen',
      key: 'x',
      evidence: { values: [{ value: 'v2', event: 5 }], count: 1 },
    })
  })

  it('CHK-13: failed and unknown sends -> need not be read', () => {
    const script = new Script().send('fail', [['x', 'a']]).send('info', [['x', 'b']])
    expect(found(script.finalPhase())).toEqual([])
  })

  it('CHK-13: read before, but not in the final phase from the beginning -> unseen: it has gone away', () => {
    const script = sent(2).poll('ok', { x: [record(0), record(1)] })
    expect(found(script.finalPhase())).toEqual([])
    script.assign(0, ['x'], true).poll('ok', { x: [record(0)] }, 0)
    expect(first(script)).toMatchObject({ name: 'unseen', evidence: { values: [{ value: 'v1' }] } })
    expect(found(script.poll('ok', { x: [record(1)] }, 0))).toEqual([])
  })

  it('CHK-13: acknowledged and never read below the log start -> deleted, and neither lost nor unseen', () => {
    const script = sent(4)
      .poll('ok', { x: [record(3)] })
      .finalPhase()
    const names = (logStart: number) => found(script, { logStartOffsets: new Map([['x', logStart]]) })
    expect(names(3)).toEqual([])
    expect(names(2)).toEqual(['lost-write'])
    expect(found(sent(2).finalPhase(), { logStartOffsets: new Map([['x', 1]]) })).toEqual(['unseen'])
    expect(found(sent(2).finalPhase(), { logStartOffsets: new Map([['y', 2]]) })).toEqual(['unseen'])
  })

  it('CHK-4, CHK-6: left out where logs are compacted -> fine if a later record of its key was read, an error otherwise', () => {
    const readTo = (...offsets: readonly number[]): Script =>
      sent(5)
        .finalPhase()
        .assign(0, ['x'], true)
        .poll('ok', { x: offsets.map(record) }, 0)
    // v0, v2 and v4 have one key, v1 and v3 another.
    const recordKeyOf = (value: unknown): string => `k${Number(String(value).slice(1)) % 2}`
    expect(found(readTo(3, 4), { recordKeyOf })).toEqual([])
    expect(found(readTo(0, 1, 3, 4), { recordKeyOf })).toEqual([])
    expect(new Set(found(readTo(0, 1, 3, 4)))).toEqual(new Set(['lost-write', 'int-poll-skip']))
    // The latest of a key must be there, whoever reads; and one without a key always.
    expect(new Set(found(readTo(1, 2, 4), { recordKeyOf }))).toEqual(new Set(['lost-write', 'int-poll-skip']))
    expect(found(readTo(2, 3), { recordKeyOf })).toEqual(['unseen'])
    expect(found(readTo(3, 4), { recordKeyOf: () => null })).toContain('lost-write')
  })

  it('CHK-4, CHK-6, CHK-8: what took its place was deleted before anybody read it -> fine, an error where it was not deleted', () => {
    // v0, v2 and v4 have one key, v1 and v3 another; after the reads all below the log start was deleted.
    const recordKeyOf = (value: unknown): string => `k${Number(String(value).slice(1)) % 2}`
    const script = sent(5).poll('ok', { x: [record(0), record(3)] }, 1)
    const names = (logStart: number): Set<string> =>
      new Set(found(script, { recordKeyOf, logStartOffsets: new Map([['x', logStart]]) }))
    expect(names(5)).toEqual(new Set())
    expect(names(4)).toEqual(new Set(['int-poll-skip']))
    const between = sent(5)
      .poll('ok', { x: [record(0)] }, 1)
      .poll('ok', { x: [record(3)] }, 1)
    const deleted = { recordKeyOf, logStartOffsets: new Map([['x', 5]]) }
    expect(found(between, deleted)).toEqual([])
    expect(found(between, { recordKeyOf })).toContain('poll-skip')
  })

  it('CHK-6: what nobody acknowledged or read may have taken its place, and been deleted -> fine; what failed cannot', () => {
    const recordKeyOf = (value: unknown): string | null =>
      ['v1', 'late'].includes(String(value)) ? 'k' : null
    const names = (type: 'info' | 'fail', logStart: number): readonly string[] =>
      found(
        sent(3)
          .poll('ok', { x: [record(0), record(2)] }, 1)
          .send(type, [['x', 'late']], 0),
        { recordKeyOf, logStartOffsets: new Map([['x', logStart]]) },
      )
    expect(names('info', 3)).toEqual([])
    expect(names('fail', 3)).toEqual(['int-poll-skip'])
    expect(names('info', 1)).toContain('int-poll-skip')
  })

  it('CHK-6: copies of a record that was sent again, where logs are compacted -> the last one is enough', () => {
    const seen = (...offsets: readonly number[]): SeenRecord[] =>
      [0, ...offsets].map((offset) => [offset, offset === 0 ? 'v0' : 'v1'])
    const script = sent(2)
      .poll('ok', { x: seen(1, 2, 3) })
      .poll('ok', { x: seen(3) })
    const recordKeyOf = (value: unknown): string => String(value)
    expect(found(script)).toContain('int-poll-skip')
    expect(found(script, { recordKeyOf })).not.toContain('int-poll-skip')
  })

  it('CHK-11: sent again, where records leave the logs -> of what nobody acknowledged the first copy may be gone', () => {
    const records: SeenRecord[] = [
      [1, 'b'],
      [2, 'a'],
      [3, 'b'],
    ]
    const sentBoth = (type: 'ok' | 'info', offsets: readonly [] | readonly [number, number]): Script =>
      new Script()
        .send(type, [
          ['x', 'a', offsets[0]],
          ['x', 'b', offsets[1]],
        ])
        .poll('ok', { x: records })
    const recordKeyOf = (): string => 'k'
    const name = 'int-nonmonotonic-send'
    expect(found(sentBoth('info', []))).toContain(name)
    expect(found(sentBoth('info', []), { recordKeyOf: () => null })).toContain(name)
    expect(found(sentBoth('info', []), { recordKeyOf })).not.toContain(name)
    expect(found(sentBoth('info', []), { logStartOffsets: new Map([['x', 1]]) })).not.toContain(name)
    expect(found(sentBoth('info', []), { logStartOffsets: new Map([['y', 1]]) })).toContain(name)
    expect(found(sentBoth('ok', [2, 1]), { recordKeyOf })).toContain(name)
    // What was sent after an acknowledged record stands behind it, whichever copy is left.
    const between = new Script().send('ok', [['x', 'a', 2]], 0).send('info', [['x', 'b']], 0)
    expect(found(between.poll('ok', { x: records }), { recordKeyOf })).toContain('nonmonotonic-send')
  })

  it('CHK-8: from one poll to the next, where logs are compacted -> the same', () => {
    const polls = (second: number): Script =>
      sent(5)
        .assign(0, ['x'], true)
        .poll('ok', { x: [record(0)] }, 0)
        .poll('ok', { x: [record(second), record(4)] }, 0)
    const recordKeyOf = (value: unknown): string => (value === 'v1' || value === 'v3' ? 'a' : 'b')
    expect(found(polls(3), { recordKeyOf })).toEqual([])
    expect(found(polls(2), { recordKeyOf })).toContain('poll-skip')
    expect(found(polls(3))).toContain('poll-skip')
  })

  it('CHK-13: what is known to be lost -> is not called unseen as well', () => {
    const script = sent(2)
      .finalPhase()
      .assign(0, ['x'], true)
      .poll('ok', { x: [record(1)] }, 0)
    expect(found(script)).toEqual(['lost-write'])
  })

  it('CHK-16: the time from when a record existed to the poll that misses it -> the worst lag', () => {
    const script = new Script().assign(0, ['x'], true)
    script.send('ok', [['x', 'v0', 0]]).poll('ok', { x: [record(0)] }, 0)
    script.nowMs = 1_000
    script.send('ok', [['x', 'v1', 1]])
    script.nowMs = 1_500
    script.poll('ok', {}, 0).poll('ok', { x: [record(1)] }, 0)
    expect(checkHistory(script.events).statistics.worstLagMs).toBe(1_500 - 1_001)
  })

  it('CHK-16: a key the process was not given at the time, or gave back, or has no known position in -> no lag', () => {
    const script = sent(1)
    script.nowMs = 1_000
    script.assign(0, ['x'], true)
    script.nowMs = 1_010
    script.poll('ok', {}, 0).assign(0, ['y'])
    script.nowMs = 5_000
    script.poll('ok', {}, 0).assign(1, ['x'])
    script.nowMs = 9_000
    script.poll('ok', {}, 1)
    expect(checkHistory(script.events).statistics.worstLagMs).toBe(1_010 - 1_001)
  })

  it('CHK-16: a key that is assigned once more -> was given at the first time', () => {
    const script = new Script().assign(0, ['x']).send('ok', [['x', 'v0', 0]])
    script.nowMs = 1_000
    script.send('ok', [['x', 'v1', 1]])
    script.nowMs = 3_000
    script.assign(0, ['x', 'y'])
    script.nowMs = 4_000
    script.poll('ok', { x: [record(0)] }, 0).poll('ok', { x: [record(1)] }, 0)
    expect(checkHistory(script.events).statistics.worstLagMs).toBe(4_000 - 1_001)
  })

  it('CHK-16: a bound for the final phase -> realtime-lag, counted from its start; before it, nothing is judged', () => {
    const script = new Script().assign(0, ['x'], true).send('ok', [['x', 'v0', 0]])
    script.nowMs = 1_000
    script.poll('ok', {}, 0)
    const options = { finalLagMaxMs: 100 }
    expect(found(script, options)).toEqual([])
    script.finalPhase()
    script.nowMs = 1_050
    script.poll('ok', {}, 0)
    expect(found(script, { ...options, allowed: ['unseen'] })).toEqual(['unseen'])
    script.nowMs = 1_200
    script.poll('ok', {}, 0).poll('ok', { x: [record(0)] }, 0)
    expect(first(script, options)).toMatchObject({
      check: 'CHK-16',
      name: 'realtime-lag',
      process: 0,
      evidence: { lagMs: 1_200 - 1_002, maxMs: 100, position: -1 },
    })
    expect(found(script, { finalLagMaxMs: 200 })).toEqual([])
  })
})

describe('checkHistory: transactions', () => {
  const consume = (script: Script, type: 'ok' | 'fail' | 'info'): Script =>
    script.txn(type, [['poll', { x: [record(0)] }]], 0)

  it('CHK-17: committed transactions of a subscribed process read a record twice -> consume-count', () => {
    const script = consume(consume(sent(1).subscribe(0, ['x']), 'ok'), 'ok')
    const [error] = checkHistory(script.events).findings
    expect(error).toMatchObject({
      check: 'CHK-17',
      name: 'consume-count',
      process: 0,
      evidence: { value: 'v0', count: 2 },
    })
  })

  it('CHK-17: an aborted transaction, or an assigned process -> does not count', () => {
    const aborted = consume(consume(sent(1).subscribe(0, ['x']), 'fail'), 'ok')
    expect(found(aborted)).toEqual([])
    const assigned = consume(consume(sent(1).assign(0, ['x']), 'ok'), 'ok')
    expect(found(assigned)).toEqual(['nonmonotonic-poll'])
    const assignedLater = consume(sent(1).subscribe(0, ['x']), 'ok').assign(0, ['x'], true)
    expect(found(consume(assignedLater, 'ok'))).toEqual([])
  })

  it.each([
    ['rewind', [1, 2]],
    ['advance', [3]],
    ['rewind-further', [0]],
    ['other', [4]],
  ] as const)('CHK-18: after an abort the next poll is elsewhere or not -> %s', (kind, next) => {
    const script = sent(5).assign(0, ['x'])
    script.txn('ok', [['poll', { x: [record(0)] }]], 0)
    script.txn('fail', [['poll', { x: [record(1), record(2)] }]], 0)
    script
      .poll('ok', {}, 0)
      .poll('ok', { x: next.map(record) }, 0)
      .poll('ok', { x: [record(4)] }, 0)
    const expected: AbortPosition = {
      kind,
      process: 0,
      key: 'x',
      abortEvent: 15,
      aborted: [1, 2],
      nextEvent: 19,
      nextOffset: next[0],
    }
    expect(abortPositions(script.events)).toEqual([expected])
  })

  it('CHK-18: the process is assigned anew before it reads again -> nothing is said', () => {
    const script = sent(2).txn('fail', [['poll', { x: [record(0)] }]], 0)
    script.assign(0, ['x']).poll('ok', { x: [record(1)] }, 0)
    expect(abortPositions(script.events)).toEqual([])
  })
})

describe('AckOracle', () => {
  it('CHK-19: what was acknowledged or read stays -> nothing', () => {
    const oracle = new AckOracle()
    expect(oracle.consumed('x', 0, 'a')).toBeNull()
    expect(oracle.acked('x', 0, 'a')).toBeNull()
    expect(oracle.consumed('x', 0, 'a')).toBeNull()
    const log = new Map([[0, 'a']])
    expect(oracle.missingFrom('x', (offset) => log.get(offset))).toEqual([])
    expect(oracle.missingFrom('y', () => undefined)).toEqual([])
  })

  it('CHK-19: another value at an offset -> ack-truth, by either way', () => {
    const oracle = new AckOracle()
    oracle.acked('x', 3, 'a')
    expect(oracle.consumed('x', 3, 'b')).toMatchObject({
      check: 'CHK-19',
      name: 'ack-truth',
      key: 'x',
      isAllowed: false,
      evidence: { offset: 3, value: 'a', promisedBy: 'acknowledged', found: 'b' },
      message: 'x: "a" was acknowledged at offset 3, but "b" stands there now.',
    })
    oracle.consumed('x', 4, 'c')
    expect(oracle.acked('x', 4, 'd')?.evidence).toMatchObject({ promisedBy: 'consumed', found: 'd' })
  })

  it('CHK-19: a log without it, or with another value -> one finding each; below the log start -> none', () => {
    const oracle = new AckOracle()
    for (const [offset, value] of ['a', 'b', 'c'].entries()) oracle.acked('x', offset, value)
    const log = new Map([[2, 'z']])
    const missing = oracle.missingFrom('x', (offset) => log.get(offset), { logStartOffset: 1 })
    expect(missing.map(({ evidence }) => [evidence.offset, evidence.found])).toEqual([
      [1, null],
      [2, 'z'],
    ])
    expect(missing[0]!.message).toBe('x: "b" was acknowledged at offset 1, but nothing stands there now.')
  })
})

describe('checkHistory: as a whole', () => {
  it('statistics -> what was done, and how it went', () => {
    const script = sent(2)
      .send('fail', [['x', 'f']])
      .send('info', [['y', 'i']])
    script.poll('ok', { x: [record(0)] }, 0).poll('ok', { x: [record(0)] }, 1)
    script.invoke(2, { f: 'send', steps: [['send', 'y', 'o']] })
    expect(checkHistory(script.events).statistics).toEqual({
      events: 13,
      operations: 7,
      processes: 7,
      keys: 2,
      durationMs: 12,
      sent: 5,
      acknowledged: 2,
      failed: 1,
      indefinite: 2,
      read: 1,
      unread: 1,
      open: 1,
      worstLagMs: 0,
    })
  })

  it('an empty history -> valid', () => {
    expect(checkHistory([])).toMatchObject({
      valid: true,
      findings: [],
      statistics: { events: 0, durationMs: 0 },
    })
  })

  it('a value that is sent twice -> refused, with both events', () => {
    const script = new Script().send('fail', [['x', 'a']]).send('ok', [['x', 'a', 0]])
    expect(() => checkHistory(script.events)).toThrow('Event 2 sends "a" to x, as event 0 did')
  })

  it('events that are no history -> refused', () => {
    const events = sent(1).events
    expect(() => checkHistory(events.slice(1))).toThrow('Event 1: its index must be 0')
    expect(() => checkHistory([{ ...events[1]!, index: 0 }])).toThrow('has invoked nothing')
  })

  it('more findings than are kept -> all are counted', () => {
    const script = new Script()
    for (let i = 0; i < 10; i++) script.poll('ok', { x: [[i, `z${i}`]] })
    const checked = checkHistory(script.events, { findingsMax: 3 })
    expect([checked.findings.length, checked.counts.get('phantom')]).toEqual([3, { errors: 10, allowed: 0 }])
  })
})
