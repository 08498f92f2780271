import { describe, expect, it } from 'vitest'
import { FetchSession, newsOf } from '../../src/replication/fetch-session.ts'

const source = {}

function sessionOf(keys: readonly string[]): FetchSession<string> {
  const session = new FetchSession<string>({ partitionsMax: 10 })
  for (const key of keys) session.state(key, { statement: `of ${key}`, source })
  return session
}

const look = (session: FetchSession<string>): readonly string[] => [...session.look()].map(({ key }) => key)

describe('FetchSession', () => {
  it('advance: the epochs in their order -> taken; a repeated or skipped one -> refused', () => {
    const session = sessionOf([])
    expect([0, 1, 2].map((epoch) => session.advance(epoch))).toEqual([true, true, true])
    expect([2, 4, 0].map((epoch) => session.advance(epoch))).toEqual([false, false, false])
    expect(session.advance(3)).toBe(true)
  })

  it('look: what was stated -> looked at once, and no more before it moves', () => {
    const session = sessionOf(['a', 'b', 'c'])
    expect(look(session)).toEqual(['a', 'b', 'c'])
    expect(look(session)).toEqual([])
    session.moved('b')
    session.moved('b')
    expect(look(session)).toEqual(['b'])
  })

  it('keep: what could not be told yet -> again before those that moved meanwhile', () => {
    const session = sessionOf(['a', 'b'])
    look(session)
    session.moved('b')
    session.keep(['a'])
    expect(look(session)).toEqual(['a', 'b'])
  })

  it('look: given up half way -> the others keep their turn', () => {
    const session = sessionOf(['a', 'b', 'c'])
    for (const { key } of session.look()) if (key === 'a') break
    expect(look(session)).toEqual(['b', 'c'])
  })

  it('state: a partition that got records and is stated again -> behind those that did not', () => {
    const session = sessionOf(['a', 'b'])
    session.answered('a', { told: null, ends: true })
    session.state('a', { statement: 'further', source })
    expect(look(session)).toEqual(['b', 'a'])
  })

  it('answered: the statement ended -> no move is noticed before the next statement', () => {
    const session = sessionOf(['a'])
    look(session)
    session.answered('a', { told: null, ends: true })
    session.moved('a')
    expect([look(session), session.heard()]).toEqual([[], []])
    session.state('a', { statement: 'again', source })
    expect(look(session)).toEqual(['a'])
  })

  it('answered: it did not end -> still watched, with what was told', () => {
    const session = sessionOf(['a'])
    look(session)
    const told = { highWatermark: 3, logStartOffset: 1 }
    session.answered('a', { told, ends: false })
    expect(session.get('a')).toMatchObject({ isWatched: true, isAnswered: true, told })
    session.moved('a')
    expect(look(session)).toEqual(['a'])
  })

  it('state: under the same leader -> what was told stays; under another one -> it counts no more', () => {
    const session = sessionOf(['a'])
    const told = { highWatermark: 3, logStartOffset: 1 }
    session.answered('a', { told, ends: true })
    session.state('a', { statement: 'further', source })
    expect(session.get('a')).toMatchObject({ told, isAnswered: false })
    session.state('a', { statement: 'further', source: {} })
    expect(session.get('a')!.told).toBeNull()
  })

  it('REP-39: a partition moved since the reader was heard of -> told by its next request, once', () => {
    const session = sessionOf(['a', 'b', 'c'])
    look(session)
    session.moved('a')
    session.moved('b')
    session.moved('c')
    look(session)
    // Stated anew and forgotten: there is nothing to hear of what was said before.
    session.state('b', { statement: 'b', source })
    session.forget('c')
    expect(session.heard().map(({ key }) => key)).toEqual(['a'])
    expect(session.heard()).toEqual([])
  })

  it('forget: it is not in the session any more, and no move of it is noticed', () => {
    const session = sessionOf(['a', 'b'])
    expect(session.forget('a')?.isWatched).toBe(false)
    expect(session.forget('a')).toBeNull()
    session.moved('a')
    expect([look(session), session.size]).toEqual([['b'], 1])
  })

  it('countNew: only partitions that are not there', () => {
    expect(sessionOf(['a', 'b']).countNew(['a', 'c', 'd'])).toBe(2)
  })
})

describe('newsOf', () => {
  const told = { highWatermark: 5, logStartOffset: 2 }
  it.each([
    ['never answered', { isAnswered: false, told }, told, true, false],
    ['nothing told by this leader', { isAnswered: true, told: null }, told, true, true],
    ['nothing new', { isAnswered: true, told }, told, false, false],
    ['a new high watermark', { isAnswered: true, told }, { ...told, highWatermark: 6 }, false, true],
    ['a new log start', { isAnswered: true, told }, { ...told, logStartOffset: 3 }, true, false],
  ] as const)(
    '%s -> told in an answer, noted or neither',
    (_, partition, bounds, isOpen, isHighWatermarkNew) => {
      expect(newsOf(partition, bounds)).toEqual({ isOpen, isHighWatermarkNew })
    },
  )
})
