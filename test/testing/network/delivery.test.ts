import { describe, expect, it } from 'vitest'
import type { ChannelProbe } from '../../contracts/transport-contract.ts'
import { closeCodes, firstNumbers, fixedMs, numbersOf, sendNumbers, TestParties } from './test-parties.ts'

/** The time of each arrival, counted from now. */
function arrivalTimes(parties: TestParties, probe: ChannelProbe): number[] {
  const startMs = parties.clock.monotonicMs()
  const times: number[] = []
  probe.onMessage = () => times.push(Math.round(parties.clock.monotonicMs() - startMs))
  return times
}

describe('simulated network: delivery', () => {
  it('latency: of the link in this direction -> a message arrives after it, not before', async () => {
    const parties = new TestParties()
    const [a, b] = await parties.startAll('a', 'b')
    const { dialer, acceptor } = await parties.open(a!, b!)
    parties.network.setLink('a', 'b', fixedMs(10))
    parties.network.setLink('b', 'a', fixedMs(30))
    const there = arrivalTimes(parties, acceptor)
    const back = arrivalTimes(parties, dialer)
    dialer.channel.send([Uint8Array.of(1)])
    acceptor.channel.send([Uint8Array.of(1)])
    await parties.advance(100)
    expect([there, back]).toEqual([[10], [30]])
  })

  it('latency: drawn for each message -> the order stays', async () => {
    const parties = new TestParties({ link: { latency: { minMs: 1, meanMs: 50 } } })
    const [a, b] = await parties.startAll('a', 'b')
    const { dialer, acceptor } = await parties.open(a!, b!)
    const times = arrivalTimes(parties, acceptor)
    for (let i = 0; i < 100; i++) {
      dialer.channel.send([Uint8Array.of(i)])
      await parties.advance(3)
    }
    await parties.advance(1_000)
    expect(numbersOf(acceptor)).toEqual(firstNumbers(100))
    expect(new Set(times).size).toBeGreaterThan(1)
  })

  it('latency: drawn many times -> its mean and its minimum are those of the link', async () => {
    const parties = new TestParties({ link: { latency: { minMs: 20, meanMs: 60 } }, hasKeepalive: false })
    const [a, b] = await parties.startAll('a', 'b')
    const { dialer, acceptor } = await parties.open(a!, b!)
    let sumMs = 0
    let minMs = Number.POSITIVE_INFINITY
    let sentMs = 0
    acceptor.onMessage = () => {
      const ms = parties.clock.monotonicMs() - sentMs
      sumMs += ms
      minMs = Math.min(minMs, ms)
    }
    for (let i = 0; i < 1_000; i++) {
      sentMs = parties.clock.monotonicMs()
      dialer.channel.send([])
      parties.clock.advance(1_000)
    }
    expect(minMs).toBeGreaterThanOrEqual(20)
    expect(sumMs / 1_000).toBeGreaterThan(55)
    expect(sumMs / 1_000).toBeLessThan(65)
  })

  it('bandwidth: messages at once -> follow each other at its pace', async () => {
    const parties = new TestParties()
    const [a, b] = await parties.startAll('a', 'b')
    const { dialer, acceptor } = await parties.open(a!, b!)
    parties.network.setLink('a', 'b', { ...fixedMs(5), bytesPerMs: 10 })
    const times = arrivalTimes(parties, acceptor)
    sendNumbers(dialer, 3, 100)
    await parties.advance(1_000)
    expect(times).toEqual([15, 25, 35])
  })

  it('a large message on a slow link: longer than the keepalive waits -> its progress counts as life', async () => {
    const parties = new TestParties()
    const [a, b] = await parties.startAll('a', 'b')
    const { dialer, acceptor } = await parties.open(a!, b!)
    parties.network.setLink('a', 'b', { bytesPerMs: 50 })
    dialer.channel.send([new Uint8Array(2_000_000)])
    await parties.advance(60_000)
    expect(acceptor.messages.map(({ length }) => length)).toEqual([2_000_000])
    expect([closeCodes(dialer), closeCodes(acceptor)]).toEqual([[], []])
  })

  it('one machine: parties of the same name -> are near each other', async () => {
    const parties = new TestParties({ link: fixedMs(500) })
    const [a] = await parties.startAll('a')
    const { dialer, acceptor } = await parties.open(a!, a!)
    const times = arrivalTimes(parties, acceptor)
    dialer.channel.send([Uint8Array.of(1)])
    await parties.advance(1_000)
    expect(times[0]).toBeLessThan(2)
  })

  it('clocks: that show different times -> change nothing', async () => {
    const parties = new TestParties({ link: fixedMs(10) })
    const a = await parties.start('a', 1_000_000)
    const b = await parties.start('b', -500)
    const { dialer, acceptor } = await parties.open(a, b)
    const there = arrivalTimes(parties, acceptor)
    const back = arrivalTimes(parties, dialer)
    dialer.channel.send([Uint8Array.of(1)])
    acceptor.channel.send([Uint8Array.of(1)])
    await parties.advance(100)
    expect([there, back]).toEqual([[10], [10]])
  })

  it('clocks: that round the times of others up or down -> messages arrive all the same', async () => {
    const parties = new TestParties()
    await parties.advance(1e9)
    // True time knows steps of 1e-7 ms here; this clock, near 0, much smaller ones, which no timer can wait for.
    const [a, b] = [await parties.start('a'), await parties.start('b', -1e9)]
    const { dialer, acceptor } = await parties.open(a, b)
    for (let i = 0; i < 100; i++) {
      dialer.channel.send([Uint8Array.of(i)])
      await parties.advance(0.137)
    }
    await parties.advance(1_000)
    expect(numbersOf(acceptor)).toEqual(firstNumbers(100))
  })

  it('pause: a party whose clock does not call -> hears nothing, and all of it in order when it goes on', async () => {
    const parties = new TestParties()
    const [a, b] = await parties.startAll('a', 'b')
    const { dialer, acceptor } = await parties.open(a!, b!)
    b!.clock.pause()
    sendNumbers(dialer, 20)
    await parties.advance(2_000)
    expect(acceptor.messages).toEqual([])
    b!.clock.resume()
    await parties.advance(0)
    expect(numbersOf(acceptor)).toEqual(firstNumbers(20))
  })

  it('pause: longer than the keepalive waits -> the other end gives the channel up', async () => {
    const parties = new TestParties()
    const [a, b] = await parties.startAll('a', 'b')
    const { dialer, acceptor } = await parties.open(a!, b!)
    b!.clock.pause()
    await parties.advance(25_000)
    expect([closeCodes(dialer), closeCodes(acceptor)]).toEqual([[4007], []])
    b!.clock.resume()
    await parties.advance(1_000)
    expect(closeCodes(acceptor)).toEqual([1006])
    expect(parties.network.counts.keepaliveTimeouts).toBe(1)
  })

  it('socket buffers: a party that does not read -> what exceeds them is buffered; onDrain follows at 0', async () => {
    const parties = new TestParties({ link: fixedMs(10), socketBufferBytes: 1_000 })
    const [a, b] = await parties.startAll('a', 'b')
    const { dialer } = await parties.open(a!, b!)
    b!.clock.pause()
    const seen: number[] = []
    for (let i = 0; i < 4; i++) {
      dialer.channel.send([new Uint8Array(400)])
      seen.push(dialer.channel.bufferedBytes)
    }
    await parties.advance(1_000)
    expect(seen).toEqual([0, 0, 200, 600])
    expect(dialer.channel.bufferedBytes).toBe(600)
    b!.clock.resume()
    await parties.advance(9)
    expect([dialer.channel.bufferedBytes, dialer.drains]).toEqual([600, []])
    await parties.advance(1)
    expect([dialer.channel.bufferedBytes, dialer.drains]).toEqual([0, [0]])
  })

  it('socket buffers: less than they hold -> is never seen, and nobody is told that it drained', async () => {
    const parties = new TestParties({ socketBufferBytes: 1_000 })
    const [a, b] = await parties.startAll('a', 'b')
    const { dialer, acceptor } = await parties.open(a!, b!)
    sendNumbers(dialer, 5, 200)
    expect(dialer.channel.bufferedBytes).toBe(0)
    await parties.advance(1_000)
    expect([acceptor.messages.length, dialer.drains]).toEqual([5, []])
  })

  it('isQuiescent: while anything is open, and after all was closed', async () => {
    const parties = new TestParties()
    const { network } = parties
    expect(network.isQuiescent).toBe(true)
    const [a, b] = await parties.startAll('a', 'b')
    expect([network.openListeners, network.isQuiescent]).toEqual([2, false])
    parties.dial(a!, 'b')
    expect(network.pendingDials).toBe(1)
    await parties.advance(100)
    expect([network.pendingDials, network.openChannels]).toEqual([0, 1])
    const closing = [a!.listener.close(), b!.listener.close()]
    await parties.advance(100)
    await Promise.all(closing)
    expect([network.openChannels, network.isQuiescent]).toEqual([0, true])
    expect(parties.clock.pendingTimers).toBe(0)
  })

  it('trace: every step -> one line, messages with their checksum', async () => {
    const parties = new TestParties({ link: fixedMs(1) })
    const [a, b] = await parties.startAll('a', 'b')
    const { dialer, acceptor } = await parties.open(a!, b!)
    dialer.channel.send([Uint8Array.from('123456789', (digit) => digit.charCodeAt(0))])
    await parties.advance(10)
    acceptor.channel.close(4000, 'bye')
    await parties.advance(10)
    expect(parties.events).toEqual([
      '0.000 dial a>b:7101 #1',
      '3.000 accept a>b:7101 #1',
      '4.000 open a>b:7101 #1',
      '1000.000 send a>b #1.1 len=9 crc=e3069283',
      '1001.000 receive a>b #1.1',
      '1010.000 close b>a #1 4000',
      '1011.000 closed b>a #1 4000',
      '1012.000 closed a>b #1 4000',
    ])
  })

  it('checksums: computed by the function given -> and not at all when nobody listens to events', async () => {
    const crcs: number[] = []
    const crc32c = (bytes: Uint8Array): number => crcs.push(bytes.length)
    for (const onEvent of [() => {}, undefined]) {
      const parties = new TestParties({ crc32c, ...{ onEvent: onEvent! } })
      const [a, b] = await parties.startAll('a', 'b')
      const { dialer } = await parties.open(a!, b!)
      dialer.channel.send([new Uint8Array(7)])
      await parties.advance(10)
    }
    expect(crcs).toEqual([7])
  })

  it('settings that make no sense -> are refused', () => {
    expect(() => new TestParties({ link: { latency: { minMs: 5, meanMs: 1 } } })).toThrow('latency.meanMs')
    expect(() => new TestParties({ link: { latency: { minMs: -1, meanMs: 1 } } })).toThrow('latency.minMs')
    expect(() => new TestParties({ link: { bytesPerMs: 0 } })).toThrow('bytesPerMs')
    expect(() => new TestParties({ retransmitTimeoutMs: { minMs: 2, maxMs: 1 } })).toThrow(
      'retransmitTimeoutMs',
    )
  })
})
