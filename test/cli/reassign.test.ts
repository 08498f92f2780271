import { describe, expect, it } from 'vitest'
import { rowOf, wantedOf } from '../../src/cli/reassign.ts'

describe('what partition reassign asks for', () => {
  it('one partition -> its replicas in the order given', () => {
    expect(wantedOf({ name: 'orders/2', replicas: '3, 1,2' }, null)).toEqual([
      { topic: 'orders', partition: 2, replicas: [3, 1, 2] },
    ])
  })

  it('--cancel -> no replicas, for one partition or those of a plan', () => {
    const cancelled = [{ topic: 'orders', partition: 0, replicas: null }]
    expect(wantedOf({ name: 'orders/0', cancel: true }, null)).toEqual(cancelled)
    const plan = JSON.stringify({ partitions: [{ topic: 'orders', partition: 0, replicas: [1] }] })
    expect(wantedOf({ cancel: true }, plan)).toEqual(cancelled)
  })

  it('a plan -> all of its entries', () => {
    const partitions = [
      { topic: 'orders', partition: 0, replicas: [1, 2] },
      { topic: 'users', partition: 3, replicas: [2] },
    ]
    expect(wantedOf({}, JSON.stringify({ version: 1, partitions }))).toEqual(partitions)
  })

  it.each([
    ['nothing', {}, null, /give <topic>\/<partition>/],
    ['replicas and cancel', { name: 'a/0', replicas: '1', cancel: true }, null, /give <topic>/],
    ['neither replicas nor cancel', { name: 'a/0' }, null, /give <topic>/],
    [
      'a topic without a partition',
      { name: 'a', replicas: '1' },
      null,
      /name the partition as topic\/number/,
    ],
    ['a plan and a topic', { name: 'a/0' }, '{}', /--file stands for/],
    ['text for a broker', { name: 'a/0', replicas: '1,x' }, null, /--replicas/],
    ['a plan that is no JSON', {}, '{', /not JSON/],
    ['a plan without entries', {}, '{"partitions":[]}', /at least one entry/],
    ['a plan that is null', {}, 'null', /at least one entry/],
    ['an entry without replicas', {}, '{"partitions":[{"topic":"a","partition":0}]}', /entry 0 needs/],
  ])('%s -> a usage error', (_, options, plan, message) => {
    expect(() => wantedOf(options, plan)).toThrow(message)
  })

  it('the list names the replicas that a move waits for', () => {
    const ongoing = {
      topic: 'a',
      partition: 1,
      leader: 2,
      isr: [2, 4],
      original: [1, 2],
      target: [4, 5],
      observers: [],
    }
    expect(rowOf(ongoing)).toEqual(['a', '1', '2', '1,2', '4,5', '2,4', '5'])
    expect(rowOf({ ...ongoing, leader: null, isr: [] })).toEqual(['a', '1', '-', '1,2', '4,5', '-', '4,5'])
    expect(rowOf({ ...ongoing, observers: [5] }).at(-1)).toBe('-')
  })
})
