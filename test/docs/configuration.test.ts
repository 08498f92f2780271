// Holds docs/configuration.md to the tables of settings.
import { describe, expect, it } from 'vitest'
import { isDynamicSetting } from '../../src/metadata/broker-settings.ts'
import { allowedValues, TOPIC_SETTINGS, type TopicSetting } from '../../src/metadata/topic-configs.ts'
import { environmentNameOf } from '../../src/server/config.ts'
import { CONFIG_TABLE, type ConfigName, type ConfigRow } from '../../src/server/config-table.ts'
import { expectGenerated, readDocument } from './documents.ts'
import { code, table } from './markdown.ts'
import { readableNumbers } from './schema-comments.ts'

const path = 'docs/configuration.md'
const settings = Object.entries(CONFIG_TABLE) as [ConfigName, ConfigRow][]

function defaultOf(row: ConfigRow): string {
  if (row.fallback === null) return 'not set'
  return row.fallback === '' ? 'empty' : code(row.fallback)
}

function allowedIn(row: ConfigRow): string {
  if (row.type === 'text') return row.pattern?.meaning ?? 'text'
  const unit = row.unit === 'count' ? '' : ` ${row.unit}`
  return readableNumbers(`${row.min} to ${row.max}${unit}`)
}

describe('docs/configuration.md', () => {
  it('the settings of a node: as in the code', () => {
    const rows = settings.map(([name, row]) => [
      code(name),
      defaultOf(row),
      allowedIn(row),
      row.clusterWide ? 'yes' : 'no',
      isDynamicSetting(name) ? 'yes' : 'no',
      row.doc,
    ])
    const body = table(
      ['Setting', 'Default', 'Allowed', 'Same on all nodes', 'Without a restart', 'Meaning'],
      rows,
    )
    expectGenerated({ path, name: 'node-settings', body })
  })

  it('the settings of a topic: as in the code', () => {
    const rows = (Object.entries(TOPIC_SETTINGS) as [string, TopicSetting][]).map(([name, row]) => [
      code(name),
      code(row.default),
      row.type === 'integer' ? readableNumbers(`${row.min} to ${row.max} ${row.unit}`) : allowedValues(row),
      row.doc,
    ])
    expectGenerated({
      path,
      name: 'topic-settings',
      body: table(['Setting', 'Default', 'Allowed', 'Meaning'], rows),
    })
  })

  it('the example of an environment variable: is named as the code names it', () => {
    expect(readDocument(path)).toContain(environmentNameOf('broker.session.timeout.ms'))
  })
})
