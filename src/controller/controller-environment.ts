import type { Clock } from '../base/clock.ts'
import type { Cpu } from '../base/cpu.ts'
import type { Log } from '../base/log.ts'
import type { Process } from '../base/process.ts'
import type { Random } from '../base/random.ts'
import type { NodeId } from '../model/ids.ts'
import type { Connection } from '../net/connection.ts'
import type { FileSystem } from '../storage/file-system.ts'
import type { LogDirectory } from '../storage/log-directory.ts'

/** The ports of one controller, one set per run of its process. */
export interface ControllerEnvironment {
  readonly clock: Clock
  readonly random: Random
  readonly fileSystem: FileSystem
  readonly cpu: Cpu
  readonly log: Log
  readonly process: Process
}

/**
 * Settings of a controller, in milliseconds but for two; server/config-table.ts has their names, ranges and documentation. Those
 * that can be changed while the node runs are looked up anew whenever they are used.
 */
export interface ControllerSettings {
  /** broker.session.timeout.ms */
  readonly sessionTimeoutMs: number
  /** broker.disconnect.grace.ms */
  readonly disconnectGraceMs: number
  /** controller.quorum.election.timeout.ms */
  readonly electionTimeoutMs: number
  /** controller.quorum.heartbeat.interval.ms */
  readonly quorumHeartbeatIntervalMs: number
  /** metadata.log.max.record.bytes.between.snapshots, in bytes */
  readonly bytesBetweenSnapshots: number
  /** metadata.log.max.snapshot.interval.ms; 0 for no limit */
  readonly snapshotIntervalMs: number
  /** leader.imbalance.check.interval.seconds; 0: never */
  readonly balanceIntervalMs: number
  /** Whether a name is a setting that nodes read at their start only. */
  readonly isStaticSetting: (name: string) => boolean
}

export const CONTROLLER_DEFAULTS: ControllerSettings = {
  sessionTimeoutMs: 3_000,
  disconnectGraceMs: 250,
  electionTimeoutMs: 1_000,
  quorumHeartbeatIntervalMs: 100,
  bytesBetweenSnapshots: 20 * 1024 * 1024,
  snapshotIntervalMs: 3_600_000,
  balanceIntervalMs: 300_000,
  isStaticSetting: () => false,
}

/** The data directory of the node as a controller uses it. */
export type ControllerDirectory = Pick<
  LogDirectory,
  'path' | 'directoryId' | 'clusterId' | 'adoptClusterId' | 'openMetadataLog'
>

/**
 * Opens, or returns the open, authenticated connection to another node. The address counts where none is configured for that
 * node.
 */
export type ConnectPeer = (nodeId: NodeId, url?: string | null) => Promise<Connection>

/** Milliseconds a request of a broker waits for the commit of what it asked for, unless it brings its own time. */
export const COMMAND_TIMEOUT_MS = 2_000
