// Batches of clients at one partition, of a leader epoch that the broker has or has not heard of.
import { describe, expect, it } from 'vitest'
import { BrokerCounters } from '../../src/broker/broker-counters.ts'
import { ProduceFlow } from '../../src/broker/produce-flow.ts'
import type { NodeId } from '../../src/model/ids.ts'
import { errorOfWire } from '../../src/protocol/error-schema.ts'
import { batchOf, TOPIC_ID, textsOf } from '../storage/fixtures.ts'
import { settled } from '../storage/gated-disk.ts'
import { hostedPartition } from './hosted-partition.ts'

/** What a broker knows in epoch 3 with the records 0 to 4, and how a client sends to it with acks 1. */
async function serving(
  leader: NodeId,
  { isr = [1], acks = 1 }: { isr?: readonly NodeId[]; acks?: 1 | -1 } = {},
) {
  const hosted = await hostedPartition(leader, { isr })
  const { environment, registry, clock } = hosted
  const flow = new ProduceFlow({ environment, registry, counters: new BrokerCounters() })
  const send = (text: string, currentLeaderEpoch: number, timeoutMs = 10_000) => {
    const payload = batchOf({ text })
    const target = { topicId: TOPIC_ID, partition: 0, currentLeaderEpoch, batchesBytes: payload.length }
    return flow.handle({ acks, timeoutMs, partitions: [target] }, payload)
  }
  return { ...hosted, clock, send }
}

function codeOf({ partitions }: Awaited<ReturnType<ProduceFlow['handle']>>): string {
  return errorOfWire(partitions[0]!.error!).code
}

describe('a batch of a leader epoch that the broker has not heard of', () => {
  it.each([
    ['follows', 2],
    ['leads', 1],
  ])('it %s in an older one -> the batch waits for metadata, and is appended', async (_role, leader) => {
    const { send, update, partition } = await serving(leader)
    const answers = [send('a', 4), send('b', 4)]
    await update({ leader: 1, leaderEpoch: 4 })
    const [first, second] = await Promise.all(answers)
    expect(first!.partitions).toMatchObject([{ error: null, baseOffset: 5, leaderEpoch: 4 }])
    expect(second!.partitions).toMatchObject([{ error: null, baseOffset: 6, leaderEpoch: 4 }])
    expect(await textsOf(partition.log)).toEqual(['0', '1', '2', '3', '4', 'a', 'b'])
  })

  it('metadata does not come -> refused after half a second, at once where the client waits no longer', async () => {
    const { send, clock, partition } = await serving(1)
    const answers = [send('a', 4), send('b', 4, 0)]
    clock.advance(0)
    expect(codeOf(await answers[1]!)).toBe('UNKNOWN_LEADER_EPOCH')
    clock.advance(500)
    expect(codeOf(await answers[0]!)).toBe('UNKNOWN_LEADER_EPOCH')
    expect(partition.log.logEndOffset).toBe(5)
    expect(clock.pendingTimers).toBe(0)
  })

  it('it waits for metadata, and then for a follower -> for as long as the client does, and no longer', async () => {
    const { send, update, clock } = await serving(2, { isr: [1, 2], acks: -1 })
    const answer = send('a', 4, 1_000)
    clock.advance(400)
    await update({ leader: 1, leaderEpoch: 4 })
    await settled()
    clock.advance(599)
    await settled()
    expect(clock.pendingTimers).toBe(1)
    clock.advance(1)
    expect(codeOf(await answer)).toBe('REQUEST_TIMED_OUT')
    expect(clock.pendingTimers).toBe(0)
  })

  it('metadata tells of a still newer one, or of another leader -> refused at once', async () => {
    const { send, update, clock } = await serving(2)
    const first = send('a', 4)
    await update({ leader: 1, leaderEpoch: 5 })
    expect(codeOf(await first)).toBe('FENCED_LEADER_EPOCH')
    const second = send('b', 6)
    await update({ leader: 2, leaderEpoch: 6 })
    expect(codeOf(await second)).toBe('NOT_LEADER_OR_FOLLOWER')
    expect(clock.pendingTimers).toBe(0)
  })

  it('the replica goes away meanwhile -> refused at once', async () => {
    const { send, partition, clock } = await serving(2)
    const answer = send('a', 4)
    await partition.end()
    expect(codeOf(await answer)).toBe('NOT_LEADER_OR_FOLLOWER')
    expect(codeOf(await send('b', 4))).toBe('NOT_LEADER_OR_FOLLOWER')
    expect(clock.pendingTimers).toBe(0)
  })
})
