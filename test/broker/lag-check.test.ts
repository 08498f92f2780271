import { describe, expect, it } from 'vitest'
import { type Aging, LagCheck } from '../../src/broker/lag-check.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { hostedPartition } from './hosted-partition.ts'

class Partition implements Aging {
  isAtRest = true
  readonly #name: string
  readonly #ticks: string[]

  constructor(name: string, ticks: string[]) {
    this.#name = name
    this.#ticks = ticks
  }

  tick(): void {
    this.#ticks.push(this.#name)
  }
}

function checked(): {
  readonly clock: ManualClock
  readonly check: LagCheck
  readonly a: Partition
  readonly b: Partition
  /** Lets time pass; @returns what was looked at meanwhile. */
  readonly pass: (ms: number) => string
} {
  const clock = new ManualClock()
  const ticks: string[] = []
  const [a, b] = [new Partition('a', ticks), new Partition('b', ticks)]
  const check = new LagCheck(clock, () => [a, b])
  check.start()
  ticks.length = 0
  const pass = (ms: number): string => {
    for (let passedMs = 0; passedMs < ms; passedMs += 500) {
      clock.advance(500)
      clock.runPending()
    }
    return ticks.splice(0).join('')
  }
  return { clock, check, a, b, pass }
}

describe('the look for what time alone changes', () => {
  it('nothing happens -> nothing is looked at, but for all of it every 10 s', () => {
    const { pass } = checked()
    expect(pass(9_500)).toBe('')
    expect(pass(500)).toBe('ab')
  })

  it('something happened in one -> looked at until it is at rest', () => {
    const { check, a, pass } = checked()
    a.isAtRest = false
    check.unsettled(a)
    expect(pass(1_500)).toBe('aaa')
    a.isAtRest = true
    expect(pass(1_500)).toBe('a')
  })

  it('nobody told -> found with the next look at all, and kept', () => {
    const { b, pass } = checked()
    b.isAtRest = false
    expect(pass(9_500)).toBe('')
    expect(pass(1_500)).toBe('abbb')
  })

  it('stopped -> no timer is left', () => {
    const { clock, check } = checked()
    check.stop()
    expect(clock.pendingTimers).toBe(0)
  })
})

describe('a hosted partition', () => {
  it('leads: unsettled by its role, by records and by its followers; at rest once all in sync have all', async () => {
    const hosted = await hostedPartition(1)
    const { partition } = hosted
    expect(hosted.unsettled()).toBe(true)
    expect(partition.isAtRest).toBe(false)
    hosted.followerReaches(5)
    expect(hosted.unsettled()).toBe(true)
    expect(partition.isAtRest).toBe(true)
    partition.requireLeader().apply(partition.requireLeader().options.core.written(6, 10))
    expect(hosted.unsettled()).toBe(true)
    expect(partition.isAtRest).toBe(false)
  })

  it('follows: at rest unless a consumer waits', async () => {
    const hosted = await hostedPartition(2)
    const { partition } = hosted
    expect(hosted.unsettled()).toBe(true)
    expect(partition.isAtRest).toBe(true)
    const waiting = { wake: () => {} }
    partition.committedFetches.add(waiting)
    expect(hosted.unsettled()).toBe(true)
    expect(partition.isAtRest).toBe(false)
    partition.committedFetches.remove(waiting)
    expect(partition.isAtRest).toBe(true)
    partition.committedFetches.watch({ moved: () => {} })
    expect(hosted.unsettled()).toBe(true)
    expect(partition.isAtRest).toBe(false)
  })
})
