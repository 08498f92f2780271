// The names of keys: `topic/partition`. Topic names have no '/' in them.
import { VltavaError } from '../model/errors.ts'
import type { PartitionIndex, TopicName } from '../model/ids.ts'
import type { HistoryKey } from './history.ts'

export function historyKey(topic: TopicName, partition: PartitionIndex): HistoryKey {
  return `${topic}/${partition}`
}

/** @throws VltavaError INVALID_ARGUMENT for what is not `topic/partition`. */
export function parseHistoryKey(key: HistoryKey): {
  readonly topic: TopicName
  readonly partition: PartitionIndex
} {
  const slash = key.lastIndexOf('/')
  const partition = key.slice(slash + 1)
  if (slash < 1 || !/^\d{1,10}$/.test(partition)) {
    throw new VltavaError(
      'INVALID_ARGUMENT',
      `A key of a history must be topic/partition, such as orders/0, got ${JSON.stringify(key)}.`,
    )
  }
  return { topic: key.slice(0, slash), partition: Number(partition) }
}
