import { describe, expect, it } from 'vitest'
import {
  closeCodes,
  failureOf,
  firstNumbers,
  fixedMs,
  numbersOf,
  sendNumbers,
  TestParties,
} from './test-parties.ts'

const RETRANSMIT_MS = 10_000
const BARE = {
  link: fixedMs(1),
  hasKeepalive: false,
  retransmitTimeoutMs: { minMs: RETRANSMIT_MS, maxMs: RETRANSMIT_MS },
}

async function opened(options: ConstructorParameters<typeof TestParties>[0] = BARE) {
  const parties = new TestParties(options)
  const [a, b] = await parties.startAll('a', 'b')
  return { parties, network: parties.network, a: a!, b: b!, ...(await parties.open(a!, b!)) }
}

describe('simulated network: processes that end', () => {
  it('killed: some of what it had sent arrives, drawn, then the other end sees 1006; it hears nothing', async () => {
    const arrived = new Set<number>()
    for (let seed = 1; seed <= 30; seed++) {
      const { parties, network, dialer, acceptor } = await opened({ ...BARE, seed })
      sendNumbers(acceptor, 10)
      sendNumbers(dialer, 3)
      network.killed('b')
      await parties.advance(1_000)
      expect(numbersOf(dialer)).toEqual(firstNumbers(dialer.messages.length))
      expect(closeCodes(dialer)).toEqual([1006])
      expect([acceptor.messages, acceptor.closes]).toEqual([[], []])
      const { messagesDelivered, messagesLost } = network.counts
      expect([messagesDelivered + messagesLost, network.openChannels]).toEqual([13, 0])
      arrived.add(dialer.messages.length)
    }
    expect(arrived.size).toBeGreaterThan(5)
  })

  it('killed: dials are refused until a new run listens; late messages do not reach it', async () => {
    const { parties, network, a, dialer } = await opened()
    network.setLink('a', 'b', fixedMs(50))
    sendNumbers(dialer, 10)
    network.killed('b')
    const refused = parties.dial(a, 'b')
    await parties.advance(100)
    expect(failureOf(refused)).toContain('connection refused')
    const next = await parties.start('b')
    await parties.advance(1_000)
    expect(next.accepted).toEqual([])
    const { acceptor, dialer: again } = await parties.open(a, next)
    sendNumbers(again, 2)
    await parties.advance(100)
    expect([next.accepted.length, numbersOf(acceptor)]).toEqual([1, [0, 1]])
    expect(network.counts.dialsRefused).toBe(1)
  })

  it('killed: behind a blocked link -> the other end stays half-open until the link is free', async () => {
    const { parties, network, dialer } = await opened()
    network.cut('b', 'a')
    network.killed('b')
    await parties.advance(100_000)
    expect(closeCodes(dialer)).toEqual([])
    network.heal()
    await parties.advance(1_000)
    expect(closeCodes(dialer)).toEqual([1006])
  })

  it('killed: in a handler of its own -> nothing more is delivered to it', async () => {
    const { parties, network, dialer, acceptor } = await opened()
    acceptor.onMessage = () => network.killed('b')
    sendNumbers(dialer, 5)
    await parties.advance(100)
    expect([numbersOf(acceptor), closeCodes(acceptor), closeCodes(dialer)]).toEqual([[0], [], [1006]])
  })

  it('killed: what it waited for, and what it still asks for -> never settles', async () => {
    const { parties, network, a, b, acceptor } = await opened()
    const settled: string[] = []
    const note = (what: string) => () => settled.push(what)
    const options = { timeoutMs: 100, isPeer: true }
    b.listener.close().then(note('close'), note('close'))
    b.endpoint.connect('ws://a:7101', options).then(note('connect'), note('connect'))
    b.endpoint.listen({ host: 'b', port: 7102, onChannel: () => {} }).then(note('listen'), note('listen'))
    acceptor.channel.abort()
    network.killed('b')
    b.endpoint.connect('ws://a:7101', options).then(note('late'), note('late'))
    b.endpoint.listen({ host: 'b', port: 7103, onChannel: () => {} }).then(note('late'), note('late'))
    acceptor.channel.send([Uint8Array.of(1)])
    await parties.advance(100_000)
    expect([settled, acceptor.closes, a.accepted]).toEqual([[], [], []])
    expect([network.openChannels, network.pendingDials, network.openListeners]).toEqual([0, 0, 1])
  })

  it('killed: a party without channels, or that never was -> nothing happens', async () => {
    const { parties, network, dialer } = await opened()
    network.killed('c')
    network.poweredOn('c')
    await parties.advance(1_000)
    expect(closeCodes(dialer)).toEqual([])
  })

  it('powerLost: the other end hears nothing -> until it sends and TCP gives up; dials time out', async () => {
    const { parties, network, a, dialer } = await opened()
    network.powerLost('b')
    const dialed = parties.dial(a, 'b', { timeoutMs: 3_000 })
    await parties.advance(100_000)
    expect(closeCodes(dialer)).toEqual([])
    expect(failureOf(dialed)).toContain('no channel was opened within 3000 ms')
    sendNumbers(dialer, 1)
    await parties.advance(RETRANSMIT_MS - 1)
    expect(closeCodes(dialer)).toEqual([])
    await parties.advance(1)
    expect(closeCodes(dialer)).toEqual([1006])
    expect(network.counts).toMatchObject({ dialsTimedOut: 1, retransmitTimeouts: 1, messagesLost: 1 })
  })

  it('powerLost: bytes under way at that time -> TCP gives up on them', async () => {
    const { parties, network, dialer, acceptor } = await opened()
    sendNumbers(dialer, 1)
    network.powerLost('b')
    await parties.advance(RETRANSMIT_MS)
    expect([closeCodes(dialer), acceptor.messages]).toEqual([[1006], []])
  })

  it('powerLost: with a keepalive -> the other end finds out by itself', async () => {
    const { parties, network, dialer } = await opened({
      retransmitTimeoutMs: { minMs: 60_000, maxMs: 60_000 },
    })
    network.powerLost('b')
    await parties.advance(25_000)
    expect([closeCodes(dialer), network.counts.keepaliveTimeouts]).toEqual([[4007], 1])
  })

  it('poweredOn: the other end has sent, or sends then -> it is told at once', async () => {
    for (const sendsBefore of [true, false]) {
      const { parties, network, dialer } = await opened()
      network.powerLost('b')
      if (sendsBefore) sendNumbers(dialer, 1)
      await parties.advance(RETRANSMIT_MS / 2)
      network.poweredOn('b')
      const next = await parties.start('b')
      await parties.advance(1_000)
      expect(closeCodes(dialer)).toEqual(sendsBefore ? [1006] : [])
      sendNumbers(dialer, 1)
      await parties.advance(1_000)
      expect([closeCodes(dialer), next.accepted]).toEqual([[1006], []])
      expect(network.counts).toMatchObject({ halfOpenResets: 1, retransmitTimeouts: 0 })
    }
  })

  it('poweredOn: a dial that hung -> is refused, or accepted once somebody listens', async () => {
    const { parties, network, a } = await opened()
    network.powerLost('b')
    expect(() => network.endpoint({ name: 'b', clock: parties.clock })).toThrow('call poweredOn first')
    const first = parties.dial(a, 'b', { timeoutMs: 20_000 })
    await parties.advance(10_000)
    expect(first.outcome).toBe(null)
    network.poweredOn('b')
    await parties.advance(10)
    expect(failureOf(first)).toContain('connection refused')
    network.powerLost('b')
    const second = parties.dial(a, 'b', { timeoutMs: 20_000 })
    await parties.advance(10_000)
    network.poweredOn('b')
    const next = await parties.start('b')
    await parties.advance(10)
    expect([second.outcome instanceof Error, next.accepted.length]).toEqual([false, 1])
  })
})
