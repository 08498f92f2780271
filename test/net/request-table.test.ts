import { describe, expect, it } from 'vitest'
import { VltavaError } from '../../src/model/errors.ts'
import { RequestTable } from '../../src/net/request-table.ts'
import { fetch } from '../../src/protocol/fetch.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'

function setUp() {
  const clock = new ManualClock()
  const table = new RequestTable(clock)
  const failures: { readonly name: string; readonly error: VltavaError; readonly atMs: number }[] = []
  const add = (name: string, timeoutMs: number): number => {
    const id = table.nextId()
    table.add(id, {
      api: fetch,
      timeoutMs,
      onResponse: () => {},
      onFailure: (error) => failures.push({ name, error, atMs: clock.monotonicMs() }),
    })
    return id
  }
  return { clock, table, failures, add }
}

describe('request table', () => {
  it('ids: one after the other -> are distinct, and never one that waits', () => {
    const { table, add } = setUp()
    const ids = [add('a', 100), add('b', 100), add('c', 100)]
    expect(new Set(ids).size).toBe(3)
    expect(ids).not.toContain(table.nextId())
    expect(Math.min(...ids)).toBeGreaterThan(0)
  })

  it('take: a waiting request -> is handed out once', () => {
    const { clock, table, failures, add } = setUp()
    const id = add('a', 100)
    expect(table.take(id)?.timeoutMs).toBe(100)
    expect(table.take(id)).toBeUndefined()
    expect(table.take(999)).toBeUndefined()
    clock.advance(1_000)
    expect(failures).toEqual([])
  })

  it('deadlines: in any order -> each request fails at its own, not earlier and once', () => {
    const { clock, failures, add } = setUp()
    add('slow', 500)
    add('fast', 100)
    clock.advance(50)
    add('middle', 200)
    clock.advance(49)
    expect(failures).toEqual([])
    clock.advance(10_000)
    expect(failures.map(({ name, atMs }) => [name, atMs])).toEqual([
      ['fast', 100],
      ['middle', 250],
      ['slow', 500],
    ])
    expect(failures[0]!.error).toMatchObject({ code: 'REQUEST_TIMED_OUT', retriable: true, definite: false })
    expect(failures[0]!.error.message).toBe('fetch was not answered within 100 ms.')
  })

  it('deadline: the answer lies unread in the socket after a stall -> counts as in time', () => {
    const { clock, table, failures, add } = setUp()
    const id = add('a', 100)
    // What a stall looks like: the timer is due, and reading the socket comes before what waits for pending I/O.
    clock.afterPendingIo(() => table.take(id))
    clock.advance(5_000)
    expect(failures).toEqual([])
  })

  it('timers: many requests -> one timer; none is left when no request waits', () => {
    const { clock, table, add } = setUp()
    const ids = Array.from({ length: 100 }, (_, i) => add('a', 1_000 + i))
    expect(clock.pendingTimers).toBe(1)
    for (const id of ids) table.take(id)
    clock.advance(2_000)
    expect(clock.pendingTimers).toBe(0)
  })

  it('failAll: every request -> fails with the error made for it; the table can be used again', () => {
    const { clock, table, failures, add } = setUp()
    add('a', 100)
    add('b', 200)
    table.failAll((request) => new VltavaError('CONNECTION_LOST', `${request.timeoutMs}`))
    expect(failures.map(({ name, error }) => [name, error.message])).toEqual([
      ['a', '100'],
      ['b', '200'],
    ])
    expect([table.size, clock.pendingTimers]).toEqual([0, 0])
    add('c', 10)
    clock.advance(10)
    expect(failures.length).toBe(3)
  })

  it('a request that is sent again from its failure -> gets a deadline of its own', () => {
    const { clock, table, failures, add } = setUp()
    table.add(table.nextId(), {
      api: fetch,
      timeoutMs: 10,
      onResponse: () => {},
      onFailure: () => add('again', 10),
    })
    clock.advance(15)
    expect(failures).toEqual([])
    clock.advance(5)
    expect(failures.map(({ name, atMs }) => [name, atMs])).toEqual([['again', 20]])
  })
})
