import { describe, expect, it } from 'vitest'
import type { ClusterImage } from '../../src/metadata/cluster-image.ts'
import { decideAlterPartition } from '../../src/metadata/decide-alter-partition.ts'
import { decideFenceBroker } from '../../src/metadata/decide-fence-broker.ts'
import { decideHeartbeat, type Heartbeat } from '../../src/metadata/decide-heartbeat.ts'
import {
  clusterOf,
  contextOf,
  decided,
  epochOf,
  id128,
  partition,
  registered,
  show,
  TOPIC,
  violations,
  withTopic,
} from './cluster-fixture.ts'

function beat(image: ClusterImage, fields: Partial<Heartbeat> & { readonly brokerId: number }) {
  return decideHeartbeat(contextOf(image), {
    brokerEpoch: image.brokers.get(fields.brokerId)?.brokerEpoch ?? 0,
    metadataOffset: image.metadataOffset,
    wantUnfenced: true,
    wantShutdown: false,
    offlineLogs: [],
    damagedLogs: [],
    droppedTails: [],
    appliedByOthers: Number.POSITIVE_INFINITY,
    ...fields,
  })
}

function fenced(image: ClusterImage, brokerId: number): ClusterImage {
  const brokerEpoch = epochOf(image, brokerId)
  return decided(
    image,
    decideFenceBroker(contextOf(image), { brokerId, brokerEpoch, evidence: 'link-closed', detail: 'test' }),
  )
}

describe('a heartbeat', () => {
  it('of a broker that serves -> nothing changes', () => {
    const image = clusterOf([1, 2])
    expect(beat(image, { brokerId: 1 })).toEqual({
      records: [],
      response: { fenced: false, mayShutDown: false },
    })
  })

  it('of an unknown broker or of another run -> an error that says so', () => {
    const image = clusterOf([1])
    expect(() => beat(image, { brokerId: 2 })).toThrow(
      expect.objectContaining({ code: 'BROKER_ID_NOT_REGISTERED' }),
    )
    for (const brokerEpoch of [epochOf(image, 1) - 1, epochOf(image, 1) + 1]) {
      expect(() => beat(image, { brokerId: 1, brokerEpoch })).toThrow(
        expect.objectContaining({ code: 'STALE_BROKER_EPOCH' }),
      )
    }
  })

  it.each([
    ['it does not want to serve yet', { wantUnfenced: false }, true],
    ['REP-27: it has not applied its own registration', { metadataOffset: 2 }, true],
    ['REP-27: it has applied just that', { metadataOffset: 3 }, false],
  ])('of a fenced broker: %s -> fenced %s', (_what, fields, stillFenced) => {
    const image = registered(clusterOf([1]), 2)
    expect(epochOf(image, 2)).toBe(3)
    const decision = beat(image, { brokerId: 2, ...fields })
    expect(decision.response).toEqual({ fenced: stillFenced, mayShutDown: false })
    expect(decided(image, decision).brokers.get(2)).toMatchObject({ fenced: stillFenced })
  })
})

describe('a heartbeat that unfences', () => {
  const image = fenced(
    withTopic(
      clusterOf([1, 2, 3]),
      [
        { replicas: [1, 2], isr: [1] },
        { replicas: [1, 2] },
        { replicas: [2, 1], isr: [1] },
        { replicas: [2, 3] },
      ],
      TOPIC,
      { 'min.insync.replicas': '1' },
    ),
    1,
  )

  it('the broker is elected where it is in the ISR and nobody leads; elsewhere nothing changes', () => {
    const decision = beat(image, { brokerId: 1 })
    const next = decided(image, decision)
    expect(show(partition(next, 0))).toBe('leader 1 isr 1 epochs 2/2')
    expect(partition(next, 1)).toBe(partition(image, 1))
    expect(show(partition(next, 2))).toBe('leader 1 isr 1 epochs 2/2')
    expect(partition(next, 3)).toBe(partition(image, 3))
    expect(decision.records[1]).toMatchObject({ cause: { kind: 'broker-caught-up' } })
    expect(violations(next)).toEqual([])
  })

  it('logs it reports missing or damaged leave ISR and ELR in the same batch and are not elected', () => {
    const decision = beat(image, {
      brokerId: 1,
      offlineLogs: [
        { topicId: TOPIC, partition: 0 },
        { topicId: TOPIC, partition: 1 },
        { topicId: id128('gone'), partition: 0 },
      ],
    })
    const next = decided(image, decision)
    expect(decision.records.length).toBe(3)
    expect(show(partition(next, 0))).toBe('leader none isr empty lost 1 epochs 1/2')
    expect(partition(next, 1)).toBe(partition(image, 1))
    expect(show(partition(next, 2))).toBe('leader 1 isr 1 epochs 2/2')
    expect(decision.records[1]).toMatchObject({ cause: { kind: 'log-offline' } })
    expect(violations(next)).toEqual([])
  })

  it('a fenced broker that does not ask to serve: its report changes nothing yet', () => {
    const offlineLogs = [{ topicId: TOPIC, partition: 0 }]
    expect(beat(image, { brokerId: 1, wantUnfenced: false, offlineLogs }).records).toEqual([])
  })
})

describe('a heartbeat that reports a log which fails while the broker serves', () => {
  it('it leaves the ISR, loses the leadership, and a second report changes nothing', () => {
    const image = withTopic(clusterOf([1, 2]), [{ replicas: [1, 2] }, { replicas: [1], isr: [1] }])
    const offlineLogs = [
      { topicId: TOPIC, partition: 0 },
      { topicId: TOPIC, partition: 1 },
    ]
    const next = decided(image, beat(image, { brokerId: 1, offlineLogs }))
    expect(show(partition(next, 0))).toBe('leader 2 isr 2 lost 1 epochs 1/1')
    expect(show(partition(next, 1))).toBe('leader none isr empty lost 1 epochs 1/1')
    expect(beat(next, { brokerId: 1, offlineLogs }).records).toEqual([])
  })
})

describe('a heartbeat that reports a log of which a part is damaged', () => {
  const damagedLogs = [
    { topicId: TOPIC, partition: 0 },
    { topicId: TOPIC, partition: 1 },
    { topicId: TOPIC, partition: 2 },
  ]

  it('STO-05: another member serves -> it leaves the ISR and the leadership; alone it stays, and leads', () => {
    const image = withTopic(clusterOf([1, 2]), [
      { replicas: [1, 2] },
      { replicas: [2, 1] },
      { replicas: [1, 2], isr: [1] },
      { replicas: [1, 2] },
    ])
    const decision = beat(image, { brokerId: 1, damagedLogs })
    const next = decided(image, decision)
    expect([0, 1, 2, 3].map((index) => show(partition(next, index)))).toEqual([
      'leader 2 isr 2 elr 1 epochs 1/1',
      'leader 2 isr 2 elr 1 epochs 0/1',
      'leader 1 isr 1 epochs 0/0',
      'leader 1 isr 1,2 epochs 0/0',
    ])
    expect(decision.records[0]).toMatchObject({ cause: { kind: 'log-offline' } })
    expect(violations(next)).toEqual([])
    expect(beat(next, { brokerId: 1, damagedLogs }).records).toEqual([])
  })

  it('STO-05: the last member, as it is unfenced -> it is elected', () => {
    const down = fenced(withTopic(clusterOf([1, 2]), [{ replicas: [1, 2], isr: [1] }]), 1)
    const next = decided(down, beat(down, { brokerId: 1, damagedLogs }))
    expect(partition(next, 0).leader).toBe(1)
    expect(violations(next)).toEqual([])
  })
})

describe('REP-30: a heartbeat that reports logs that were cut off', () => {
  const tail = { topicId: TOPIC, partition: 0, leaderEpoch: 0, endOffset: 7 }
  // Broker 3 left first, so 1 and 2 are eligible, and all are down.
  const down = [3, 2, 1].reduce(fenced, withTopic(clusterOf([1, 2, 3]), [{ replicas: [1, 2, 3] }]))
  const back = registered(down, 1, { run: 2 })
  const waiting = decided(back, beat(back, { brokerId: 1, droppedTails: [tail] }))

  it('as it is unfenced: it is noted in the same batch, and it is not elected', () => {
    const decision = beat(back, { brokerId: 1, droppedTails: [tail, { ...tail, partition: 9 }] })
    expect(decision.records).toMatchObject([
      { type: 'broker-fencing-changed' },
      { type: 'partition-changed', cause: { kind: 'tail-dropped' } },
    ])
    expect(show(partition(waiting))).toBe('leader none isr empty elr 1,2 cut 1@0:7 epochs 1/4')
    expect(violations(waiting)).toEqual([])
  })

  it('where it is not eligible: nothing is noted', () => {
    const other = registered(down, 3, { run: 2 })
    const next = decided(other, beat(other, { brokerId: 3, droppedTails: [tail] }))
    expect(partition(next)).toBe(partition(other))
  })

  it('while it does not ask to serve, or serves already: nothing is noted', () => {
    expect(beat(back, { brokerId: 1, wantUnfenced: false, droppedTails: [tail] }).records).toEqual([])
    const changed = { ...tail, endOffset: 9 }
    expect(beat(waiting, { brokerId: 1, droppedTails: [changed] }).records).toEqual([])
  })

  it('that is missing as well: it is not eligible any more', () => {
    const next = decided(back, beat(back, { brokerId: 1, offlineLogs: [tail], droppedTails: [tail] }))
    expect(show(partition(next))).toBe('leader none isr empty elr 2 lost 1 epochs 1/4')
  })

  it('the other one is back and whole: it leads, and the note stays until the leader has taken the broker in', () => {
    const both = registered(waiting, 2, { run: 2 })
    const led = decided(both, beat(both, { brokerId: 2 }))
    expect(show(partition(led))).toBe('leader 2 isr 2 elr 1 cut 1@0:7 epochs 2/5')
    const alter = decideAlterPartition(contextOf(led), {
      brokerId: 2,
      brokerEpoch: epochOf(led, 2),
      partitions: [
        {
          topicId: TOPIC,
          partition: 0,
          leaderEpoch: 2,
          partitionEpoch: 5,
          isr: [1, 2].map((brokerId) => ({ brokerId, brokerEpoch: epochOf(led, brokerId) })),
          reason: 'it has caught up',
          observedAtMs: 1,
        },
      ],
    })
    const joined = decided(led, alter)
    expect(show(partition(joined))).toBe('leader 2 isr 1,2 epochs 2/6')
    // What it reports when it is unfenced again in this run is old: it has been in sync.
    const gone = [2, 1].reduce(fenced, joined)
    const again = decided(gone, beat(gone, { brokerId: 1, droppedTails: [tail] }))
    expect(show(partition(again))).toBe('leader 1 isr 1 elr 2 epochs 5/9')
  })

  it('a later run reports what it holds by then: the note changes', () => {
    const later = registered(fenced(waiting, 1), 1, { run: 3 })
    const next = decided(later, beat(later, { brokerId: 1, droppedTails: [{ ...tail, endOffset: 9 }] }))
    expect(show(partition(next))).toBe('leader none isr empty elr 1,2 cut 1@0:9 epochs 1/5')
    // And a run that reports nothing does not make the log whole.
    const silent = decided(later, beat(later, { brokerId: 1 }))
    expect(show(partition(silent))).toBe('leader none isr empty elr 1,2 cut 1@0:7 epochs 1/4')
  })

  it('all have reported: the longest leads; one that was unfenced once and fenced since counts, too', () => {
    const both = registered(waiting, 2, { run: 2 })
    const next = decided(both, beat(both, { brokerId: 2, droppedTails: [{ ...tail, endOffset: 8 }] }))
    expect(show(partition(next))).toBe('leader 2 isr 2 elr 1 cut 1@0:7 epochs 2/5')
    const shorter = { ...tail, endOffset: 6 }
    const without1 = registered(fenced(waiting, 1), 2, { run: 2 })
    const waits = decided(without1, beat(without1, { brokerId: 2, droppedTails: [shorter] }))
    expect(show(partition(waits))).toBe('leader none isr empty elr 1,2 cut 1@0:7,2@0:6 epochs 1/5')
    const again = registered(waits, 1, { run: 3 })
    const led = decided(again, beat(again, { brokerId: 1, droppedTails: [tail] }))
    expect(show(partition(led))).toBe('leader 1 isr 1 elr 2 cut 2@0:6 epochs 2/6')
    expect(violations(led)).toEqual([])
  })
})

describe('REP-38: a heartbeat that asks for leave to stop', () => {
  const image = withTopic(clusterOf([1, 2]), [
    { replicas: [1, 2] },
    { replicas: [2, 1] },
    { replicas: [1, 2], isr: [1] },
  ])
  const stopping = beat(image, { brokerId: 1, wantShutdown: true, appliedByOthers: image.metadataOffset })
  const next = decided(image, stopping)

  it('leaderships that can move are moved, and it leaves the ISRs but where nobody else can lead', () => {
    expect([0, 1, 2].map((index) => show(partition(next, index)))).toEqual([
      'leader 2 isr 2 elr 1 epochs 1/1',
      'leader 2 isr 2 elr 1 epochs 0/1',
      'leader 1 isr 1 epochs 0/0',
    ])
    expect(next.brokers.get(1)).toMatchObject({ shuttingDown: true, fenced: false })
    expect(violations(next)).toEqual([])
  })

  it('leave is given once every other broker has applied that', () => {
    expect(stopping.response).toEqual({ fenced: false, mayShutDown: false })
    const ask = (appliedByOthers: number) => beat(next, { brokerId: 1, wantShutdown: true, appliedByOthers })
    expect(ask(next.metadataOffset - 1)).toEqual({
      records: [],
      response: { fenced: false, mayShutDown: false },
    })
    expect(ask(next.metadataOffset).response).toEqual({ fenced: false, mayShutDown: true })
  })

  it('the only broker gets leave at once', () => {
    const alone = withTopic(clusterOf([1]), [{ replicas: [1] }])
    const decision = beat(alone, { brokerId: 1, wantShutdown: true })
    expect(decision.response.mayShutDown).toBe(true)
    expect(show(partition(decided(alone, decision)))).toBe('leader 1 isr 1 epochs 0/0')
  })

  it('a fenced broker gets leave at once', () => {
    const decision = beat(fenced(image, 1), { brokerId: 1, wantShutdown: true, appliedByOthers: 0 })
    expect(decision).toEqual({ records: [], response: { fenced: true, mayShutDown: true } })
  })

  it('once it is fenced, a late heartbeat that wants to serve does not unfence it', () => {
    const stopped = fenced(next, 1)
    expect(beat(stopped, { brokerId: 1 })).toEqual({
      records: [],
      response: { fenced: true, mayShutDown: false },
    })
  })
})
