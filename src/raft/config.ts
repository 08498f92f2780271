// The settings of the consensus core, each with its default, range and reason. The defaults suit a local network:
// round trips below 5 ms, fsync below 20 ms.
import {
  APPEND_ABSOLUTE_MAX_BYTES,
  ENTRY_ABSOLUTE_MAX_BYTES,
  ENTRY_OVERHEAD_BYTES,
  SNAPSHOT_CHUNK_ABSOLUTE_MAX_BYTES,
} from './messages.ts'

const SETTINGS = {
  /**
   * Milliseconds without a leader after which a voter campaigns: drawn anew from [t, 2t) for each attempt. It is also
   * the lease in which a node that hears a leader refuses its vote to anybody else, and a leader that heard no majority
   * for 1.5 t resigns. Ten heartbeats by default, so that a garbage collection or a few lost messages cost no election.
   */
  electionTimeoutMs: { default: 1_000, min: 10, max: 600_000 },
  /** Milliseconds between the heartbeats of a leader; at most half the election timeout, so that one may be lost. */
  heartbeatIntervalMs: { default: 100, min: 1, max: 300_000 },
  /** Milliseconds, the least time before a refused candidacy is tried again after the leader's link closed. */
  hintRetryMinMs: { default: 50, min: 1, max: 60_000 },
  /**
   * Milliseconds, the most time before that. The range must exceed two round trips and two fsyncs by some factor,
   * because nodes that saw the link close together split their votes until one of them is ahead by that much.
   */
  hintRetryMaxMs: { default: 100, min: 1, max: 60_000 },
  /** Bytes of data in one entry. */
  entryMaxBytes: { default: 1_048_576, min: 1, max: ENTRY_ABSOLUTE_MAX_BYTES },
  /**
   * Bytes of entries in one append; at least the largest entry with its overhead, since an entry that fits into no
   * append would stop replication for ever.
   */
  appendMaxBytes: { default: 1_310_720, min: 1, max: APPEND_ABSOLUTE_MAX_BYTES },
  /**
   * Appends under way to one follower before the leader waits for an answer. Together with appendMaxBytes it bounds
   * what a slow follower can hold in send buffers; small appends at a round trip of 5 ms still reach 12,800 a second.
   */
  inflightAppendsMax: { default: 64, min: 1, max: 10_000 },
  /**
   * Bytes of entries, with their overhead, that a leader holds uncommitted before it refuses proposals; at least the
   * largest entry with its overhead. It bounds memory while no majority answers.
   */
  uncommittedMaxBytes: { default: 16_777_216, min: 1, max: 1_073_741_824 },
  /**
   * Entries before a snapshot that stay in the log, so that a follower which is a little behind gets these instead of
   * the whole snapshot.
   */
  trailingEntries: { default: 5_000, min: 0, max: 1_000_000 },
  /**
   * Bytes of a snapshot in one message, of which one is under way to a follower: at a round trip of 1 ms still 250 MB a
   * second, and small enough that heartbeats behind it are not late on a slow link.
   */
  snapshotChunkBytes: { default: 262_144, min: 1, max: SNAPSHOT_CHUNK_ABSOLUTE_MAX_BYTES },
} as const

export type RaftConfig = { readonly [K in keyof typeof SETTINGS]: number }

/** The defaults for a local network. */
export const RAFT_DEFAULTS: RaftConfig = Object.fromEntries(
  Object.entries(SETTINGS).map(([name, setting]) => [name, setting.default]),
) as RaftConfig

/** @throws RangeError that names the setting, what is wrong with it and its range. */
export function validate(config: RaftConfig): void {
  for (const [name, { min, max }] of Object.entries(SETTINGS)) {
    const value = config[name as keyof RaftConfig]
    check(Number.isSafeInteger(value) && value >= min && value <= max, {
      name,
      value,
      rule: `must be an integer from ${min} to ${max}`,
    })
  }
  const { electionTimeoutMs, heartbeatIntervalMs, hintRetryMinMs, hintRetryMaxMs } = config
  check(heartbeatIntervalMs * 2 <= electionTimeoutMs, {
    name: 'heartbeatIntervalMs',
    value: heartbeatIntervalMs,
    rule: `must be at most half of electionTimeoutMs (${electionTimeoutMs})`,
  })
  check(hintRetryMinMs <= hintRetryMaxMs, {
    name: 'hintRetryMinMs',
    value: hintRetryMinMs,
    rule: `must be at most hintRetryMaxMs (${hintRetryMaxMs})`,
  })
  const largestEntryBytes = config.entryMaxBytes + ENTRY_OVERHEAD_BYTES
  for (const name of ['appendMaxBytes', 'uncommittedMaxBytes'] as const) {
    check(config[name] >= largestEntryBytes, {
      name,
      value: config[name],
      rule: `must be at least entryMaxBytes and ${ENTRY_OVERHEAD_BYTES} bytes of overhead (${largestEntryBytes})`,
    })
  }
}

function check(holds: boolean, setting: { name: string; value: number; rule: string }): void {
  if (!holds) throw new RangeError(`raft setting ${setting.name} is ${setting.value}: it ${setting.rule}`)
}
