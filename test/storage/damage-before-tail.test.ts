// A flipped bit in what was fsynced, and behind it more damage or what a power loss has torn.
import { describe, expect, it } from 'vitest'
import { joined, openTestLog, readFile, stamped } from './fixtures.ts'
import { ACTIVE, diskWith, ENDS, flipped, WHOLE } from './recovery-fixtures.ts'

describe('recovery: damage before a torn tail', () => {
  it('STO-05: every bit of a batch flipped, with a sound batch and a torn one behind it -> it alone is damaged, the torn one goes', async () => {
    const torn = stamped({ text: 'd', paddingBytes: 2_000, offset: 6, leaderEpoch: 0 })
    // A sector that was lost.
    const lost = 512 - (WHOLE.length % 512) + 512
    torn.fill(0, lost, lost + 512)
    for (let position = ENDS[0]!; position < ENDS[1]!; position++) {
      const disk = await diskWith(joined([flipped(WHOLE, position, position % 8), torn]))
      const { log } = await openTestLog(disk, { toleratesDamage: true })
      const { offset, endOffset } = log.health.damagedRanges[0] ?? {}
      expect({ position, offset, endOffset }).toEqual({ position, offset: 2, endOffset: 3 })
      expect([log.logEndOffset, log.droppedTail?.offset]).toEqual([6, 6])
      expect((await readFile(disk, ACTIVE)).length).toBe(ENDS[2])
      await log.close()
    }
  })

  it('STO-05: every bit of a header flipped, wherever it lies in its sector -> the same', async () => {
    for (let start = 496; start <= 513; start++) {
      const first = stamped({ text: 'a', offset: 0, leaderEpoch: 0 })
      const before = stamped({ text: 'a', paddingBytes: start - first.length - 2, offset: 0, leaderEpoch: 0 })
      const batch = stamped({ text: 'b', paddingBytes: 700, offset: 1, leaderEpoch: 0 })
      const next = stamped({ text: 'c', offset: 2, leaderEpoch: 0 })
      const position = before.length
      const torn = stamped({ text: 'd', paddingBytes: 2_000, offset: 3, leaderEpoch: 0 }).fill(
        0,
        1_000,
        2_030,
      )
      for (let at = 0; at < 8 * 61; at += 3) {
        const bytes = flipped(joined([before, batch, next, torn]), position + Math.floor(at / 8), at % 8)
        const { log } = await openTestLog(await diskWith(bytes), { toleratesDamage: true })
        const ranges = log.health.damagedRanges.map(({ offset, endOffset }) => [offset, endOffset])
        expect({ position, at, ranges, end: log.logEndOffset }).toEqual({
          position,
          at,
          ranges: [[1, 2]],
          end: 3,
        })
        await log.close()
      }
    }
  })

  it('STO-05: two batches flipped, with a sound one between them and one behind -> the one between is read', async () => {
    const last = stamped({ text: 'd', offset: 6, leaderEpoch: 0 })
    const twice = flipped(flipped(joined([WHOLE, last]), 100), ENDS[1]! + 100)
    const { log } = await openTestLog(await diskWith(twice), { toleratesDamage: true })
    const ranges = log.health.damagedRanges.map(({ offset, endOffset }) => [offset, endOffset])
    expect(ranges).toEqual([
      [0, 2],
      [3, 6],
    ])
    expect(log.logEndOffset).toBe(7)
    await log.close()
  })
})
