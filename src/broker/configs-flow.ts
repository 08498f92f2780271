import {
  allowedNumbers,
  DYNAMIC_SETTING_NAMES,
  DYNAMIC_SETTINGS,
  dynamicValueOf,
  isDynamicSetting,
} from '../metadata/broker-settings.ts'
import type { ClusterImage } from '../metadata/cluster-image.ts'
import type { DynamicSettings } from '../metadata/dynamic-settings.ts'
import { allowedValues, TOPIC_SETTINGS, type TopicSettingName } from '../metadata/topic-configs.ts'
import { topicNamed } from '../metadata/topic-named.ts'
import { VltavaError } from '../model/errors.ts'
import type { NodeId } from '../model/ids.ts'
import type { RequestOf, ResponseOf } from '../protocol/api.ts'
import type { describeConfigs } from '../protocol/configs.ts'

type Request = RequestOf<typeof describeConfigs>
type Response = ResponseOf<typeof describeConfigs>

/** A setting with what this node was started with. */
export interface NodeSetting {
  readonly name: string
  readonly value: string
  /** Whether something names the value; else it is the default. */
  readonly isNamed: boolean
  readonly defaultValue: string
  /** What may be set, in words. */
  readonly allowed: string
  readonly doc: string
}

export interface DescribedNode {
  readonly nodeId: NodeId
  readonly image: ClusterImage
  readonly dynamic: DynamicSettings
  readonly settings: readonly NodeSetting[]
}

/**
 * Answers describe-configs from the image this broker has applied.
 * @throws VltavaError UNKNOWN_TOPIC_OR_PARTITION; INVALID_REQUEST for another broker, which alone knows what it was started with
 */
export function describeConfigsOf(node: DescribedNode, { resource, name }: Request): Response {
  if (resource === 'topic') return describeTopicConfigs(node.image, name)
  if (name === '') return describeForAllBrokers(node.image)
  if (name === String(node.nodeId)) return describeNode(node)
  throw new VltavaError(
    'INVALID_REQUEST',
    `This is broker ${node.nodeId}; ask broker ${name.slice(0, 60)} itself for its settings.`,
  )
}

function describeTopicConfigs(image: ClusterImage, name: string): Response {
  const topic = topicNamed(image, name)
  const names = Object.keys(TOPIC_SETTINGS) as TopicSettingName[]
  return {
    metadataOffset: image.metadataOffset,
    configs: names.toSorted().map((setting) => {
      const row = TOPIC_SETTINGS[setting]
      const value = topic.configs.get(setting)
      const defaultValue = String(row.default)
      const isDefault = value === undefined
      return {
        name: setting,
        value: value ?? defaultValue,
        isDefault,
        defaultValue,
        allowed: allowedValues(row),
        doc: row.doc,
        source: isDefault ? 'default' : 'topic',
        dynamic: true,
      }
    }),
  }
}

function describeForAllBrokers(image: ClusterImage): Response {
  const configs = image.brokerConfigs.get(null)
  return {
    metadataOffset: image.metadataOffset,
    configs: DYNAMIC_SETTING_NAMES.toSorted().map((name) => {
      const row = DYNAMIC_SETTINGS[name]
      const text = configs?.get(name)
      const value = text === undefined ? null : dynamicValueOf(name, text)
      const isDefault = value === null
      return {
        name,
        value: String(value ?? row.fallback),
        isDefault,
        defaultValue: String(row.fallback),
        allowed: allowedNumbers(row),
        doc: row.doc,
        source: isDefault ? 'default' : 'all-brokers',
        dynamic: true,
      }
    }),
  }
}

function describeNode({ image, dynamic, settings }: DescribedNode): Response {
  return {
    metadataOffset: image.metadataOffset,
    configs: settings
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ isNamed, ...setting }) => {
        const { name } = setting
        const set = isDynamicSetting(name) ? dynamic.get(name) : null
        const isOverridden = set !== null && set.source !== 'node'
        return {
          ...setting,
          value: isOverridden ? String(set.value) : setting.value,
          isDefault: !isOverridden && !isNamed,
          source: isOverridden ? set.source : isNamed ? 'node' : 'default',
          dynamic: set !== null,
        }
      }),
  }
}
