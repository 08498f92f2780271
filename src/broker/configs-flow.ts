import type { ClusterImage } from '../metadata/cluster-image.ts'
import { allowedValues, TOPIC_SETTINGS, type TopicSettingName } from '../metadata/topic-configs.ts'
import { topicNamed } from '../metadata/topic-named.ts'
import type { RequestOf, ResponseOf } from '../protocol/api.ts'
import type { describeConfigs } from '../protocol/configs.ts'

/**
 * Answers describe-configs from the image this broker has applied.
 * @throws VltavaError UNKNOWN_TOPIC_OR_PARTITION
 */
export function describeTopicConfigs(
  image: ClusterImage,
  { name }: RequestOf<typeof describeConfigs>,
): ResponseOf<typeof describeConfigs> {
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
      }
    }),
  }
}
