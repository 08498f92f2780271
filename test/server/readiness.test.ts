import { describe, expect, it } from 'vitest'
import { type BrokerReadiness, readinessOf } from '../../src/server/readiness.ts'

const broker = (steps: number): BrokerReadiness => ({
  registered: steps > 0,
  caughtUp: steps > 1,
  unfenced: steps > 2,
})
const leader = { leaderKnown: true }
const noLeader = { leaderKnown: false }

describe('readiness', () => {
  it.each([
    ['nothing runs yet', null, null, 'the node is starting'],
    ['a controller without a quorum', null, noLeader, 'the controller quorum has no leader'],
    ['a controller with a quorum', null, leader, null],
    ['a broker that has just started', broker(0), noLeader, 'the broker is not registered yet'],
    ['registered', broker(1), leader, 'the broker has not caught up with the metadata yet'],
    ['caught up', broker(2), leader, 'the broker is not unfenced yet'],
    ['unfenced', broker(3), null, null],
    ['unfenced, and opening one more log', { ...broker(3), caughtUp: false }, leader, null],
    ['unfenced while the quorum has no leader', broker(3), noLeader, null],
  ])('%s -> %o %o: %s', (_, role, controller, reason) => {
    expect(readinessOf({ isStopping: false, broker: role, controller })).toEqual({
      ready: reason === null,
      reason,
      broker: role,
      controller,
    })
  })

  it('the node stops -> not ready, whatever its broker still does', () => {
    expect(readinessOf({ isStopping: true, broker: broker(3), controller: leader })).toMatchObject({
      ready: false,
      reason: 'the node is stopping',
    })
  })
})
