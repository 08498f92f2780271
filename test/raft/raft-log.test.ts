import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AssertionError } from '../../src/base/assert.ts'
import { ENTRY_OVERHEAD_BYTES } from '../../src/raft/messages.ts'
import { entryBytes, RaftLog } from '../../src/raft/raft-log.ts'
import type { Entry, Snapshot } from '../../src/raft/types.ts'
import { entriesOf } from './lone-node.ts'

const termsArbitrary = fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 30 }).map((steps) => {
  let term = 1
  return steps.map((step) => {
    term += step
    return term
  })
})

function termsOf(log: RaftLog): number[] {
  return log.entriesFrom(1, Number.POSITIVE_INFINITY).map((entry) => entry.term)
}

describe('RaftLog', () => {
  it('empty -> ends at 0/0, which every log holds', () => {
    const log = new RaftLog([])
    expect(log.last).toEqual({ index: 0, term: 0 })
    expect(log.holds({ index: 0, term: 0 })).toBe(true)
    expect(log.termAt(0)).toBe(0)
    expect(log.termAt(1)).toBeNull()
    expect(log.takeUnwritten()).toEqual([])
  })

  it('recovered entries with a gap or a term that goes back -> refused', () => {
    expect(() => new RaftLog(entriesOf([1, 1], 2))).toThrow('entry 2 cannot follow entry 0')
    expect(() => new RaftLog(entriesOf([2, 1]))).toThrow('entry 2 of term 1 cannot follow term 2')
  })

  it('RAFT-09: isUpToDate -> term first, then length', () => {
    const log = new RaftLog(entriesOf([1, 1, 3]))
    expect(log.isUpToDate({ index: 3, term: 3 })).toBe(true)
    expect(log.isUpToDate({ index: 4, term: 3 })).toBe(true)
    expect(log.isUpToDate({ index: 1, term: 4 })).toBe(true)
    expect(log.isUpToDate({ index: 2, term: 3 })).toBe(false)
    expect(log.isUpToDate({ index: 100, term: 2 })).toBe(false)
    expect(log.isUpToDate({ index: 0, term: 0 })).toBe(false)
    expect(new RaftLog([]).isUpToDate({ index: 0, term: 0 })).toBe(true)
  })

  it('lastAtMost: any log and bound -> as by looking from the end', () => {
    fc.assert(
      fc.property(
        termsArbitrary,
        fc.integer({ min: 0, max: 40 }),
        fc.integer({ min: 0, max: 60 }),
        (terms, index, term) => {
          const naive = terms.slice(0, index).findLastIndex((candidate) => candidate <= term)
          const expected = naive === -1 ? { index: 0, term: 0 } : { index: naive + 1, term: terms[naive]! }
          expect(new RaftLog(entriesOf(terms)).lastAtMost({ index, term })).toMatchObject(expected)
        },
      ),
    )
  })

  it('entriesFrom: limited bytes -> what fits, but at least one', () => {
    const log = new RaftLog(entriesOf([1, 1, 1, 1]))
    const each = entryBytes(entriesOf([1])[0]!)
    expect(each).toBe(ENTRY_OVERHEAD_BYTES + 3)
    const indexes = (from: number, bytesMax: number): number[] =>
      log.entriesFrom(from, bytesMax).map((entry) => entry.index)
    expect(indexes(2, 2 * each)).toEqual([2, 3])
    expect(indexes(2, 3 * each - 1)).toEqual([2, 3])
    expect(indexes(2, 1)).toEqual([2])
    expect(indexes(1, Number.POSITIVE_INFINITY)).toEqual([1, 2, 3, 4])
    expect(indexes(5, 1_000)).toEqual([])
    expect(log.bytesBetween(1, 3)).toBe(2 * each)
  })

  it('merge: any log and append -> truncates at the first conflict only, as a naive model', () => {
    fc.assert(
      fc.property(termsArbitrary, termsArbitrary, fc.nat(), (ownTerms, leaderTerms, start) => {
        const own = entriesOf(ownTerms)
        const leader = entriesOf(leaderTerms)
        let common = 0
        while (common < own.length && common < leader.length && ownTerms[common] === leaderTerms[common])
          common++
        const prev = start % (common + 1)
        const sent = leader.slice(prev)
        const log = new RaftLog(own)
        log.merge(sent)
        const conflicts = sent.some((entry) => own[entry.index - 1] && !sameTerm(own, entry))
        const expected = conflicts || leader.length > own.length ? leader : own
        expect(termsOf(log)).toEqual(expected.map((entry) => entry.term))
      }),
    )
  })

  it('merge: entries that are all held -> nothing to write', () => {
    const log = new RaftLog(entriesOf([1, 1, 2]))
    log.merge(entriesOf([1, 1]))
    log.merge([])
    expect(log.last.index).toBe(3)
    expect(log.durableIndex).toBe(3)
    expect(log.takeUnwritten()).toEqual([])
  })

  it('merge: a conflict -> what was durable or written beyond it is no more', () => {
    const log = new RaftLog(entriesOf([1, 1, 1]))
    const replacement = entriesOf([2], 2)
    log.merge(replacement)
    expect(log.durableIndex).toBe(1)
    expect(log.takeUnwritten()).toEqual(replacement)
    log.persistedTo({ index: 2, term: 1 })
    expect(log.durableIndex).toBe(1)
    log.persistedTo({ index: 2, term: 2 })
    expect(log.durableIndex).toBe(2)
  })

  it('RAFT-06: a conflict at or below the commit index -> fatal, the log untouched', () => {
    const log = new RaftLog(entriesOf([1, 1, 1]))
    log.commitTo(2)
    expect(() => log.merge(entriesOf([2], 2))).toThrow(AssertionError)
    expect(() => log.merge(entriesOf([2], 2))).toThrow(
      'contradicts entry 2, but everything up to 2 is committed',
    )
    expect(termsOf(log)).toEqual([1, 1, 1])
    log.merge(entriesOf([2], 3))
    expect(termsOf(log)).toEqual([1, 1, 2])
  })

  it('commitTo: lower -> ignored; beyond the end -> fatal', () => {
    const log = new RaftLog(entriesOf([1, 1, 1]))
    log.commitTo(2)
    log.commitTo(1)
    expect(log.commitIndex).toBe(2)
    expect(() => log.commitTo(4)).toThrow('index 4 is committed but the log ends at 3')
  })

  it('takeCommitted: only what is durable too, each entry once', () => {
    const log = new RaftLog(entriesOf([1]))
    const fresh: Entry[] = entriesOf([1, 1], 2)
    log.merge(fresh)
    log.commitTo(3)
    expect(log.takeCommitted().map((entry) => entry.index)).toEqual([1])
    log.takeUnwritten()
    log.persistedTo({ index: 3, term: 1 })
    expect(log.takeCommitted().map((entry) => entry.index)).toEqual([2, 3])
    expect(log.takeCommitted()).toEqual([])
    expect(log.appliedIndex).toBe(3)
  })

  it('persistedTo: what was never handed to the writer -> fatal', () => {
    const log = new RaftLog([])
    log.append({ index: 1, term: 1, data: null })
    expect(() => log.persistedTo({ index: 1, term: 1 })).toThrow('cannot be durable before it is written')
  })
})

describe('RaftLog with a snapshot', () => {
  const snapshotAt = (index: number, term: number): Snapshot => ({ index, term, data: new Uint8Array(1) })

  /** Entries 1 to 6 of terms 1, 1, 2, 2, 3, 3, the first five applied. */
  function applied(): RaftLog {
    const log = new RaftLog(entriesOf([1, 1, 2, 2, 3, 3]))
    log.commitTo(5)
    log.takeCommitted()
    return log
  }

  it('RAFT-38: compact -> keeps the last few entries before it, and all behind it', () => {
    const log = applied()
    expect(log.compact(snapshotAt(5, 3), 1)).toBe(true)
    expect(log.base).toEqual({ index: 4, term: 2 })
    expect(log.entriesFrom(5, 1_000).map(({ index }) => index)).toEqual([5, 6])
    expect(log.last).toMatchObject({ index: 6, term: 3 })
    expect([3, 4, 5, 7].map((index) => log.termAt(index))).toEqual([null, 2, 3, null])
    expect(() => log.entriesFrom(4, 1_000)).toThrow('entry 4 is not kept, the log begins at 5')
    log.commitTo(6)
    expect(log.takeCommitted().map(({ index }) => index)).toEqual([6])
  })

  it('compact: more trailing entries than there are -> keeps all; an older snapshot -> changes nothing', () => {
    const log = applied()
    expect(log.compact(snapshotAt(3, 2), 10)).toBe(true)
    expect(log.base.index).toBe(0)
    log.compact(snapshotAt(5, 3), 0)
    expect(log.compact(snapshotAt(4, 2), 0)).toBe(false)
    expect(log.snapshot?.index).toBe(5)
  })

  it('RAFT-29: compact beyond what was applied, or of another entry -> fatal', () => {
    expect(() => applied().compact(snapshotAt(6, 3), 0)).toThrow('only 5 is applied')
    expect(() => applied().compact(snapshotAt(5, 2), 0)).toThrow(AssertionError)
  })

  it('lastAtMost: below what is kept -> the bound itself, which no entry contradicts', () => {
    const log = applied()
    log.compact(snapshotAt(5, 3), 1)
    expect(log.lastAtMost({ index: 2, term: 9 })).toEqual({ index: 2, term: 9 })
    expect(log.lastAtMost({ index: 6, term: 1 })).toEqual({ index: 3, term: 1 })
    expect(log.lastAtMost({ index: 6, term: 2 })).toMatchObject({ index: 4, term: 2 })
    expect(log.lastAtMost({ index: 6, term: 3 })).toMatchObject({ index: 6, term: 3 })
  })

  it('a recovered snapshot -> the log begins behind it, and it counts as applied', () => {
    const log = new RaftLog(entriesOf([4, 4], 8), snapshotAt(7, 3))
    expect(log).toMatchObject({ commitIndex: 7, appliedIndex: 7, durableIndex: 9, isInstalling: false })
    expect(log.takeUnwritten()).toEqual([])
    expect(new RaftLog([], snapshotAt(7, 3)).last).toEqual({ index: 7, term: 3 })
    expect(() => new RaftLog(entriesOf([4], 9), snapshotAt(7, 3))).toThrow('entry 9 cannot follow entry 7')
  })

  it('RAFT-28: restore -> replaces the log; handed out once it is durable, and before what follows', () => {
    const log = applied()
    const snapshot = snapshotAt(9, 4)
    log.restore(snapshot)
    expect(log).toMatchObject({ commitIndex: 9, durableIndex: 5, isInstalling: true })
    log.merge(entriesOf([4], 10))
    log.commitTo(10)
    expect(log.takeUnwrittenSnapshot()).toBe(snapshot)
    expect(log.takeUnwritten().map(({ index }) => index)).toEqual([10])
    expect(log.takeRestored()).toBeNull()
    expect(log.takeCommitted()).toEqual([])
    // A write that began before says nothing about it.
    log.persistedTo({ index: 6, term: 3 })
    expect(log.isInstalling).toBe(true)
    log.persistedTo({ index: 10, term: 4 })
    expect(log.takeRestored()).toBe(snapshot)
    expect(log.takeCommitted().map(({ index }) => index)).toEqual([10])
    expect(log.takeUnwrittenSnapshot()).toBeNull()
  })

  it('RAFT-28: two snapshots in quick succession -> the newer one counts', () => {
    const log = applied()
    log.restore(snapshotAt(9, 4))
    const newer = snapshotAt(12, 5)
    log.takeUnwrittenSnapshot()
    log.restore(newer)
    log.persistedTo({ index: 9, term: 4 })
    expect(log.takeRestored()).toBeNull()
    expect(log.takeUnwrittenSnapshot()).toBe(newer)
    log.persistedTo({ index: 12, term: 5 })
    expect(log.takeRestored()).toBe(newer)
    expect(log.appliedIndex).toBe(12)
  })

  it('RAFT-28: restore to or below the commit index -> fatal', () => {
    expect(() => applied().restore(snapshotAt(5, 3))).toThrow('everything up to 5 is committed')
  })
})

function sameTerm(own: readonly Entry[], entry: Entry): boolean {
  return own[entry.index - 1]!.term === entry.term
}
