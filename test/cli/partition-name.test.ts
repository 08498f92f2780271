import { describe, expect, it } from 'vitest'
import { partitionNameOf } from '../../src/cli/partition-name.ts'
import { UsageError } from '../../src/cli/terminal.ts'

describe('a partition as operators name it', () => {
  it.each([
    ['orders/3', { topic: 'orders', partition: 3 }],
    ['orders/2147483647', { topic: 'orders', partition: 2_147_483_647 }],
  ])('%j -> topic and number', (name, expected) => {
    expect(partitionNameOf(name)).toEqual(expected)
  })

  it.each([...['orders', '/3', 'orders/', 'orders/x', 'orders/-1'], ...['orders/1.5', 'orders/2147483648']])(
    '%j -> says what to give',
    (name) => {
      expect(() => partitionNameOf(name)).toThrow(UsageError)
    },
  )
})
