import { describe, expect, it } from 'vitest'
import { ParkedFetches, PendingAcks } from '../../src/broker/delayed-requests.ts'
import { readOrPark } from '../../src/broker/parked-read.ts'
import { VltavaError } from '../../src/model/errors.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'

/** The connection of a fetch, as far as a parked read cares. */
class Reader {
  readonly #hooks = new Set<() => void>()

  get watchers(): number {
    return this.#hooks.size
  }

  onClose(callback: () => void): () => void {
    this.#hooks.add(callback)
    return () => this.#hooks.delete(callback)
  }

  close(): void {
    for (const hook of [...this.#hooks]) hook()
  }
}

describe('readOrPark', () => {
  const parked = () => ({ clock: new ManualClock(), fetches: new ParkedFetches(), reader: new Reader() })

  it('satisfied at the first look -> answered in the same turn, nothing parks', () => {
    const { clock, fetches, reader } = parked()
    const answer = readOrPark({
      clock,
      reader,
      maxWaitMs: 500,
      parkOn: [fetches],
      attempt: () => ({ satisfied: true, answer: 1 }),
    })
    expect(answer).toBe(1)
    expect(clock.pendingTimers).toBe(0)
  })

  it('woken when there is enough -> answered, and no timer is left', async () => {
    const { clock, fetches, reader } = parked()
    let bytes = 0
    const answer = readOrPark({
      clock,
      reader,
      maxWaitMs: 500,
      parkOn: [fetches],
      attempt: () => ({ satisfied: bytes > 0, answer: bytes }),
    })
    fetches.wakeAll()
    bytes = 7
    fetches.wakeAll()
    expect(await answer).toBe(7)
    expect(clock.pendingTimers).toBe(0)
  })

  it('never enough -> answered with what there is when the time is up', async () => {
    const { clock, fetches, reader } = parked()
    const answer = readOrPark({
      clock,
      reader,
      maxWaitMs: 500,
      parkOn: [fetches],
      attempt: () => ({ satisfied: false, answer: 'empty' }),
    })
    clock.advance(500)
    expect(await answer).toBe('empty')
  })

  it('woken while a cold look is under way -> looks again after it', async () => {
    const { clock, fetches, reader } = parked()
    let looks = 0
    const answer = readOrPark({
      clock,
      reader,
      maxWaitMs: 500,
      parkOn: [fetches],
      attempt: () => {
        looks++
        const satisfied = looks > 2
        return Promise.resolve({ satisfied, answer: looks })
      },
    })
    await Promise.resolve()
    await Promise.resolve()
    fetches.wakeAll()
    expect(await answer).toBe(3)
  })

  it('the reader goes while its fetch is parked -> the fetch ends, reads no more and leaves nothing behind', async () => {
    const { clock, fetches, reader } = parked()
    let looks = 0
    const answer = readOrPark({
      clock,
      reader,
      maxWaitMs: 300_000,
      parkOn: [fetches],
      attempt: () => {
        looks++
        return { satisfied: false, answer: null }
      },
    })
    const rejected = expect(answer).rejects.toMatchObject({ code: 'CONNECTION_LOST' })
    reader.close()
    await rejected
    const before = looks
    fetches.wakeAll()
    expect(looks).toBe(before)
    expect([clock.pendingTimers, reader.watchers]).toEqual([0, 0])
  })

  it('an answer, at once or later -> told right before it is given', async () => {
    const { clock, fetches, reader } = parked()
    let told = 0
    const read = (satisfied: boolean) =>
      readOrPark({
        clock,
        reader,
        maxWaitMs: 10,
        parkOn: [fetches],
        attempt: () => ({ satisfied, answer: null }),
        onAnswer: () => told++,
      })
    await read(true)
    expect(told).toBe(1)
    const later = read(false)
    clock.advance(10)
    await later
    expect(told).toBe(2)
  })

  it('no partition that could wake it -> answered at once', () => {
    const { clock, reader } = parked()
    const attempt = () => ({ satisfied: false, answer: 'nothing' })
    expect(readOrPark({ clock, reader, maxWaitMs: 300_000, parkOn: [], attempt })).toBe('nothing')
  })

  it('parked and unparked are told once each', async () => {
    const { clock, fetches, reader } = parked()
    const calls: string[] = []
    const answer = readOrPark({
      clock,
      reader,
      maxWaitMs: 10,
      parkOn: [fetches],
      attempt: () => ({ satisfied: false, answer: null }),
      onPark: () => calls.push('park'),
      onUnpark: () => calls.push('unpark'),
    })
    clock.advance(10)
    await answer
    fetches.wakeAll()
    expect(calls).toEqual(['park', 'unpark'])
  })
})

describe('PendingAcks', () => {
  const ack = (endOffset: number, settled: string[]) => ({
    endOffset,
    settle: (error: VltavaError | null) =>
      settled.push(`${endOffset}${error === null ? '' : ` ${error.code}`}`),
  })

  it('release: covers some -> those settle in order, the others wait', () => {
    const settled: string[] = []
    const acks = new PendingAcks()
    for (const endOffset of [1, 2, 3]) acks.add(ack(endOffset, settled))
    acks.release(2)
    expect(settled).toEqual(['1', '2'])
    expect(acks.size).toBe(1)
  })

  it('failAll: leadership ends -> all that wait fail, once', () => {
    const settled: string[] = []
    const acks = new PendingAcks()
    acks.add(ack(1, settled))
    acks.add(ack(2, settled))
    acks.release(1)
    acks.failAll(new VltavaError('NOT_LEADER_OR_FOLLOWER'))
    acks.release(10)
    expect(settled).toEqual(['1', '2 NOT_LEADER_OR_FOLLOWER'])
  })

  it('remove: a deadline passed -> not settled again, the rest is untouched', () => {
    const settled: string[] = []
    const acks = new PendingAcks()
    const second = ack(2, settled)
    acks.add(ack(1, settled))
    acks.add(second)
    acks.add(ack(3, settled))
    acks.remove(second)
    acks.release(3)
    expect(settled).toEqual(['1', '3'])
  })

  it('many -> the array does not grow for ever', () => {
    const settled: string[] = []
    const acks = new PendingAcks()
    for (let i = 1; i <= 10_000; i++) {
      acks.add(ack(i, settled))
      acks.release(i - 1)
    }
    acks.release(10_000)
    expect(settled).toHaveLength(10_000)
    expect(acks.size).toBe(0)
  })
})
