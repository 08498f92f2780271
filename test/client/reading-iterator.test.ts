import { describe, expect, it } from 'vitest'
import { deferred } from '../../src/base/async/deferred.ts'
import { ReadingIterator } from '../../src/client/reading-iterator.ts'

/** An iterator over what a test puts in. */
function setUp() {
  const ready: number[] = []
  const waits: ReturnType<typeof deferred<number | null>>[] = []
  let ends = 0
  const iterator = new ReadingIterator<number>({
    ready: () => ready.shift() ?? null,
    next: () => {
      const wait = deferred<number | null>()
      waits.push(wait)
      return wait.promise
    },
    onEnd: () => {
      ends++
    },
  })
  return { iterator, ready, waits, ends: () => ends }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('reading iterator', () => {
  it('what is at hand: no waiting', async () => {
    const { iterator, ready, waits } = setUp()
    ready.push(1, 2)
    expect([await iterator.next(), await iterator.next()]).toEqual([
      { value: 1, done: false },
      { value: 2, done: false },
    ])
    expect([waits.length, iterator[Symbol.asyncIterator]()]).toEqual([0, iterator])
  })

  it('calls that overlap: served one after the other, in their order', async () => {
    const { iterator, ready, waits } = setUp()
    const results = [iterator.next(), iterator.next(), iterator.next()]
    await turn()
    expect(waits.length).toBe(1)
    ready.push(99)
    waits[0]!.resolve(1)
    await turn()
    waits[1]!.resolve(2)
    await turn()
    waits[2]!.resolve(3)
    expect((await Promise.all(results)).map(({ value }) => value)).toEqual([1, 2, 3])
    expect((await iterator.next()).value).toBe(99)
  })

  it('the end: told once, and stays the end', async () => {
    const { iterator, ready, waits, ends } = setUp()
    const last = iterator.next()
    await turn()
    waits[0]!.resolve(null)
    expect(await last).toEqual({ value: undefined, done: true })
    ready.push(5)
    expect([(await iterator.next()).done, (await iterator.return()).done, ends()]).toEqual([true, true, 1])
  })

  it('an error: thrown once, to the call it belongs to; then the end', async () => {
    const { iterator, waits, ends } = setUp()
    const results = [iterator.next(), iterator.next()]
    const failed = expect(results[0]).rejects.toThrowError('broken')
    await turn()
    waits[0]!.reject(new Error('broken'))
    await failed
    expect([(await results[1])!.done, ends()]).toEqual([true, 1])
  })

  it('leaving while a call waits: that call gets its value first, so that nothing is lost', async () => {
    const { iterator, waits, ends } = setUp()
    const next = iterator.next()
    const left = iterator.return()
    await turn()
    expect(ends()).toBe(0)
    waits[0]!.resolve(7)
    expect([(await next).value, (await left).done, ends()]).toEqual([7, true, 1])
  })
})
