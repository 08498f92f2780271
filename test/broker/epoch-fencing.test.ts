// Which leader epochs the requests of clients are served in, and that a refused one leaves no trace.
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { BrokerCounters } from '../../src/broker/broker-counters.ts'
import { DeleteRecordsFlow } from '../../src/broker/delete-records-flow.ts'
import { FetchFlow } from '../../src/broker/fetch-flow.ts'
import { ListOffsetsFlow } from '../../src/broker/list-offsets-flow.ts'
import { ProduceFlow } from '../../src/broker/produce-flow.ts'
import type { Connection } from '../../src/net/connection.ts'
import { errorOfWire, type WireError } from '../../src/protocol/error-schema.ts'
import { NO_SESSION } from '../protocol/no-session.ts'
import { batchOf, TOPIC_ID } from '../storage/fixtures.ts'
import { type HostedPartition, hostedPartition } from './hosted-partition.ts'

interface Answer {
  readonly partitions: readonly { readonly error: WireError | null }[]
}

type Ask = (hosted: HostedPartition, currentLeaderEpoch: number) => Promise<Answer>

const target = (currentLeaderEpoch: number) => ({ topicId: TOPIC_ID, partition: 0, currentLeaderEpoch })

async function fetchFrom(hosted: HostedPartition, epoch: number, fromReplica: boolean): Promise<Answer> {
  const flow = new FetchFlow({ ...hosted, counters: new BrokerCounters() })
  const reader = { onClose: () => () => {} } as unknown as Connection
  const partitions = [
    { ...target(epoch), fetchOffset: 0, maxBytes: 1_000, lastFetchedEpoch: -1, fromReplica },
  ]
  const request = { ...NO_SESSION, maxWaitMs: 0, minBytes: 1, maxBytes: 1_000, partitions }
  return (await flow.handle(request, reader)).body
}

/** The leader finds the log of its follower to be the beginning of its own. */
async function agree({ partition: { follower } }: HostedPartition): Promise<void> {
  const request = follower?.nextFetch() ?? null
  if (request === null) return
  await follower!.take(request, { kind: 'records', batches: [], highWatermark: 2, logStartOffset: 0 })
}

const REQUESTS: Readonly<Record<string, Ask>> = {
  async produce(hosted, epoch) {
    const flow = new ProduceFlow({ ...hosted, counters: new BrokerCounters() })
    const batch = batchOf({ text: 'new' })
    const partitions = [{ ...target(epoch), batchesBytes: batch.length }]
    const answer = flow.handle({ acks: 1, timeoutMs: 1_000, partitions }, batch)
    // One of a newer epoch waits for metadata, in vain.
    hosted.clock.advance(1_000)
    return await answer
  },
  async fetch(hosted, epoch) {
    return await fetchFrom(hosted, epoch, false)
  },
  async 'fetch from a replica'(hosted, epoch) {
    await agree(hosted)
    return await fetchFrom(hosted, epoch, true)
  },
  async 'list offsets'(hosted, epoch) {
    const flow = new ListOffsetsFlow(hosted)
    return await flow.handle({ partitions: [{ ...target(epoch), spec: { type: 'earliest' } }] })
  },
  async 'delete records'(hosted, epoch) {
    const flow = new DeleteRecordsFlow(hosted)
    const answer = flow.handle({ timeoutMs: 1, partitions: [{ ...target(epoch), beforeOffset: 0 }] })
    // One that is let in waits for the follower, in vain.
    await setImmediate()
    hosted.clock.advance(1)
    return await answer
  },
}

const EPOCHS: Readonly<Record<string, number>> = { older: 2, 'the same': 3, newer: 4, absent: -1 }

const SERVED = {
  older: 'FENCED_LEADER_EPOCH',
  'the same': null,
  newer: 'UNKNOWN_LEADER_EPOCH',
  absent: null,
} as const

/** In epoch 3. A follower serves no client, in whatever epoch it asks, but one that asks a replica. */
const EXPECTED: Readonly<Record<'leader' | 'follower', Readonly<Record<string, string | null>>>> = {
  leader: SERVED,
  follower: {
    older: 'NOT_LEADER_OR_FOLLOWER',
    'the same': 'NOT_LEADER_OR_FOLLOWER',
    newer: 'NOT_LEADER_OR_FOLLOWER',
    absent: 'NOT_LEADER_OR_FOLLOWER',
  },
}

const expectedOf = (request: string, role: 'leader' | 'follower'): Readonly<Record<string, string | null>> =>
  request === 'fetch from a replica' ? SERVED : EXPECTED[role]

/** All that a request could change. */
const stateOf = ({ partition: { log, highWatermark, leader } }: HostedPartition) => ({
  logStartOffset: log.logStartOffset,
  logEndOffset: log.logEndOffset,
  flushedOffset: log.flushedOffset,
  epochs: log.epochs.entries,
  highWatermark,
  replicas: leader?.options.core.describe(),
  isr: leader?.options.core.isr,
})

describe('REP-14: the leader epoch of a request', () => {
  const table = Object.keys(REQUESTS).flatMap((request) =>
    (['leader', 'follower'] as const).flatMap((role) =>
      Object.keys(EPOCHS).map((epoch) => ({
        request,
        role,
        epoch,
        expected: expectedOf(request, role)[epoch]!,
      })),
    ),
  )

  it.each(table)(
    'REP-14: $request, epoch $epoch, $role -> $expected',
    async ({ request, role, epoch, expected }) => {
      const hosted = await hostedPartition(role === 'leader' ? 1 : 2)
      const before = stateOf(hosted)
      const { partitions } = await REQUESTS[request]!(hosted, EPOCHS[epoch]!)
      const { error } = partitions[0]!
      const code = error === null ? null : errorOfWire(error).code
      expect(code).toBe(request === 'delete records' ? (expected ?? 'REQUEST_TIMED_OUT') : expected)
      if (expected !== null) expect(stateOf(hosted)).toEqual(before)
    },
  )
})
