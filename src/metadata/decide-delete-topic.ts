import { VltavaError } from '../model/errors.ts'
import type { MetadataOffset, TopicId } from '../model/ids.ts'
import { checkTopicName } from '../model/topic-name.ts'
import type { Decision, DecisionContext } from './decision.ts'

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
  const name = checkTopicName(request.name)
  const topicId = context.image.topicIds.get(name)
  if (topicId === undefined) {
    throw new VltavaError('UNKNOWN_TOPIC_OR_PARTITION', `There is no topic ${JSON.stringify(name)}.`)
  }
  return {
    records: [{ type: 'topic-deleted', topicId }],
    response: { topicId, metadataOffset: context.nextOffset },
  }
}
