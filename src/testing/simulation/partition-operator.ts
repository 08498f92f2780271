// An operator who gives topics more partitions while the cluster is under load and faults.
import type { PartitionIndex } from '../../model/ids.ts'
import { between, oneOf } from './draw.ts'
import { type OperatorOptions, repeat, TIMEOUT_MS } from './operator.ts'

/** Enough to be placed several times over; what comes beyond only costs time. */
const ADDED_MAX = 4
const AT_ONCE_MAX = 2

export interface PartitionOperatorOptions extends OperatorOptions {
  /** Partitions of a topic are there, and will not go again. */
  readonly onAdded: (topic: string, partitions: readonly PartitionIndex[]) => void
}

/**
 * Asks for as many as there are, too: that adds nothing. What a request without an answer has added is learnt when so many are asked
 * for again; until then fewer are refused.
 */
export async function addPartitions(options: PartitionOperatorOptions): Promise<void> {
  const { plan, by, random, onAdded, onMark } = options
  const known = new Map(plan.topics.map(({ name, partitions }) => [name, partitions]))
  await repeat(options, 'partitions', async () => {
    const { name: topic, partitions: first } = oneOf(random, plan.topics)
    const before = known.get(topic)!
    const wanted = between(random, before, Math.min(before + AT_ONCE_MAX, first + ADDED_MAX))
    await by.client.admin.createPartitions(topic, wanted, { timeoutMs: TIMEOUT_MS })
    if (wanted === before) return
    known.set(topic, wanted)
    onAdded(
      topic,
      Array.from({ length: wanted - before }, (_, i) => before + i),
    )
    onMark('partitions added')
  })
}
