import { VltavaError } from './errors.ts'
import type { TopicName } from './ids.ts'
import { TOPIC_NAME_MAX_CHARACTERS } from './limits.ts'

/**
 * Checks a topic name by Kafka's rule: 1 to 249 of the characters a-z A-Z 0-9 . _ -, not "." or "..". A name that
 * starts with "__" is reserved for internal topics, one that starts with "-" would read as an option of a command.
 * @throws VltavaError INVALID_TOPIC
 */
export function checkTopicName(name: string): TopicName {
  const shown = JSON.stringify(name.length > 60 ? `${name.slice(0, 60)}...` : name)
  if (name.length === 0) throw new VltavaError('INVALID_TOPIC', 'The topic name is empty.')
  if (name.length > TOPIC_NAME_MAX_CHARACTERS) {
    throw new VltavaError(
      'INVALID_TOPIC',
      `Topic name ${shown} has ${name.length} characters; at most ${TOPIC_NAME_MAX_CHARACTERS} are allowed.`,
    )
  }
  if (!/^[a-zA-Z0-9._-]+$/.test(name)) {
    throw new VltavaError('INVALID_TOPIC', `Topic name ${shown} may hold only a-z A-Z 0-9 . _ and -.`)
  }
  if (name === '.' || name === '..')
    throw new VltavaError('INVALID_TOPIC', `Topic name ${shown} is not allowed.`)
  if (name.startsWith('-'))
    throw new VltavaError('INVALID_TOPIC', `Topic name ${shown} must not start with "-".`)
  if (name.startsWith('__')) {
    throw new VltavaError('INVALID_TOPIC', `Topic name ${shown} is reserved: names with "__" are internal.`)
  }
  return name
}
