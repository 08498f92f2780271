import { describe, expect, it } from 'vitest'
import { Progress } from '../../src/raft/progress.ts'

function progressAt(nextIndex: number): Progress {
  return new Progress({ directoryId: '2', nextIndex, inflightAppendsMax: 2, nowMs: 0 })
}

function replicating(matchIndex: number): Progress {
  const progress = progressAt(matchIndex + 1)
  progress.sent(matchIndex, 0)
  progress.accepted(matchIndex)
  return progress
}

describe('Progress', () => {
  it('probe: an append went out -> paused until an answer or a sign of life', () => {
    const progress = progressAt(5)
    expect(progress.paused).toBe(false)
    progress.sent(7, 0)
    expect(progress).toMatchObject({ paused: true, nextIndex: 5, matchIndex: 0 })
    progress.resumeProbe(0)
    expect(progress.paused).toBe(false)
  })

  it('probe: accepted -> replicates from there', () => {
    const progress = progressAt(5)
    progress.sent(7, 0)
    expect(progress.accepted(7)).toBe(true)
    expect(progress).toMatchObject({ state: 'replicate', matchIndex: 7, nextIndex: 8, paused: false })
  })

  it('probe: accepted without news -> replicates all the same', () => {
    const progress = replicating(4)
    progress.linkClosed()
    progress.sent(4, 0)
    expect(progress.accepted(4)).toBe(false)
    expect(progress).toMatchObject({ state: 'replicate', nextIndex: 5 })
  })

  it('probe: refused -> goes back to the candidate, and at least by one', () => {
    const progress = progressAt(10)
    progress.sent(10, 0)
    progress.refused(9, 4)
    expect(progress).toMatchObject({ nextIndex: 5, paused: false })
    progress.sent(5, 0)
    progress.refused(4, 4)
    expect(progress.nextIndex).toBe(4)
  })

  it('probe: a refusal of anything but the append under way -> ignored', () => {
    const progress = progressAt(10)
    progress.sent(10, 0)
    progress.refused(9, 6)
    progress.sent(7, 0)
    progress.refused(9, 2)
    expect(progress).toMatchObject({ nextIndex: 7, paused: true })
  })

  it('replicate: window full -> paused until the oldest is accepted', () => {
    const progress = replicating(3)
    progress.sent(4, 0)
    progress.sent(6, 0)
    expect(progress).toMatchObject({ paused: true, nextIndex: 7 })
    expect(progress.accepted(4)).toBe(true)
    expect(progress).toMatchObject({ paused: false, nextIndex: 7, matchIndex: 4 })
  })

  it('RAFT-08: a late acceptance -> never lowers the match', () => {
    const progress = replicating(3)
    progress.sent(6, 0)
    progress.accepted(6)
    expect(progress.accepted(4)).toBe(false)
    expect(progress).toMatchObject({ matchIndex: 6, nextIndex: 7 })
  })

  it('RAFT-08: a refusal of what matched since -> ignored', () => {
    const progress = replicating(6)
    progress.refused(5, 2)
    progress.refused(6, 2)
    expect(progress).toMatchObject({ state: 'replicate', matchIndex: 6 })
  })

  it('replicate: a refusal beyond the match -> probes again from the match', () => {
    const progress = replicating(3)
    progress.sent(6, 0)
    progress.refused(6, 5)
    expect(progress).toMatchObject({ state: 'probe', nextIndex: 4, paused: false })
  })

  it('link closed: replicate -> probes from the match; probe -> waits as before', () => {
    const progress = replicating(3)
    progress.sent(6, 0)
    progress.linkClosed()
    expect(progress).toMatchObject({ state: 'probe', nextIndex: 4, paused: false })
    progress.sent(6, 0)
    progress.linkClosed()
    expect(progress.paused).toBe(true)
  })

  it('lacksCommit: the follower learns as far as what was sent reaches', () => {
    const progress = replicating(3)
    expect(progress.lacksCommit(9)).toBe(true)
    progress.sent(3, 9)
    expect(progress.lacksCommit(9)).toBe(false)
    progress.sent(5, 9)
    expect(progress.lacksCommit(9)).toBe(false)
    expect(progress.lacksCommit(4)).toBe(false)
    progress.linkClosed()
    expect(progress.lacksCommit(9)).toBe(true)
  })

  describe('snapshot', () => {
    const snapshot = { index: 20, term: 3, data: new Uint8Array(100) }

    function sending(): Progress {
      const progress = replicating(4)
      progress.startSnapshot(snapshot)
      progress.partSent(1_000)
      return progress
    }

    it('a part went out -> paused until the follower says how much it has', () => {
      const progress = sending()
      expect(progress).toMatchObject({ state: 'snapshot', paused: true })
      progress.partArrived(20, 40)
      expect(progress.paused).toBe(false)
      expect(progress.transfer.position).toBe(40)
    })

    it('an answer of another snapshot, without news, or beyond its end -> ignored', () => {
      const progress = sending()
      progress.partArrived(19, 40)
      progress.partArrived(20, 0)
      progress.partArrived(20, 101)
      expect(progress.paused).toBe(true)
    })

    it('a sign of life -> sends the part again, but not one that may only be slow', () => {
      const progress = sending()
      progress.resumeProbe(999)
      expect(progress.paused).toBe(true)
      progress.resumeProbe(1_000)
      expect(progress.paused).toBe(false)
    })

    it('an acknowledgement below it -> goes on; of it or beyond -> replicates from there', () => {
      const progress = sending()
      expect(progress.accepted(10)).toBe(true)
      expect(progress).toMatchObject({ state: 'snapshot', matchIndex: 10, paused: true })
      expect(progress.accepted(21)).toBe(true)
      expect(progress).toMatchObject({ state: 'replicate', matchIndex: 21, nextIndex: 22 })
    })

    it('a refusal of an append from before -> ignored; the link closed -> probes', () => {
      const progress = sending()
      progress.refused(12, 8)
      expect(progress.state).toBe('snapshot')
      progress.linkClosed()
      expect(progress).toMatchObject({ state: 'probe', nextIndex: 5, paused: false })
      progress.partArrived(20, 40)
      expect(progress.state).toBe('probe')
    })
  })
})
