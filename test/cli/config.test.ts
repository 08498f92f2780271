import { describe, expect, it } from 'vitest'
import { configChangeOf, configOwnerOf, configRows } from '../../src/cli/config.ts'
import { UsageError } from '../../src/cli/terminal.ts'

describe('vltava config alter', () => {
  it('--set and --delete -> one change; a value may hold an equals sign or be empty', () => {
    const set = ['retention.ms=5', 'a=b=c', 'd=']
    expect(configChangeOf({ set, delete: ['segment.ms'] })).toEqual({
      set: { 'retention.ms': '5', a: 'b=c', d: '' },
      delete: ['segment.ms'],
    })
  })

  it.each([
    [{ set: [], delete: [] }, /give --set <name=value> or --delete <name>/],
    [{ set: ['retention.ms'], delete: [] }, /--set/],
    [{ set: ['retention.ms=1', 'retention.ms=2'], delete: [] }, /retention.ms is given twice/],
    [{ set: ['retention.ms=1'], delete: ['retention.ms'] }, /retention.ms is given twice/],
  ])('%j -> says what to give', (options, message) => {
    expect(() => configChangeOf(options)).toThrow(UsageError)
    expect(() => configChangeOf(options)).toThrow(message)
  })
})

describe('whose settings vltava config means', () => {
  it.each([
    [{ topic: 'orders' }, { kind: 'topic', topic: 'orders' }],
    [{ broker: '3' }, { kind: 'broker', broker: 3 }],
    [{ allBrokers: true }, { kind: 'broker', broker: null }],
  ])('%j -> %j', (options, owner) => {
    expect(configOwnerOf(options)).toEqual(owner)
  })

  it.each([
    [{}, /give one of --topic <topic>, --broker <id> or --all-brokers/],
    [{ topic: 'orders', broker: '3' }, /give one of/],
    [{ broker: '3', allBrokers: true }, /give one of/],
    [{ broker: 'three' }, /--broker/],
    [{ broker: '-1' }, /--broker/],
  ])('%j -> says what to give', (options, message) => {
    expect(() => configOwnerOf(options)).toThrow(UsageError)
    expect(() => configOwnerOf(options)).toThrow(message)
  })

  it('the table of a broker -> tells what needs a restart, that of a topic does not', () => {
    const setting = { defaultValue: '', allowed: '', doc: '', isDefault: false }
    const configs = [
      { ...setting, name: 'a', value: '1', source: 'all-brokers', dynamic: true },
      { ...setting, name: 'b', value: '', source: 'default', dynamic: false },
    ] as const
    expect(configRows({ kind: 'broker', broker: 1 }, configs)).toEqual([
      ['NAME', 'VALUE', 'SET-BY', 'DYNAMIC'],
      ['a', '1', 'all-brokers', 'yes'],
      ['b', '-', 'default', 'no'],
    ])
    expect(configRows({ kind: 'topic', topic: 't' }, configs.slice(0, 1))).toEqual([
      ['NAME', 'VALUE', 'SET-BY'],
      ['a', '1', 'all-brokers'],
    ])
  })
})
