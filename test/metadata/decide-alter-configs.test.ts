import { describe, expect, it } from 'vitest'
import type { ClusterImage } from '../../src/metadata/cluster-image.ts'
import { type ConfigChange, decideAlterTopicConfigs } from '../../src/metadata/decide-alter-configs.ts'
import { decideAlterPartition } from '../../src/metadata/decide-alter-partition.ts'
import { decideFenceBroker } from '../../src/metadata/decide-fence-broker.ts'
import { deltaFor } from '../../src/metadata/image-delta.ts'
import { VltavaError } from '../../src/model/errors.ts'
import {
  clusterOf,
  contextOf,
  decided,
  epochOf,
  partition,
  show,
  TOPIC,
  violations,
  withTopic,
} from './cluster-fixture.ts'

const NAME = `name-of-${TOPIC}`

function altering(image: ClusterImage, changes: readonly ConfigChange[], validateOnly = false) {
  return decideAlterTopicConfigs(contextOf(image), { topic: NAME, changes, validateOnly })
}

function altered(image: ClusterImage, settings: Readonly<Record<string, string | null>>): ClusterImage {
  const changes = Object.entries(settings).map(([name, value]) => ({ name, value }))
  const next = decided(image, altering(image, changes))
  expect(violations(next)).toEqual([])
  return next
}

function fenced(image: ClusterImage, ...brokers: readonly number[]): ClusterImage {
  return brokers.reduce((state, brokerId) => {
    const brokerEpoch = epochOf(state, brokerId)
    const due = { brokerId, brokerEpoch, evidence: 'link-closed', detail: 'test' } as const
    return decided(state, decideFenceBroker(contextOf(state), due))
  }, image)
}

const configsOf = (image: ClusterImage) => Object.fromEntries(image.topics.get(TOPIC)!.configs)
const full = (configs: Readonly<Record<string, string>> = {}) =>
  withTopic(clusterOf([1, 2, 3]), [{ replicas: [1, 2, 3] }], TOPIC, configs)

/** What the leader proposes with the epochs of the image `seen`, decided on `now`. */
function proposing(now: ClusterImage, seen: ClusterImage, isr: readonly number[]) {
  const { leader, leaderEpoch, partitionEpoch } = partition(seen)
  const decision = decideAlterPartition(contextOf(now), {
    brokerId: leader!,
    brokerEpoch: epochOf(now, leader!),
    partitions: [
      {
        topicId: TOPIC,
        partition: 0,
        leaderEpoch,
        partitionEpoch,
        isr: isr.map((brokerId) => ({ brokerId, brokerEpoch: epochOf(now, brokerId) })),
        reason: 'test',
        observedAtMs: 1,
      },
    ],
  })
  return decision.response[0]!.error?.code ?? show(partition(decided(now, decision)))
}

describe('alter configs of a topic', () => {
  it('set and delete -> what is named changes, the rest stays', () => {
    const image = full({ 'retention.ms': '5', 'segment.bytes': '20000' })
    const after = altered(image, { 'retention.ms': null, 'max.message.bytes': '4096' })
    expect(configsOf(after)).toEqual({ 'segment.bytes': '20000', 'max.message.bytes': '4096' })
    expect(partition(after)).toBe(partition(image))
  })

  it('the cause names each setting with its old and new value', () => {
    const { records } = altering(full({ 'retention.ms': '5' }), [
      { name: 'retention.ms', value: '7' },
      { name: 'min.insync.replicas', value: '3' },
    ])
    const detail = 'an operator changed retention.ms from 5 to 7, min.insync.replicas from the default to 3'
    expect(records).toMatchObject([
      { type: 'topic-configs-changed', cause: { kind: 'configs-changed', detail } },
      { type: 'partition-changed', cause: { kind: 'configs-changed', detail } },
    ])
  })

  it.each<[string, readonly ConfigChange[], RegExp]>([
    ['no change', [], /Name at least one setting/],
    [
      'an unknown name',
      [{ name: 'x', value: '1' }],
      /Unknown topic setting "x". Known are min.insync.replicas/,
    ],
    ['an unknown name to delete', [{ name: 'x', value: null }], /Unknown topic setting "x"/],
    [
      'a value that is not allowed',
      [{ name: 'flush.messages', value: '0' }],
      /flush.messages must be a whole number of records from 1 to 9007199254740991, got "0"/,
    ],
    [
      'one good and one bad: neither',
      [
        { name: 'retention.ms', value: '1' },
        { name: 'cleanup.policy', value: 'keep' },
      ],
      /cleanup.policy must be one of "delete", "compact", "compact,delete", got "keep"/,
    ],
    [
      'the same name twice',
      [
        { name: 'retention.ms', value: '1' },
        { name: 'retention.ms', value: null },
      ],
      /retention.ms is changed twice/,
    ],
  ])('%s -> INVALID_CONFIG that says what is allowed', (_what, changes, message) => {
    const refusal = (() => {
      try {
        return altering(full(), changes)
      } catch (thrown) {
        return thrown
      }
    })()
    expect(refusal).toBeInstanceOf(VltavaError)
    expect(refusal).toMatchObject({ code: 'INVALID_CONFIG', message: expect.stringMatching(message) })
  })

  it('an unknown topic -> refused', () => {
    const request = { topic: 'none', changes: [{ name: 'retention.ms', value: '1' }], validateOnly: false }
    expect(() => decideAlterTopicConfigs(contextOf(full()), request)).toThrow(/There is no topic "none"/)
  })

  it.each([
    ['the value it has', { 'retention.ms': '5' }],
    ['delete what is not set', { 'segment.ms': null }],
  ])('%s -> no records', (_what, settings) => {
    const image = full({ 'retention.ms': '5' })
    expect(altered(image, settings)).toBe(image)
  })

  it('only to validate -> no records, but the same errors', () => {
    const image = full()
    expect(altering(image, [{ name: 'retention.ms', value: '5' }], true).records).toEqual([])
    expect(() => altering(image, [{ name: 'retention.ms', value: 'x' }], true)).toThrow(
      /retention.ms must be/,
    )
  })

  it('the replicas of the topic hear of it, also where no partition changed; others do not', () => {
    const image = withTopic(full(), [{ replicas: [1, 2] }], `other${TOPIC.slice(5)}`)
    const after = altered(image, { 'retention.ms': '5' })
    expect(deltaFor(1, image, after)).toMatchObject({
      lead: [],
      changed: [],
      configured: [{ topic: { topicId: TOPIC } }],
    })
    expect(deltaFor(4, image, after).configured).toEqual([])
    expect(deltaFor(1, image, altered(image, { 'min.insync.replicas': '1' }))).toMatchObject({
      lead: [{ topic: { topicId: TOPIC } }],
      configured: [],
    })
  })
})

describe('REP-28: min.insync.replicas changes while replicas are eligible', () => {
  it.each<[string, readonly number[], Readonly<Record<string, string>>, string | null, string]>([
    ['nobody is missing', [], {}, '1', 'leader 1 isr 1,2,3 epochs 0/1'],
    ['lowered to what is there: the leader may commit alone', [2, 3], {}, '1', 'leader 1 isr 1 epochs 0/3'],
    [
      'lowered, and still too few are there',
      [2, 3],
      { 'min.insync.replicas': '3' },
      '2',
      'leader 1 isr 1 lost 2,3 epochs 0/3',
    ],
    ['raised', [2, 3], {}, '3', 'leader 1 isr 1 lost 3 epochs 0/3'],
    ['raised beyond the replicas: all are needed', [3], {}, '9', 'leader 1 isr 1,2 epochs 0/2'],
    [
      'the leader is gone as well: nothing can be committed, all stay eligible',
      [2, 3, 1],
      {},
      '1',
      'leader none isr empty elr 1,3 epochs 1/4',
    ],
    [
      'the same for the partition: nothing changes',
      [2],
      { 'min.insync.replicas': '3' },
      '4',
      'leader 1 isr 1,3 elr 2 epochs 0/1',
    ],
    ['deleted, back to 2', [3], { 'min.insync.replicas': '3' }, null, 'leader 1 isr 1,2 epochs 0/2'],
  ])('%s', (_what, gone, configs, value, expected) => {
    const image = fenced(full(configs), ...gone)
    expect(show(partition(altered(image, { 'min.insync.replicas': value })))).toBe(expected)
  })

  it('a proposal from before the change -> refused until the leader has heard of it', () => {
    const before = full({ 'min.insync.replicas': '1' })
    const after = altered(before, { 'min.insync.replicas': '2' })
    // Taken, broker 2 would be eligible, and the leader, which still needs only itself, would commit without it.
    expect(proposing(after, before, [1])).toBe('INVALID_UPDATE_VERSION')
    expect(proposing(after, after, [1])).toBe('leader 1 isr 1 elr 2,3 epochs 0/2')
  })
})

describe('flush.messages changes', () => {
  const synced = (image: ClusterImage) => partition(image).synced

  it.each<[string, string | null, string | null, boolean, boolean]>([
    ['1 to 2', null, '2', true, false],
    ['2 to 3', '2', '3', false, false],
    ['2 to 1: only the leader can tell', '2', '1', false, false],
    ['2 to the default', '2', null, false, false],
    ['1 to the default', '1', null, true, true],
  ])('%s', (_what, from, to, before, after) => {
    const configs = from === null ? {} : { 'flush.messages': from }
    const start = withTopic(clusterOf([1, 2]), [{ replicas: [1, 2], synced: before }], TOPIC, configs)
    expect(synced(altered(start, { 'flush.messages': to }))).toBe(after)
  })

  it('lowered and raised again before the leader proposed -> its proposal from in between is refused', () => {
    const start = withTopic(clusterOf([1, 2]), [{ replicas: [1, 2], synced: false }], TOPIC, {
      'flush.messages': '9',
    })
    const lowered = altered(start, { 'flush.messages': '1' })
    const raised = altered(lowered, { 'flush.messages': '9' })
    const again = altered(raised, { 'flush.messages': '1' })
    expect(proposing(again, lowered, [1, 2])).toBe('INVALID_UPDATE_VERSION')
  })
})

describe('unclean.leader.election.enable is turned on', () => {
  const setting = { 'unclean.leader.election.enable': 'true' }

  it('a partition that waits for others, with a replica alive -> elected at once, recorded as possible data loss', () => {
    const image = fenced(withTopic(clusterOf([1, 2, 3]), [{ replicas: [1, 2, 3], isr: [1, 2] }]), 1, 2)
    expect(show(partition(image))).toBe('leader none isr empty elr 1,2 epochs 2/2')
    const next = altered(image, setting)
    expect(partition(next)).toMatchObject({ leader: 3, isr: [3], elr: [], lastKnownElr: [1, 2] })
  })

  it('nobody alive, or a leader there -> only the setting changes', () => {
    const image = fenced(full(), 1, 2, 3)
    expect(partition(altered(image, setting))).toBe(partition(image))
    expect(partition(altered(full(), setting))).toMatchObject({ leader: 1, partitionEpoch: 0 })
  })
})
