import { beforeEach, describe, expect, it } from 'vitest'
import type { SimulatedNetwork } from '../../../src/testing/network/simulated-network.ts'
import { ChannelProbe } from '../../contracts/transport-contract.ts'
import {
  closeCodes,
  failureOf,
  fixedMs,
  numbersOf,
  sendNumbers,
  TestParties,
  type TestParty,
} from './test-parties.ts'

describe('simulated network: dials', () => {
  let parties: TestParties
  let network: SimulatedNetwork
  let a: TestParty
  let b: TestParty

  beforeEach(async () => {
    parties = new TestParties({ link: fixedMs(10) })
    network = parties.network
    a = await parties.start('a')
    b = await parties.start('b')
  })

  it('a listener -> accepts when the request came after a round trip; the dialer is told after the way back', async () => {
    const dialed = parties.dial(a, 'b')
    await parties.advance(29)
    expect(b.accepted).toEqual([])
    await parties.advance(1)
    expect([b.accepted.length, dialed.outcome]).toEqual([1, null])
    await parties.advance(10)
    expect(dialed.outcome).toBeInstanceOf(ChannelProbe)
    expect(b.accepted[0]!.channel.remoteAddress).toBe('a')
    expect((dialed.outcome as ChannelProbe).channel.remoteAddress).toBe('b:7101')
  })

  it('nobody listens, or dials are refused -> CONNECTION_FAILED after a round trip', async () => {
    network.setLink('a', 'b', { refuseDials: true })
    for (const name of ['nobody', 'b']) {
      const dialed = parties.dial(a, name)
      await parties.advance(19)
      expect(dialed.outcome).toBe(null)
      await parties.advance(1)
      expect(dialed.outcome).toMatchObject({ code: 'CONNECTION_FAILED', definite: true })
      expect(failureOf(dialed)).toContain('connection refused')
    }
    expect(network.counts.dialsRefused).toBe(2)
    network.heal()
    await parties.open(a, b)
  })

  it('the listener closes meanwhile -> refused', async () => {
    const dialed = parties.dial(a, 'b')
    await parties.advance(25)
    const closing = b.listener.close()
    await parties.advance(100)
    await closing
    expect([failureOf(dialed), b.accepted]).toEqual([expect.stringContaining('connection refused'), []])
  })

  it('a blocked link, either way -> hangs until the time is over', async () => {
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      network.cut(from, to)
      const dialed = parties.dial(a, 'b', { timeoutMs: 500 })
      await parties.advance(499)
      expect(dialed.outcome).toBe(null)
      await parties.advance(1)
      expect(dialed.outcome).toMatchObject({ code: 'CONNECTION_FAILED' })
      network.heal()
    }
    await parties.advance(1_000)
    expect([b.accepted, network.counts.dialsTimedOut, network.pendingDials]).toEqual([[], 2, 0])
  })

  it('a link that is blocked for a while, at whatever stage -> the dial succeeds in the end', async () => {
    for (const atMs of [0, 5, 15, 25, 35]) {
      const dialed = parties.dial(a, 'b', { timeoutMs: 10_000 })
      await parties.advance(atMs)
      network.partition([['a'], ['b']])
      await parties.advance(1_000)
      expect(dialed.outcome).toBe(null)
      expect(b.accepted.length).toBe(atMs < 30 ? 0 : 1)
      network.heal()
      await parties.advance(1_000)
      expect(dialed.outcome).toBeInstanceOf(ChannelProbe)
      expect(b.accepted.splice(0).length).toBe(1)
    }
  })

  it('a paused listener -> accepts a dialer that gave up long ago; the channel ends at once', async () => {
    b.clock.pause()
    const dialed = parties.dial(a, 'b', { timeoutMs: 500 })
    await parties.advance(500)
    expect(dialed.outcome).toMatchObject({ code: 'CONNECTION_FAILED' })
    await parties.advance(10_000)
    b.clock.resume()
    await parties.advance(100)
    expect(b.accepted.map(closeCodes)).toEqual([[1006]])
    expect([network.counts.lateAccepts, network.openChannels]).toEqual([1, 0])
  })

  it('given up before the request -> is never accepted; after it -> is, and ends', async () => {
    for (const [atMs, accepts] of [
      [15, 0],
      [25, 1],
      [35, 1],
    ] as const) {
      const before = b.accepted.length
      const abort = new AbortController()
      const dialed = parties.dial(a, 'b', { signal: abort.signal })
      await parties.advance(atMs)
      abort.abort()
      await parties.advance(0)
      expect(dialed.outcome).toMatchObject({ code: 'CONNECTION_FAILED' })
      await parties.advance(1_000)
      expect(b.accepted.slice(before).map(closeCodes)).toEqual(Array.from({ length: accepts }, () => [1006]))
    }
    expect(network.counts.lateAccepts).toBe(1)
    expect([network.openChannels, network.pendingDials]).toEqual([0, 0])
  })

  it('the dialer is killed, or loses power, after its request -> the accepted end ends, or stays half-open', async () => {
    for (const atMs of [25, 35]) {
      parties.dial(a, 'b')
      await parties.advance(atMs)
      network.killed('a')
      await parties.advance(1_000)
      expect(b.accepted.map(closeCodes)).toEqual([[1006]])
      a = await parties.start('a')
      b.accepted.length = 0
    }
    parties.dial(a, 'b')
    await parties.advance(25)
    network.powerLost('a')
    await parties.advance(1_000)
    expect(b.accepted.map(closeCodes)).toEqual([[]])
  })

  it('the listener is killed while the request is under way -> refused; loses power -> times out', async () => {
    const refused = parties.dial(a, 'b')
    await parties.advance(25)
    network.killed('b')
    await parties.advance(20)
    expect(failureOf(refused)).toContain('connection refused')
    b = await parties.start('b')
    const hanging = parties.dial(a, 'b', { timeoutMs: 500 })
    await parties.advance(25)
    network.powerLost('b')
    await parties.advance(474)
    expect(hanging.outcome).toBe(null)
    await parties.advance(1)
    expect(failureOf(hanging)).toContain('within 500 ms')
  })

  it('the channel breaks, or the listener is killed, before the dialer knows it -> CONNECTION_FAILED', async () => {
    for (const fault of [() => network.breakChannels('a', 'b'), () => network.killed('b')]) {
      // The answer itself may come through, or be lost.
      const outcomes = new Set<string>()
      for (let i = 0; i < 20; i++) {
        const dialed = parties.dial(a, 'b')
        await parties.advance(35)
        fault()
        await parties.advance(500)
        if (dialed.outcome instanceof ChannelProbe)
          outcomes.add(`ended with ${closeCodes(dialed.outcome).join()}`)
        else outcomes.add(failureOf(dialed)!.replace(/^.*: /, ''))
        network.killed('b')
        b = await parties.start('b')
      }
      expect([...outcomes].toSorted()).toEqual([
        'ended with 1006',
        'the connection was reset before it was open.',
      ])
    }
  })

  it('what the listener sends at once -> waits for the dialer to start', async () => {
    const endpoint = network.endpoint({ name: 'c', clock: parties.clock })
    const listening = endpoint.listen({
      host: 'c',
      port: 7101,
      onChannel: (channel) => sendNumbers(new ChannelProbe(channel).start(), 3),
    })
    await parties.advance(0)
    await listening
    const dialed = parties.dial(a, 'c')
    await parties.advance(1_000)
    expect(numbersOf(dialed.outcome as ChannelProbe)).toEqual([0, 1, 2])
  })

  it('a channel that is aborted before it was started -> is told at the start, in a turn of its own', async () => {
    const closes: number[] = []
    const endpoint = network.endpoint({ name: 'c', clock: parties.clock })
    const listening = endpoint.listen({
      host: 'c',
      port: 7101,
      onChannel(channel) {
        channel.abort({ code: 4001, reason: '' })
        channel.start({ onMessage: () => {}, onClose: ({ code }) => closes.push(code) })
        expect(closes).toEqual([])
      },
    })
    await parties.advance(0)
    await listening
    parties.dial(a, 'c')
    await parties.advance(1_000)
    expect([closes, network.openChannels]).toEqual([[4001], 0])
  })

  it('a host that is not the name of the party -> is found all the same', async () => {
    const clock = parties.clock
    const listening = network
      .endpoint({ name: 'd', clock })
      .listen({ host: '10.0.0.7', port: 7101, onChannel: () => {} })
    await parties.advance(0)
    await listening
    network.cut('a', 'd')
    const blocked = parties.dial(a, '10.0.0.7', { timeoutMs: 500 })
    await parties.advance(500)
    expect(failureOf(blocked)).toContain('within 500 ms')
    network.heal()
    network.killed('d')
    const refused = parties.dial(a, '10.0.0.7')
    await parties.advance(500)
    expect(failureOf(refused)).toContain('refused')
  })
})
