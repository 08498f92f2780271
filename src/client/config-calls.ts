// Settings of topics and brokers: what the calls take, and how they travel.
import { VltavaError } from '../model/errors.ts'
import type { NodeId } from '../model/ids.ts'
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

export interface AlterBrokerConfigsOptions extends Omit<AlterConfigsOptions, 'topic'> {
  /** The id of the broker; null for what counts for all brokers that have no value of their own. */
  readonly broker: NodeId | null
}

/** A setting of a topic or a broker as it counts now. */
export interface ConfigDescription {
  readonly name: string
  readonly value: string
  /** Whether the value was not set but is the default. */
  readonly isDefault: boolean
  readonly defaultValue: string
  /** What may be set, in words. */
  readonly allowed: string
  readonly doc: string
  /**
   * Where the value comes from; later ones win: `default`, `topic`, `node` (what a broker was started with), `all-brokers` and `broker`
   * (changed while it runs, for all or for this one).
   */
  readonly source: 'default' | 'topic' | 'node' | 'all-brokers' | 'broker'
  /** Whether a change counts without a restart. */
  readonly dynamic: boolean
}

type AlterRequest = RequestOf<typeof alterConfigs>

type ResolvedAlter = Omit<AlterRequest, 'timeoutMs'> & { readonly timeoutMs: number }

/** @throws VltavaError INVALID_ARGUMENT */
export function resolveAlterConfigs({ topic, ...change }: AlterConfigsOptions): ResolvedAlter {
  if (typeof topic !== 'string')
    throw new VltavaError(
      'INVALID_ARGUMENT',
      `alterConfigs: the topic must be text, got ${showValue(topic)}.`,
    )
  return { resource: 'topic', name: topic, ...resolveChange('alterConfigs', change) }
}

/** @throws VltavaError INVALID_ARGUMENT */
export function resolveAlterBrokerConfigs({ broker, ...change }: AlterBrokerConfigsOptions): ResolvedAlter {
  const name = brokerNameOf('brokers.alterConfigs', broker)
  return { resource: 'broker', name, ...resolveChange('brokers.alterConfigs', change) }
}

/** @throws VltavaError INVALID_ARGUMENT */
export function brokerNameOf(call: string, broker: NodeId | null): string {
  if (broker === null) return ''
  if (Number.isSafeInteger(broker) && broker >= 0) return String(broker)
  throw new VltavaError(
    'INVALID_ARGUMENT',
    `${call}: the broker must be a whole number from 0, or null for all brokers, got ${showValue(broker)}.`,
  )
}

function resolveChange(
  call: string,
  given: Omit<AlterConfigsOptions, 'topic'>,
): Pick<ResolvedAlter, 'changes' | 'validateOnly' | 'timeoutMs'> {
  const { set = {}, delete: deleted = [], validateOnly = false, ...rest } = given
  const isText = (value: unknown): boolean => typeof value === 'string'
  const problem =
    typeof set !== 'object' || set === null || !Object.values(set).every(isText)
      ? `set must be an object of text values, got ${showValue(set)}`
      : !Array.isArray(deleted) || !deleted.every(isText)
        ? `delete must be a list of names, got ${showValue(deleted)}`
        : typeof validateOnly !== 'boolean'
          ? `validateOnly must be true or false, got ${showValue(validateOnly)}`
          : null
  if (problem !== null) throw new VltavaError('INVALID_ARGUMENT', `${call}: ${problem}.`)
  const changes = [
    ...Object.entries(set).map(([name, value]) => ({ name, value })),
    ...deleted.map((name) => ({ name, value: null })),
  ]
  const timeoutMs = resolveTimeoutMs(rest, call)
  return { changes, validateOnly, timeoutMs }
}

/** Asks any broker. @throws VltavaError UNKNOWN_TOPIC_OR_PARTITION */
export async function describeConfigsOf(
  calls: ClusterCalls,
  body: RequestOf<typeof describeConfigs>,
  deadlineMs: number,
): Promise<readonly ConfigDescription[]> {
  const { configs } = await calls.ask(async (connection, timeoutMs) => {
    return (await connection.request(describeConfigs, body, { timeoutMs })).body
  }, deadlineMs)
  return configs
}
