// A cluster under random commands: everything the controller can be asked for, in any order, also nonsense.
import fc from 'fast-check'
import type { Random } from '../../src/base/random.ts'
import { seededRandom } from '../../src/base/random.ts'
import { type ClusterImage, EMPTY_IMAGE, type PartitionImage } from '../../src/metadata/cluster-image.ts'
import { decideAlterTopicConfigs } from '../../src/metadata/decide-alter-configs.ts'
import { decideAlterPartition } from '../../src/metadata/decide-alter-partition.ts'
import { decideCordonBroker, decideUnregisterBroker } from '../../src/metadata/decide-broker-removal.ts'
import { decideCreateTopic } from '../../src/metadata/decide-create-topic.ts'
import { decideDeleteTopic } from '../../src/metadata/decide-delete-topic.ts'
import { decideFenceBroker } from '../../src/metadata/decide-fence-broker.ts'
import { decideHeartbeat } from '../../src/metadata/decide-heartbeat.ts'
import { decideReassign } from '../../src/metadata/decide-reassign.ts'
import { decideRegisterBroker } from '../../src/metadata/decide-register-broker.ts'
import { decideReplicaRole } from '../../src/metadata/decide-replica-role.ts'
import type { Decision } from '../../src/metadata/decision.ts'
import { partitionsOf } from '../../src/metadata/partition-change.ts'
import { VltavaError } from '../../src/model/errors.ts'
import { contextOf, decided, directory, id128, incarnation } from './cluster-fixture.ts'

const BROKERS = [1, 2, 3, 4]
const brokerId = fc.constantFrom(...BROKERS)
const partial = fc.subarray(BROKERS)
const often = fc.integer({ min: 0, max: 3 }).map((drawn) => drawn > 0)
const seldom = fc.nat(5).map((drawn) => drawn === 0)

/** What an operator who takes brokers away asks for. */
const removals = fc.oneof(
  fc.record({ type: fc.constant('cordon' as const), brokerId, cordoned: seldom }),
  fc.record({
    type: fc.constant('unregister' as const),
    brokerId,
    isRunning: seldom,
  }),
)

const changes = fc.oneof(
  fc.record({
    type: fc.constant('register' as const),
    brokerId,
    run: fc.nat(50),
    sameDirectory: often,
    knowsEpoch: often,
    cleanShutdown: fc.boolean(),
  }),
  fc.record({
    type: fc.constant('heartbeat' as const),
    brokerId,
    wantUnfenced: often,
    wantShutdown: seldom,
    offline: fc.nat(9),
    cut: fc.option(fc.record({ leaderEpoch: fc.nat(2), endOffset: fc.nat(3) })),
  }),
  fc.record({ type: fc.constant('fence' as const), brokerId }),
  {
    arbitrary: fc.record({
      type: fc.constant('alter' as const),
      pick: fc.nat(20),
      isr: partial,
      stale: fc.nat(6),
    }),
    weight: 3,
  },
  fc.record({
    type: fc.constant('create' as const),
    name: fc.constantFrom('a', 'b', 'c'),
    partitions: fc.integer({ min: 1, max: 3 }),
    seed: fc.nat(),
    observers: fc.constantFrom(0, 0, 0, 1),
  }),
  {
    arbitrary: fc.record({
      type: fc.constant('reassign' as const),
      pick: fc.nat(20),
      replicas: fc.option(fc.shuffledSubarray(BROKERS), { freq: 2 }),
    }),
    weight: 3,
  },
  fc.record({ type: fc.constant('delete' as const), name: fc.constantFrom('a', 'b', 'c') }),
  fc.record({
    type: fc.constant('configure' as const),
    topic: fc.constantFrom('a', 'b', 'c'),
    name: fc.constantFrom('min.insync.replicas', 'flush.messages', 'unclean.leader.election.enable'),
    value: fc.constantFrom('1', '2', '3', 'true', 'false', 'false', 'false', null),
  }),
  fc.record({
    type: fc.constant('role' as const),
    brokerId,
    pick: fc.nat(20),
    role: fc.constantFrom('voter' as const, 'observer' as const),
  }),
)

export const commands = fc.array(
  fc.oneof({ arbitrary: changes, weight: 12 }, { arbitrary: removals, weight: 1 }),
  { minLength: 20, maxLength: 120 },
)

export type Command = typeof commands extends fc.Arbitrary<readonly (infer One)[]> ? One : never

/** Brokers 1 to 4 registered and alive, and two topics: random walks start where something can happen. */
export function startingImage(): ClusterImage {
  let image: ClusterImage = EMPTY_IMAGE
  for (const broker of BROKERS) {
    const run = { run: 0, sameDirectory: true, knowsEpoch: true, cleanShutdown: true }
    image = obey(image, { type: 'register', brokerId: broker, ...run })
    const asks = { wantUnfenced: true, wantShutdown: false, offline: 9, cut: null }
    image = obey(image, { type: 'heartbeat', brokerId: broker, ...asks })
  }
  image = obey(image, { type: 'create', name: 'a', partitions: 3, seed: 1, observers: 1 })
  return obey(image, { type: 'create', name: 'b', partitions: 2, seed: 2, observers: 0 })
}

/** The image after the command; the same one when it is refused or changes nothing. */
export function obey(image: ClusterImage, command: Command): ClusterImage {
  try {
    return decided(image, decide(image, command))
  } catch (thrown) {
    if (thrown instanceof VltavaError) return image
    throw thrown
  }
}

function decide(image: ClusterImage, command: Command): Decision<unknown> {
  const context = contextOf(image)
  switch (command.type) {
    case 'register': {
      const known = image.brokers.get(command.brokerId)
      return decideRegisterBroker(context, {
        brokerId: command.brokerId,
        incarnationId: incarnation(command.brokerId, command.run),
        directoryId: command.sameDirectory ? directory(command.brokerId) : id128(`wiped-${command.run}`),
        url: 'ws://host:1',
        previousBrokerEpoch: command.knowsEpoch ? (known?.brokerEpoch ?? null) : null,
        cleanShutdown: command.cleanShutdown,
        // A machine may stand elsewhere when it starts again, and may not say where.
        rack: [null, 'a', 'b'][command.run % 3]!,
        isRunning: () => false,
      })
    }
    case 'cordon':
      return decideCordonBroker(context, command)
    case 'unregister':
      return decideUnregisterBroker(context, {
        brokerId: command.brokerId,
        contactOf: () => (command.isRunning ? 'heard' : 'silent'),
      })
    case 'heartbeat':
      return decideBeat(image, command)
    case 'fence':
      return decideFenceBroker(context, {
        brokerId: command.brokerId,
        brokerEpoch: image.brokers.get(command.brokerId)?.brokerEpoch ?? 0,
        evidence: 'link-closed',
        detail: 'test',
      })
    case 'alter':
      return decideAlter(image, command)
    case 'create':
      return decideCreateTopic(
        { ...context, random: seededRandom(command.seed) as Random },
        {
          ...command,
          replicationFactor: null,
          configs: [{ name: 'flush.messages', value: command.seed % 2 === 0 ? '1' : '100' }],
        },
      )
    case 'configure': {
      const { topic, name, value } = command
      return decideAlterTopicConfigs(context, { topic, changes: [{ name, value }], validateOnly: false })
    }
    case 'role': {
      const target = picked(image, command.pick)
      return target === undefined ? NOTHING : decideReplicaRole(context, { ...command, ...target })
    }
    case 'reassign': {
      const target = picked(image, command.pick)
      return target === undefined
        ? NOTHING
        : decideReassign(context, [{ ...target, replicas: command.replicas }])
    }
    case 'delete':
      return decideDeleteTopic(context, command)
  }
}

function decideBeat(
  image: ClusterImage,
  command: Extract<Command, { type: 'heartbeat' }>,
): Decision<unknown> {
  const offline = [...partitionsOf(image)][command.offline]
  return decideHeartbeat(contextOf(image), {
    ...command,
    brokerEpoch: image.brokers.get(command.brokerId)?.brokerEpoch ?? 0,
    metadataOffset: image.metadataOffset,
    appliedByOthers: Number.POSITIVE_INFINITY,
    offlineLogs:
      offline === undefined
        ? []
        : [{ topicId: offline.topic.topicId, partition: offline.partition.partition }],
    damagedLogs: [],
    // All of them or none, as after a power loss; few commands would make all of an ELR report otherwise.
    droppedTails:
      command.cut === null
        ? []
        : [...partitionsOf(image)].map(({ topic: { topicId }, partition: { partition } }) => ({
            topicId,
            partition,
            ...command.cut!,
          })),
  })
}

const NOTHING: Decision<unknown> = { records: [], response: null }

/** One of the partitions, as operators name it; none where there are none. */
function picked(
  image: ClusterImage,
  pick: number,
): { readonly topic: string; readonly partition: number } | undefined {
  const targets = [...partitionsOf(image)]
  const target = targets[pick % Math.max(1, targets.length)]
  return target && { topic: target.topic.name, partition: target.partition.partition }
}

function decideAlter(
  image: ClusterImage,
  { pick, isr, stale }: Extract<Command, { type: 'alter' }>,
): Decision<unknown> {
  const targets = [...partitionsOf(image)]
  const target = targets[pick % Math.max(1, targets.length)]
  if (target === undefined) return { records: [], response: null }
  const { topic, partition } = target
  const sender = partition.leader ?? partition.replicas[0]!
  return decideAlterPartition(contextOf(image), {
    brokerId: sender,
    brokerEpoch: image.brokers.get(sender)?.brokerEpoch ?? 0,
    partitions: [
      {
        topicId: topic.topicId,
        partition: partition.partition,
        ...epochsOf(partition, stale),
        isr: [...new Set([sender, ...isr])].map((member) => ({
          brokerId: member,
          brokerEpoch: (image.brokers.get(member)?.brokerEpoch ?? 0) - (stale === 3 ? 1 : 0),
        })),
        reason: 'test',
        observedAtMs: 1,
      },
    ],
  })
}

function epochsOf({ leaderEpoch, partitionEpoch }: PartitionImage, stale: number) {
  if (stale === 1) return { leaderEpoch: leaderEpoch - 1, partitionEpoch }
  if (stale === 2) return { leaderEpoch, partitionEpoch: partitionEpoch - 1 }
  return { leaderEpoch, partitionEpoch }
}
