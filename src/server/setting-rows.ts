// The settings of a node as it shows them to whoever asks.
import type { NodeSetting } from '../broker/configs-flow.ts'
import { allowedNumbers } from '../metadata/broker-settings.ts'
import type { NodeConfig } from './config.ts'
import { CONFIG_TABLE, type ConfigName, type ConfigRow } from './config-table.ts'

/** Whoever may connect may ask for settings. */
const SECRET: ReadonlySet<ConfigName> = new Set(['cluster.secret'])
const HIDDEN = '(hidden)'

/** Every setting of the node with what it was started with. */
export function settingRowsOf(config: NodeConfig): readonly NodeSetting[] {
  const values: Readonly<Record<string, string | number | null>> = { ...config.integers, ...config.texts }
  return (Object.entries(CONFIG_TABLE) as [ConfigName, ConfigRow][]).map(([name, row]) => {
    const value = String(values[name] ?? '')
    return {
      name,
      value: SECRET.has(name) && value !== '' ? HIDDEN : value,
      isNamed: config.named.has(name),
      defaultValue: String(row.fallback ?? ''),
      allowed: allowedIn(row),
      doc: row.doc,
    }
  })
}

function allowedIn(row: ConfigRow): string {
  if (row.type === 'text') return row.pattern?.meaning ?? 'text'
  return row.unit === 'count' ? `a whole number from ${row.min} to ${row.max}` : allowedNumbers(row)
}
