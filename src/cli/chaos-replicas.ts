// Whether a cluster has come back to itself: all replicas in sync, and all of them with the same bytes.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TopicDescription } from '../client/admin.ts'
import type { Client } from '../client/client.ts'
import { toVltavaError } from '../model/errors.ts'
import { pause } from './chaos-cluster.ts'
import type { LocalNode } from './local-cluster.ts'

const POLL_MS = 200
const REQUEST_TIMEOUT_MS = 3_000

export interface ReplicasOptions {
  readonly client: Client
  readonly topic: string
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/**
 * Waits until every partition has a leader and all its replicas in the ISR.
 * @returns what is missing when the time is up; nothing where all is well.
 */
export function whenInSync(options: ReplicasOptions): Promise<readonly string[]> {
  return untilNothing(options, notInSync)
}

/**
 * Waits until every partition has nothing above its high watermark and all its replicas have the same bytes. Nobody
 * may send meanwhile.
 * @returns what differs when the time is up; nothing where all is well.
 */
export function whenEqual(
  options: ReplicasOptions & { readonly nodes: readonly LocalNode[] },
): Promise<readonly string[]> {
  return untilNothing(options, (topic) => {
    const absent = notInSync(topic)
    return absent.length > 0 ? absent : different(topic, options.nodes)
  })
}

function notInSync(topic: TopicDescription): readonly string[] {
  return topic.partitions.flatMap(({ partition, leader, isr, replicas, observers }) => {
    if (leader === null) return [`partition ${partition} has no leader, in-sync replicas ${isr.join(', ')}`]
    const absent = replicas.filter((replica) => !isr.includes(replica) && !observers.includes(replica))
    return absent.length === 0
      ? []
      : [`partition ${partition}: node ${absent.join(', ')} is not back in the in-sync set`]
  })
}

function different(topic: TopicDescription, nodes: readonly LocalNode[]): readonly string[] {
  return topic.partitions.flatMap(({ partition, highWatermark, logEndOffset, replicas }) => {
    if (highWatermark === null || highWatermark !== logEndOffset) {
      return [`partition ${partition}: high watermark ${highWatermark}, log end offset ${logEndOffset}`]
    }
    const holders = nodes.filter(({ id }) => replicas.includes(id))
    const [first, ...others] = holders.map((node) => ({
      id: node.id,
      bytes: logBytes(node.dataDir, { topicId: topic.id, partition }),
    }))
    return others
      .filter(({ bytes }) => !bytes.equals(first!.bytes))
      .map(({ id, bytes }) => {
        const at = firstDifference(bytes, first!.bytes)
        return `partition ${partition}: the logs of nodes ${first!.id} and ${id} differ from byte ${at} on (${first!.bytes.length} and ${bytes.length} bytes)`
      })
  })
}

async function untilNothing(
  { client, topic, timeoutMs, signal }: ReplicasOptions,
  problemsOf: (topic: TopicDescription) => readonly string[],
): Promise<readonly string[]> {
  const deadlineMs = performance.now() + timeoutMs
  for (;;) {
    let problems: readonly string[]
    try {
      problems = problemsOf(await client.admin.describeTopic(topic, { timeoutMs: REQUEST_TIMEOUT_MS }))
    } catch (thrown) {
      problems = [`the cluster does not answer: ${toVltavaError(thrown).message}`]
    }
    if (problems.length === 0 || signal.aborted || performance.now() > deadlineMs) return problems
    await pause(POLL_MS, signal)
  }
}

/** The concatenated segment files of one replica. */
function logBytes(
  dataDir: string,
  { topicId, partition }: { readonly topicId: string; readonly partition: number },
): Buffer {
  const directory = join(dataDir, 'topics', topicId, String(partition))
  const segments = readdirSync(directory)
    .filter((file) => file.endsWith('.log'))
    .toSorted()
  return Buffer.concat(segments.map((file) => readFileSync(join(directory, file))))
}

function firstDifference(a: Uint8Array, b: Uint8Array): number {
  const end = Math.min(a.length, b.length)
  let at = 0
  while (at < end && a[at] === b[at]) at++
  return at
}
