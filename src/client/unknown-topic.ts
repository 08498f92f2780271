import { VltavaError } from '../model/errors.ts'
import type { UnknownTopic } from './cluster-view.ts'

/**
 * How long a topic may be unknown before it counts as missing. A broker can lag behind the one that answered the
 * creation, by the time it takes to fetch the metadata log: milliseconds, or a failover.
 */
export const UNKNOWN_TOPIC_WAIT_MS = 1_000

/** The error of a topic the cluster answered an error for; null while that may still change by itself. */
export function unknownTopicError(
  name: string,
  state: { readonly unknown: UnknownTopic; readonly nowMs: number; readonly waitMs: number },
): VltavaError | null {
  const { unknown, nowMs, waitMs } = state
  const { error, sinceMs } = unknown
  if (error.code !== 'UNKNOWN_TOPIC_OR_PARTITION') return error.retriable ? null : error
  return nowMs - sinceMs < waitMs ? null : noSuchTopic(name)
}

function noSuchTopic(name: string): VltavaError {
  return new VltavaError(
    'UNKNOWN_TOPIC_OR_PARTITION',
    `Topic "${name}" does not exist. Check the name, or create it with: vltava topic create ${name}`,
  )
}
