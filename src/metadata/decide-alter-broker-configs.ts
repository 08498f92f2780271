// Settings of nodes change while the nodes run. Each node takes what counts for it from the metadata that it applies.
import { VltavaError } from '../model/errors.ts'
import type { NodeId } from '../model/ids.ts'
import { checkedDynamicValue, knownDynamicSetting } from './broker-settings.ts'
import type { ClusterImage } from './cluster-image.ts'
import { differenceOf } from './config-difference.ts'
import { type ConfigChange, type ConfigsAltered, namedOnce } from './decide-alter-configs.ts'
import { causeOf, type Decision, type DecisionContext } from './decision.ts'

export interface AlterBrokerConfigs {
  /** The id of a node, or empty for all nodes. */
  readonly name: string
  readonly changes: readonly ConfigChange[]
  /** Only to hear whether the change would be taken. */
  readonly validateOnly: boolean
}

export interface AlterBrokerConfigsContext extends DecisionContext {
  /** Whether a name is a setting that nodes read at their start only. */
  readonly isStaticSetting: (name: string) => boolean
}

/** @throws VltavaError INVALID_CONFIG; INVALID_REQUEST for a broker that is not known */
export function decideAlterBrokerConfigs(
  context: AlterBrokerConfigsContext,
  request: AlterBrokerConfigs,
): Decision<ConfigsAltered> {
  const { image } = context
  const brokerId = nodeNamed(image, request.name)
  const before = image.brokerConfigs.get(brokerId) ?? new Map<string, string>()
  const after = changedConfigs(context, before, request.changes)
  const detail = differenceOf(before, after, 'what counts without it')
  if (detail === '' || request.validateOnly) {
    return { records: [], response: { metadataOffset: image.metadataOffset } }
  }
  const whose = brokerId === null ? 'all brokers' : `broker ${brokerId}`
  const cause = causeOf(context, 'configs-changed', `an operator changed for ${whose}: ${detail}`)
  const configs = [...after].map(([name, value]) => ({ name, value }))
  return {
    records: [{ type: 'broker-configs-changed', brokerId, configs, cause }],
    response: { metadataOffset: context.nextOffset },
  }
}

/**
 * Whose settings a name means: null for all nodes. A node that is controller only has settings as well.
 * @throws VltavaError INVALID_REQUEST where there is no such node
 */
export function nodeNamed(image: ClusterImage, name: string): NodeId | null {
  if (name === '') return null
  const nodeId = /^\d{1,10}$/.test(name) ? Number(name) : Number.NaN
  if (!Number.isSafeInteger(nodeId)) {
    throw new VltavaError(
      'INVALID_REQUEST',
      `A broker is named by its id, or with an empty name for all brokers, got ${JSON.stringify(name.slice(0, 60))}.`,
    )
  }
  if (image.brokers.has(nodeId) || image.voters.some((voter) => voter.nodeId === nodeId)) return nodeId
  const known = [...new Set([...image.brokers.keys(), ...image.voters.map((voter) => voter.nodeId)])]
  const ids = known.toSorted((a, b) => a - b).join(', ')
  throw new VltavaError('INVALID_REQUEST', `Broker ${nodeId} is not known. Known brokers: [${ids}].`)
}

function changedConfigs(
  { isStaticSetting }: AlterBrokerConfigsContext,
  before: ReadonlyMap<string, string>,
  changes: readonly ConfigChange[],
): ReadonlyMap<string, string> {
  const after = new Map(before)
  // What an older or newer version left there can be taken away, whatever it is.
  const known = (name: string): string =>
    before.has(name) ? name : knownDynamicSetting(name, isStaticSetting)
  namedOnce(changes.map(({ name }) => known(name)))
  for (const { name, value } of changes) {
    if (value === null) after.delete(name)
    else after.set(name, checkedDynamicValue(knownDynamicSetting(name, isStaticSetting), value))
  }
  return after
}
