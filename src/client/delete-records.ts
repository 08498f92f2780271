// Deletes records of one partition, with its leader, until no in-sync replica holds them.
import { VltavaError } from '../model/errors.ts'
import type { Offset, PartitionIndex } from '../model/ids.ts'
import { deleteRecords } from '../protocol/delete-records.ts'
import { errorOfWire } from '../protocol/error-schema.ts'
import { brokerTimeoutMs } from './broker-timeout.ts'
import type { ClusterCalls } from './cluster-calls.ts'
import { noSuchPartition } from './start-position.ts'

export interface RecordsDeletion {
  readonly topic: string
  readonly partition: PartitionIndex
  readonly before: Offset | 'end'
  readonly deadlineMs: number
}

/** @returns where the log starts now. */
export async function deleteRecordsOf(
  calls: ClusterCalls,
  { topic, partition, before, deadlineMs }: RecordsDeletion,
): Promise<Offset> {
  // Where "end" is, is asked once: a second attempt must not delete what came meanwhile.
  const beforeOffset = before === 'end' ? await endOf(calls, { topic, partition, deadlineMs }) : before
  return calls.askLeader({
    topic,
    partition,
    deadlineMs,
    request: async (connection, { topicId, leaderEpoch, timeoutMs }) => {
      const target = { topicId, partition, currentLeaderEpoch: leaderEpoch, beforeOffset }
      const body = { partitions: [target], timeoutMs: brokerTimeoutMs(timeoutMs) }
      const { partitions } = (await connection.request(deleteRecords, body, { timeoutMs })).body
      const [answer] = partitions
      if (answer === undefined)
        throw new VltavaError('PROTOCOL_VIOLATION', 'The answer is about no partition.')
      if (answer.error !== null) throw errorOfWire(answer.error)
      return answer.logStartOffset
    },
  })
}

async function endOf(
  calls: ClusterCalls,
  { topic, partition, deadlineMs }: Omit<RecordsDeletion, 'before'>,
): Promise<Offset> {
  const offsets = await calls.allOffsets(topic, {
    deadlineMs,
    queriesFor: ({ partitions }) => {
      if (partition >= partitions.length)
        throw noSuchPartition(topic, { partition, partitionsCount: partitions.length })
      return new Map([[partition, { type: 'latest' as const }]])
    },
  })
  return offsets.get(partition)!.highWatermark
}
