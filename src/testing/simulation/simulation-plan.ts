// What one seed stands for: the size of the cluster, its settings, the load and which faults there are how often. All
// of it is drawn, the chances as well (swarm testing, SIM-9).
import type { Random } from '../../base/random.ts'
import type { Latency } from '../network/link.ts'
import { between, chance, oneOf } from './draw.ts'
import type { DiskSpeed } from './simulated-disk.ts'

/** The faults of the simulator, by the names under which they are counted and switched off. */
export const FAULT_NAMES = [
  'kill',
  'kill-all',
  'power-loss',
  'power-loss-all',
  'restart',
  'restart-all',
  'pause',
  'pause-kill',
  'partition',
  'cut',
  'break',
  'slow-link',
  'slow-disk',
  'short-writes',
  'failed-sync',
  'full-disk',
  'clock',
  'wipe',
  'bit-flip',
  'dead-flip',
  'stop-power-loss',
  'foreign-files',
] as const
export type FaultName = (typeof FAULT_NAMES)[number]

/** Drawn last, so that the seeds that draw none of them stand for what they stood for before. */
const LATER_FAULTS: readonly FaultName[] = ['dead-flip', 'stop-power-loss', 'foreign-files']
/** Without a second node nobody has what a wiped or damaged disk has lost. */
const NEEDS_ANOTHER: readonly FaultName[] = ['wipe', 'bit-flip', 'dead-flip']

export interface TopicPlan {
  readonly name: string
  readonly partitions: number
  readonly replicationFactor: number
  /** Asynchronous replicas beside those; default 0. */
  readonly observers?: number
  readonly configs: Readonly<Record<string, string>>
}

export interface SimulationPlan {
  readonly nodes: number
  /** The first so many nodes vote; those behind them are brokers only. */
  readonly voters: number
  /** In how many racks the nodes stand, fewer than nodes; absent: none has one. */
  readonly racks?: number
  readonly settings: Readonly<Record<string, number>>
  readonly topics: readonly TopicPlan[]
  readonly latency: Latency
  readonly bytesPerMs: number
  readonly disk: DiskSpeed
  readonly faults: readonly FaultName[]
  /** Mean virtual milliseconds between two faults. */
  readonly faultEveryMs: number
  /** Mean virtual milliseconds until a fault is over, or a dead node starts again. */
  readonly faultLastsMs: number
  /** Virtual milliseconds with faults. */
  readonly safetyMs: number
  /** Whether one node may stay away for good in the end, when the others could go on without it. */
  readonly leavesOneDead: boolean
  readonly producers: number
  readonly consumers: number
  /** Mean milliseconds between two operations of one client. */
  readonly thinkMs: number
  readonly recordsPerSendMax: number
  readonly valuePadding: number
  /** How many keys the records have that producers send to each partition; null: they have none, and nothing is compacted. */
  readonly recordKeys: number | null
  readonly deliveryTimeoutMs: number
  readonly makesTopics: boolean
  /** Whether records leave the logs while the run goes on: by age and size, and by request. */
  readonly deletesRecords: boolean
  /** Whether an operator promotes and demotes replicas. */
  readonly changesRoles: boolean
  /** Whether an operator changes flush.messages; only without crashes, which can lose what is only written. */
  readonly changesFlush: boolean
  /** Whether an operator moves replicas to other brokers, and cancels that. */
  readonly movesReplicas: boolean
  /** Whether an operator moves the controller, takes and gives votes, and replaces voters that lost their disks. */
  readonly changesVoters: boolean
  /** Whether some consumers read from followers and observers. */
  readonly readsReplicas: boolean
  /** Whether an operator cordons, drains, stops and unregisters brokers; absent: no. */
  readonly removesBrokers?: boolean
  /** Whether an operator changes settings of brokers and what moves may copy; absent: no. */
  readonly changesSettings?: boolean
  /** Whether an operator gives topics more partitions; absent: no. */
  readonly addsPartitions?: boolean
}

/**
 * What a seed stands for.
 * @param streams the random streams of the seed, by their names.
 * @param only leaves out all other faults; for a replay with less.
 */
export function planOf(
  streams: { readonly stream: (name: string) => Random },
  only?: readonly FaultName[],
): SimulationPlan {
  const drawn = drawPlan(streams.stream('plan'), only)
  const operated = withOperator(drawn, streams.stream('operator'))
  const moved = withMoves(operated, streams.stream('moves'))
  const controlled = withQuorumOperator(moved, streams.stream('controller'))
  const placed = withRacks(controlled, streams.stream('zones'))
  const reading = withReplicaReads(placed, streams.stream('reads'))
  const removing = withBrokerRemoval(reading, streams.stream('removals'))
  const setting = withSettingsOperator(removing, streams.stream('settings'))
  return withGrowth(setting, streams.stream('growth'))
}

/** @param only leaves out all other faults; for a replay with less. */
export function drawPlan(random: Random, only: readonly FaultName[] = FAULT_NAMES): SimulationPlan {
  const nodes = oneOf(random, [1, 2, 3, 3, 3, 3, 3, 3, 4, 5])
  const voters = nodes >= 5 ? oneOf(random, [3, 5]) : nodes >= 3 ? 3 : 1
  const isPossible = (name: FaultName): boolean =>
    only.includes(name) && (nodes > 1 || !NEEDS_ANOTHER.includes(name))
  const drawn = FAULT_NAMES.filter((name) => !LATER_FAULTS.includes(name) && chance(random, 45))
  const faults = drawn.filter(isPossible)
  const isFast = chance(random, 50)
  const plan: SimulationPlan = {
    nodes,
    voters,
    settings: drawSettings(random, isFast),
    topics: Array.from({ length: between(random, 1, 2) }, (_, i) =>
      drawTopic(random, { nodes, name: `t${i + 1}` }),
    ),
    latency: oneOf(random, [
      { minMs: 0.1, meanMs: 0.5 },
      { minMs: 0.5, meanMs: 3 },
      { minMs: 2, meanMs: 20 },
    ]),
    bytesPerMs: oneOf(random, [Number.MAX_SAFE_INTEGER, 100_000, 2_000]),
    disk: oneOf(random, [
      { syncMs: 0.5, otherMs: 0.05 },
      { syncMs: 3, otherMs: 0.3 },
      { syncMs: 25, otherMs: 1 },
    ]),
    faults,
    faultEveryMs: oneOf(random, [500, 1_500, 4_000]),
    faultLastsMs: oneOf(random, [300, 1_500, 5_000]),
    safetyMs: between(random, 8_000, 24_000),
    leavesOneDead: chance(random, 40),
    producers: between(random, 1, 3),
    consumers: between(random, 1, 2),
    thinkMs: oneOf(random, [5, 30, 120]),
    recordsPerSendMax: oneOf(random, [1, 5, 30]),
    valuePadding: oneOf(random, [0, 50, 600]),
    recordKeys: null,
    deliveryTimeoutMs: oneOf(random, [1_500, 5_000, 15_000]),
    makesTopics: chance(random, 30),
    deletesRecords: false,
    changesRoles: false,
    changesVoters: false,
    readsReplicas: false,
    changesFlush: false,
    movesReplicas: false,
  }
  // Drawn last, so that the seeds that draw none of it stand for what they stood for before there was any.
  const deleting = chance(random, 35) ? withDeletion(random, plan) : plan
  const isLoose = chance(random, 15)
  const flushing = isLoose ? withLooseFlush(random, deleting) : deleting
  const compacting = chance(random, 20) ? withCompaction(random, flushing) : flushing
  const later = LATER_FAULTS.filter((name) => chance(random, 35) && isPossible(name))
  const possible = isLoose ? later.filter((name) => !CRASHES.includes(name)) : later
  return { ...compacting, faults: [...compacting.faults, ...possible] }
}

/** Topics that keep the latest record of each key, compacted as often as that can be. */
function withCompaction(random: Random, plan: SimulationPlan): SimulationPlan {
  const configs = {
    'cleanup.policy': plan.deletesRecords ? oneOf(random, ['compact', 'compact,delete']) : 'compact',
    'min.cleanable.dirty.ratio': oneOf(random, ['0', '0.5']),
    'min.compaction.lag.ms': oneOf(random, ['0', '2000']),
    'segment.ms': oneOf(random, ['500', '2000']),
  }
  return {
    ...plan,
    recordKeys: oneOf(random, [1, 10, 100]),
    settings: { ...plan.settings, 'log.cleaner.backoff.ms': oneOf(random, [50, 500, 3_000]) },
    topics: plan.topics.map((topic) => ({ ...topic, configs: { ...topic.configs, ...configs } })),
  }
}

/**
 * What operators do: topics with observers, and changes of roles and settings under load.
 * @param random of its own, so that the seeds that draw nothing here stand for what they stood for before there was any of it.
 */
export function withOperator(plan: SimulationPlan, random: Random): SimulationPlan {
  const isObserved = chance(random, 25)
  const changesFlush = chance(random, 70) && !plan.faults.some((name) => CRASHES.includes(name))
  if (!isObserved) return { ...plan, changesFlush }
  const topics = plan.topics.map((topic) => withFewerVoters(random, topic, plan.nodes))
  const changesRoles = chance(random, 60)
  // A change that is under way when the dead node is chosen could leave too few without it.
  return { ...plan, topics, changesFlush, changesRoles, leavesOneDead: plan.leavesOneDead && !changesRoles }
}

/**
 * Replicas that move under load.
 * @param random of its own, so that the seeds that draw none of it stand for what they stood for before there was any.
 */
export function withMoves(plan: SimulationPlan, random: Random): SimulationPlan {
  const movesReplicas = plan.nodes > 1 && chance(random, 20)
  // All that is left of a partition could have gone to the dead node.
  return movesReplicas ? { ...plan, movesReplicas, leavesOneDead: false } : plan
}

/**
 * An operator of the controller quorum.
 * @param random of its own, as for withOperator
 */
export function withQuorumOperator(plan: SimulationPlan, random: Random): SimulationPlan {
  if (!chance(random, 25) || plan.voters < 3) return plan
  // A vote that is taken while the dead node is chosen could leave too few without it.
  return { ...plan, changesVoters: true, leavesOneDead: false }
}

/**
 * Nodes that stand in racks, some of them in the same one.
 * @param random of its own, as for withOperator. Seeds that draw none of it have the very same plan as before, so that their traces
 *   are the same, too.
 */
export function withRacks(plan: SimulationPlan, random: Random): SimulationPlan {
  if (!chance(random, 30) || plan.nodes < 3) return plan
  return { ...plan, racks: between(random, 2, plan.nodes - 1) }
}

/**
 * Consumers that read from other replicas than the leader.
 * @param random of its own, as for withOperator
 */
export function withReplicaReads(plan: SimulationPlan, random: Random): SimulationPlan {
  const readsReplicas = chance(random, 35) && plan.topics.some(hasFollowers)
  return { ...plan, readsReplicas }
}

/**
 * An operator who takes brokers away.
 * @param random of its own, as for withRacks
 */
export function withBrokerRemoval(plan: SimulationPlan, random: Random): SimulationPlan {
  if (!chance(random, 20) || plan.nodes < 2) return plan
  // All that is left of a partition could have gone to the dead node.
  return { ...plan, removesBrokers: true, leavesOneDead: false }
}

/**
 * An operator of the settings of brokers.
 * @param random of its own, as for withRacks
 */
export function withSettingsOperator(plan: SimulationPlan, random: Random): SimulationPlan {
  return chance(random, 20) ? { ...plan, changesSettings: true } : plan
}

/**
 * Topics that get more partitions.
 * @param random of its own, as for withRacks
 */
export function withGrowth(plan: SimulationPlan, random: Random): SimulationPlan {
  return chance(random, 20) ? { ...plan, addsPartitions: true } : plan
}

function hasFollowers({ replicationFactor, observers = 0 }: TopicPlan): boolean {
  return replicationFactor + observers > 1
}

function withFewerVoters(random: Random, topic: TopicPlan, nodes: number): TopicPlan {
  const free = nodes - topic.replicationFactor
  // In most clusters every node has a replica of every partition: one of them becomes an observer.
  const isFull = free === 0 && topic.replicationFactor >= 3
  const replicationFactor = topic.replicationFactor - (isFull ? 1 : 0)
  const observers = isFull ? 1 : between(random, 0, Math.min(free, 2))
  const minIsr = Math.min(replicationFactor, Number(topic.configs['min.insync.replicas']))
  // No more than there are voters, or the number of those who have to be known would change with the roles.
  const configs = { ...topic.configs, 'min.insync.replicas': String(minIsr) }
  return { ...topic, replicationFactor, observers, configs }
}

function withDeletion(random: Random, plan: SimulationPlan): SimulationPlan {
  const limits = oneOf(random, [
    { 'retention.bytes': '20000' },
    { 'retention.bytes': '60000' },
    { 'retention.ms': '4000', 'segment.ms': '2000' },
    { 'retention.ms': '-1', 'segment.ms': '500' },
  ])
  const configs = { ...limits, 'file.delete.delay.ms': String(oneOf(random, [0, 500, 60_000])) }
  return {
    ...plan,
    deletesRecords: true,
    settings: { ...plan.settings, 'log.retention.check.interval.ms': oneOf(random, [100, 500, 2_000]) },
    topics: plan.topics.map((topic) => ({ ...topic, configs: { ...topic.configs, ...configs } })),
  }
}

/**
 * After these, records that count where they are written can be lost, or nobody is known to have them: a process that ended by
 * itself cannot be told from a machine without power.
 */
const CRASHES: readonly FaultName[] = [
  'kill',
  'kill-all',
  'power-loss',
  'power-loss-all',
  'pause-kill',
  'failed-sync',
  'full-disk',
  'wipe',
  'dead-flip',
  'stop-power-loss',
]

/** The same without crashes, and with topics that fsync rarely: what flush.messages above 1 changes shows without them. */
function withLooseFlush(random: Random, plan: SimulationPlan): SimulationPlan {
  const topics = plan.topics.map((topic) => ({
    ...topic,
    configs: { ...topic.configs, 'flush.messages': String(oneOf(random, [1, 2, 50, 1_000_000])) },
  }))
  return {
    ...plan,
    topics,
    faults: plan.faults.filter((name) => !CRASHES.includes(name)),
    leavesOneDead: false,
  }
}

function drawSettings(random: Random, isFast: boolean): Record<string, number> {
  return {
    'broker.heartbeat.interval.ms': isFast ? 100 : 500,
    'broker.session.timeout.ms': isFast ? 600 : 3_000,
    'broker.disconnect.grace.ms': oneOf(random, [0, 50, 250]),
    'controller.quorum.election.timeout.ms': isFast ? 300 : 1_000,
    'controller.quorum.heartbeat.interval.ms': isFast ? 50 : 100,
    'replica.lag.time.max.ms': oneOf(random, [500, 2_000, 10_000]),
    'replica.fetch.wait.max.ms': oneOf(random, [20, 100, 500]),
    'replica.fetch.max.bytes': oneOf(random, [1_024, 16_384, 4 * 1024 * 1024]),
    'replica.high.watermark.checkpoint.interval.ms': oneOf(random, [200, 1_000, 5_000]),
    'log.tail.cache.bytes': oneOf(random, [0, 4_096, 64 * 1024 * 1024]),
    'controlled.shutdown.timeout.ms': oneOf(random, [100, 2_000]),
    // Small ones, so that voters and brokers that were away find the log gone and begin with a snapshot.
    'metadata.log.max.record.bytes.between.snapshots': oneOf(random, [1_024, 2_048, 8_192, 20 * 1024 * 1024]),
  }
}

function drawTopic(random: Random, of: { readonly nodes: number; readonly name: string }): TopicPlan {
  const replicationFactor = Math.min(of.nodes, oneOf(random, [1, 2, 3, 3, 3]))
  return {
    name: of.name,
    partitions: between(random, 1, 3),
    replicationFactor,
    configs: {
      'min.insync.replicas': String(oneOf(random, [1, 2, 2, replicationFactor])),
      'segment.bytes': String(oneOf(random, [16 * 1024, 64 * 1024, 1024 * 1024])),
      'index.interval.bytes': String(oneOf(random, [0, 256, 4_096])),
    },
  }
}
