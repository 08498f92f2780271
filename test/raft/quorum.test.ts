import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { majority, majorityValue, voteOutcome } from '../../src/raft/quorum.ts'

const votersArbitrary = fc.uniqueArray(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 9 })

describe('majority', () => {
  it.each([
    [1, 1],
    [2, 2],
    [3, 2],
    [4, 3],
    [5, 3],
    [9, 5],
  ])('%i voters -> %i', (voters, expected) => {
    expect(majority(voters)).toBe(expected)
  })

  it('any two majorities -> share a voter, and one less is no majority', () => {
    for (let voters = 1; voters <= 9; voters++) {
      expect(2 * majority(voters)).toBeGreaterThan(voters)
      expect(2 * (majority(voters) - 1)).toBeLessThanOrEqual(voters)
    }
  })

  it('no voters -> refused', () => {
    expect(() => majority(0)).toThrow('at least one voter')
  })
})

describe('majorityValue', () => {
  it.each([
    [[7], 7],
    [[7, 3], 3],
    [[7, 3, 5], 5],
    [[0, 0, 9], 0],
    [[1, 2, 3, 4], 2],
    [[5, 1, 4, 2, 3], 3],
    [[10, 9, 100], 10],
  ])('%j -> %i', (values, expected) => {
    expect(majorityValue(values)).toBe(expected)
  })

  it('any values -> the largest that more than half have reached, as by counting', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 9 }), (values) => {
        const reachedBy = (value: number): number => values.filter((other) => other >= value).length
        const candidates = values.filter((value) => reachedBy(value) * 2 > values.length)
        expect(majorityValue(values)).toBe(Math.max(...candidates))
      }),
    )
  })

  it('any values -> are left as they were', () => {
    const values = [3, 1, 2]
    majorityValue(values)
    expect(values).toEqual([3, 1, 2])
  })
})

describe('voteOutcome', () => {
  it('any votes -> as by trying every way the missing voters can answer', () => {
    const votesArbitrary = fc.array(fc.tuple(fc.integer({ min: 0, max: 20 }), fc.boolean()), {
      maxLength: 15,
    })
    fc.assert(
      fc.property(votersArbitrary, votesArbitrary, (voters, pairs) => {
        const votes = new Map(pairs)
        const answered = voters.filter((voter) => votes.has(voter))
        const granted = answered.filter((voter) => votes.get(voter)).length
        const missing = voters.length - answered.length
        const wins = (grants: number): boolean => grants * 2 > voters.length
        const expected = wins(granted) ? 'won' : wins(granted + missing) ? 'pending' : 'lost'
        expect(voteOutcome(voters, votes)).toBe(expected)
      }),
    )
  })

  it('votes of nodes that are no voters -> do not count', () => {
    const votes = new Map([
      [1, true],
      [8, true],
      [9, true],
    ])
    expect(voteOutcome([1, 2, 3], votes)).toBe('pending')
  })
})
