// What one node's dynamic settings are now: from the metadata, or else what the node was started with.
import type { NodeId } from '../model/ids.ts'
import {
  allowedNumbers,
  DYNAMIC_SETTING_NAMES,
  DYNAMIC_SETTINGS,
  type DynamicSettingName,
  dynamicValueOf,
} from './broker-settings.ts'
import type { ClusterImage } from './cluster-image.ts'

/** Where a value comes from: set for this node, set for all nodes, or what the node was started with. */
export type DynamicSource = 'broker' | 'all-brokers' | 'node'

export interface DynamicValue {
  readonly value: number
  readonly source: DynamicSource
}

export interface ChangedSetting {
  readonly name: DynamicSettingName
  readonly from: number
  readonly to: number
}

/** A value that stands in the metadata and that this version of the software does not take. */
export interface IgnoredSetting {
  readonly name: string
  readonly value: string
  readonly allowed: string
}

export interface SettingsFollowed {
  readonly changed: readonly ChangedSetting[]
  readonly ignored: readonly IgnoredSetting[]
}

const NOTHING: SettingsFollowed = { changed: [], ignored: [] }

export class DynamicSettings {
  readonly #nodeId: NodeId
  readonly #given: Readonly<Record<DynamicSettingName, number>>
  #configs: ClusterImage['brokerConfigs'] = new Map()
  #values: ReadonlyMap<DynamicSettingName, DynamicValue> = new Map()

  /** @param of `given`: what the node was started with. */
  constructor(of: { readonly nodeId: NodeId; readonly given: Readonly<Record<DynamicSettingName, number>> }) {
    this.#nodeId = of.nodeId
    this.#given = of.given
  }

  /** What counts now. */
  get(name: DynamicSettingName): DynamicValue {
    return this.#values.get(name) ?? { value: this.#given[name], source: 'node' }
  }

  value(name: DynamicSettingName): number {
    return this.#values.get(name)?.value ?? this.#given[name]
  }

  /**
   * Takes what the metadata says from now on. What it says of a name or in a value that is not known here, as a newer version may
   * have allowed, counts as not said.
   */
  follow({ brokerConfigs }: Pick<ClusterImage, 'brokerConfigs'>): SettingsFollowed {
    if (brokerConfigs === this.#configs) return NOTHING
    this.#configs = brokerConfigs
    const before = this.#values
    const ignored: IgnoredSetting[] = []
    const values = new Map<DynamicSettingName, DynamicValue>()
    // The later one wins.
    this.#take(null, { values, ignored })
    this.#take(this.#nodeId, { values, ignored })
    this.#values = values
    const changed = DYNAMIC_SETTING_NAMES.map((name) => ({
      name,
      from: before.get(name)?.value ?? this.#given[name],
      to: this.value(name),
    })).filter(({ from, to }) => from !== to)
    return { changed, ignored }
  }

  #take(
    of: NodeId | null,
    into: { readonly values: Map<DynamicSettingName, DynamicValue>; readonly ignored: IgnoredSetting[] },
  ): void {
    const source = of === null ? 'all-brokers' : 'broker'
    for (const [name, text] of this.#configs.get(of) ?? []) {
      if (!Object.hasOwn(DYNAMIC_SETTINGS, name)) {
        into.ignored.push({ name, value: text, allowed: 'no setting that can be changed while a node runs' })
        continue
      }
      const known = name as DynamicSettingName
      const value = dynamicValueOf(known, text)
      if (value === null)
        into.ignored.push({ name, value: text, allowed: allowedNumbers(DYNAMIC_SETTINGS[known]) })
      else into.values.set(known, { value, source })
    }
  }
}
