import { beforeEach, describe, expect, it } from 'vitest'
import {
  KEEPALIVE_INTERVAL_MS,
  KEEPALIVE_TIMEOUT_MS,
  UNFINISHED_MESSAGE_PROGRESS_BYTES,
} from '../../../src/model/limits.ts'
import { Keepalive } from '../../../src/net/node/keepalive.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'

const PONG_BYTES = 6

describe('keepalive', () => {
  let clock: ManualClock
  let keepalive: Keepalive
  let bytesRead: number
  let pings: number
  let deaths: string[]

  beforeEach(() => {
    clock = new ManualClock()
    bytesRead = 500
    pings = 0
    deaths = []
    keepalive = new Keepalive({
      clock,
      bytesRead: () => bytesRead,
      ping: () => pings++,
      onDead: (why) => deaths.push(why),
    })
  })

  const interval = (): void => clock.advance(KEEPALIVE_INTERVAL_MS)
  const message = (bytes = 100): void => {
    bytesRead += bytes
    keepalive.messageReceived()
  }
  const pong = (): void => {
    bytesRead += PONG_BYTES
    keepalive.controlReceived(PONG_BYTES)
  }

  it('messages in every interval -> no ping, alive', () => {
    for (let i = 0; i < 20; i++) {
      message()
      interval()
    }
    expect([pings, deaths]).toEqual([0, []])
  })

  it('an idle end that answers pings -> alive', () => {
    for (let i = 0; i < 20; i++) {
      interval()
      pong()
    }
    expect([pings, deaths]).toEqual([20, []])
  })

  it('silence -> pings, then dead after KEEPALIVE_TIMEOUT_MS, once', () => {
    message()
    interval()
    clock.advance(KEEPALIVE_TIMEOUT_MS - 1)
    expect(deaths).toEqual([])
    expect(pings).toBeGreaterThanOrEqual(2)
    clock.advance(1)
    expect(deaths).toEqual([`no sign of life for ${KEEPALIVE_TIMEOUT_MS} ms`])
    clock.advance(100_000)
    expect(deaths.length).toBe(1)
    expect(clock.pendingTimers).toBe(0)
  })

  it('SEC-07: a large message on a slow link -> alive while it makes progress', () => {
    for (let i = 0; i < 50; i++) {
      bytesRead += UNFINISHED_MESSAGE_PROGRESS_BYTES
      interval()
    }
    message()
    interval()
    expect(deaths).toEqual([])
  })

  it('SEC-02, SEC-07: a message fed byte by byte, with pongs in between -> dead', () => {
    for (let i = 0; i < 4; i++) {
      bytesRead += 100
      pong()
      interval()
    }
    expect(deaths).toEqual([`a message has made no progress for ${KEEPALIVE_TIMEOUT_MS} ms`])
  })

  it('SEC-02: a message that stops half way, with pongs afterwards -> dead', () => {
    message()
    bytesRead += 10_000_000
    interval()
    bytesRead += 10_000_000
    for (let i = 0; i < 10; i++) {
      interval()
      pong()
    }
    expect(deaths.length).toBe(1)
  })

  it('pings of the other end -> are a sign of life as well', () => {
    for (let i = 0; i < 10; i++) {
      pong()
      pong()
      interval()
    }
    expect(deaths).toEqual([])
  })

  it('a sign of life that lies unread in the socket after a stall -> counts', () => {
    let nowMs = 0
    const timers: (() => void)[] = []
    const afterIo: (() => void)[] = []
    const later = (queue: (() => void)[]) => (callback: () => void) => {
      queue.push(callback)
      return { cancel: () => {} }
    }
    const setTimer = later(timers)
    const stalled = new Keepalive({
      clock: {
        monotonicMs: () => nowMs,
        wallMs: () => nowMs,
        setTimer: (_, callback) => setTimer(callback),
        afterPendingIo: later(afterIo),
      },
      bytesRead: () => bytesRead,
      ping: () => pings++,
      onDead: (why) => deaths.push(why),
    })
    // The process slept for long: the timer comes first, then the sockets, then what waited for them.
    nowMs = KEEPALIVE_TIMEOUT_MS * 3
    timers.shift()!()
    stalled.messageReceived()
    afterIo.shift()!()
    expect(deaths).toEqual([])
    nowMs += KEEPALIVE_TIMEOUT_MS
    timers.shift()!()
    afterIo.shift()!()
    expect(deaths.length).toBe(1)
  })

  it('stop -> nothing happens any more', () => {
    keepalive.stop()
    clock.advance(KEEPALIVE_TIMEOUT_MS * 2)
    expect([pings, deaths, clock.pendingTimers]).toEqual([0, [], 0])
  })
})
