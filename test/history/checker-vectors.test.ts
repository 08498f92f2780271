// The vectors of Jepsen's own tests (jepsen-io/jepsen, jepsen/test/jepsen/tests/kafka_test.clj).
import { describe, expect, it } from 'vitest'
import { type CheckedHistory, type CheckOptions, checkHistory } from '../../src/history/check-history.ts'
import type { CheckName, Finding } from '../../src/history/finding.ts'
import { Script } from './script.ts'

function check(script: Script, options: CheckOptions = {}): CheckedHistory {
  return checkHistory(script.events, options)
}

function names({ findings }: CheckedHistory): readonly string[] {
  return findings.map(({ name }) => name)
}

function only<Name extends CheckName>({ findings }: CheckedHistory, name: Name): readonly Finding<Name>[] {
  return findings.filter((finding): finding is Finding<Name> => finding.name === name)
}

describe('checkHistory', () => {
  it('CHK-T1: two sends acknowledged at one offset -> inconsistent-offsets, without any poll', () => {
    const checked = check(new Script().send('ok', [['x', 641, 537]]).send('ok', [['x', 645, 537]]))
    expect(names(checked)).toEqual(['inconsistent-offsets'])
    expect(checked.findings[0]).toMatchObject({
      check: 'CHK-2',
      key: 'x',
      evidence: {
        offset: 537,
        values: [
          { value: 641, event: 1 },
          { value: 645, event: 3 },
        ],
      },
    })
  })

  it('CHK-T2: an unknown send at the offset of another -> nothing, until a read proves that it took place', () => {
    const script = new Script()
      .send('info', [
        ['x', 1, 0],
        ['y', 1],
      ])
      .send('ok', [['x', 2, 0]])
    expect(names(check(script))).toEqual([])
    script.poll('ok', { y: [[5, 1]] })
    const checked = check(script)
    expect(only(checked, 'inconsistent-offsets').map(({ key, evidence }) => [key, evidence.offset])).toEqual([
      ['x', 0],
    ])
    expect(only(checked, 'inconsistent-offsets')[0]!.evidence.values.map(({ value }) => value)).toEqual([
      1, 2,
    ])
  })

  it('CHK-T3: a failed send is read -> G1a', () => {
    const checked = check(new Script().send('fail', [['x', 2]]).poll('ok', { x: [[0, 2]] }))
    expect(names(checked)).toEqual(['G1a'])
    expect(checked.findings[0]).toMatchObject({
      check: 'CHK-3',
      key: 'x',
      evidence: { offset: 0, value: 2, sendEvent: 1 },
    })
  })

  it('CHK-T4: acknowledged records below one that was read, not read themselves -> lost-write of each', () => {
    const checked = check(
      new Script()
        .send('ok', [['x', 'a', 0]])
        .send('ok', [
          ['x', 'b', 1],
          ['x', 'd', 3],
        ])
        .send('info', [['x', 'c']])
        .poll('ok', { x: [[2, 'c']] }),
    )
    expect(only(checked, 'lost-write').map(({ evidence }) => evidence.value)).toEqual(['a', 'b'])
    expect(only(checked, 'lost-write')[0]).toMatchObject({
      check: 'CHK-4',
      key: 'x',
      evidence: { offset: 0, sendEvent: 1, readUpTo: [2, 'c'] },
    })
  })

  it('CHK-T5: two values at one offset, one of them is never read -> lost-write', () => {
    const checked = check(
      new Script()
        .send('ok', [['x', 'a', 0]])
        .send('ok', [
          ['x', 'b', 0],
          ['x', 'c', 2],
        ])
        .poll('ok', {
          x: [
            [0, 'b'],
            [2, 'c'],
          ],
        }),
    )
    expect(only(checked, 'lost-write').map(({ evidence }) => evidence.value)).toEqual(['a'])
    expect(new Set(names(checked))).toEqual(new Set(['lost-write', 'inconsistent-offsets']))
  })

  it('CHK-T6: an unknown send of two values -> nothing; one of them is read -> the other is lost', () => {
    const script = new Script()
      .send('info', [
        ['x', 'a'],
        ['y', 'b', 0],
      ])
      .send('info', [['y', 'c']])
      .poll('ok', { y: [[1, 'c']] })
    expect(names(check(script))).toEqual([])
    script.poll('ok', { x: [[0, 'a']] })
    const checked = check(script)
    expect(names(checked)).toEqual(['lost-write'])
    expect(checked.findings[0]).toMatchObject({ key: 'y', evidence: { value: 'b' } })
  })

  it('CHK-T7: a process jumps over a record that another one polls -> poll-skip, not after it lost the key meanwhile', () => {
    const sends = (): Script => {
      const script = new Script().assign(0, ['x']).assign(1, ['x'])
      return script.send('ok', [
        ['x', 1, 1],
        ['x', 2, 2],
        ['x', 3, 3],
        ['x', 4, 4],
      ])
    }
    const first = {
      x: [
        [1, 1],
        [2, 2],
      ],
    } as const
    const skipping = sends()
      .poll('ok', first, 0)
      .poll('ok', { x: [[3, 3]] }, 1)
      .poll('ok', { x: [[4, 4]] }, 0)
    const checked = check(skipping)
    expect(names(checked)).toEqual(['poll-skip'])
    expect(only(checked, 'poll-skip')[0]).toMatchObject({
      check: 'CHK-8',
      process: 0,
      evidence: { delta: 2, skipped: [[3, 3]], skippedCount: 1 },
    })
    const assigned = sends()
      .poll('ok', first, 0)
      .poll('ok', { x: [[3, 3]] }, 1)
      .assign(0, ['y'])
      .assign(0, ['x'])
      .poll('ok', { x: [[4, 4]] }, 0)
    expect(names(check(assigned))).toEqual([])
    const stillCovered = sends()
      .poll('ok', first, 0)
      .poll('ok', { x: [[3, 3]] }, 1)
      .assign(0, ['x', 'y'])
      .poll('ok', { x: [[4, 4]] }, 0)
    expect(names(check(stillCovered))).toEqual(['poll-skip'])
  })

  it('CHK-T8: failed polls are judged, but do not move the consumer -> poll-skip twice', () => {
    const script = new Script()
    for (let i = 0; i <= 5; i++) script.send('ok', [['x', i, i]])
    script
      .poll('ok', { x: [[0, 0]] }, 0)
      .poll(
        'fail',
        {
          x: [
            [1, 1],
            [2, 2],
          ],
        },
        0,
      )
      .poll(
        'fail',
        {
          x: [
            [3, 3],
            [4, 4],
          ],
        },
        0,
      )
      .poll('ok', { x: [[5, 5]] }, 0)
    const skips = only(check(script), 'poll-skip').map(({ evidence }) =>
      evidence.skipped.map(([, value]) => value),
    )
    expect(skips).toEqual([
      [1, 2],
      [1, 2, 3, 4],
    ])
  })

  it('CHK-T9: a process polls what it has read -> nonmonotonic-poll, not after it was unassigned', () => {
    const records = [
      [1, 1],
      [2, 2],
      [3, 3],
      [4, 4],
    ] as const
    const script = (between: (script: Script) => Script): Script => {
      const sent = new Script().send(
        'ok',
        records.map(([offset, value]) => ['x', value, offset]),
      )
      return between(sent.poll('ok', { x: records.slice(0, 3) }, 0)).poll('ok', { x: records.slice(1) }, 0)
    }
    const checked = check(script((before) => before))
    expect(names(checked)).toEqual(['nonmonotonic-poll'])
    expect(checked.findings[0]).toMatchObject({
      check: 'CHK-9',
      process: 0,
      evidence: { from: [3, 3], to: [2, 2], delta: -1 },
    })
    expect(names(check(script((before) => before.assign(0, [])))).length).toBe(0)
    expect(names(check(script((before) => before.assign(0, ['x'], true)))).length).toBe(0)
    expect(names(check(script((before) => before.assign(0, ['x'])))).length).toBe(1)
  })

  it('CHK-T10: the sends of a process stand in the log the other way round -> nonmonotonic-send', () => {
    const checked = check(
      new Script()
        .send(
          'ok',
          [
            ['x', 3, 3],
            ['x', 4, 4],
          ],
          0,
        )
        .send(
          'ok',
          [
            ['x', 1, 1],
            ['x', 2, 2],
          ],
          0,
        ),
    )
    expect(names(checked)).toEqual(['nonmonotonic-send'])
    expect(checked.findings[0]).toMatchObject({
      check: 'CHK-10',
      evidence: { from: [4, 4], to: [1, 1], delta: -3 },
    })
  })

  it('CHK-T11: one operation leaves out what another polls -> int-poll-skip', () => {
    const script = (rebalanced?: readonly string[]): Script =>
      new Script()
        .send('ok', [
          ['x', 'a', 1],
          ['x', 'b', 2],
          ['x', 'd', 4],
        ])
        .poll(
          'ok',
          {
            x: [
              [1, 'a'],
              [4, 'd'],
            ],
          },
          0,
          rebalanced,
        )
        .poll('ok', { x: [[2, 'b']] })
    const checked = check(script())
    expect(names(checked)).toEqual(['int-poll-skip'])
    expect(checked.findings[0]).toMatchObject({
      check: 'CHK-6',
      process: 0,
      evidence: { skipped: [[2, 'b']] },
    })
    expect(names(check(script(['x'])))).toEqual([])
    expect(names(check(script(['y'])))).toEqual(['int-poll-skip'])
  })

  it('CHK-7: one operation goes backwards, another repeats -> int-nonmonotonic-poll by -2 and 0 (CHK-T12)', () => {
    const script = new Script().send('ok', [
      ['x', 'a', 1],
      ['x', 'b', 2],
      ['x', 'c', 3],
    ])
    script.poll('ok', {
      x: [
        [3, 'c'],
        [1, 'a'],
      ],
    })
    script.txn('ok', [
      [
        'poll',
        {
          x: [
            [2, 'b'],
            [3, 'c'],
          ],
        },
      ],
      ['poll', { x: [[3, 'c']] }],
    ])
    const checked = check(script)
    expect(
      only(checked, 'int-nonmonotonic-poll').map(({ check: id, evidence }) => [id, evidence.delta]),
    ).toEqual([
      ['CHK-7', -2],
      ['CHK-7', 0],
    ])
    expect(checked.findings).toHaveLength(2)
  })

  it('CHK-T13: a value at two offsets -> duplicate', () => {
    const script = new Script()
      .send('ok', [['x', 'a', 1]])
      .send('ok', [['x', 'b', 2]])
      .poll('ok', {
        x: [
          [2, 'b'],
          [3, 'a'],
        ],
      })
    const checked = check(script)
    expect(names(checked)).toEqual(['duplicate'])
    expect(checked.findings[0]).toMatchObject({
      check: 'CHK-5',
      key: 'x',
      evidence: { value: 'a', offsets: [1, 3] },
      isAllowed: false,
    })
    const tolerated = check(script, { allowed: ['duplicate'] })
    expect([tolerated.valid, tolerated.counts.get('duplicate')]).toEqual([true, { errors: 0, allowed: 1 }])
  })
})
