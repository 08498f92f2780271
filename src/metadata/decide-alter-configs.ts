// Settings of a topic change while it is in use. What a change means for the partitions stands in the same batch.
//
// Where min.insync.replicas changes as far as it counts for a partition, the partition epoch grows even if nothing else does: the
// answer to a proposal of the in-sync set may overtake the metadata. A leader that took the answer under the old number could
// commit with the few it needed then, while the controller already keeps those who left as eligible. The same holds for
// flush.messages and `synced`.
import { VltavaError } from '../model/errors.ts'
import type { MetadataOffset } from '../model/ids.ts'
import { checkTopicName } from '../model/topic-name.ts'
import type { PartitionImage, TopicImage } from './cluster-image.ts'
import { differenceOf } from './config-difference.ts'
import { causeOf, type Decision, type DecisionContext } from './decision.ts'
import { eligibleAfter, minIsrOf } from './eligible-replicas.ts'
import type { Cause, MetadataRecord } from './metadata-records.ts'
import { brokersOf, changedTo, changePartition, type PartitionChanged } from './partition-change.ts'
import { checkTopicConfigs, flushMessagesOf, knownTopicSetting, topicConfigOf } from './topic-configs.ts'
import { topicNamed } from './topic-named.ts'

export interface ConfigChange {
  readonly name: string
  /** null: back to the default. */
  readonly value: string | null
}

export interface AlterTopicConfigs {
  readonly topic: string
  readonly changes: readonly ConfigChange[]
  /** Only to hear whether the change would be taken. */
  readonly validateOnly: boolean
}

export interface ConfigsAltered {
  readonly metadataOffset: MetadataOffset
}

/** @throws VltavaError INVALID_TOPIC, UNKNOWN_TOPIC_OR_PARTITION, INVALID_CONFIG */
export function decideAlterTopicConfigs(
  context: DecisionContext,
  request: AlterTopicConfigs,
): Decision<ConfigsAltered> {
  const { image } = context
  const topic = topicNamed(image, checkTopicName(request.topic))
  const configs = changedConfigs(topic.configs, request.changes)
  const detail = differenceOf(topic.configs, configs, 'the default')
  if (detail === '' || request.validateOnly) {
    return { records: [], response: { metadataOffset: image.metadataOffset } }
  }
  const cause = causeOf(context, 'configs-changed', `an operator changed ${detail}`)
  const { topicId } = topic
  const records: MetadataRecord[] = [
    {
      type: 'topic-configs-changed',
      topicId,
      configs: [...configs].map(([key, value]) => ({ name: key, value })),
      cause,
    },
  ]
  const after = { ...topic, configs }
  for (const partition of topic.partitions) {
    const record = partitionUnder(context, { before: topic, after, partition, cause })
    if (record !== null) records.push(record)
  }
  return { records, response: { metadataOffset: context.nextOffset } }
}

function changedConfigs(
  before: ReadonlyMap<string, string>,
  changes: readonly ConfigChange[],
): ReadonlyMap<string, string> {
  const names = changes.map(({ name }) => knownTopicSetting(name))
  namedOnce(names)
  const checked = checkTopicConfigs(
    changes.flatMap(({ name, value }) => (value === null ? [] : [{ name, value }])),
  )
  const after = new Map(before)
  for (const name of names) {
    const value = checked.get(name)
    if (value === undefined) after.delete(name)
    else after.set(name, value)
  }
  return after
}

/** @throws VltavaError INVALID_CONFIG for no name at all, and for one that stands there twice */
export function namedOnce(names: readonly string[]): void {
  if (names.length === 0) throw new VltavaError('INVALID_CONFIG', 'Name at least one setting to change.')
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined)
    throw new VltavaError('INVALID_CONFIG', `${twice} is changed twice; change it once.`)
}

interface Reconfigured {
  readonly before: TopicImage
  readonly after: TopicImage
  readonly partition: PartitionImage
  readonly cause: Cause
}

function partitionUnder(
  { image }: DecisionContext,
  { before, after, partition, cause }: Reconfigured,
): PartitionChanged | null {
  const minIsr = minIsrOf(after, partition)
  const hasOtherMinIsr = minIsr !== minIsrOf(before, partition)
  const countsWritten = flushMessagesOf(before.configs) === 1 && flushMessagesOf(after.configs) > 1
  const synced = partition.synced && !countsWritten
  const target = { topic: after, partition: { ...partition, synced }, cause }
  if (mayNowBeUnclean(before, after) && partition.leader === null) {
    const elected = changePartition({ ...target, brokers: brokersOf(image) })
    if (elected !== null) return elected
  }
  if (!hasOtherMinIsr && !countsWritten) return null
  return changedTo(target, { ...target.partition, ...eligibleUnder(partition, minIsr, hasOtherMinIsr) })
}

/**
 * With another min.insync.replicas a leader may commit what those in the ELR lack, so they leave it. Without a leader nothing can be
 * committed before one of them is elected: they stay, or a setting would make acknowledged records unreachable.
 */
function eligibleUnder(
  partition: PartitionImage,
  minIsr: number,
  hasOtherMinIsr: boolean,
): Pick<PartitionImage, 'elr' | 'lastKnownElr'> {
  const { isr, elr, lastKnownElr, leader } = partition
  if (!hasOtherMinIsr || leader === null) return { elr, lastKnownElr }
  return eligibleAfter(partition, { isr, minIsr, distrusted: elr })
}

function mayNowBeUnclean(before: TopicImage, after: TopicImage): boolean {
  const isOn = ({ configs }: TopicImage): boolean => topicConfigOf(configs).uncleanLeaderElection
  return isOn(after) && !isOn(before)
}
