// Rare branches that a set of runs must have reached, or it has tested nothing there (SIM-25). Marks are the names of
// faults that took effect, of events that nodes logged, of outcomes that clients saw, and of what became of messages.
import { FAULT_NAMES } from '../../src/testing/simulation/simulation-plan.ts'

/** Runs from which on every mark has to be hit. */
export const RUNS_FOR_COVERAGE = 150

export const REQUIRED_MARKS: readonly string[] = [
  'log log-retention',
  'log log-compacted',
  'records deleted',
  ...FAULT_NAMES.map((name) => `fault ${name}`),
  'disk failed-sync',
  'disk short-write',
  'disk disk-full',
  'log broker-fenced',
  'log broker-registered',
  'log broker-unfenced',
  'log cluster-joined',
  'log controlled-shutdown',
  'log controller-active',
  'log controller-standby',
  'log heartbeat-failed',
  'log log-truncated',
  'log metadata-snapshot-installed',
  'log metadata-snapshot-loaded',
  'log metadata-snapshot-made',
  'log not-a-voter',
  'log partition-deleted',
  'log registration-failed',
  'network channelsBroken',
  'network dialsRefused',
  'network dialsTimedOut',
  'network halfOpenResets',
  'network messagesLost',
  'node-ended-itself',
  'poll fail',
  'poll ok',
  'send fail',
  'send info',
  'send ok',
  'topic gone',
  'topic there',
  'controller moved',
  'voter added',
  'voter removed',
  'replicas moved',
  'move cancelled',
  'partitions spread over racks',
  'broker cordoned',
  'broker drained',
  'placed past a cordoned broker',
  'log broker-unregistered',
  'broker setting changed',
  'partitions added',
  'read from a follower',
  'OFFSET_NOT_AVAILABLE redirected',
]

export function missingMarks(marks: ReadonlyMap<string, number>): readonly string[] {
  return REQUIRED_MARKS.filter((name) => !marks.has(name))
}
