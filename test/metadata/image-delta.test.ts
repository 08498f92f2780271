import { describe, expect, it } from 'vitest'
import type { ClusterImage } from '../../src/metadata/cluster-image.ts'
import { deltaFor } from '../../src/metadata/image-delta.ts'
import { apply, CAUSE, clusterOf, epochOf, id128, TOPIC, withFencing, withTopic } from './cluster-fixture.ts'

const before = withTopic(
  withTopic(clusterOf([1, 2, 3]), [{ replicas: [1, 2] }, { replicas: [2, 3] }]),
  [{ replicas: [3, 1] }],
  id128('other'),
)

function changeLeader(image: ClusterImage): ClusterImage {
  return apply(image, [
    {
      type: 'partition-changed',
      topicId: TOPIC,
      partition: 0,
      isr: [2],
      leader: 2,
      leaderEpoch: 1,
      partitionEpoch: 1,
      cause: CAUSE,
      elr: [],
      lastKnownElr: [],
      observers: [],
      synced: true,
      droppedTails: [],
      replicas: null,
      reassignment: null,
    },
  ])
}

function summary(brokerId: number, after: ClusterImage) {
  const delta = deltaFor(brokerId, before, after)
  const partitions = (list: typeof delta.changed) =>
    list.map(({ topic, after: state }) => `${topic.topicId.slice(0, 5)}/${state.partition}`)
  return {
    lead: partitions(delta.lead),
    follow: partitions(delta.follow),
    changed: partitions(delta.changed),
    deleted: delta.deletedTopics.map(({ topicId }) => topicId.slice(0, 5)),
    brokers: delta.brokers,
  }
}

const nothing = { lead: [], follow: [], changed: [], deleted: [], brokers: [] }

describe('the delta for a broker', () => {
  it.each([
    [1, { ...nothing, follow: ['topic/0'], changed: ['topic/0'] }],
    [2, { ...nothing, lead: ['topic/0'], changed: ['topic/0'] }],
    [3, { ...nothing, changed: ['topic/0'] }],
  ])('a change of leader, as broker %i sees it', (brokerId, expected) => {
    expect(summary(brokerId, changeLeader(before))).toEqual(expected)
  })

  it('a new topic, a deleted topic and a fenced broker', () => {
    let after = withTopic(before, [{ replicas: [1] }, { replicas: [2, 1] }], id128('added'))
    after = apply(after, [{ type: 'topic-deleted', topicId: id128('other') }])
    after = withFencing(changeLeader(after), 1, { fenced: false })
    expect(epochOf(after, 1)).toBe(epochOf(before, 1))
    expect(summary(1, after)).toEqual({
      lead: ['added/0'],
      follow: ['topic/0', 'added/1'],
      changed: ['topic/0', 'added/0', 'added/1'],
      deleted: ['other'],
      brokers: [1],
    })
  })

  it('a broker that is no replica any more is told to stop', () => {
    const topic = before.topics.get(TOPIC)!
    const [first, second] = topic.partitions
    const moved = { ...first!, replicas: [2, 3], isr: [2], leader: 2, leaderEpoch: 1, partitionEpoch: 1 }
    const after: ClusterImage = {
      ...before,
      topics: new Map(before.topics).set(TOPIC, { ...topic, partitions: [moved, second!] }),
    }
    expect(deltaFor(1, before, after).stop).toMatchObject([{ before: first }])
    expect(deltaFor(3, before, after)).toMatchObject({ follow: [{ after: moved }], stop: [] })
  })
})
