import { metadataOffsetSchema } from '../model/id-schemas.ts'
import { boolean, integer, list, nullable, oneOf, struct, text, withFallback } from '../schema/schema.ts'
import { defineApi } from './api.ts'

const resource = oneOf(['topic', 'broker'])

export const alterConfigs = defineApi({
  key: 33,
  name: 'alter-configs',
  version: 0,
  caller: 'client',
  servedBy: 'broker and controller',
  oneWay: false,
  doc:
    'Changes settings of a topic, or those of brokers that count without a restart; all of them or, with an error, none. What is not ' +
    'named stays as it is. A broker passes the request on to the active controller.',
  request: struct({
    /** What kind of thing has the settings. */
    resource,
    /** The name of the topic; the id of the broker, or empty for what counts for all brokers that have no value of their own. */
    name: text(1_000),
    /** value null: back to the default. */
    changes: list(struct({ name: text(200), value: nullable(text(1_000)) }), 100),
    /** Whether only to check the change, not to make it. */
    validateOnly: boolean(),
    timeoutMs: integer(0, 300_000),
  }),
  response: struct({
    /** Committed here; a broker that has applied it uses the settings. */
    metadataOffset: metadataOffsetSchema,
  }),
  errors: [
    'UNKNOWN_TOPIC_OR_PARTITION',
    'INVALID_TOPIC',
    'INVALID_CONFIG',
    'INVALID_REQUEST',
    'NOT_CONTROLLER',
    'REQUEST_TIMED_OUT',
  ],
})

export const describeConfigs = defineApi({
  key: 34,
  name: 'describe-configs',
  version: 0,
  caller: 'client',
  servedBy: 'broker',
  oneWay: false,
  doc:
    'Every setting of a topic, of this broker itself, or of those that can be changed for all brokers, as this broker knows them, ' +
    'defaults included.',
  request: struct({
    /** What kind of thing has the settings. */
    resource,
    /** The name of the topic; the id of the broker, or empty for what counts for all brokers that have no value of their own. */
    name: text(1_000),
  }),
  response: struct({
    metadataOffset: metadataOffsetSchema,
    configs: list(
      struct({
        /** The name of the setting. */
        name: text(200),
        /** What counts now. */
        value: text(1_000),
        /** Whether the value was not set but is the default. */
        isDefault: boolean(),
        /** What counts where nothing is set. */
        defaultValue: text(1_000),
        /** What may be set, in words. */
        allowed: text(1_000),
        /** What the setting means. */
        doc: text(2_000),
        /** Where the value comes from: `node` for what a broker was started with. */
        source: withFallback(oneOf(['default', 'topic', 'node', 'all-brokers', 'broker']), 'topic'),
        /** Whether a change counts without a restart. */
        dynamic: withFallback(boolean(), true),
      }),
      200,
    ),
  }),
  errors: ['UNKNOWN_TOPIC_OR_PARTITION', 'INVALID_REQUEST', 'BROKER_FENCED'],
})
