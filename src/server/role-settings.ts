import type { BrokerSettings } from '../broker/broker-environment.ts'
import type { ControllerSettings } from '../controller/controller-environment.ts'
import { isDynamicSetting } from '../metadata/broker-settings.ts'
import { DynamicSettings } from '../metadata/dynamic-settings.ts'
import { LOG_DIRECTORY_SETTINGS_DEFAULT, type LogDirectorySettings } from '../storage/log-directory.ts'
import type { NodeConfig } from './config.ts'
import { CONFIG_TABLE } from './config-table.ts'

/** How long a broker waits for one answer of the controller before it looks for another one. */
const CONTROLLER_REQUEST_TIMEOUT_MS = 2_000

/** Heartbeats that a session has room for, one behind the other. */
const HEARTBEATS_PER_SESSION = 4

/** What a node was started with, under what is changed while it runs. One for each role: each follows the metadata by itself. */
export function dynamicSettingsOf({ integers }: NodeConfig): DynamicSettings {
  return new DynamicSettings({ nodeId: integers['node.id'], given: integers })
}

/** What can be changed while the node runs is looked up whenever it is used. */
export function brokerSettingsOf({ integers }: NodeConfig, dynamic: DynamicSettings): BrokerSettings {
  return {
    heartbeatIntervalMs: integers['broker.heartbeat.interval.ms'],
    get replicaLagTimeMaxMs() {
      return dynamic.value('replica.lag.time.max.ms')
    },
    get replicaFetchWaitMaxMs() {
      return dynamic.value('replica.fetch.wait.max.ms')
    },
    get replicaFetchMaxBytes() {
      return dynamic.value('replica.fetch.max.bytes')
    },
    get replicaFetchResponseMaxBytes() {
      return dynamic.value('replica.fetch.response.max.bytes')
    },
    checkpointIntervalMs: integers['replica.high.watermark.checkpoint.interval.ms'],
    get leaderThrottledBytesPerSecond() {
      return limitOf(dynamic.value('leader.replication.throttled.rate'))
    },
    get followerThrottledBytesPerSecond() {
      return limitOf(dynamic.value('follower.replication.throttled.rate'))
    },
    get retentionCheckIntervalMs() {
      return dynamic.value('log.retention.check.interval.ms')
    },
    controllerRequestTimeoutMs: CONTROLLER_REQUEST_TIMEOUT_MS,
    heartbeatTimeoutMs: Math.min(
      CONTROLLER_REQUEST_TIMEOUT_MS,
      Math.max(1, Math.floor(integers['broker.session.timeout.ms'] / HEARTBEATS_PER_SESSION)),
    ),
    get controlledShutdownTimeoutMs() {
      return dynamic.value('controlled.shutdown.timeout.ms')
    },
    scrub: {
      intervalMs: integers['log.scrub.interval.ms'],
      get bytesPerSecond() {
        return dynamic.value('log.scrub.bytes.per.second')
      },
    },
    cleaner: {
      get backoffMs() {
        return dynamic.value('log.cleaner.backoff.ms')
      },
      get dedupeBufferBytes() {
        return dynamic.value('log.cleaner.dedupe.buffer.size')
      },
      get ioMaxBytesPerSecond() {
        return dynamic.value('log.cleaner.io.max.bytes.per.second')
      },
    },
  }
}

/** The largest number stands for no limit. */
function limitOf(bytesPerSecond: number): number | null {
  return bytesPerSecond === Number.MAX_SAFE_INTEGER ? null : bytesPerSecond
}

export function controllerSettingsOf({ integers }: NodeConfig, dynamic: DynamicSettings): ControllerSettings {
  return {
    sessionTimeoutMs: integers['broker.session.timeout.ms'],
    disconnectGraceMs: integers['broker.disconnect.grace.ms'],
    electionTimeoutMs: integers['controller.quorum.election.timeout.ms'],
    quorumHeartbeatIntervalMs: integers['controller.quorum.heartbeat.interval.ms'],
    bytesBetweenSnapshots: integers['metadata.log.max.record.bytes.between.snapshots'],
    snapshotIntervalMs: integers['metadata.log.max.snapshot.interval.ms'],
    get balanceIntervalMs() {
      return 1_000 * dynamic.value('leader.imbalance.check.interval.seconds')
    },
    isStaticSetting: (name) => Object.hasOwn(CONFIG_TABLE, name) && !isDynamicSetting(name),
  }
}

/**
 * @param of `threadPoolSize`: threads of the libuv pool. A quarter stays free for reads, which must not wait behind fsyncs of
 *   a disk that hangs (STO-18).
 */
export function storageSettingsOf(
  { integers }: NodeConfig,
  { threadPoolSize, dynamic }: { readonly threadPoolSize: number; readonly dynamic: DynamicSettings },
): LogDirectorySettings {
  return {
    ...LOG_DIRECTORY_SETTINGS_DEFAULT,
    tailCacheBytes: integers['log.tail.cache.bytes'],
    disk: {
      get warnPercent() {
        return dynamic.value('log.disk.usage.warn.percent')
      },
      get maxPercent() {
        return dynamic.value('log.disk.usage.max.percent')
      },
      get reserveBytes() {
        return dynamic.value('log.disk.reserve.bytes')
      },
      checkIntervalMs: integers['log.disk.check.interval.ms'],
    },
    flushesMax: Math.max(1, Math.floor((threadPoolSize * 3) / 4)),
  }
}
