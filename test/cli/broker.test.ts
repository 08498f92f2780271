import { describe, expect, it } from 'vitest'
import { endOf } from '../../src/cli/broker.ts'
import { VltavaError } from '../../src/model/errors.ts'

const move = { topic: 't', partition: 0, replicas: [2] }
const none = { moves: [], underWay: 0, stuck: [], results: [] }
const refused = { topic: 't', partition: 0, error: new VltavaError('INVALID_REPLICA_ASSIGNMENT', 'test') }
const stuck = [{ topic: 't', partition: 1, reason: 'test' }]

describe('the end of a drain', () => {
  it.each([
    ['nothing is left', none, 'drained'],
    ['moves are under way', { ...none, underWay: 1, stuck }, null],
    ['moves have begun', { ...none, moves: [move], results: [{ ...refused, error: null }] }, null],
    ['all moves were refused', { ...none, moves: [move], results: [refused] }, 'refused'],
    [
      'some were refused',
      { ...none, moves: [move, move], results: [refused, { ...refused, error: null }] },
      null,
    ],
    ['what is left cannot move', { ...none, stuck }, 'stuck'],
  ] as const)('%s', (_what, drained, expected) => {
    expect(endOf(drained)).toBe(expected)
  })
})
