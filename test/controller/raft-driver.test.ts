import { setImmediate } from 'node:timers/promises'
import { describe, expect, it, vi } from 'vitest'
import { type Deferred, deferred } from '../../src/base/async/deferred.ts'
import type { Clock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { seededRandom } from '../../src/base/random.ts'
import { RaftDriver, type RaftStore } from '../../src/controller/raft-driver.ts'
import { RAFT_DEFAULTS } from '../../src/raft/config.ts'
import type { Message } from '../../src/raft/messages.ts'
import { RaftNode } from '../../src/raft/raft-node.ts'
import type { Entry, HardState, Snapshot } from '../../src/raft/types.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { MemoryProcess } from '../../src/testing/memory-process.ts'
import { voterKeysOf } from '../raft/lone-node.ts'
import { StallingClock } from './stalling-clock.ts'

type Persisted = Parameters<RaftStore['persist']>[0]

/** A disk whose writes end when the test says so. */
class HeldStore implements RaftStore {
  readonly begun: Persisted[] = []
  readonly #writes: Deferred<void>[] = []

  persist(state: Persisted): Promise<void> {
    this.begun.push(state)
    const write = deferred<void>()
    this.#writes.push(write)
    return write.promise
  }

  compactions = 0

  compact(): Promise<void> {
    this.compactions++
    return Promise.resolve()
  }

  get underWay(): number {
    return this.#writes.length
  }

  async finish(): Promise<void> {
    this.#writes.shift()!.resolve()
    await setImmediate()
  }

  async fail(error: Error): Promise<void> {
    this.#writes.shift()!.reject(error)
    await setImmediate()
  }
}

interface Fixture<C extends Clock> {
  readonly driver: RaftDriver
  readonly store: HeldStore
  readonly clock: C
  readonly process: MemoryProcess
  readonly sent: Message[]
  readonly committed: Entry[]
  readonly restored: Snapshot[]
  readonly node: RaftNode
}

interface DriverFixtureOptions {
  readonly voters: readonly number[]
  readonly hardState?: HardState
  readonly entries?: readonly Entry[]
  readonly onProgress?: () => void
}

function driverOf(options: DriverFixtureOptions): Fixture<ManualClock>
function driverOf<C extends Clock>(options: DriverFixtureOptions & { readonly clock: C }): Fixture<C>
function driverOf(options: DriverFixtureOptions & { readonly clock?: Clock }): Fixture<Clock> {
  const clock = options.clock ?? new ManualClock()
  const store = new HeldStore()
  const process = new MemoryProcess()
  const sent: Message[] = []
  const committed: Entry[] = []
  const restored: Snapshot[] = []
  const node = new RaftNode({
    id: 1,
    directoryId: '1',
    voters: voterKeysOf(options.voters),
    hardState: options.hardState ?? { term: 0, votedFor: null },
    entries: options.entries ?? [],
    config: RAFT_DEFAULTS,
    random: seededRandom(1),
    nowMs: 0,
  })
  const driver = new RaftDriver({
    node,
    store,
    clock,
    process,
    log: silentLog,
    diskStallMs: 5_000,
    send: (message) => sent.push(message),
    onRestored: (snapshot) => restored.push(snapshot),
    onCommitted: (entries) => committed.push(...entries),
    onProgress: options.onProgress ?? (() => {}),
  })
  return { driver, store, clock, process, sent, committed, restored, node }
}

async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let passedMs = 0; passedMs < ms; passedMs += 10) {
    clock.advance(10)
    await setImmediate()
  }
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

const VOTE: Message = { type: 'vote', from: 2, to: 1, term: 5, lastIndex: 0, lastTerm: 0, forced: false }

describe('the Raft driver', () => {
  it('RAFT-01: a granted vote is sent only once term and vote are durable', async () => {
    const { driver, store, sent } = driverOf({ voters: [1, 2, 3] })
    driver.step(VOTE)
    await setImmediate()
    expect(store.begun).toEqual([{ hardState: { term: 5, votedFor: 2 }, snapshot: null, entries: [] }])
    expect(sent).toEqual([])
    await store.finish()
    expect(sent).toEqual([{ type: 'vote-response', from: 1, to: 2, term: 5, granted: true }])
  })

  it('RAFT-01: entries are acknowledged only once they are durable', async () => {
    const { driver, store, sent, committed } = driverOf({ voters: [1, 2, 3] })
    const entries = [{ index: 1, term: 1, data: null }]
    driver.step({
      type: 'append',
      from: 2,
      to: 1,
      term: 1,
      prevIndex: 0,
      prevTerm: 0,
      commitIndex: 1,
      entries,
    })
    await setImmediate()
    expect(sent.filter(({ type }) => type === 'append-response')).toEqual([])
    expect(committed).toEqual([])
    await store.finish()
    expect(sent).toContainEqual({
      type: 'append-response',
      from: 1,
      to: 2,
      term: 1,
      index: 1,
      conflict: null,
    })
    expect(committed).toEqual(entries)
  })

  it('RAFT-30: alone, nothing is committed before it is durable', async () => {
    const { driver, store, committed } = driverOf({ voters: [1] })
    driver.start()
    await setImmediate()
    await store.finish()
    await store.finish()
    expect(committed).toEqual([{ index: 1, term: 1, data: null }])
    expect(driver.isLeaderReady).toBe(true)
    expect(driver.propose(bytesOf('a'))).toEqual({ kind: 'accepted', index: 2, term: 1 })
    driver.flush()
    await setImmediate()
    expect(committed.length).toBe(1)
    await store.finish()
    expect(committed.at(-1)).toMatchObject({ index: 2, term: 1 })
  })

  it('one write at a time; what comes meanwhile makes up the next one', async () => {
    const { driver, store } = driverOf({ voters: [1] })
    driver.start()
    await setImmediate()
    while (store.underWay > 0) await store.finish()
    const before = store.begun.length
    for (const text of ['a', 'b', 'c']) {
      driver.propose(bytesOf(text))
      driver.flush()
      await setImmediate()
    }
    expect(store.begun.length).toBe(before + 1)
    await store.finish()
    expect(store.begun.slice(before).map(({ entries }) => entries.map(({ index }) => index))).toEqual([
      [2],
      [3, 4],
    ])
  })

  it('entries that a later term replaces before they were written are not written', async () => {
    const { driver, store } = driverOf({ voters: [1, 2, 3] })
    const append = (
      term: number,
      from: number,
      indexes: readonly number[],
      prev: readonly [number, number],
    ): Message => ({
      type: 'append',
      from,
      to: 1,
      term,
      prevIndex: prev[0],
      prevTerm: prev[1],
      commitIndex: 0,
      entries: indexes.map((index) => ({ index, term, data: bytesOf(`${term}.${index}`) })),
    })
    driver.step(append(1, 2, [1], [0, 0]))
    await setImmediate()
    driver.step(append(1, 2, [2, 3], [1, 1]))
    driver.step(append(2, 3, [2], [1, 1]))
    await setImmediate()
    await store.finish()
    expect(store.begun.length).toBe(2)
    expect(store.begun[1]).toEqual({
      hardState: { term: 2, votedFor: null },
      snapshot: null,
      entries: [{ index: 2, term: 2, data: bytesOf('2.2') }],
    })
  })

  it('RAFT-10: a vote for itself that becomes durable after the term has passed does not count', async () => {
    const { driver, store, clock, sent, node } = driverOf({ voters: [1, 2, 3] })
    driver.start()
    await pass(clock, 2_500)
    driver.step({ type: 'pre-vote-response', from: 2, to: 1, term: 0, campaignTerm: 1, granted: true })
    await setImmediate()
    expect(store.begun.at(-1)).toMatchObject({ hardState: { term: 1, votedFor: 1 } })
    driver.step({ type: 'heartbeat', from: 3, to: 1, term: 2, commitIndex: 0, round: 0, toDirectoryId: null })
    await store.finish()
    expect(node.role).toBe('follower')
    expect(driver.term).toBe(2)
    expect(sent.filter(({ type }) => type === 'append')).toEqual([])
  })

  it('a write that fails ends the process, and nothing that depended on it is sent', async () => {
    const { driver, store, sent, process } = driverOf({ voters: [1, 2, 3] })
    driver.step(VOTE)
    await setImmediate()
    const error = new Error('EIO')
    await store.fail(error)
    expect(process.failures).toEqual([{ reason: 'the metadata log could not be written', error }])
    driver.step({ ...VOTE, term: 6 })
    await setImmediate()
    expect(sent).toEqual([])
    expect(driver.propose(bytesOf('a'))).toEqual({ kind: 'not-leader', leader: null })
  })

  it.each(['ENOSPC', 'EMFILE'])(
    'STO-16, STO-17: %s at a write -> nothing is said, it is tried again, and then all of it is durable',
    async (code) => {
      const { driver, store, clock, process, sent, node } = driverOf({ voters: [1, 2, 3] })
      driver.step(VOTE)
      await setImmediate()
      await store.fail(Object.assign(new Error(code), { code }))
      // A leader of a later term comes with an entry meanwhile.
      const entries = [{ index: 1, term: 6, data: null }]
      driver.step({
        type: 'append',
        from: 3,
        to: 1,
        term: 6,
        prevIndex: 0,
        prevTerm: 0,
        commitIndex: 0,
        entries,
      })
      await setImmediate()
      expect([store.begun.length, sent, process.failures]).toEqual([1, [], []])
      await pass(clock, 500)
      expect(store.begun[1]).toEqual({ hardState: { term: 6, votedFor: null }, snapshot: null, entries })
      await store.fail(Object.assign(new Error(code), { code }))
      await pass(clock, 500)
      expect(store.begun[2]).toEqual(store.begun[1])
      expect(sent).toEqual([])
      await store.finish()
      // The vote of term 5 went unsaid, as if it had been lost on its way.
      expect(sent.every(({ term }) => term === 6)).toBe(true)
      expect([node.term, node.lastIndex]).toEqual([6, 1])
      driver.step({
        type: 'append',
        from: 3,
        to: 1,
        term: 6,
        prevIndex: 1,
        prevTerm: 6,
        commitIndex: 1,
        entries: [],
      })
      await setImmediate()
      expect(sent.at(-1)).toMatchObject({ type: 'append-response', to: 3, term: 6 })
    },
  )

  it('STO-16: a lone leader whose disk is full -> makes way at once, commits nothing, and leads again with room', async () => {
    const { driver, store, clock, process, committed } = driverOf({ voters: [1] })
    driver.start()
    await pass(clock, 3_000)
    while (!driver.isLeaderReady) {
      if (store.underWay > 0) await store.finish()
      await pass(clock, 10)
    }
    const before = committed.length
    expect(driver.propose(bytesOf('a')).kind).toBe('accepted')
    driver.flush()
    await setImmediate()
    await store.fail(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }))
    expect(driver.isLeader).toBe(false)
    for (let i = 0; i < 10; i++) {
      await pass(clock, 500)
      if (store.underWay > 0) await store.fail(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }))
    }
    expect([driver.isLeaderReady, committed.length, process.failures]).toEqual([false, before, []])
    for (let i = 0; i < 500 && !driver.isLeaderReady; i++) {
      await pass(clock, 10)
      if (store.underWay > 0) await store.finish()
    }
    expect(driver.isLeaderReady).toBe(true)
    expect(committed.map(({ data }) => data)).toContainEqual(bytesOf('a'))
    await driver.stop()
    expect(clock.pendingTimers).toBe(0)
  })

  it('stopped while a write waits to be tried again -> stops at once', async () => {
    const { driver, store, clock } = driverOf({ voters: [1, 2, 3] })
    driver.step(VOTE)
    await setImmediate()
    await store.fail(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }))
    await driver.stop()
    expect(clock.pendingTimers).toBe(0)
  })

  it('RAFT-06: a leader that contradicts what is committed ends the process', async () => {
    const entries = [{ index: 1, term: 1, data: null }]
    const { driver, process } = driverOf({ voters: [1, 2, 3], hardState: { term: 1, votedFor: 2 }, entries })
    const message: Message = {
      type: 'append',
      from: 2,
      to: 1,
      term: 1,
      prevIndex: 1,
      prevTerm: 1,
      commitIndex: 1,
      entries: [],
    }
    driver.step(message)
    driver.step({
      ...message,
      term: 2,
      from: 3,
      prevIndex: 0,
      prevTerm: 0,
      entries: [{ index: 1, term: 2, data: null }],
    })
    await setImmediate()
    expect(process.failures).toMatchObject([{ reason: 'the metadata quorum contradicts itself' }])
  })

  it('RAFT-36: a leader whose disk is stuck gives up its place', async () => {
    const { driver, store, clock, node } = driverOf({ voters: [1] })
    driver.start()
    await setImmediate()
    while (store.underWay > 0) await store.finish()
    driver.propose(bytesOf('a'))
    driver.flush()
    await pass(clock, 4_900)
    expect(node.role).toBe('leader')
    await pass(clock, 300)
    expect(node.role).not.toBe('leader')
    expect(driver.isLeaderReady).toBe(false)
  })

  it('after a stall it reads its sockets before it misses the leader', async () => {
    const clock = new StallingClock()
    const { driver, node, store, sent } = driverOf({ voters: [1, 2, 3], clock })
    const heartbeat: Message = {
      type: 'heartbeat',
      from: 2,
      to: 1,
      term: 1,
      commitIndex: 0,
      round: 0,
      toDirectoryId: null,
    }
    driver.start()
    driver.step(heartbeat)
    await setImmediate()
    await store.finish()
    clock.stall(9_000, () => driver.step(heartbeat))
    expect(sent.filter(({ type }) => type === 'pre-vote')).toEqual([])
    expect(driver.leader).toBe(2)
    // The same without the heartbeat in the socket.
    clock.stall(9_000, () => {})
    expect(node.role).toBe('pre-candidate')
  })

  it('hears its leader every 100 ms -> wakes up now and then, not all the time; without it in time', async () => {
    const clock = new ManualClock()
    const { driver, node, store } = driverOf({ voters: [1, 2, 3], clock })
    const heard = vi.spyOn(clock, 'afterPendingIo')
    const tick = vi.spyOn(node, 'tick')
    const to = { to: 1, toDirectoryId: null }
    driver.start()
    driver.step({ type: 'heartbeat', from: 2, term: 1, commitIndex: 0, round: 0, ...to })
    await setImmediate()
    await store.finish()
    for (let round = 1; round <= 100; round++) {
      await pass(clock, 100)
      driver.step({ type: 'heartbeat', from: 2, term: 1, commitIndex: 0, round, ...to })
    }
    expect(node.role).toBe('follower')
    expect(heard.mock.calls.length).toBeLessThanOrEqual(10)
    const ticks = tick.mock.calls.length
    await pass(clock, 2 * RAFT_DEFAULTS.electionTimeoutMs)
    expect(node.role).toBe('pre-candidate')
    expect(tick.mock.calls.length).toBeLessThanOrEqual(ticks + 4)
  })

  it('stopped, it gives up leadership, ends the write under way and does nothing more', async () => {
    const { driver, store, clock, sent, node } = driverOf({ voters: [1] })
    driver.start()
    await setImmediate()
    while (store.underWay > 0) await store.finish()
    driver.propose(bytesOf('a'))
    driver.flush()
    await setImmediate()
    let isStopped = false
    const stopping = driver.stop().then(() => {
      isStopped = true
    })
    await setImmediate()
    expect(isStopped).toBe(false)
    expect(node.role).not.toBe('leader')
    await store.finish()
    await stopping
    const begun = store.begun.length
    await pass(clock, 10_000)
    expect(clock.pendingTimers).toBe(0)
    expect(store.begun.length).toBe(begun)
    expect(sent).toEqual([])
  })

  it('what the listener of progress proposes is carried out as well', async () => {
    let isAsked = false
    const fixture = driverOf({
      voters: [1],
      onProgress: () => {
        if (isAsked || !fixture.driver.isLeaderReady) return
        isAsked = true
        fixture.driver.propose(bytesOf('first'))
        fixture.driver.flush()
      },
    })
    fixture.driver.start()
    await setImmediate()
    while (fixture.store.underWay > 0) await fixture.store.finish()
    expect(fixture.committed.map(({ index }) => index)).toEqual([1, 2])
  })
})
