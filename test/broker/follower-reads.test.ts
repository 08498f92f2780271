// What consumers get from a follower, in sessions and without: broker 1 follows broker 2 in epoch 3.
import { describe, expect, it } from 'vitest'
import { BrokerCounters } from '../../src/broker/broker-counters.ts'
import { FetchFlow } from '../../src/broker/fetch-flow.ts'
import type { FollowerRole, LeaderBatches } from '../../src/broker/follower-role.ts'
import type { SessionAnswer } from '../../src/broker/served-session.ts'
import type { Connection } from '../../src/net/connection.ts'
import type { RequestOf, ResponseOf } from '../../src/protocol/api.ts'
import { errorOfWire } from '../../src/protocol/error-schema.ts'
import type { fetch } from '../../src/protocol/fetch.ts'
import { baseOffsetOf, nextOffsetOf } from '../../src/record/batch-format.ts'
import { forEachBatch } from '../../src/record/batch-reader.ts'
import type { FetchResponse } from '../../src/replication/partition-follower.ts'
import { stamped, type TestLogOptions, TOPIC_ID } from '../storage/fixtures.ts'
import { settled } from '../storage/gated-disk.ts'
import { type HostedPartition, hostedPartition } from './hosted-partition.ts'

type PartitionRequest = RequestOf<typeof fetch>['partitions'][number]
type Answer = SessionAnswer<ResponseOf<typeof fetch>['partitions'][number]>

const WAIT_MS = 500
const SILENCE_MAX_MS = 30_000

/** The offsets that came, or the error, or where the logs part; `nothing` where there is no news. */
function seenIn({ body, payload }: Answer): unknown {
  const [one] = body.partitions
  if (one === undefined) return 'nothing'
  if (one.error !== null) return errorOfWire(one.error).code
  if (one.diverging !== null) return one.diverging
  const offsets: number[] = []
  for (const bytes of payload)
    forEachBatch(bytes, (at) => offsets.push(baseOffsetOf(bytes, at), nextOffsetOf(bytes, at)))
  return offsets.length === 0 ? 'nothing' : [offsets[0], offsets.at(-1)]
}

interface Following extends HostedPartition {
  readonly follower: FollowerRole
  /** Asks, and tells what it got; `pending` while it is parked. */
  readonly ask: (
    fetchOffset: number,
    position?: Partial<PartitionRequest>,
  ) => Promise<{ readonly seen: unknown }>
  /** The leader answers the fetch of the follower. */
  readonly answers: (
    response: Partial<Extract<FetchResponse<LeaderBatches>, { kind: 'records' }>>,
  ) => Promise<void>
}

async function following(
  how: 'plain' | 'session',
  options: TestLogOptions = {},
  hosted?: HostedPartition,
): Promise<Following> {
  const found = hosted ?? (await hostedPartition(2, options))
  const { environment, registry, partition } = found
  const flow = new FetchFlow({ environment, registry, counters: new BrokerCounters() })
  let sessions = 0
  return {
    ...found,
    follower: partition.follower!,
    async ask(fetchOffset, position = {}) {
      const connection = { isOpen: true, onClose: () => () => {} } as unknown as Connection
      const asked = {
        ...{ topicId: TOPIC_ID, partition: 0, currentLeaderEpoch: 3, fetchOffset, maxBytes: 10_000 },
        ...{ lastFetchedEpoch: -1, fromReplica: true, ...position },
      }
      const session = how === 'plain' ? null : { id: ++sessions, epoch: 0 }
      const bounds = { maxWaitMs: WAIT_MS, minBytes: 1, maxBytes: 10_000, forgotten: [] }
      const answer: { seen: unknown } = { seen: 'pending' }
      const given = flow.handle({ ...bounds, partitions: [asked], session }, connection)
      Promise.resolve(given).then(
        (got) => {
          answer.seen = seenIn(got)
        },
        (error: unknown) => {
          answer.seen = error
        },
      )
      await settled()
      return answer
    },
    async answers(response) {
      const role = partition.follower!
      const records = { kind: 'records', batches: [], highWatermark: 2, logStartOffset: 0 } as const
      const step = role.take(role.nextFetch()!, { ...records, ...response })
      await settled()
      partition.written(partition.log.logEndOffset)
      await step
      await settled()
    },
  }
}

const next = (offset: number, leaderEpoch = 3): LeaderBatches => ({
  bytes: stamped({ text: 'n', records: 1, offset, leaderEpoch }),
  compactedBelow: 0,
})

describe.each(['plain', 'session'] as const)('a consumer that reads from a follower: %s', (how) => {
  it('REP-34: without asking for a replica -> not its leader, as ever', async () => {
    const { ask, answers } = await following(how)
    await answers({})
    expect(await ask(0, { fromReplica: false })).toEqual({ seen: 'NOT_LEADER_OR_FOLLOWER' })
  })

  it('REP-34: it has more than is known to be committed -> up to its own high watermark', async () => {
    const { ask, answers, partition } = await following(how)
    await answers({ highWatermark: 2 })
    expect(partition.log.logEndOffset).toBe(5)
    expect(await ask(0)).toEqual({ seen: [0, 2] })
    expect(await ask(1, { lastFetchedEpoch: 2 })).toEqual({ seen: [1, 2] })
  })

  it('REP-34: the leader has committed more than is here -> not beyond the end of the log', async () => {
    const { ask, answers } = await following(how)
    await answers({ highWatermark: 100 })
    expect(await ask(0)).toEqual({ seen: [0, 5] })
    expect(await ask(6)).toEqual({ seen: 'OFFSET_NOT_AVAILABLE' })
  })

  it('REP-34: an offset above its high watermark -> not available, whether its log has it or not; below its log start -> out of range', async () => {
    const { ask, answers, partition } = await following(how)
    await answers({ highWatermark: 4 })
    await answers({ highWatermark: 4, logStartOffset: 3 })
    expect(partition.log.logStartOffset).toBe(3)
    expect(await ask(5)).toEqual({ seen: 'OFFSET_NOT_AVAILABLE' })
    expect(await ask(99)).toEqual({ seen: 'OFFSET_NOT_AVAILABLE' })
    expect(await ask(2)).toEqual({ seen: 'OFFSET_OUT_OF_RANGE' })
    expect(await ask(3)).toEqual({ seen: [3, 4] })
  })

  it('REP-34: the leader of the epoch has not compared the logs yet -> nothing, though the high watermark of before is known', async () => {
    const { ask, answers, follower, partition } = await following(how)
    follower.highWatermarkNoted({ leaderEpoch: 3, highWatermark: 5 })
    expect(partition.highWatermark).toBe(2)
    expect(await ask(0)).toEqual({ seen: 'OFFSET_NOT_AVAILABLE' })
    await answers({})
    // What the leader said meanwhile counts now; it says nothing twice.
    expect(await ask(0)).toEqual({ seen: [0, 5] })
  })

  it('REP-34: at its high watermark -> parked until that moves, by a note or by an answer', async () => {
    const { ask, answers, follower } = await following(how)
    await answers({})
    const first = await ask(2)
    const later = await ask(2, { lastFetchedEpoch: 2 })
    expect([first.seen, later.seen]).toEqual(['pending', 'pending'])
    follower.highWatermarkNoted({ leaderEpoch: 3, highWatermark: 4 })
    await settled()
    expect([first.seen, later.seen]).toEqual([
      [2, 4],
      [2, 4],
    ])
    const last = await ask(4)
    await answers({ highWatermark: 5 })
    expect(last.seen).toEqual([4, 5])
  })

  it('REP-34: records and their high watermark come together -> handed out when they are written', async () => {
    const { ask, answers } = await following(how)
    await answers({ highWatermark: 5 })
    const waiting = await ask(5, { lastFetchedEpoch: 2 })
    await answers({ batches: [next(5)], highWatermark: 6 })
    expect(waiting.seen).toEqual([5, 6])
  })

  it('REP-34: nothing comes -> an empty answer at the end of the wait', async () => {
    const { ask, answers, clock } = await following(how)
    await answers({})
    const waiting = await ask(2)
    clock.advance(WAIT_MS)
    await settled()
    expect(waiting.seen).toBe('nothing')
  })

  it('REP-34: another epoch ends the role -> whoever waits is told', async () => {
    const { ask, answers, update } = await following(how)
    await answers({})
    const waiting = await ask(2)
    await update({ leaderEpoch: 4, partitionEpoch: 5 })
    await settled()
    expect(waiting.seen).toBe('NOT_LEADER_OR_FOLLOWER')
    expect(await ask(2)).toEqual({ seen: 'FENCED_LEADER_EPOCH' })
  })

  it('REP-34: it falls out of the in-sync set -> whoever waits is sent away, as whoever comes; as an observer it serves again', async () => {
    const { ask, answers, update } = await following(how)
    await answers({})
    const waiting = await ask(2)
    await update({ isr: [2], partitionEpoch: 5 })
    await settled()
    expect(waiting.seen).toBe('NOT_LEADER_OR_FOLLOWER')
    expect(await ask(0)).toEqual({ seen: 'NOT_LEADER_OR_FOLLOWER' })
    await update({ observers: [1], partitionEpoch: 6 })
    expect(await ask(0)).toEqual({ seen: [0, 2] })
  })

  it('REP-34: it has not heard of its leader for long -> whoever waits is sent away; what is committed is served still', async () => {
    const { ask, answers, clock, follower, partition } = await following(how)
    const contact = { heardAtMs: clock.monotonicMs() }
    follower.reads.fetchedBy(contact)
    await answers({})
    clock.advance(SILENCE_MAX_MS)
    partition.tick()
    const waiting = await ask(2)
    expect(waiting.seen).toBe('pending')
    clock.advance(1)
    partition.tick()
    await settled()
    expect(waiting.seen).toBe('OFFSET_NOT_AVAILABLE')
    expect(await ask(0)).toEqual({ seen: [0, 2] })
    contact.heardAtMs = clock.monotonicMs()
    expect((await ask(2)).seen).toBe('pending')
  })

  it('REP-34: the leader refuses the partition for long, though it answers others -> whoever waits is sent away', async () => {
    const { ask, answers, clock, follower, partition } = await following(how)
    await answers({})
    const refusal = { kind: 'error', code: 'STORAGE_ERROR', logStartOffset: null } as const
    await follower.take(follower.nextFetch()!, refusal)
    clock.advance(SILENCE_MAX_MS + 1)
    follower.reads.fetchedBy({ heardAtMs: clock.monotonicMs() })
    partition.tick()
    expect(await ask(2)).toEqual({ seen: 'OFFSET_NOT_AVAILABLE' })
    await answers({})
    expect((await ask(2)).seen).toBe('pending')
  })

  it('REP-34: what the consumer read is not in this log -> where the logs part', async () => {
    const { ask, answers } = await following(how)
    await answers({ highWatermark: 5 })
    await answers({ batches: [next(5)], highWatermark: 6 })
    expect(await ask(6, { lastFetchedEpoch: 2 })).toEqual({ seen: { epoch: 2, endOffset: 5 } })
    expect(await ask(5, { lastFetchedEpoch: 2 })).toEqual({ seen: [5, 6] })
  })
})

describe('a follower whose log is cut off', () => {
  it('REP-34: a read from files that was under way -> void; nothing is served until the logs agree again', async () => {
    const { ask, answers, follower, partition } = await following('plain', { tailCacheBytes: 0 })
    await answers({ highWatermark: 5 })
    const diverging = { kind: 'diverging', epoch: 2, endOffset: 3, logStartOffset: 0 } as const
    // As after an unclean election; a clean one leaves what is committed.
    const asked = ask(3)
    const cut = follower.take(follower.nextFetch()!, diverging)!
    const during = ask(0)
    await cut
    expect(partition.log.logEndOffset).toBe(3)
    expect((await asked).seen).toBe('OFFSET_NOT_AVAILABLE')
    expect((await during).seen).toBe('OFFSET_NOT_AVAILABLE')
    expect(await ask(0)).toEqual({ seen: 'OFFSET_NOT_AVAILABLE' })
    await answers({ highWatermark: 2 })
    expect(await ask(0)).toEqual({ seen: [0, 3] })
  })

  it('REP-34: a read from files that was under way when the role ended -> not handed out', async () => {
    const { ask, answers, partition } = await following('plain', { tailCacheBytes: 0 })
    await answers({ highWatermark: 5 })
    const asked = ask(0)
    const ended = partition.end()
    expect((await asked).seen).toBe('NOT_LEADER_OR_FOLLOWER')
    await ended
  })

  it('REP-34: who waits above what is left -> told that it is not there', async () => {
    const { ask, answers, follower } = await following('session')
    await answers({ highWatermark: 5 })
    const waiting = await ask(5, { lastFetchedEpoch: 2 })
    await follower.take(follower.nextFetch()!, {
      ...{ kind: 'diverging', epoch: 2, endOffset: 3, logStartOffset: 0 },
    })
    await settled()
    expect(waiting.seen).toBe('OFFSET_NOT_AVAILABLE')
  })

  it('REP-34: records that the leader deleted are still here -> nothing is served before they are gone; who waits for more goes on', async () => {
    const { ask, answers, follower } = await following('session')
    await answers({ highWatermark: 4 })
    const waiting = await ask(4)
    const records = { kind: 'records', batches: [], highWatermark: 4, logStartOffset: 3 } as const
    const trimming = follower.take(follower.nextFetch()!, records)!
    const during = ask(1)
    await trimming
    expect((await during).seen).toBe('OFFSET_NOT_AVAILABLE')
    expect(await ask(1)).toEqual({ seen: 'OFFSET_OUT_OF_RANGE' })
    expect(await ask(3)).toEqual({ seen: [3, 4] })
    expect(waiting.seen).toBe('pending')
    await answers({ highWatermark: 5, logStartOffset: 3 })
    expect(waiting.seen).toEqual([4, 5])
  })

  it('REP-34: the leader has deleted what is here -> served from where its log starts', async () => {
    const { ask, answers, follower } = await following('plain')
    await answers({ highWatermark: 5 })
    const error = { kind: 'error', code: 'OFFSET_OUT_OF_RANGE', logStartOffset: 8 } as const
    const restarting = follower.take(follower.nextFetch()!, error)!
    expect(await ask(5)).toEqual({ seen: 'OFFSET_NOT_AVAILABLE' })
    await restarting
    expect(await ask(5)).toEqual({ seen: 'OFFSET_OUT_OF_RANGE' })
    await answers({ batches: [next(8)], highWatermark: 9, logStartOffset: 8 })
    expect(await ask(8)).toEqual({ seen: [8, 9] })
  })
})
