import { describe, expect, it } from 'vitest'
import { readConfig } from '../../src/server/config.ts'
import { CONFIG_TABLE } from '../../src/server/config-table.ts'
import { settingRowsOf } from '../../src/server/setting-rows.ts'

const SECRET = 'a secret of the cluster that is long enough'

describe('the settings that a node shows', () => {
  const rows = settingRowsOf(
    readConfig({
      flags: { 'log.cleaner.backoff.ms': 15_000 },
      environment: { VLTAVA_CLUSTER_SECRET: SECRET },
      file: { path: 'node.yaml', values: { 'log.dir': '/data' } },
    }),
  )
  const row = (name: string) => rows.find((found) => found.name === name)

  it('all of them -> each once, with its value and whether something names it', () => {
    expect(rows.map(({ name }) => name)).toEqual(Object.keys(CONFIG_TABLE))
    expect(row('log.dir')).toMatchObject({ value: '/data', isNamed: true, defaultValue: '' })
    // Named with the value of the default is named all the same.
    expect(row('log.cleaner.backoff.ms')).toMatchObject({ value: '15000', isNamed: true })
    expect(row('replica.lag.time.max.ms')).toMatchObject({ value: '30000', isNamed: false })
    expect(row('advertised.url')).toMatchObject({ value: '', isNamed: false })
  })

  it('the secret of the cluster -> is not shown', () => {
    expect(row('cluster.secret')).toMatchObject({ value: '(hidden)', isNamed: true })
    expect(JSON.stringify(rows)).not.toContain(SECRET)
  })
})
