import { describe, expect, it } from 'vitest'
import { limitMoves, type MoveLimitAdmin, moveLimitOf, unlimitMoves } from '../../src/cli/move-limit.ts'
import { rowOf, throttleOf, wantedOf } from '../../src/cli/reassign.ts'
import type { ConfigDescription } from '../../src/client/config-calls.ts'
import type { OngoingReassignment } from '../../src/client/reassign-calls.ts'

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

describe('the throttle of moves', () => {
  it('a number of bytes -> goes with moves that begin; 1,024 and more', () => {
    expect(throttleOf({ throttle: '50000' })).toBe(50_000)
    expect(throttleOf({})).toBe(null)
    expect(moveLimitOf('1024')).toBe(1_024)
    expect(() => moveLimitOf('1023')).toThrow(/--throttle/)
    expect(() => moveLimitOf('fast')).toThrow(/--throttle/)
  })

  it.each([
    [{ throttle: '5000', cancel: true }, /--throttle goes with moves that begin/],
    [{ throttle: '5000', list: true }, /--throttle goes with moves that begin/],
    [{ throttle: '5000', verify: true }, /--throttle goes with moves that begin/],
    [{ verify: true, cancel: true }, /--verify shows what is under way/],
    [{ verify: true, list: true }, /--verify shows what is under way/],
  ])('%j -> a usage error', (options, message) => {
    expect(() => throttleOf(options)).toThrow(message)
  })

  /** The admin calls over settings in memory. */
  function adminWith(moves: number) {
    const all = new Map<string, string>([['log.cleaner.backoff.ms', '5']])
    const ongoing = Array.from({ length: moves }, () => ({}) as OngoingReassignment)
    const admin: MoveLimitAdmin = {
      listReassignments: async () => ongoing,
      brokers: {
        describeConfigs: async () =>
          ['leader.replication.throttled.rate', 'follower.replication.throttled.rate', ...all.keys()].map(
            (name) => ({ name, isDefault: !all.has(name) }) as ConfigDescription,
          ),
        async alterConfigs({ set = {}, delete: names = [] }) {
          for (const [name, value] of Object.entries(set)) all.set(name, value)
          for (const name of names) all.delete(name)
        },
      },
    }
    return { admin, all, ongoing }
  }

  it('it is set for all brokers, stays while something moves, and goes alone when nothing does', async () => {
    const { admin, all, ongoing } = adminWith(1)
    expect(await unlimitMoves(admin)).toMatchObject({ limit: 'none' })
    await limitMoves(admin, 50_000)
    expect(all.get('leader.replication.throttled.rate')).toBe('50000')
    expect(all.get('follower.replication.throttled.rate')).toBe('50000')
    expect(await unlimitMoves(admin)).toEqual({ limit: 'kept', ongoing })
    expect(all.size).toBe(3)
    ongoing.length = 0
    expect(await unlimitMoves(admin)).toEqual({ limit: 'removed', ongoing: [] })
    expect([...all.keys()]).toEqual(['log.cleaner.backoff.ms'])
  })
})
