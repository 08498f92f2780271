import { describe, expect, it } from 'vitest'
import type { ClusterImage } from '../../src/metadata/cluster-image.ts'
import { decideFenceBroker } from '../../src/metadata/decide-fence-broker.ts'
import { decideRegisterBroker, type RegisterBroker } from '../../src/metadata/decide-register-broker.ts'
import {
  clusterOf,
  contextOf,
  decided,
  directory,
  epochOf,
  id128,
  incarnation,
  partition,
  show,
  TOPIC,
  violations,
  withTopic,
} from './cluster-fixture.ts'

function request(fields: Partial<RegisterBroker> = {}): RegisterBroker {
  return {
    brokerId: 1,
    incarnationId: incarnation(1, 2),
    directoryId: directory(1),
    url: 'ws://broker-1:9092',
    previousBrokerEpoch: null,
    cleanShutdown: false,
    rack: null,
    isRunning: () => false,
    ...fields,
  }
}

function fenced(image: ClusterImage, brokerId: number): ClusterImage {
  const decision = decideFenceBroker(contextOf(image), {
    brokerId,
    brokerEpoch: epochOf(image, brokerId),
    evidence: 'link-closed',
    detail: 'test',
  })
  return decided(image, decision)
}

describe('register a broker', () => {
  it('REP-26: the broker epoch is the metadata offset of the registration', () => {
    const image = clusterOf([2])
    const decision = decideRegisterBroker(contextOf(image), request())
    const next = decided(image, decision)
    expect(decision.response.brokerEpoch).toBe(next.metadataOffset)
    expect(next.brokers.get(1)).toMatchObject({ brokerEpoch: next.metadataOffset, fenced: true })
  })

  it('REP-26: another live process under the same id -> refused until the first is fenced', () => {
    const image = clusterOf([1, 2])
    expect(() => decideRegisterBroker(contextOf(image), request())).toThrow(
      expect.objectContaining({
        code: 'DUPLICATE_BROKER_REGISTRATION',
        retriable: true,
        message: expect.stringContaining('ws://broker-1:9092'),
      }),
    )
    const free = fenced(image, 1)
    const { response } = decideRegisterBroker(contextOf(free), request())
    expect(response.brokerEpoch).toBeGreaterThan(epochOf(image, 1))
  })

  it('REP-26: a fenced run that is heard -> not replaced by what a dead one sent before', () => {
    const free = fenced(clusterOf([1, 2]), 1)
    const late = request({ isRunning: (run) => run === incarnation(1) })
    expect(() => decideRegisterBroker(contextOf(free), late)).toThrow(
      expect.objectContaining({
        code: 'DUPLICATE_BROKER_REGISTRATION',
        retriable: true,
        message: expect.stringContaining('the controller hears it'),
      }),
    )
  })

  it('REP-26: the same incarnation asks again -> the same epoch and no record', () => {
    const image = clusterOf([1, 2])
    const again = request({ incarnationId: incarnation(1) })
    const decision = decideRegisterBroker(contextOf(image), again)
    expect(decision).toEqual({ records: [], response: { brokerEpoch: epochOf(image, 1) } })
    expect(decideRegisterBroker(contextOf(fenced(image, 1)), again).response.brokerEpoch).toBe(
      epochOf(image, 1),
    )
  })

  it('the rack of each run is that of its broker; without one it has none', () => {
    const image = clusterOf([1, 2], { 1: 'a' })
    expect(image.brokers.get(1)).toMatchObject({ rack: 'a' })
    expect(image.brokers.get(2)).toMatchObject({ rack: null })
    const moved = decided(
      fenced(image, 1),
      decideRegisterBroker(contextOf(fenced(image, 1)), request({ rack: 'room b, rack 7' })),
    )
    expect(moved.brokers.get(1)).toMatchObject({ rack: 'room b, rack 7', fenced: true })
  })

  it.each(['', ' a', 'a ', 'a\tb', 'straße', 'x'.repeat(250)])('a rack of %j is refused', (rack) => {
    expect(() => decideRegisterBroker(contextOf(clusterOf([2])), request({ rack }))).toThrow(
      expect.objectContaining({
        code: 'INVALID_REQUEST',
        message: expect.stringMatching(/rack of broker 1 must be 1 to 249 printable ASCII characters/),
      }),
    )
  })

  it.each(['', 'http://broker-1:9092', 'ws://', 'broker-1:9092'])('a URL of %j is refused', (url) => {
    expect(() => decideRegisterBroker(contextOf(clusterOf([2])), request({ url }))).toThrow(
      expect.objectContaining({ code: 'INVALID_REQUEST' }),
    )
  })
})

describe('register a broker after a crash', () => {
  // Broker 1 is the last member of the ISR of partition 0, and one of two in that of partition 1.
  const live = withTopic(clusterOf([1, 2]), [{ replicas: [1, 2], isr: [1] }, { replicas: [1, 2] }], TOPIC, {
    'min.insync.replicas': '1',
  })
  const image = fenced(live, 1)
  const epoch = epochOf(image, 1)
  const kept = 'leader none isr empty elr 1 epochs 1/1'
  const left = 'leader none isr empty lost 1 epochs 1/2'

  it.each<[string, Partial<RegisterBroker>, string]>([
    ['the same directory knows the last epoch', { previousBrokerEpoch: epoch }, kept],
    ['the same, after a clean shutdown', { previousBrokerEpoch: epoch, cleanShutdown: true }, kept],
    ['the directory knows no epoch', { previousBrokerEpoch: null }, left],
    [
      'STO-42: the directory knows an older epoch, as a copy from before the last start',
      { previousBrokerEpoch: epoch - 1 },
      left,
    ],
    [
      'STO-42: a clean shutdown of an older run',
      { previousBrokerEpoch: epoch - 1, cleanShutdown: true },
      left,
    ],
    ['REP-24: a wiped directory', { directoryId: id128('new-directory') }, left],
    [
      'another directory that knows the last epoch',
      { directoryId: id128('new-directory'), previousBrokerEpoch: epoch },
      left,
    ],
    [
      'another directory with the clean-shutdown marker of the last run',
      { directoryId: id128('new-directory'), previousBrokerEpoch: epoch, cleanShutdown: true },
      kept,
    ],
  ])('%s', (_what, fields, expected) => {
    const decision = decideRegisterBroker(contextOf(image), request(fields))
    const next = decided(image, decision)
    expect(show(partition(next, 0))).toBe(expected)
    // It was removed here when it was fenced, and its registration changes nothing.
    expect(partition(next, 1)).toBe(partition(image, 1))
    expect(violations(next)).toEqual([])
  })

  it.each([
    ['knows the last epoch that was unfenced', epoch, kept],
    ['knows only one from before that', epoch - 1, left],
  ])(
    'a run that was never unfenced lies between, and the directory %s',
    (_what, previousBrokerEpoch, expected) => {
      // It was registered, and ended before its directory knew: such a run has counted for nothing.
      const between = decided(
        image,
        decideRegisterBroker(contextOf(image), request({ previousBrokerEpoch: epoch })),
      )
      const again = request({ incarnationId: incarnation(1, 3), previousBrokerEpoch })
      const next = decided(between, decideRegisterBroker(contextOf(between), again))
      expect(show(partition(next, 0))).toBe(expected)
      expect(violations(next)).toEqual([])
    },
  )

  it('REP-29: what it leaves stands in the batch of the registration, with the reason', () => {
    const { records } = decideRegisterBroker(contextOf(image), request({ previousBrokerEpoch: 0 }))
    expect(records).toMatchObject([
      { type: 'broker-registered' },
      {
        type: 'partition-changed',
        isr: [],
        leader: null,
        cause: {
          kind: 'unclean-restart',
          detail: `broker 1 registered: its directory knows broker epoch 0, the last run had ${epoch}`,
        },
      },
    ])
  })
})

describe('register a broker where records count before they are fsynced', () => {
  const live = withTopic(
    clusterOf([1, 2]),
    [
      { replicas: [1, 2], isr: [1], synced: false },
      { replicas: [1, 2], synced: false },
      { replicas: [1, 2], isr: [1], synced: true },
    ],
    TOPIC,
    { 'min.insync.replicas': '1' },
  )
  const image = fenced(live, 1)
  const epoch = epochOf(image, 1)
  const kept = ['leader none isr empty elr 1', 'leader 2 isr 2', 'leader none isr empty elr 1']
  const onlySynced = ['leader none isr empty lost 1', 'leader 2 isr 2', 'leader none isr empty elr 1']
  const left = ['leader none isr empty lost 1', 'leader 2 isr 2', 'leader none isr empty lost 1']

  it.each<[string, Partial<RegisterBroker>, readonly string[]]>([
    ['REP-29: an unclean stop -> it leaves ISR and ELR of these', { previousBrokerEpoch: epoch }, onlySynced],
    [
      'a clean stop of the last run -> it keeps its place',
      { previousBrokerEpoch: epoch, cleanShutdown: true },
      kept,
    ],
    ['REP-29: a clean stop of an older run', { previousBrokerEpoch: epoch - 1, cleanShutdown: true }, left],
    [
      'REP-29: a clean-shutdown marker without an epoch',
      { previousBrokerEpoch: null, cleanShutdown: true },
      left,
    ],
    [
      'another directory with the clean-shutdown marker of the last run',
      { directoryId: id128('moved'), previousBrokerEpoch: epoch, cleanShutdown: true },
      kept,
    ],
  ])('%s', (_what, fields, expected) => {
    const next = decided(image, decideRegisterBroker(contextOf(image), request(fields)))
    expect([0, 1, 2].map((index) => show(partition(next, index)).replace(/ epochs.*/, ''))).toEqual(expected)
    expect(violations(next)).toEqual([])
  })

  it('the reason names flush.messages', () => {
    const { records } = decideRegisterBroker(contextOf(image), request({ previousBrokerEpoch: epoch }))
    expect(records[1]).toMatchObject({
      cause: { kind: 'unclean-restart', detail: expect.stringContaining('flush.messages is above 1') },
      synced: false,
    })
  })
})
