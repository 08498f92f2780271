import { describe, expect, it } from 'vitest'
import { AssertionError } from '../../../src/base/assert.ts'
import { newKernel } from './kernels.ts'

const CHAIN = 10_000

async function* countTo(limit: number): AsyncGenerator<number> {
  for (let i = 1; i <= limit; i++) yield i
}

/** Kinds of work that go on behind an event without any further event, and call back at their ends. */
const CHAINS: Readonly<Record<string, (done: () => void) => void>> = {
  'await in a loop': (done) => {
    const work = async (): Promise<void> => {
      for (let i = 0; i < CHAIN; i++) await Promise.resolve()
    }
    work().then(done, done)
  },
  'then upon then': (done) => {
    let chain = Promise.resolve()
    for (let i = 0; i < CHAIN; i++) chain = chain.then(() => {})
    chain.then(done, done)
  },
  nextTick: (done) => {
    const tick = (left: number): void => {
      if (left === 0) done()
      else process.nextTick(() => tick(left - 1))
    }
    tick(CHAIN)
  },
  queueMicrotask: (done) => {
    const tick = (left: number): void => {
      if (left === 0) done()
      else queueMicrotask(() => tick(left - 1))
    }
    tick(CHAIN)
  },
  'nextTicks and microtasks in turn': (done) => {
    const tick = (left: number): void => {
      if (left === 0) done()
      else if (left % 2 === 0) process.nextTick(() => queueMicrotask(() => tick(left - 1)))
      else queueMicrotask(() => process.nextTick(() => tick(left - 1)))
    }
    tick(CHAIN)
  },
  'for await over an async generator': (done) => {
    const work = async (): Promise<void> => {
      for await (const value of countTo(CHAIN)) if (value === 0) return
    }
    work().then(done, done)
  },
  'for await over a stream': (done) => {
    const work = async (): Promise<void> => {
      const stream = new ReadableStream<number>({
        pull(controller) {
          controller.enqueue(1)
        },
      })
      let sum = 0
      for await (const value of stream) {
        sum += value
        if (sum === CHAIN) return
      }
    }
    work().then(done, done)
  },
  'recursion of async functions': (done) => {
    const descend = async (depth: number): Promise<number> =>
      depth === 0 ? 0 : 1 + (await descend(depth - 1))
    const work = async (): Promise<void> => {
      for (let i = 0; i < CHAIN / 100; i++) await descend(100)
    }
    work().then(done, done)
  },
}

describe('SimulationKernel fence', () => {
  for (const [name, start] of Object.entries(CHAINS)) {
    it(`SIM-8: ${CHAIN} steps of ${name} -> over before the next event and before afterEvent`, async () => {
      const kernel = newKernel()
      const order: string[] = []
      kernel.schedule(1, () => start(() => order.push('chain is over')))
      kernel.schedule(1, () => order.push('next event'), 'last')
      await kernel.run({ untilMs: 1, afterEvent: () => order.push('after') < 0 })
      expect(order).toEqual(['chain is over', 'after', 'next event', 'after'])
    })
  }

  it('SIM-8: what the last event sets off -> over when the run is', async () => {
    const kernel = newKernel()
    const over: string[] = []
    for (const [name, start] of Object.entries(CHAINS)) kernel.schedule(1, () => start(() => over.push(name)))
    await kernel.run({ untilMs: 1 })
    expect(over.sort()).toEqual(Object.keys(CHAINS).sort())
  })

  it('SIM-8: a real timer that is due -> does not come between the events of one turn', async () => {
    const kernel = newKernel()
    const order: string[] = []
    setImmediate(() => order.push('real, before'))
    for (let i = 1; i <= 10; i++) {
      kernel.schedule(i, () => {
        order.push(`event ${i}`)
        if (i === 1) setTimeout(() => order.push('real timer'), 0)
        if (i === 1) setImmediate(() => order.push('real, set in between'))
      })
    }
    await kernel.run({ untilMs: 10 })
    expect(order.filter((line) => line.startsWith('event'))).toHaveLength(10)
    expect(order.indexOf('event 10') - order.indexOf('event 1')).toBe(9)
  })
})

describe('SimulationKernel time', () => {
  it('schedule: any order of times -> happens in the order of time, and time jumps to each', async () => {
    const kernel = newKernel()
    const seen: number[] = []
    for (const atMs of [86_400_000, 5, 0.25, 40]) kernel.schedule(atMs, () => seen.push(kernel.nowMs))
    expect(await kernel.run({ untilMs: 1e9 })).toBe('idle')
    expect(seen).toEqual([0.25, 5, 40, 86_400_000])
    expect([kernel.nowMs, kernel.events, kernel.waiting]).toEqual([1e9, 4, 0])
  })

  it('schedule: a moment that is past -> counts as now', async () => {
    const kernel = newKernel()
    const seen: number[] = []
    kernel.schedule(10, () => kernel.schedule(3, () => seen.push(kernel.nowMs)))
    kernel.schedule(11, () => seen.push(kernel.nowMs))
    await kernel.run({ untilMs: 20 })
    expect(seen).toEqual([10, 11])
  })

  it('schedule: no number -> assertion', () => {
    const kernel = newKernel()
    expect(() => kernel.schedule(Number.NaN, () => {})).toThrow(AssertionError)
    expect(() => kernel.schedule(Number.POSITIVE_INFINITY, () => {})).toThrow(AssertionError)
  })

  it('cancel: before its time -> does not happen and does not count', async () => {
    const kernel = newKernel()
    const event = kernel.schedule(5, () => expect.unreachable())
    kernel.schedule(1, () => kernel.cancel(event))
    expect(await kernel.run({ untilMs: 10 })).toBe('idle')
    expect([kernel.events, kernel.waiting]).toEqual([1, 0])
  })
})

describe('SimulationKernel order', () => {
  async function orderOf(seed: number, count = 12): Promise<string> {
    const kernel = newKernel({ seed })
    const order: number[] = []
    for (let i = 0; i < count; i++) kernel.schedule(7, () => order.push(i))
    await kernel.run({ untilMs: 7 })
    return order.join()
  }

  it('the same moment: one seed -> one order, that of other seeds differs', async () => {
    const orders = new Set<string>()
    for (let seed = 1; seed <= 20; seed++) orders.add(await orderOf(seed))
    expect(orders.size).toBe(20)
    expect(await orderOf(3)).toBe(await orderOf(3))
  })

  it('the same moment: two events, many seeds -> both orders', async () => {
    const orders = new Set<string>()
    for (let seed = 1; seed <= 20; seed++) orders.add(await orderOf(seed, 2))
    expect([...orders].sort()).toEqual(['0,1', '1,0'])
  })

  it('last: scheduled before or during its moment -> behind all drawn ones, in the order of scheduling', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const kernel = newKernel({ seed })
      const order: string[] = []
      kernel.schedule(7, () => order.push('last 1'), 'last')
      kernel.schedule(7, () => order.push('last 2'), 'last')
      for (let i = 0; i < 5; i++) {
        kernel.schedule(7, () => {
          order.push('drawn')
          if (i === 4) kernel.schedule(7, () => order.push('drawn'))
        })
      }
      await kernel.run({ untilMs: 7 })
      expect(order).toEqual([...Array.from({ length: 6 }, () => 'drawn'), 'last 1', 'last 2'])
    }
  })
})

describe('SimulationKernel run', () => {
  it('untilMs: what is due then -> happens; what is due later -> waits for another run', async () => {
    const kernel = newKernel()
    const seen: number[] = []
    for (const atMs of [1, 2, 3]) kernel.schedule(atMs, () => seen.push(atMs))
    expect(await kernel.run({ untilMs: 2 })).toBe('time')
    expect([seen, kernel.nowMs, kernel.waiting]).toEqual([[1, 2], 2, 1])
    expect(await kernel.run({ untilMs: 2.5 })).toBe('time')
    expect(kernel.nowMs).toBe(2.5)
    expect(await kernel.run({ untilMs: 3 })).toBe('idle')
    expect(seen).toEqual([1, 2, 3])
  })

  it('eventsMax: counts the events of all runs -> stops before the next, at the time of the last', async () => {
    const kernel = newKernel()
    for (let i = 1; i <= 200; i++) kernel.schedule(i, () => {})
    expect(await kernel.run({ untilMs: 1_000, eventsMax: 5 })).toBe('events')
    expect([kernel.events, kernel.nowMs]).toEqual([5, 5])
    expect(await kernel.run({ untilMs: 1_000, eventsMax: 5 })).toBe('events')
    expect(await kernel.run({ untilMs: 1_000, eventsMax: 150 })).toBe('events')
    expect([kernel.events, kernel.nowMs, kernel.waiting]).toEqual([150, 150, 50])
  })

  it('afterEvent: says true after any number of events, also at the end of a turn -> stops there', async () => {
    for (const stopAt of [1, 2, 63, 64, 65, 128, 130]) {
      const kernel = newKernel()
      for (let i = 1; i <= 200; i++) kernel.schedule(i, () => {})
      let calls = 0
      expect(await kernel.run({ untilMs: 1_000, afterEvent: () => ++calls === stopAt })).toBe('condition')
      expect([calls, kernel.events, kernel.nowMs]).toEqual([stopAt, stopAt, stopAt])
    }
  })

  it('afterEvent: every run to its end -> called once per event', async () => {
    for (const events of [0, 1, 63, 64, 65, 200]) {
      const kernel = newKernel()
      for (let i = 1; i <= events; i++) kernel.schedule(i, () => {})
      let calls = 0
      await kernel.run({ untilMs: 1_000, afterEvent: () => ++calls < 0 })
      expect(calls).toBe(events)
    }
  })

  it('events without progress of time: too many -> assertion that says where', async () => {
    const kernel = newKernel()
    const again = (): void => void kernel.schedule(kernel.nowMs, again)
    kernel.schedule(12, again)
    await expect(kernel.run({ untilMs: 100 })).rejects.toThrow(/^time stands still at 12 ms/)
    expect(kernel.events).toBeLessThan(250_000)
  })

  it('events with the least progress of time: as many -> no assertion', async () => {
    const kernel = newKernel()
    let left = 250_000
    const again = (): void => {
      if (--left > 0) kernel.schedule(kernel.nowMs + 0.001, again)
    }
    kernel.schedule(0, again)
    expect(await kernel.run({ untilMs: 1_000 })).toBe('idle')
    expect(kernel.events).toBe(250_000)
  })

  it('an event throws -> the run rejects with it at once, and another run goes on behind it', async () => {
    const kernel = newKernel()
    const seen: number[] = []
    kernel.schedule(1, () => seen.push(1))
    kernel.schedule(2, () => {
      throw new RangeError('the event failed')
    })
    kernel.schedule(3, () => seen.push(3))
    await expect(kernel.run({ untilMs: 10 })).rejects.toThrow(new RangeError('the event failed'))
    expect([seen, kernel.nowMs, kernel.events]).toEqual([[1], 2, 2])
    expect(await kernel.run({ untilMs: 10 })).toBe('idle')
    expect(seen).toEqual([1, 3])
  })

  it('afterEvent throws, in a turn and at its end -> the run rejects with it', async () => {
    for (const failAt of [1, 2, 64, 65]) {
      const kernel = newKernel()
      for (let i = 1; i <= 100; i++) kernel.schedule(i, () => {})
      const run = kernel.run({
        untilMs: 1_000,
        afterEvent: () => {
          if (kernel.events === failAt) throw new Error(`not at ${kernel.nowMs}`)
          return false
        },
      })
      await expect(run).rejects.toThrow(`not at ${failAt}`)
      expect(kernel.events).toBe(failAt)
    }
  })

  it('a run inside of a run -> assertion', async () => {
    const kernel = newKernel()
    kernel.schedule(1, () => void kernel.run({ untilMs: 5 }))
    await expect(kernel.run({ untilMs: 10 })).rejects.toThrow('the kernel runs already')
  })
})

describe('SimulationKernel turns', () => {
  it('onTurn: any number of events, and how they end -> begin and end bracket all of it, in pairs', async () => {
    for (const events of [0, 1, 64, 65, 300]) {
      const calls: string[] = []
      let isIn = false
      const kernel = newKernel({
        onTurn: {
          begin: () => {
            expect(isIn).toBe(false)
            isIn = true
            calls.push('begin')
          },
          end: () => {
            expect(isIn).toBe(true)
            isIn = false
            calls.push('end')
          },
        },
      })
      const inside: boolean[] = []
      for (let i = 1; i <= events; i++) {
        kernel.schedule(i, () => {
          inside.push(isIn)
          queueMicrotask(() => process.nextTick(() => inside.push(isIn)))
        })
      }
      await kernel.run({ untilMs: 1_000, afterEvent: () => inside.push(isIn) < 0 })
      expect(isIn).toBe(false)
      expect(inside).toEqual(Array.from({ length: 3 * events }, () => true))
      expect(calls).toEqual(
        Array.from({ length: Math.max(1, Math.ceil((events + 1) / 64)) }, () => ['begin', 'end']).flat(),
      )
    }
  })

  it('onTurn: the event throws -> end all the same, before the run rejects', async () => {
    const calls: string[] = []
    const kernel = newKernel({
      onTurn: { begin: () => calls.push('begin'), end: () => calls.push('end') },
    })
    kernel.schedule(1, () => {
      throw new Error('no')
    })
    await kernel.run({ untilMs: 1 }).catch(() => calls.push('rejected'))
    expect(calls).toEqual(['begin', 'end', 'rejected'])
  })

  it('onStray: something real schedules between two turns -> told; before, within and after a run -> not', async () => {
    let strays = 0
    const kernel = newKernel({ onStray: () => strays++ })
    const rest = (): void => void kernel.schedule(kernel.nowMs + 1, () => kernel.nowMs < 500 && rest())
    kernel.schedule(1, rest)
    await kernel.run({ untilMs: 1_000 })
    kernel.schedule(1_001, () => {})
    expect(strays).toBe(0)
    // Set before the first turn, it comes between that one and the second.
    let isAtWork = false
    const again = (): void => void kernel.schedule(kernel.nowMs + 1, () => kernel.nowMs < 9_000 && again())
    kernel.schedule(1_002, () => {
      if (isAtWork) return
      isAtWork = true
      setImmediate(() => kernel.schedule(5_000, () => {}))
      again()
    })
    await kernel.run({ untilMs: 10_000 })
    expect(strays).toBe(1)
  })

  it('afterEvent sets something off, whatever its place in the turn -> within the turn, and no stray', async () => {
    let strays = 0
    let isIn = false
    const kernel = newKernel({
      onStray: () => strays++,
      onTurn: {
        begin: () => {
          isIn = true
        },
        end: () => {
          isIn = false
        },
      },
    })
    for (let i = 1; i <= 200; i++) kernel.schedule(i, () => {})
    const inside: boolean[] = []
    await kernel.run({
      untilMs: 1_000,
      afterEvent: () => {
        if (kernel.nowMs < 200)
          queueMicrotask(() => {
            inside.push(isIn)
            kernel.schedule(kernel.nowMs + 1_000, () => {})
          })
        return false
      },
    })
    expect(inside.length).toBeGreaterThan(190)
    expect(inside).not.toContain(false)
    expect(strays).toBe(0)
  })
})
