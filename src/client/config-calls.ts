// Settings of topics: what the calls take, and how they travel.
import { VltavaError } from '../model/errors.ts'
import type { RequestOf } from '../protocol/api.ts'
import { type alterConfigs, describeConfigs } from '../protocol/configs.ts'
import { resolveTimeoutMs } from './admin-options.ts'
import type { ClusterCalls } from './cluster-calls.ts'
import { showValue } from './options.ts'

export interface AlterConfigsOptions {
  readonly topic: string
  /** Settings by Kafka's names. Default: none. */
  readonly set?: Readonly<Record<string, string>>
  /** Names of settings that go back to their defaults. Default: none. */
  readonly delete?: readonly string[]
  /** Only to hear whether the cluster would take the change. Default false. */
  readonly validateOnly?: boolean
  /** Milliseconds for the whole call. 100 to 300,000, default 30,000. */
  readonly timeoutMs?: number
}

/** A setting of a topic as it counts now. */
export interface ConfigDescription {
  readonly name: string
  readonly value: string
  /** Whether the value was not set but is the default. */
  readonly isDefault: boolean
  readonly defaultValue: string
  /** What may be set, in words. */
  readonly allowed: string
  readonly doc: string
}

type AlterRequest = RequestOf<typeof alterConfigs>

/** @throws VltavaError INVALID_ARGUMENT */
export function resolveAlterConfigs(
  given: AlterConfigsOptions,
): Omit<AlterRequest, 'timeoutMs'> & { readonly timeoutMs: number } {
  const { topic, set = {}, delete: deleted = [], validateOnly = false, ...rest } = given
  const isText = (value: unknown): boolean => typeof value === 'string'
  const problem = !isText(topic)
    ? `the topic must be text, got ${showValue(topic)}`
    : typeof set !== 'object' || set === null || !Object.values(set).every(isText)
      ? `set must be an object of text values, got ${showValue(set)}`
      : !Array.isArray(deleted) || !deleted.every(isText)
        ? `delete must be a list of names, got ${showValue(deleted)}`
        : typeof validateOnly !== 'boolean'
          ? `validateOnly must be true or false, got ${showValue(validateOnly)}`
          : null
  if (problem !== null) throw new VltavaError('INVALID_ARGUMENT', `alterConfigs: ${problem}.`)
  const changes = [
    ...Object.entries(set).map(([name, value]) => ({ name, value })),
    ...deleted.map((name) => ({ name, value: null })),
  ]
  const timeoutMs = resolveTimeoutMs(rest, 'alterConfigs')
  return { resource: 'topic', name: topic, changes, validateOnly, timeoutMs }
}

/** @throws VltavaError UNKNOWN_TOPIC_OR_PARTITION */
export async function describeTopicConfigs(
  calls: ClusterCalls,
  topic: string,
  deadlineMs: number,
): Promise<readonly ConfigDescription[]> {
  const { configs } = await calls.ask(async (connection, timeoutMs) => {
    const body = { resource: 'topic' as const, name: topic }
    return (await connection.request(describeConfigs, body, { timeoutMs })).body
  }, deadlineMs)
  return configs
}
