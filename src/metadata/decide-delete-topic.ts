import type { MetadataOffset, TopicId } from '../model/ids.ts'
import { checkTopicName } from '../model/topic-name.ts'
import type { Decision, DecisionContext } from './decision.ts'
import { topicNamed } from './topic-named.ts'

export interface TopicDeleted {
  readonly topicId: TopicId
  readonly metadataOffset: MetadataOffset
}

/**
 * Deletes a topic with all its partitions. Replicas remove the data when they apply the committed record, not before.
 * @throws VltavaError INVALID_TOPIC, UNKNOWN_TOPIC_OR_PARTITION
 */
export function decideDeleteTopic(
  context: DecisionContext,
  request: { readonly name: string },
): Decision<TopicDeleted> {
  const { topicId } = topicNamed(context.image, checkTopicName(request.name))
  return {
    records: [{ type: 'topic-deleted', topicId }],
    response: { topicId, metadataOffset: context.nextOffset },
  }
}
