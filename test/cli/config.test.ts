import { describe, expect, it } from 'vitest'
import { configChangeOf } from '../../src/cli/config.ts'
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
