import type { BrokerSettings } from '../broker/broker-environment.ts'
import type { ControllerSettings } from '../controller/controller-environment.ts'
import { LOG_DIRECTORY_SETTINGS_DEFAULT, type LogDirectorySettings } from '../storage/log-directory.ts'
import type { NodeConfig } from './config.ts'

/** How long a broker waits for one answer of the controller before it looks for another one. */
const CONTROLLER_REQUEST_TIMEOUT_MS = 2_000

/** Heartbeats that a session has room for, one behind the other. */
const HEARTBEATS_PER_SESSION = 4

export function brokerSettingsOf({ integers }: NodeConfig): BrokerSettings {
  return {
    heartbeatIntervalMs: integers['broker.heartbeat.interval.ms'],
    replicaLagTimeMaxMs: integers['replica.lag.time.max.ms'],
    replicaFetchWaitMaxMs: integers['replica.fetch.wait.max.ms'],
    replicaFetchMaxBytes: integers['replica.fetch.max.bytes'],
    replicaFetchResponseMaxBytes: integers['replica.fetch.response.max.bytes'],
    checkpointIntervalMs: integers['replica.high.watermark.checkpoint.interval.ms'],
    retentionCheckIntervalMs: integers['log.retention.check.interval.ms'],
    controllerRequestTimeoutMs: CONTROLLER_REQUEST_TIMEOUT_MS,
    heartbeatTimeoutMs: Math.min(
      CONTROLLER_REQUEST_TIMEOUT_MS,
      Math.max(1, Math.floor(integers['broker.session.timeout.ms'] / HEARTBEATS_PER_SESSION)),
    ),
    controlledShutdownTimeoutMs: integers['controlled.shutdown.timeout.ms'],
    scrub: {
      intervalMs: integers['log.scrub.interval.ms'],
      bytesPerSecond: integers['log.scrub.bytes.per.second'],
    },
    cleaner: {
      backoffMs: integers['log.cleaner.backoff.ms'],
      dedupeBufferBytes: integers['log.cleaner.dedupe.buffer.size'],
      ioMaxBytesPerSecond: integers['log.cleaner.io.max.bytes.per.second'],
    },
  }
}

export function controllerSettingsOf({ integers }: NodeConfig): ControllerSettings {
  return {
    sessionTimeoutMs: integers['broker.session.timeout.ms'],
    disconnectGraceMs: integers['broker.disconnect.grace.ms'],
    electionTimeoutMs: integers['controller.quorum.election.timeout.ms'],
    quorumHeartbeatIntervalMs: integers['controller.quorum.heartbeat.interval.ms'],
    bytesBetweenSnapshots: integers['metadata.log.max.record.bytes.between.snapshots'],
    snapshotIntervalMs: integers['metadata.log.max.snapshot.interval.ms'],
    balanceIntervalMs: 1_000 * integers['leader.imbalance.check.interval.seconds'],
  }
}

/**
 * @param threadPoolSize threads of the libuv pool. A quarter stays free for reads, which must not wait behind fsyncs of
 *   a disk that hangs (STO-18).
 */
export function storageSettingsOf({ integers }: NodeConfig, threadPoolSize: number): LogDirectorySettings {
  return {
    ...LOG_DIRECTORY_SETTINGS_DEFAULT,
    tailCacheBytes: integers['log.tail.cache.bytes'],
    disk: {
      warnPercent: integers['log.disk.usage.warn.percent'],
      maxPercent: integers['log.disk.usage.max.percent'],
      reserveBytes: integers['log.disk.reserve.bytes'],
      checkIntervalMs: integers['log.disk.check.interval.ms'],
    },
    flushesMax: Math.max(1, Math.floor((threadPoolSize * 3) / 4)),
  }
}
