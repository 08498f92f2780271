// Every setting of a node in one table: Kafka's name where Kafka has the setting. The configuration file and --set
// use the names as they stand, the environment uses VLTAVA_ and the name in capitals with _ for . and -.

import { DYNAMIC_SETTINGS, type DynamicSettingName } from '../metadata/broker-settings.ts'
import { RACK_PATTERN } from '../model/rack.ts'

interface RowBase {
  readonly doc: string
  /** Whether all nodes of a cluster must have the same value. */
  readonly clusterWide: boolean
}

export interface IntegerRow extends RowBase {
  readonly type: 'integer'
  readonly fallback: number
  readonly min: number
  readonly max: number
  readonly unit: 'ms' | 's' | 'bytes' | 'percent' | 'count'
}

export interface TextRow extends RowBase {
  readonly type: 'text'
  /** null: not set. */
  readonly fallback: string | null
  readonly pattern?: { readonly regex: RegExp; readonly meaning: string }
}

export type ConfigRow = IntegerRow | TextRow

const integer = (
  unit: IntegerRow['unit'],
  range: { readonly fallback: number; readonly min: number; readonly max: number },
  doc: string,
): IntegerRow => ({ type: 'integer', unit, ...range, doc, clusterWide: false })

/** A row of what can be changed while the node runs as well. */
const dynamic = (name: DynamicSettingName): IntegerRow => ({ ...DYNAMIC_SETTINGS[name], clusterWide: false })

const DAY_MS = 86_400_000
const MIB = 1024 * 1024

export const CONFIG_TABLE = {
  'node.id': integer(
    'count',
    { fallback: 1, min: 0, max: 2 ** 31 - 1 },
    'The id of this node; never re-used in a cluster.',
  ),
  'process.roles': {
    type: 'text',
    fallback: 'broker,controller',
    pattern: {
      regex: /^(broker|controller|broker,controller|controller,broker)$/,
      meaning: '"broker", "controller" or both with a comma',
    },
    doc: 'What this node does. A controller must be one of controller.quorum.voters.',
    clusterWide: false,
  },
  'log.dir': {
    type: 'text',
    fallback: null,
    doc: 'The data directory. One process at a time.',
    clusterWide: false,
  },
  'listener.host': {
    type: 'text',
    fallback: '127.0.0.1',
    doc: 'The address to listen on. Anything but loopback needs a network that is trusted: there is no TLS yet.',
    clusterWide: false,
  },
  'listener.port': integer(
    'count',
    { fallback: 7101, min: 0, max: 65_535 },
    'The one port for WebSocket and HTTP; 0 takes a free one.',
  ),
  'advertised.url': {
    type: 'text',
    fallback: null,
    pattern: { regex: /^wss?:\/\/[^\s/]+$/, meaning: 'a URL such as ws://host:7101' },
    doc: 'Where clients and other nodes reach this node; by default ws://<listener.host>:<listener.port>.',
    clusterWide: false,
  },
  'broker.rack': {
    type: 'text',
    fallback: null,
    pattern: RACK_PATTERN,
    doc: 'What this broker shares with others that fail together: a rack, a room, a zone. Where every broker names one, the replicas of a new partition lie in as many as can be.',
    clusterWide: false,
  },
  'controller.quorum.voters': {
    type: 'text',
    fallback: null,
    pattern: {
      regex: /^\d+@[^\s,@]+:\d+(,\d+@[^\s,@]+:\d+)*$/,
      meaning: 'a list such as 1@127.0.0.1:7101,2@127.0.0.1:7102',
    },
    doc: 'The controllers as id@host:port. Without it this node is a cluster of its own.',
    clusterWide: true,
  },
  'cluster.secret.file': {
    type: 'text',
    fallback: null,
    doc: 'A file with the secret that the nodes of the cluster share. Whoever holds it can speak for any node.',
    clusterWide: true,
  },
  'cluster.secret': {
    type: 'text',
    fallback: null,
    doc: 'The secret itself; meant for the environment (VLTAVA_CLUSTER_SECRET). Arguments are visible to other users.',
    clusterWide: true,
  },
  'allowed.origins': {
    type: 'text',
    fallback: '',
    doc: 'Origins of web pages that may connect, such as https://console.example.com, with commas. Others may not, but for pages of this very host and port.',
    clusterWide: false,
  },
  'log.level': {
    type: 'text',
    fallback: 'info',
    pattern: { regex: /^(debug|info|warn|error|silent)$/, meaning: 'debug, info, warn, error or silent' },
    doc: 'The least severe events to log.',
    clusterWide: false,
  },
  'broker.heartbeat.interval.ms': integer(
    'ms',
    { fallback: 500, min: 10, max: 60_000 },
    'How often a broker tells the controller that it lives.',
  ),
  'broker.session.timeout.ms': integer(
    'ms',
    { fallback: 3_000, min: 50, max: 600_000 },
    'A broker silent for this long is fenced.',
  ),
  'broker.disconnect.grace.ms': integer(
    'ms',
    { fallback: 250, min: 0, max: 60_000 },
    'A broker whose link to the active controller closed is fenced after this unless the same run came back.',
  ),
  'controller.quorum.election.timeout.ms': integer(
    'ms',
    { fallback: 1_000, min: 50, max: 60_000 },
    'A controller that heard of no leader for one to two times this starts an election.',
  ),
  'controller.quorum.heartbeat.interval.ms': integer(
    'ms',
    { fallback: 100, min: 5, max: 10_000 },
    'How often the leader of the quorum shows that it lives.',
  ),
  'metadata.log.max.record.bytes.between.snapshots': integer(
    'bytes',
    { fallback: 20 * MIB, min: 1_024, max: 1_024 * MIB },
    'Bytes of new metadata records after which a controller makes a snapshot and drops the log before the one before it.',
  ),
  'metadata.log.max.snapshot.interval.ms': integer(
    'ms',
    { fallback: 3_600_000, min: 0, max: 365 * DAY_MS },
    'Time after which the next committed change makes a snapshot due whatever its size; 0 for never.',
  ),
  'leader.imbalance.check.interval.seconds': dynamic('leader.imbalance.check.interval.seconds'),
  'replica.lag.time.max.ms': dynamic('replica.lag.time.max.ms'),
  'replica.fetch.wait.max.ms': dynamic('replica.fetch.wait.max.ms'),
  'replica.fetch.max.bytes': dynamic('replica.fetch.max.bytes'),
  'replica.fetch.response.max.bytes': dynamic('replica.fetch.response.max.bytes'),
  'leader.replication.throttled.rate': dynamic('leader.replication.throttled.rate'),
  'follower.replication.throttled.rate': dynamic('follower.replication.throttled.rate'),
  'replica.high.watermark.checkpoint.interval.ms': integer(
    'ms',
    { fallback: 5_000, min: 100, max: DAY_MS },
    'How often high watermarks and recovery points are saved.',
  ),
  'log.retention.check.interval.ms': dynamic('log.retention.check.interval.ms'),
  'log.tail.cache.bytes': integer(
    'bytes',
    { fallback: 64 * MIB, min: 0, max: 64 * 1024 * MIB },
    'Memory for recent records of all partitions.',
  ),
  'log.disk.usage.warn.percent': dynamic('log.disk.usage.warn.percent'),
  'log.disk.usage.max.percent': dynamic('log.disk.usage.max.percent'),
  'log.disk.reserve.bytes': dynamic('log.disk.reserve.bytes'),
  'log.disk.check.interval.ms': integer(
    'ms',
    { fallback: 1_000, min: 10, max: 600_000 },
    'How often to look how full the disk is.',
  ),
  'log.scrub.interval.ms': integer(
    'ms',
    { fallback: 7 * DAY_MS, min: 0, max: 24 * DAY_MS },
    'How often all logs are read to find damage; 0 turns that off.',
  ),
  'log.scrub.bytes.per.second': dynamic('log.scrub.bytes.per.second'),
  'log.cleaner.backoff.ms': dynamic('log.cleaner.backoff.ms'),
  'log.cleaner.dedupe.buffer.size': dynamic('log.cleaner.dedupe.buffer.size'),
  'log.cleaner.io.max.bytes.per.second': dynamic('log.cleaner.io.max.bytes.per.second'),
  'controlled.shutdown.timeout.ms': dynamic('controlled.shutdown.timeout.ms'),
} as const satisfies Record<string, ConfigRow>

export type ConfigName = keyof typeof CONFIG_TABLE
