import type { Clock } from '../base/clock.ts'
import type { Cpu } from '../base/cpu.ts'
import type { Log } from '../base/log.ts'
import type { Process } from '../base/process.ts'
import type { Random } from '../base/random.ts'
import type { IncarnationId, NodeId } from '../model/ids.ts'
import type { Connection } from '../net/connection.ts'
import type { LogScrubSettings } from '../storage/log-scrub.ts'

/** The ports of one broker, one set per run of its process. */
export interface BrokerEnvironment {
  readonly clock: Clock
  readonly random: Random
  readonly cpu: Cpu
  readonly log: Log
  readonly process: Process
}

/**
 * Settings of a broker; server/config-table.ts has their names, ranges and documentation. Those that can be changed while it runs are
 * looked up anew whenever they are used.
 */
export interface BrokerSettings {
  readonly heartbeatIntervalMs: number
  readonly replicaLagTimeMaxMs: number
  readonly replicaFetchWaitMaxMs: number
  readonly replicaFetchMaxBytes: number
  readonly replicaFetchResponseMaxBytes: number
  /** For replicas that a reassignment adds; null: no limit. */
  readonly leaderThrottledBytesPerSecond: number | null
  readonly followerThrottledBytesPerSecond: number | null
  readonly checkpointIntervalMs: number
  readonly retentionCheckIntervalMs: number
  readonly controllerRequestTimeoutMs: number
  /**
   * The same for a heartbeat: so much shorter than the session that a controller that has gone without a word costs one
   * heartbeat and not the session.
   */
  readonly heartbeatTimeoutMs: number
  readonly controlledShutdownTimeoutMs: number
  readonly scrub: LogScrubSettings
  readonly cleaner: CleanerSettings
}

export interface CleanerSettings {
  /** How long the cleaner waits when no log is due. */
  readonly backoffMs: number
  /** Memory for the keys of the log that is compacted. */
  readonly dedupeBufferBytes: number
  /** Bytes read and written for compaction in a second. */
  readonly ioMaxBytesPerSecond: number
}

/** Opens, or returns the open, authenticated connection to another node (or to this one). */
export type ConnectPeer = (nodeId: NodeId, url: string | null) => Promise<Connection>

export interface BrokerIdentity {
  readonly nodeId: NodeId
  readonly incarnationId: IncarnationId
  /** Where clients and other brokers reach this broker. */
  readonly url: string
  /** What it shares with others that fail together (broker.rack); null: it names none. */
  readonly rack: string | null
}
