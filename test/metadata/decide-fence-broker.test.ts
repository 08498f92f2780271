import { describe, expect, it } from 'vitest'
import { decideFenceBroker } from '../../src/metadata/decide-fence-broker.ts'
import {
  CONTROLLER,
  clusterOf,
  contextOf,
  decided,
  epochOf,
  partition,
  show,
  violations,
  withTopic,
} from './cluster-fixture.ts'

function fence(
  image: ReturnType<typeof clusterOf>,
  brokerId: number,
  brokerEpoch = epochOf(image, brokerId),
) {
  return decideFenceBroker(contextOf(image), {
    brokerId,
    brokerEpoch,
    evidence: 'heartbeat-missed',
    detail: `no heartbeat of broker ${brokerId} for 3012 ms`,
  })
}

describe('fence a broker', () => {
  it('it loses its leaderships and leaves every ISR, in one batch', () => {
    const image = withTopic(clusterOf([1, 2, 3]), [
      { replicas: [1, 2, 3] },
      { replicas: [2, 1, 3] },
      { replicas: [1, 2], isr: [1] },
      { replicas: [2, 3] },
      { replicas: [2, 1], isr: [2] },
    ])
    const decision = fence(image, 1)
    const next = decided(image, decision)
    expect(next.brokers.get(1)).toMatchObject({ fenced: true })
    expect([0, 1, 2, 3, 4].map((index) => show(partition(next, index)))).toEqual([
      'leader 2 isr 2,3 epochs 1/1',
      'leader 2 isr 2,3 epochs 0/1',
      'leader none isr empty elr 1 epochs 1/1',
      'leader 2 isr 2,3 epochs 0/0',
      'leader 2 isr 2 epochs 0/0',
    ])
    expect(violations(next)).toEqual([])
  })

  it('each record carries what was seen, by whom and when', () => {
    const image = withTopic(clusterOf([1, 2]), [{ replicas: [1, 2] }, { replicas: [2, 1] }])
    const seen = {
      observerId: CONTROLLER,
      observedAtMs: 1_700_000_000_000,
      detail: 'no heartbeat of broker 1 for 3012 ms',
    }
    const causes = fence(image, 1).records.map((record) => ('cause' in record ? record.cause : null))
    expect(causes).toEqual([
      { kind: 'heartbeat-missed', ...seen },
      { kind: 'leader-fenced', ...seen },
      { kind: 'heartbeat-missed', ...seen },
    ])
  })

  it('all members of an ISR die one after the other: those that were in it below min.insync.replicas are eligible', () => {
    let image = withTopic(clusterOf([1, 2, 3]), [{ replicas: [1, 2, 3] }])
    for (const brokerId of [2, 1, 3]) image = decided(image, fence(image, brokerId))
    expect(show(partition(image))).toBe('leader none isr empty elr 1,3 epochs 2/3')
  })

  it('a broker that is fenced already, unknown, or in another run -> no records', () => {
    const image = clusterOf([1, 2])
    const fenced = decided(image, fence(image, 1))
    expect(fence(fenced, 1).records).toEqual([])
    expect(fence(image, 1, epochOf(image, 1) - 1).records).toEqual([])
    expect(fence(image, 9, 1).records).toEqual([])
  })
})
