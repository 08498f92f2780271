// A leader and the fetches of its follower, with sessions and, as an older follower fetches, without.
import { describe, expect, it } from 'vitest'
import { BrokerCounters } from '../../src/broker/broker-counters.ts'
import { MovingThrottle } from '../../src/broker/moving-throttle.ts'
import { ReplicaFetchFlow } from '../../src/broker/replica-fetch-flow.ts'
import { type ClusterImage, EMPTY_IMAGE } from '../../src/metadata/cluster-image.ts'
import type { Connection } from '../../src/net/connection.ts'
import type { RequestOf } from '../../src/protocol/api.ts'
import type { replicaFetch } from '../../src/protocol/replica-fetch.ts'
import { batchOf, TOPIC_ID } from '../storage/fixtures.ts'
import { hostedPartition } from './hosted-partition.ts'

const TARGET = { topicId: TOPIC_ID, partition: 0 }

interface Moving {
  image: ClusterImage
  bytesPerSecond: number | null
}

/** The partition is being moved from broker 1 to broker 2. */
function movingTo2(isr: readonly number[]): ClusterImage {
  const partition = {
    ...{ partition: 0, replicas: [1, 2], isr, leader: 1, leaderEpoch: 3, partitionEpoch: 4 },
    ...{ elr: [], lastKnownElr: [], synced: true, droppedTails: [], observers: [] },
    reassignment: { original: [1], target: [2] },
  }
  const topic = { topicId: TOPIC_ID, name: 't', configs: new Map(), partitions: [partition] }
  return { ...EMPTY_IMAGE, metadataOffset: 9, topics: new Map([[TOPIC_ID, topic]]) }
}

/** Broker 1 leads in epoch 3 with the records 0 to 4; broker 2 fetches. */
async function leading(moving: Moving = { image: EMPTY_IMAGE, bytesPerSecond: null }) {
  const hosted = await hostedPartition(1, moving.bytesPerSecond === null ? {} : { isr: [1] })
  const { environment, registry, clock } = hosted
  const throttle = new MovingThrottle({
    clock,
    image: () => moving.image,
    bytesPerSecond: () => moving.bytesPerSecond,
  })
  const flow = new ReplicaFetchFlow({ environment, registry, counters: new BrokerCounters(), throttle })
  const notes: unknown[] = []
  const connection = {
    isOpen: true,
    onClose: () => () => {},
    notify: (_api: unknown, body: unknown) => notes.push(body),
  } as unknown as Connection
  const fetch = (
    fetchOffset: number,
    session: RequestOf<typeof replicaFetch>['session'],
    flushedOffset = fetchOffset,
  ) => {
    const position = {
      fetchOffset,
      flushedOffset,
      lastFetchedEpoch: fetchOffset > 5 ? 3 : 2,
      currentLeaderEpoch: 3,
    }
    const partitions = [{ ...TARGET, ...position, maxBytes: 1_000, logStartOffset: 0, damaged: false }]
    const request = { brokerEpoch: 12, maxWaitMs: 500, maxBytes: 10_000, partitions, session, forgotten: [] }
    return flow.handle(request, { replicaId: 2, connection })
  }
  return { ...hosted, flow, notes, fetch, throttle }
}

describe.each([
  { how: 'without a session', sessionOf: () => null },
  { how: 'in a session', sessionOf: (epoch: number) => ({ id: 1, epoch }) },
])('a follower that fetches $how', ({ sessionOf }) => {
  it('behind -> gets the records at once', async () => {
    const { fetch } = await leading()
    const { body, payload } = await fetch(0, sessionOf(0))
    expect(body.partitions).toMatchObject([{ error: null, highWatermark: 2 }])
    expect(payload.length).toBeGreaterThan(0)
    expect(body.sessionId).toBe(sessionOf(0)?.id ?? null)
    expect(body.about).toEqual(sessionOf(0) === null ? [] : [TARGET])
  })

  it('at the end -> parks, hears of the high watermark by a note, and gets the next records', async () => {
    const { fetch, notes, partition } = await leading()
    const answer = fetch(5, sessionOf(0))
    expect(answer).toBeInstanceOf(Promise)
    expect(notes).toEqual([{ partitions: [{ ...TARGET, leaderEpoch: 3, highWatermark: 5 }] }])
    const { written, endOffset } = partition.requireLeader().append(batchOf({ text: 'news' }), 1)
    await written
    partition.written(endOffset)
    const { body } = await answer
    expect(body.partitions).toMatchObject([{ error: null, highWatermark: 5 }])
    expect(body.partitions[0]!.batchesBytes).toBeGreaterThan(0)
  })

  it('the log starts later -> told at once', async () => {
    const { fetch, partition, ...hosted } = await leading()
    hosted.followerReaches(5)
    const answer = fetch(5, sessionOf(0))
    await partition.log.trimTo(3)
    partition.logStartMoved(3)
    expect((await answer).body.partitions).toMatchObject([{ logStartOffset: 3, batchesBytes: 0 }])
  })

  it('the leadership ends -> told at once', async () => {
    const { fetch, partition } = await leading()
    const answer = fetch(5, sessionOf(0))
    await partition.end()
    const { body } = await answer
    expect(body.partitions[0]!.error).not.toBeNull()
  })
})

describe('a follower that fetches in a session', () => {
  it('its fetch ends without news -> answered about once, and then about nothing', async () => {
    const { flow, fetch, clock } = await leading()
    const first = fetch(5, { id: 1, epoch: 0 })
    clock.advance(500)
    expect((await first).body.about).toEqual([TARGET])
    const request = { brokerEpoch: 12, maxWaitMs: 500, maxBytes: 10_000, partitions: [], forgotten: [] }
    const connection = { isOpen: true, onClose: () => () => {} } as unknown as Connection
    expect(() =>
      flow.handle({ ...request, session: { id: 1, epoch: 1 } }, { replicaId: 2, connection }),
    ).toThrow(expect.objectContaining({ code: 'FETCH_SESSION_ID_NOT_FOUND' }))
    expect(flow.sessions.partitions).toBe(1)
  })
})

describe.each([
  { how: 'without a session', sessionOf: () => null },
  { how: 'in a session', sessionOf: (epoch: number) => ({ id: 1, epoch }) },
])('a replica that a move adds and that fetches $how, with a limit at the leader', ({ sessionOf }) => {
  const bytesIn = (answer: { readonly payload: readonly Uint8Array[] }): number =>
    answer.payload.reduce((sum, { length }) => sum + length, 0)

  /** What was asked is under way: all that can go on without time has. */
  const parked = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

  it('the budget is used up -> it waits for its debt alone, and then comes on by one batch', async () => {
    const { fetch, clock } = await leading({ image: movingTo2([1]), bytesPerSecond: 9 })
    const first = bytesIn(await fetch(0, sessionOf(0)))
    expect(first).toBeGreaterThan(9)
    // More than the rate came, so it waits until that is paid, however often it asks.
    const waitMs = Math.ceil(((first - 9 + 1) * 1_000) / 9)
    let epoch = 1
    for (let passedMs = 0; passedMs + 500 < waitMs; passedMs += 500) {
      const asking = fetch(1, sessionOf(epoch++))
      await parked()
      clock.advance(500)
      expect(bytesIn(await asking)).toBe(0)
    }
    const asking = fetch(1, sessionOf(epoch))
    await parked()
    clock.advance(499)
    expect(bytesIn(await asking)).toBe(first)
  })

  it('it joins the in-sync set, or the limit is taken away -> gets the next records at once', async () => {
    for (const change of [{ image: movingTo2([1, 2]) }, { bytesPerSecond: null }]) {
      const moving = { image: movingTo2([1]), bytesPerSecond: 10 as number | null }
      const { fetch, throttle } = await leading(moving)
      await fetch(0, sessionOf(0))
      const asking = fetch(1, sessionOf(1))
      Object.assign(moving, change)
      throttle.wake()
      expect(bytesIn(await asking)).toBeGreaterThan(100)
    }
  })

  it('a limit, but no move -> nothing is held up', async () => {
    const { fetch } = await leading({ image: movingTo2([1, 2]), bytesPerSecond: 10 })
    expect(bytesIn(await fetch(0, sessionOf(0)))).toBeGreaterThan(100)
    expect(bytesIn(await fetch(1, sessionOf(1)))).toBeGreaterThan(100)
  })
})
