import { describe, expect, it } from 'vitest'
import { type ConfigSources, environmentNameOf, parsePeers, readConfig } from '../../src/server/config.ts'
import { CONFIG_TABLE, type ConfigName, type ConfigRow } from '../../src/server/config-table.ts'

const NONE: ConfigSources = { flags: {}, environment: {}, file: null }

describe('readConfig', () => {
  it('nothing given -> the defaults of the table, one node alone with both roles', () => {
    const config = readConfig(NONE)
    expect(config.integers['broker.session.timeout.ms']).toBe(3_000)
    expect(config.roles).toEqual({ broker: true, controller: true })
    expect(config.peers).toBeNull()
  })

  it('the command line wins over the environment, that over the file', () => {
    const file = {
      path: 'f.yaml',
      values: { 'node.id': 1, 'listener.port': 1, 'replica.lag.time.max.ms': 1_000 },
    }
    const environment = { VLTAVA_NODE_ID: '2', VLTAVA_LISTENER_PORT: '2' }
    const { integers } = readConfig({ flags: { 'node.id': '3' }, environment, file })
    expect([integers['node.id'], integers['listener.port'], integers['replica.lag.time.max.ms']]).toEqual([
      3, 2, 1_000,
    ])
  })

  it.each(Object.entries(CONFIG_TABLE) as [ConfigName, ConfigRow][])(
    '%s: default within its own rule, environment name known',
    (name, row) => {
      expect(environmentNameOf(name)).toMatch(/^VLTAVA_[A-Z_]+$/)
      if (row.type === 'integer') {
        expect(row.fallback).toBeGreaterThanOrEqual(row.min)
        expect(row.fallback).toBeLessThanOrEqual(row.max)
        expect(() => readConfig({ ...NONE, flags: { [name]: String(row.max + 1) } })).toThrow(
          `${name}: must be an integer from ${row.min} to ${row.max}`,
        )
        expect(() => readConfig({ ...NONE, environment: { [environmentNameOf(name)]: 'x' } })).toThrow(
          environmentNameOf(name),
        )
      } else if (row.pattern !== undefined && row.fallback !== null) {
        expect(row.fallback).toMatch(row.pattern.regex)
      }
    },
  )

  it('broker.rack: any of the places -> the text, without one null; a name that is none -> refused', () => {
    expect(readConfig(NONE).texts['broker.rack']).toBe(null)
    const file = { path: 'f.yaml', values: { 'broker.rack': 7 } }
    expect(readConfig({ ...NONE, file }).texts['broker.rack']).toBe('7')
    const environment = { VLTAVA_BROKER_RACK: 'eu-central-1a' }
    expect(readConfig({ ...NONE, environment, file }).texts['broker.rack']).toBe('eu-central-1a')
    expect(() => readConfig({ ...NONE, flags: { 'broker.rack': 'a ' } })).toThrow(
      /^broker\.rack: must be 1 to 249 printable ASCII characters without blanks at the ends.*got "a "/,
    )
  })

  it('an unknown name in the file -> an error with the file, the name and the known names', () => {
    const file = { path: 'f.yaml', values: { 'no.such': 1 } }
    expect(() => readConfig({ ...NONE, file })).toThrow(/f\.yaml: unknown setting "no\.such".*node\.id/)
    expect(() => readConfig({ ...NONE, file: { path: 'f', values: { toString: 1 } } })).toThrow(
      'unknown setting',
    )
  })

  it('roles and voters must fit together', () => {
    const voters = { 'controller.quorum.voters': '1@h:1,2@h:2' }
    expect(() => readConfig({ ...NONE, flags: { ...voters, 'node.id': '3' } })).toThrow(
      'does not name this node (3)',
    )
    expect(() => readConfig({ ...NONE, flags: { 'process.roles': 'broker' } })).toThrow('--peers')
    expect(() =>
      readConfig({ ...NONE, flags: { ...voters, 'node.id': '2', 'process.roles': 'broker' } }),
    ).toThrow('names this node (2)')
    expect(
      readConfig({ ...NONE, flags: { ...voters, 'node.id': '3', 'process.roles': 'broker' } }).roles,
    ).toEqual({ broker: true, controller: false })
    expect(() => readConfig({ ...NONE, flags: { 'controller.quorum.voters': '1@h:1,1@h:2' } })).toThrow(
      'twice',
    )
  })

  it('a session shorter than two heartbeats -> refused, both are named', () => {
    expect(() => readConfig({ ...NONE, flags: { 'broker.session.timeout.ms': '900' } })).toThrow(
      /broker\.session\.timeout\.ms.*500.*900/,
    )
  })
})

describe('relations', () => {
  it('quorum heartbeats rarer than twice per election timeout -> refused, both are named', () => {
    const flags = {
      'controller.quorum.heartbeat.interval.ms': '600',
      'controller.quorum.election.timeout.ms': '1000',
    }
    expect(() => readConfig({ ...NONE, flags })).toThrow(/election\.timeout\.ms.*600.*1000/)
  })
})

describe('parsePeers', () => {
  it('a list -> ids and URLs', () => {
    expect(parsePeers('1@127.0.0.1:7101,2@host:7102')).toEqual([
      { nodeId: 1, url: 'ws://127.0.0.1:7101' },
      { nodeId: 2, url: 'ws://host:7102' },
    ])
  })
})
