import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes } from '../../src/base/bytes.ts'
import { FetchedFrame, readFetchedBatches } from '../../src/client/fetched-batches.ts'
import { type PartitionState, SubscriptionState } from '../../src/client/subscription-state.ts'
import { VltavaError } from '../../src/model/errors.ts'
import { createNodeCpu } from '../../src/platform/node/node-cpu.ts'
import { BatchBuilder } from '../../src/record/batch-builder.ts'
import { emptyBatch } from '../../src/record/empty-batch.ts'

const cpu = createNodeCpu(null)

/** A stamped batch with so many records. */
function batchOf(baseOffset: number, recordsCount: number): Uint8Array {
  const builder = new BatchBuilder({ cpu, maxBytes: 100_000 })
  for (let i = 0; i < recordsCount; i++)
    builder.tryAppend({ key: null, value: Uint8Array.of(1), timestampMs: 0 })
  return builder.build({ baseOffset, leaderEpoch: 0 })
}

/** Delivers batches of these sizes at the partition's fetch offset, in one frame. */
function deliver(
  subscription: SubscriptionState,
  state: PartitionState,
  sizes: readonly number[],
): FetchedFrame {
  let offset = state.fetchOffset
  const bytes = concatBytes(
    sizes.map((size) => {
      const batch = batchOf(offset, size)
      offset += size
      return batch
    }),
  )
  const frame = new FetchedFrame(bytes.length)
  subscription.received(
    state,
    readFetchedBatches(bytes, {
      fetchOffset: state.fetchOffset,
      leaderEpoch: 9,
      frame,
      cpu,
    }),
  )
  return frame
}

function reading(positions: Readonly<Record<number, number>>): SubscriptionState {
  return new SubscriptionState(new Map(Object.entries(positions).map(([key, value]) => [Number(key), value])))
}

describe('fetched batches', () => {
  const frame = new FetchedFrame(0)
  const read = (bytes: Uint8Array, fetchOffset: number) =>
    readFetchedBatches(bytes, { fetchOffset, leaderEpoch: 9, frame, cpu })

  it('STO-33: a gap -> CORRUPT_MESSAGE; a batch that compaction has emptied -> hidden, and the position goes on behind it', () => {
    for (const fetchOffset of [2, 7]) {
      expect(() => read(concatBytes([batchOf(5, 1), batchOf(9, 1)]), fetchOffset)).toThrow(
        `where offset ${fetchOffset} is due`,
      )
    }
    expect(() => read(concatBytes([batchOf(5, 1), batchOf(9, 1)]), 5)).toThrow('where offset 6 is due')
    const gone = emptyBatch({ baseOffset: 6, nextOffset: 9, leaderEpoch: 1 }, cpu)
    const batches = read(concatBytes([batchOf(5, 1), gone, batchOf(9, 1)]), 5)
    expect(batches.map(({ nextOffset, isHidden }) => [nextOffset, isHidden])).toEqual([
      [6, false],
      [9, true],
      [10, false],
    ])
  })

  it('the first batch may begin below the position: what lies below is skipped', () => {
    const batches = read(concatBytes([batchOf(5, 4), batchOf(9, 2)]), 7)
    expect(
      batches.map(({ firstOffset, nextOffset, isHidden }) => [firstOffset, nextOffset, isHidden]),
    ).toEqual([
      [7, 9, false],
      [9, 11, false],
    ])
    expect(read(new Uint8Array(0), 3)).toEqual([])
  })

  it.each([
    ['begins above the position', [batchOf(8, 2)], 7],
    ['ends at the position', [batchOf(5, 2)], 7],
    ['leaves a gap', [batchOf(7, 2), batchOf(10, 1)], 7],
    ['repeats an offset', [batchOf(7, 2), batchOf(8, 1)], 7],
  ])('an answer that %s: CORRUPT_MESSAGE', (_name, batches, fetchOffset) => {
    expect(() => read(concatBytes(batches), fetchOffset)).toThrowError(
      expect.objectContaining({ code: 'CORRUPT_MESSAGE' }),
    )
  })

  it('any damaged byte: refused, or one that the checksum does not cover and nobody uses', () => {
    const good = batchOf(7, 3)
    // Base offset (8), length (4), leader epoch (4) and magic (1) are outside of the checksum.
    for (let position = 16; position < good.length; position++) {
      const damaged = good.slice()
      damaged[position]! ^= 0x40
      expect(() => read(damaged, 7)).toThrowError(VltavaError)
    }
  })

  it('a part of a batch: refused', () => {
    const good = batchOf(7, 3)
    for (let length = 1; length < good.length; length++) {
      expect(() => read(good.subarray(0, length), 7)).toThrowError(VltavaError)
    }
  })
})

describe('subscription state', () => {
  it('take: the partitions in turn, each in order', () => {
    const subscription = reading({ 0: 0, 1: 0 })
    const [a, b] = [subscription.partition(0)!, subscription.partition(1)!]
    deliver(subscription, a, [2, 1, 1])
    deliver(subscription, b, [3])
    const taken = Array.from({ length: 4 }, () => subscription.take()!)
    expect(taken.map(({ state, batch }) => [state.partition, batch.firstOffset])).toEqual([
      [0, 0],
      [1, 0],
      [0, 2],
      [0, 3],
    ])
    expect(subscription.take()).toBeNull()
  })

  it('memory: a frame counts until its last batch is done with', () => {
    const subscription = reading({ 0: 0 })
    const state = subscription.partition(0)!
    const first = deliver(subscription, state, [1, 1])
    const second = deliver(subscription, state, [1])
    expect(subscription.bufferedBytes).toBe(first.bytes + second.bytes)
    const [a, b, c] = Array.from({ length: 3 }, () => subscription.take()!)
    for (const taken of [a!, b!, c!]) subscription.handedOut(taken, taken.batch.nextOffset)
    expect([subscription.putBack(b!), subscription.bufferedBytes]).toEqual([
      false,
      first.bytes + second.bytes,
    ])
    expect([subscription.putBack(a!), subscription.bufferedBytes]).toEqual([true, second.bytes])
    expect([subscription.putBack(c!), subscription.bufferedBytes]).toEqual([true, 0])
  })

  it('paused partitions: passed over, kept, and next in line again', () => {
    const subscription = reading({ 0: 0, 1: 0 })
    deliver(subscription, subscription.partition(0)!, [1])
    deliver(subscription, subscription.partition(1)!, [1])
    subscription.partition(0)!.isPaused = true
    expect([subscription.take()?.state.partition, subscription.take()]).toEqual([1, null])
    subscription.partition(0)!.isPaused = false
    expect(subscription.take()?.state.partition).toBe(0)
  })

  it('putBack: the rest of a batch is the next to be handed out', () => {
    const subscription = reading({ 0: 0, 1: 0 })
    const state = subscription.partition(0)!
    deliver(subscription, state, [3, 1])
    deliver(subscription, subscription.partition(1)!, [1])
    const taken = subscription.take()!
    subscription.handedOut(taken, 2)
    subscription.putBack(taken)
    const order = Array.from({ length: 3 }, () => subscription.take()!)
    expect(order.map(({ state: of, batch }) => [of.partition, batch.firstOffset])).toEqual([
      [1, 0],
      [0, 2],
      [0, 3],
    ])
  })

  it('handedOut: never the same offset, never an earlier one, nothing of before a seek', () => {
    const subscription = reading({ 0: 0 })
    const state = subscription.partition(0)!
    deliver(subscription, state, [5])
    const taken = subscription.take()!
    subscription.handedOut(taken, 3)
    expect(() => subscription.handedOut(taken, 3)).toThrowError(/handed out once/)
    expect(() => subscription.handedOut(taken, 2)).toThrowError(/handed out once/)
    subscription.seek(state, { offset: 1, leaderEpoch: 0 })
    expect(() => subscription.handedOut(taken, 4)).toThrowError(/a seek made void/)
    expect([subscription.putBack(taken), subscription.bufferedBytes, state.position]).toEqual([true, 0, 1])
  })

  it('seek: drops what is buffered, forgives a failure, and makes what is under way void', () => {
    const subscription = reading({ 0: 0 })
    const state = subscription.partition(0)!
    deliver(subscription, state, [1, 1])
    state.underWay = { brokerId: 1, leaderEpoch: 0, fromReplica: false }
    state.failingSinceMs = 5
    subscription.fail(state, new VltavaError('CORRUPT_MESSAGE'))
    subscription.seek(state, { offset: 9, leaderEpoch: 4 })
    expect(state).toMatchObject({
      phase: 'fetching',
      position: 9,
      fetchOffset: 9,
      underWay: null,
      failure: null,
      failingSinceMs: null,
      revision: 1,
    })
    expect([subscription.take(), subscription.bufferedBytes]).toEqual([null, 0])
  })

  it('relocate: only once everything was handed out; then another start is found', () => {
    const subscription = reading({ 0: 0 })
    const state = subscription.partition(0)!
    deliver(subscription, state, [1])
    expect(() => subscription.relocate(state, 'beginning')).toThrowError(/handed out before a reset/)
    const taken = subscription.take()!
    subscription.handedOut(taken, 1)
    subscription.putBack(taken)
    subscription.relocate(state, 'end')
    expect([state.phase, state.start]).toEqual(['locating', 'end'])
    subscription.located(state, 40)
    expect([state.phase, state.position, state.fetchOffset]).toEqual(['fetching', 40, 40])
    expect(() => subscription.located(state, 41)).toThrowError(/being located/)
  })

  it('failures: told once what was fetched before is handed out; again when nothing else is read', () => {
    const subscription = reading({ 0: 0, 1: 0 })
    const [a, b] = [subscription.partition(0)!, subscription.partition(1)!]
    deliver(subscription, a, [1])
    subscription.fail(a, new VltavaError('CORRUPT_MESSAGE', 'first'))
    expect(subscription.failureToTell()).toBeNull()
    const taken = subscription.take()!
    subscription.handedOut(taken, 1)
    subscription.putBack(taken)
    expect([subscription.failureToTell()?.message, subscription.failureToTell()]).toEqual(['first', null])
    subscription.fail(b, new VltavaError('CORRUPT_MESSAGE', 'second'))
    expect(subscription.failureToTell()?.message).toBe('second')
    expect(['first', 'second']).toContain(subscription.failureToTell()?.message)
    b.isPaused = true
    expect(subscription.failureToTell()?.message).toBe('first')
    a.isPaused = true
    expect(subscription.failureToTell()).toBeNull()
  })

  it('any sequence of steps: offsets go up by one from each seek, and the memory adds up', () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('fetch'),
        partition: fc.nat(2),
        sizes: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
      }),
      fc.record({
        kind: fc.constant('read'),
        partition: fc.constant(0),
        count: fc.integer({ min: 1, max: 5 }),
      }),
      fc.record({ kind: fc.constantFrom('pause', 'resume'), partition: fc.nat(2) }),
      fc.record({ kind: fc.constant('seek'), partition: fc.nat(2), offset: fc.nat(20) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const subscription = reading({ 0: 0, 1: 5, 2: 10 })
        const expected = new Map([
          [0, 0],
          [1, 5],
          [2, 10],
        ])
        for (const action of steps) {
          const state = subscription.partition(action.partition)!
          if (action.kind === 'fetch') {
            deliver(subscription, state, (action as { sizes: number[] }).sizes)
          } else if (action.kind === 'pause' || action.kind === 'resume') {
            state.isPaused = action.kind === 'pause'
          } else if (action.kind === 'seek') {
            const { offset } = action as { offset: number }
            subscription.seek(state, { offset, leaderEpoch: -1 })
            expected.set(action.partition, offset)
          } else {
            const taken = subscription.take()
            if (taken === null) continue
            expect(taken.state.isPaused).toBe(false)
            const { partition } = taken.state
            const end = Math.min(
              taken.batch.nextOffset,
              taken.batch.firstOffset + (action as { count: number }).count,
            )
            expect(taken.batch.firstOffset).toBe(expected.get(partition))
            subscription.handedOut(taken, end)
            expected.set(partition, end)
            subscription.putBack(taken)
          }
          for (const [partition, offset] of expected) {
            expect(subscription.partition(partition)!.position).toBe(offset)
          }
        }
        for (const state of subscription.partitions()) state.isPaused = false
        for (let taken = subscription.take(); taken !== null; taken = subscription.take()) {
          subscription.handedOut(taken, taken.batch.nextOffset)
          subscription.putBack(taken)
        }
        expect(subscription.bufferedBytes).toBe(0)
        for (const state of subscription.partitions()) expect(state.position).toBe(state.fetchOffset)
      }),
      { seed: 3, numRuns: 200 },
    )
  })
})

describe('partitions that are added', () => {
  it('-> located before anything is fetched of them, and handed out in turn with the others', () => {
    const subscription = reading({ 0: 5 })
    deliver(subscription, subscription.partition(0)!, [1, 1])
    subscription.add(1, 'beginning')
    const added = subscription.partition(1)!
    expect(added).toMatchObject({ phase: 'locating', start: 'beginning', position: -1, isPaused: false })
    expect([...subscription.partitions()].map(({ partition }) => partition)).toEqual([0, 1])
    subscription.located(added, 3)
    deliver(subscription, added, [1, 1])
    const taken: (readonly [number, number])[] = []
    for (let next = subscription.take(); next !== null; next = subscription.take()) {
      taken.push([next.state.partition, next.batch.firstOffset])
      subscription.handedOut(next, next.batch.nextOffset)
      subscription.putBack(next)
    }
    expect(taken).toEqual([
      [0, 5],
      [1, 3],
      [0, 6],
      [1, 4],
    ])
    expect(subscription.bufferedBytes).toBe(0)
  })

  it('while all is paused -> they are too, and later ones are not', () => {
    const subscription = reading({ 0: 0 })
    subscription.pausesAdded = true
    subscription.add(1, 'beginning')
    subscription.pausesAdded = false
    subscription.add(2, 'beginning')
    expect([...subscription.partitions()].map(({ isPaused }) => isPaused)).toEqual([false, true, false])
  })

  it('one failed, and another is added -> the failure is told once, as there is something to wait for', () => {
    const subscription = reading({ 0: 0 })
    const failure = new VltavaError('CORRUPT_MESSAGE', 'unreadable')
    subscription.fail(subscription.partition(0)!, failure)
    expect([subscription.failureToTell(), subscription.failureToTell()]).toEqual([failure, failure])
    subscription.add(1, 'beginning')
    expect(subscription.failureToTell()).toBe(null)
  })

  it('one that is read already -> refused', () => {
    const subscription = reading({ 0: 0 })
    expect(() => subscription.add(0, 'beginning')).toThrow('partition 0 is read already')
  })
})
