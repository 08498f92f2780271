import { describe, expect, it } from 'vitest'
import { BrokerLiveness } from '../../src/metadata/broker-liveness.ts'

const RUN = { brokerId: 1, brokerEpoch: 10 }

function tracked(): BrokerLiveness {
  const liveness = new BrokerLiveness({ sessionTimeoutMs: 3_000, disconnectGraceMs: 250 })
  liveness.track(RUN, 1_000)
  return liveness
}

function dueAt(liveness: BrokerLiveness): number | null {
  const dueAtMs = liveness.nextDueAtMs()
  if (dueAtMs !== null) {
    expect(liveness.due(dueAtMs - 1)).toEqual([])
    expect(liveness.due(dueAtMs)).toMatchObject([RUN])
  }
  return dueAtMs
}

describe('the liveness of a broker', () => {
  it('a full session from when it is tracked, renewed by each heartbeat', () => {
    const liveness = tracked()
    expect(dueAt(liveness)).toBe(4_000)
    liveness.heartbeat(RUN, 2_500)
    expect(dueAt(liveness)).toBe(5_500)
    expect(liveness.due(6_000)).toEqual([
      { ...RUN, evidence: 'heartbeat-missed', detail: 'no heartbeat of broker 1 for 3500 ms' },
    ])
  })

  it('a closed link starts the grace, once', () => {
    const liveness = tracked()
    liveness.linkClosed(1, 1_100)
    liveness.linkClosed(1, 1_300)
    expect(dueAt(liveness)).toBe(1_350)
    expect(liveness.due(1_400)).toEqual([
      {
        ...RUN,
        evidence: 'link-closed',
        detail: 'the link of broker 1 closed 300 ms ago and did not come back',
      },
    ])
  })

  it.each<[string, (liveness: BrokerLiveness) => void, number | null]>([
    ['a heartbeat of the same run', (liveness) => liveness.heartbeat(RUN, 1_200), 4_200],
    ['the link of the same incarnation', (liveness) => liveness.linkRestored(1), 4_000],
    ['a new run', (liveness) => liveness.track({ brokerId: 1, brokerEpoch: 20 }, 1_200), 4_200],
    ['the fencing', (liveness) => liveness.forget(1), null],
  ])('the grace ends with %s', (_what, event, dueAtMs) => {
    const liveness = tracked()
    liveness.linkClosed(1, 1_100)
    event(liveness)
    expect(liveness.nextDueAtMs()).toBe(dueAtMs)
  })

  it('a heartbeat of another run proves nothing', () => {
    const liveness = tracked()
    liveness.linkClosed(1, 1_100)
    liveness.heartbeat({ brokerId: 1, brokerEpoch: 9 }, 1_200)
    liveness.heartbeat({ brokerId: 2, brokerEpoch: 10 }, 1_200)
    expect(dueAt(liveness)).toBe(1_350)
  })

  it('the session still ends when the grace would last longer', () => {
    const liveness = tracked()
    liveness.linkClosed(1, 3_900)
    expect(dueAt(liveness)).toBe(4_000)
    expect(liveness.due(4_200)).toMatchObject([{ evidence: 'heartbeat-missed' }])
  })

  it('events of brokers that are not tracked are ignored', () => {
    const liveness = tracked()
    liveness.linkClosed(7, 1_000)
    liveness.linkRestored(7)
    liveness.applied(7, 5)
    liveness.forget(7)
    expect(liveness.appliedOffset(7)).toBe(0)
    expect(dueAt(liveness)).toBe(4_000)
  })

  it('the applied offset never falls', () => {
    const liveness = tracked()
    expect(liveness.appliedOffset(1)).toBe(0)
    liveness.applied(1, 8)
    liveness.applied(1, 5)
    expect(liveness.appliedOffset(1)).toBe(8)
  })

  it('the earliest of several brokers is due next', () => {
    const liveness = tracked()
    liveness.track({ brokerId: 2, brokerEpoch: 11 }, 500)
    expect(liveness.nextDueAtMs()).toBe(3_500)
    liveness.linkClosed(1, 1_100)
    expect(liveness.nextDueAtMs()).toBe(1_350)
    expect(liveness.due(9_000).map(({ brokerId }) => brokerId)).toEqual([1, 2])
  })

  it.each([
    [{ sessionTimeoutMs: 0, disconnectGraceMs: 250 }, /session.timeout/],
    [{ sessionTimeoutMs: 1, disconnectGraceMs: -1 }, /disconnect.grace/],
  ])('settings %j are refused', (settings, message) => {
    expect(() => new BrokerLiveness(settings)).toThrow(message)
  })
})
