import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Accumulator, PartitionQueue } from '../../src/client/accumulator.ts'
import type { OnSettled, TakenRecord } from '../../src/client/records.ts'
import { VltavaError } from '../../src/model/errors.ts'
import { createNodeCpu } from '../../src/platform/node/node-cpu.ts'
import { recordSizeBytes } from '../../src/record/batch-builder.ts'
import { readRecords } from '../../src/record/batch-reader.ts'

const cpu = createNodeCpu(null)
const OPTIONS = { cpu, batchBytes: 512, bufferBytes: 100_000, lingerMs: 0, deliveryTimeoutMs: 10_000 }

function taken(value: string, takenAtMs = 0, onSettled: OnSettled = () => {}): TakenRecord {
  const record = { key: null, value: cpu.encodeUtf8(value), timestampMs: takenAtMs }
  return { record, recordBytes: recordSizeBytes(record), partition: null, takenAtMs, onSettled }
}

function newQueue(partition = 0): PartitionQueue {
  const queue = new PartitionQueue('orders', partition)
  queue.batchMaxBytes = 10_000
  return queue
}

const valuesOf = (bytes: Uint8Array): readonly string[] =>
  readRecords(bytes, { cpu }).map(({ value }) => cpu.decodeUtf8(value!))

describe('accumulator', () => {
  it('append: fills a batch, then the next; says when a batch became full', () => {
    const accumulator = new Accumulator(OPTIONS)
    const queue = newQueue()
    const full = Array.from({ length: 12 }, (_, i) => accumulator.append(queue, taken(`${i}`.padEnd(80))))
    expect(full).toEqual([false, false, false, false, false, true, false, false, false, false, true, false])
    expect(queue.batches.map(({ recordsCount }) => recordsCount)).toEqual([5, 5, 2])
    expect(queue.batches.every(({ sizeBytes }) => sizeBytes <= 512)).toBe(true)
    expect([accumulator.bufferedRecords, accumulator.bufferedBytes]).toEqual([12, queue.bufferedBytes])
  })

  it('append: a record larger than a batch goes alone; one that is too large changes nothing', () => {
    const accumulator = new Accumulator(OPTIONS)
    const queue = newQueue()
    accumulator.append(queue, taken('small'))
    accumulator.append(queue, taken('x'.repeat(5_000)))
    const before = [accumulator.bufferedBytes, accumulator.bufferedRecords]
    expect(() => accumulator.append(queue, taken('y'.repeat(10_000)))).toThrowError(
      expect.objectContaining({ code: 'RECORD_TOO_LARGE' }),
    )
    accumulator.append(queue, taken('small again'))
    expect(queue.batches.map(({ recordsCount }) => recordsCount)).toEqual([1, 1, 1])
    expect(accumulator.bufferedBytes).toBeGreaterThan(before[0]!)
  })

  it('append: a record that is too large leaves the open batch open', () => {
    const accumulator = new Accumulator(OPTIONS)
    const queue = newQueue()
    accumulator.append(queue, taken('a'))
    expect(() => accumulator.append(queue, taken('y'.repeat(10_000)))).toThrowError(VltavaError)
    accumulator.append(queue, taken('b'))
    expect(queue.batches.map(({ recordsCount }) => recordsCount)).toEqual([2])
  })

  it('append: a batch takes records for a twentieth of the delivery timeout, no longer', () => {
    const accumulator = new Accumulator(OPTIONS)
    const queue = newQueue()
    for (const atMs of [0, 500, 501, 900, 1_002]) accumulator.append(queue, taken('v', atMs))
    expect(queue.batches.map(({ recordsCount, deadlineMs }) => [recordsCount, deadlineMs])).toEqual([
      [2, 10_000],
      [2, 10_501],
      [1, 11_002],
    ])
  })

  it('take: one batch of a partition at a time, sealed, with the same bytes each time', () => {
    const accumulator = new Accumulator(OPTIONS)
    const queue = newQueue()
    accumulator.append(queue, taken('a'))
    const batch = accumulator.take(queue, 4)
    expect([queue.attempt, queue.triedEpoch, accumulator.inFlightRecords]).toEqual([1, 4, 1])
    expect([accumulator.pending.has(queue), accumulator.active.has(queue)]).toEqual([false, true])
    accumulator.append(queue, taken('b'))
    expect(() => accumulator.take(queue, 4)).toThrowError(/one batch/)
    const bytes = batch.bytes()
    accumulator.putBack(queue, 70)
    expect([queue.attempt, accumulator.dueMs(queue), accumulator.inFlightRecords]).toEqual([0, 70, 0])
    expect(accumulator.take(queue, 5)).toBe(batch)
    expect([queue.attempt, batch.bytes() === bytes, batch.history.attempts]).toEqual([2, true, 2])
    expect(valuesOf(bytes)).toEqual(['a'])
  })

  it('remove: gives the room back and lets the next batch go', () => {
    const accumulator = new Accumulator(OPTIONS)
    const queue = newQueue()
    accumulator.append(queue, taken('a'))
    accumulator.take(queue, 0)
    accumulator.append(queue, taken('b'))
    accumulator.remove(queue)
    expect([accumulator.bufferedRecords, accumulator.pending.has(queue), queue.attempt]).toEqual([1, true, 0])
    accumulator.remove(queue)
    expect([accumulator.bufferedRecords, accumulator.bufferedBytes, queue.bufferedBytes]).toEqual([0, 0, 0])
    expect([accumulator.pending.size, accumulator.active.size]).toEqual([0, 0])
  })

  it.each([
    ['alone', [] as string[], 25],
    ['with a full batch', ['x'.repeat(300), 'y'.repeat(300)], 0],
  ])('dueMs: lingers %s -> %s ms', (_name, values, dueMs) => {
    const accumulator = new Accumulator({ ...OPTIONS, lingerMs: 20 })
    const queue = newQueue()
    accumulator.append(queue, taken('first', 5))
    for (const value of values) accumulator.append(queue, taken(value, 5))
    expect(accumulator.dueMs(queue)).toBe(dueMs)
  })

  it('dueMs: what is sealed, or tried before, does not linger', () => {
    const accumulator = new Accumulator({ ...OPTIONS, lingerMs: 20 })
    const queue = newQueue()
    accumulator.append(queue, taken('a', 5))
    queue.batches[0]!.isSealed = true
    expect(accumulator.dueMs(queue)).toBe(0)
    accumulator.putBack(queue, 9)
    expect(accumulator.dueMs(queue)).toBe(9)
  })

  it('expired: the queues whose first batch is too old, once their time has come', () => {
    const accumulator = new Accumulator(OPTIONS)
    const [a, b] = [newQueue(0), newQueue(1)]
    accumulator.append(a, taken('a', 0))
    accumulator.append(b, taken('b', 100))
    expect([accumulator.nextDeadlineMs, accumulator.expired(9_999)]).toEqual([10_000, []])
    expect(accumulator.expired(10_000)).toEqual([a])
    accumulator.remove(a)
    expect(accumulator.expired(10_100)).toEqual([b])
    accumulator.remove(b)
    expect([accumulator.expired(20_000), accumulator.nextDeadlineMs]).toEqual([[], Number.POSITIVE_INFINITY])
  })

  it('reserve: counts like a record, without a batch', () => {
    const accumulator = new Accumulator({ ...OPTIONS, bufferBytes: 1_000 })
    accumulator.reserve(900)
    expect([accumulator.hasRoom(100), accumulator.hasRoom(101), accumulator.bufferedRecords]).toEqual([
      true,
      false,
      1,
    ])
    accumulator.unreserve(900)
    expect([accumulator.hasRoom(1_000), accumulator.bufferedRecords]).toEqual([true, 0])
  })

  it('any sequence of steps: order kept, each record settled once with its offset, and the counts agree', () => {
    const step = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({ kind: fc.constant('append'), queue: fc.nat(1), size: fc.nat(300) }),
      },
      {
        weight: 2,
        arbitrary: fc.record({ kind: fc.constantFrom('take', 'back', 'ok', 'fail'), queue: fc.nat(1) }),
      },
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const accumulator = new Accumulator(OPTIONS)
        const queues = [newQueue(0), newQueue(1)]
        const logs: string[][] = [[], []]
        const results = new Map<string, unknown[]>()
        let made = 0
        const settle = (queue: PartitionQueue, isGood: boolean): void => {
          const log = logs[queue.partition]!
          const batch = accumulator.remove(queue)
          if (isGood) {
            batch.succeed({ offset: log.length, leaderEpoch: 0 })
            log.push(...valuesOf(batch.bytes()))
          } else {
            batch.fail(new VltavaError('CLOSED'))
          }
        }
        for (const { kind, queue: index, ...rest } of steps) {
          const queue = queues[index]!
          if (kind === 'append') {
            const value = `${made++}:`.padEnd((rest as { size: number }).size)
            results.set(value, [])
            const onSettled: OnSettled = (error, receipt) => {
              results.get(value)!.push(error?.code ?? [receipt!.partition, receipt!.offset])
            }
            accumulator.append(queue, taken(value, 0, onSettled))
          } else if (kind === 'take' && queue.attempt === 0 && queue.batches.length > 0) {
            accumulator.take(queue, 0)
          } else if (kind === 'back' && queue.attempt !== 0) {
            accumulator.putBack(queue, 1)
          } else if ((kind === 'ok' || kind === 'fail') && queue.attempt !== 0) {
            settle(queue, kind === 'ok')
          }
          const waiting = queues.flatMap(({ batches }) => batches)
          expect(accumulator.bufferedRecords).toBe(
            waiting.reduce((sum, batch) => sum + batch.recordsCount, 0),
          )
          expect(accumulator.bufferedBytes).toBe(waiting.reduce((sum, batch) => sum + batch.bufferedBytes, 0))
          expect([...accumulator.active]).toEqual(
            expect.arrayContaining(queues.filter((q) => q.batches.length > 0)),
          )
          for (const q of queues) {
            expect(accumulator.pending.has(q)).toBe(q.batches.length > 0 && q.attempt === 0)
          }
        }
        for (const queue of queues) {
          while (queue.batches.length > 0) {
            if (queue.attempt === 0) accumulator.take(queue, 0)
            settle(queue, true)
          }
        }
        for (const [partition, log] of logs.entries()) {
          const numbers = log.map((value) => Number.parseInt(value, 10))
          expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
          for (const [offset, value] of log.entries())
            expect(results.get(value)).toEqual([[partition, offset]])
        }
        for (const told of results.values()) expect(told.length).toBe(1)
        expect([accumulator.bufferedBytes, accumulator.bufferedRecords, accumulator.inFlightRecords]).toEqual(
          [0, 0, 0],
        )
      }),
      { seed: 5, numRuns: 150 },
    )
  })
})
