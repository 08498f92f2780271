import { describe, expect, it } from 'vitest'
import { closeCodes, firstNumbers, fixedMs, numbersOf, sendNumbers, TestParties } from './test-parties.ts'

const RETRANSMIT_MS = 10_000
const retransmitTimeoutMs = { minMs: RETRANSMIT_MS, maxMs: RETRANSMIT_MS }
/** Without a keepalive nothing but the fault under test ends a channel. */
const BARE = { link: fixedMs(1), hasKeepalive: false, retransmitTimeoutMs }

async function opened(options: ConstructorParameters<typeof TestParties>[0] = BARE) {
  const parties = new TestParties(options)
  const [a, b] = await parties.startAll('a', 'b')
  return { parties, network: parties.network, a: a!, b: b!, ...(await parties.open(a!, b!)) }
}

describe('simulated network: faults of links', () => {
  it('cut: one way -> what goes there is held, what comes back arrives; unblocked, all arrives in order', async () => {
    const { parties, network, dialer, acceptor } = await opened()
    sendNumbers(dialer, 2)
    network.cut('a', 'b')
    sendNumbers(dialer, 1)
    sendNumbers(acceptor, 3)
    await parties.advance(5_000)
    expect([numbersOf(acceptor), numbersOf(dialer)]).toEqual([[], firstNumbers(3)])
    network.setLink('a', 'b', { blocked: false })
    await parties.advance(1_000)
    expect(numbersOf(acceptor)).toEqual([0, 1, 0])
    expect(network.counts.bytesHeld).toBe(3)
    expect([closeCodes(dialer), closeCodes(acceptor)]).toEqual([[], []])
  })

  it('cut: longer than TCP sends again -> the sender sees 1006, the other end stays half-open until it sends', async () => {
    const { parties, network, dialer, acceptor } = await opened()
    network.cut('a', 'b')
    sendNumbers(dialer, 3)
    await parties.advance(RETRANSMIT_MS - 1)
    expect(closeCodes(dialer)).toEqual([])
    await parties.advance(1)
    expect([closeCodes(dialer), network.counts.retransmitTimeouts]).toEqual([[1006], 1])
    network.heal()
    await parties.advance(60_000)
    expect([closeCodes(acceptor), numbersOf(acceptor)]).toEqual([[], []])
    sendNumbers(acceptor, 1)
    await parties.advance(10)
    expect(closeCodes(acceptor)).toEqual([1006])
    expect([network.counts.halfOpenResets, network.counts.messagesLost]).toEqual([1, 4])
    expect(network.openChannels).toBe(0)
  })

  it('cut: of the way that acknowledgements take -> the bytes arrive, and the sender gives up all the same', async () => {
    const { parties, network, dialer, acceptor } = await opened()
    network.cut('b', 'a')
    sendNumbers(dialer, 3)
    await parties.advance(RETRANSMIT_MS)
    expect([numbersOf(acceptor), closeCodes(dialer), closeCodes(acceptor)]).toEqual([[0, 1, 2], [1006], []])
  })

  it('cut: of the way back, healed in time -> the acknowledgements come, nothing ends', async () => {
    const { parties, network, dialer } = await opened({ ...BARE, socketBufferBytes: 10 })
    network.cut('b', 'a')
    sendNumbers(dialer, 3, 10)
    await parties.advance(RETRANSMIT_MS - 1_000)
    expect(dialer.channel.bufferedBytes).toBe(20)
    network.heal()
    await parties.advance(60_000)
    expect([dialer.channel.bufferedBytes, dialer.drains, closeCodes(dialer)]).toEqual([0, [0], []])
  })

  it('cut: of the way back, while an acknowledgement is on it -> the acknowledgement is held as well', async () => {
    const { parties, network, dialer, acceptor } = await opened({ ...BARE, socketBufferBytes: 10 })
    network.setLink('b', 'a', fixedMs(100))
    sendNumbers(dialer, 3, 10)
    await parties.advance(50)
    expect(numbersOf(acceptor)).toEqual([0, 1, 2])
    network.cut('b', 'a')
    await parties.advance(1_000)
    expect([dialer.channel.bufferedBytes, dialer.drains]).toEqual([20, []])
    network.heal()
    await parties.advance(1_000)
    expect([dialer.channel.bufferedBytes, dialer.drains]).toEqual([0, [0]])
  })

  it('cut: of the way back, with less under way than the buffers hold -> nobody is told that it drained', async () => {
    const { parties, network, dialer } = await opened()
    network.cut('b', 'a')
    sendNumbers(dialer, 3)
    await parties.advance(1_000)
    network.heal()
    await parties.advance(60_000)
    expect([dialer.drains, closeCodes(dialer)]).toEqual([[], []])
  })

  it('cut: a slow link with much under way -> it is sent once more, at the pace of the link', async () => {
    const { parties, network, dialer, acceptor } = await opened()
    network.setLink('a', 'b', { bytesPerMs: 10 })
    sendNumbers(dialer, 10, 1_000)
    await parties.advance(10)
    network.cut('a', 'b')
    network.setLink('a', 'b', { blocked: false })
    await parties.advance(999)
    expect(acceptor.messages.length).toBeLessThan(10)
    await parties.advance(203)
    expect(numbersOf(acceptor)).toEqual(firstNumbers(10))
  })

  it('blocked: first idle, then used -> the time until TCP gives up counts from the use', async () => {
    const { parties, network, dialer } = await opened()
    network.cut('a', 'b')
    await parties.advance(RETRANSMIT_MS - 1_000)
    sendNumbers(dialer, 1)
    await parties.advance(RETRANSMIT_MS - 1)
    expect(closeCodes(dialer)).toEqual([])
    await parties.advance(1)
    expect(closeCodes(dialer)).toEqual([1006])
  })

  it('blocked: an idle channel -> survives for as long as you like', async () => {
    const { parties, network, dialer, acceptor } = await opened()
    network.partition([['a'], ['b']])
    await parties.advance(1_000_000)
    network.heal()
    sendNumbers(dialer, 2)
    await parties.advance(10)
    expect([numbersOf(acceptor), closeCodes(dialer), closeCodes(acceptor)]).toEqual([[0, 1], [], []])
  })

  it('blocked: an idle channel with a keepalive -> both ends give up, without having met', async () => {
    const { parties, network, dialer, acceptor } = await opened({
      retransmitTimeoutMs: { minMs: 60_000, maxMs: 60_000 },
    })
    network.partition([['a'], ['b']])
    await parties.advance(30_000)
    expect([closeCodes(dialer), closeCodes(acceptor)]).toEqual([[4007], [4007]])
    expect([network.counts.keepaliveTimeouts, network.openChannels]).toEqual([2, 0])
  })

  it('partition: groups -> parties of different groups do not reach each other; others are not touched', async () => {
    const parties = new TestParties(BARE)
    const all = await parties.startAll('a', 'b', 'c', 'client-1')
    parties.network.partition([['a', 'b'], ['c']])
    const reached: string[] = []
    for (const from of all) {
      for (const to of all) {
        const dialed = parties.dial(from, to.name, { timeoutMs: 100 })
        await parties.advance(100)
        if (!(dialed.outcome instanceof Error)) reached.push(`${from.name}>${to.name}`)
      }
    }
    expect(reached.filter((pair) => !pair.includes('client'))).toEqual(['a>a', 'a>b', 'b>a', 'b>b', 'c>c'])
    expect(reached.filter((pair) => pair.includes('client')).length).toBe(7)
    expect(parties.network.counts.dialsTimedOut).toBe(4)
  })

  it('breakChannels: much under way -> in each direction the first ones arrive, drawn, then 1006', async () => {
    const arrived = { there: new Set<number>(), back: new Set<number>() }
    const gapsMs = new Set<number>()
    for (let seed = 1; seed <= 30; seed++) {
      const { parties, network, dialer, acceptor } = await opened({ ...BARE, seed })
      const endedMs: number[] = []
      for (const probe of [dialer, acceptor]) {
        sendNumbers(probe, 10)
        const noteEnd = (): number => endedMs.push(parties.clock.monotonicMs())
        probe.closed().then(noteEnd, noteEnd)
      }
      expect(network.breakChannels('b', 'a')).toBe(1)
      expect(network.breakChannels('b', 'a')).toBe(0)
      sendNumbers(dialer, 1)
      await parties.advance(1_000)
      expect([closeCodes(dialer), closeCodes(acceptor)]).toEqual([[1006], [1006]])
      expect(numbersOf(acceptor)).toEqual(firstNumbers(acceptor.messages.length))
      expect(numbersOf(dialer)).toEqual(firstNumbers(dialer.messages.length))
      const { messagesSent, messagesDelivered, messagesLost, channelsBroken } = network.counts
      expect([messagesDelivered + messagesLost, channelsBroken]).toEqual([messagesSent, 1])
      expect(network.openChannels).toBe(0)
      arrived.there.add(acceptor.messages.length)
      arrived.back.add(dialer.messages.length)
      gapsMs.add(Math.round(endedMs[1]! - endedMs[0]!))
    }
    for (const drawn of [arrived.there, arrived.back, gapsMs]) expect(drawn.size).toBeGreaterThan(5)
  })

  it('breakChannels: on a blocked link -> nothing arrives, both ends see 1006', async () => {
    for (const isBlockedFirst of [true, false]) {
      const { parties, network, dialer, acceptor } = await opened()
      sendNumbers(dialer, 10)
      if (isBlockedFirst) network.partition([['a'], ['b']])
      network.breakChannels('a', 'b')
      sendNumbers(dialer, 1)
      network.partition([['a'], ['b']])
      await parties.advance(1_000)
      expect([closeCodes(dialer), closeCodes(acceptor), acceptor.messages]).toEqual([[1006], [1006], []])
    }
  })

  it('breakOne: of several channels -> one; of none -> null', async () => {
    const parties = new TestParties(BARE)
    expect(parties.network.breakOne()).toBe(null)
    const [a, b, c] = await parties.startAll('a', 'b', 'c')
    const probes = [await parties.open(a!, b!), await parties.open(c!, a!), await parties.open(b!, c!)]
    const names = parties.network.breakOne()
    await parties.advance(1_000)
    const routes = [
      ['a', 'b'],
      ['c', 'a'],
      ['b', 'c'],
    ]
    for (const [i, { dialer, acceptor }] of probes.entries()) {
      const expected = String(routes[i]) === String(names) ? [1006] : []
      expect([closeCodes(dialer), closeCodes(acceptor)]).toEqual([expected, expected])
    }
    parties.network.breakOne()
    parties.network.breakOne()
    expect(parties.network.breakOne()).toBe(null)
  })

  it('abort: behind a blocked link -> the other end learns of it when the link is free again', async () => {
    const { parties, network, dialer, acceptor } = await opened()
    network.cut('a', 'b')
    dialer.channel.abort()
    await parties.advance(5_000)
    expect([closeCodes(dialer), closeCodes(acceptor)]).toEqual([[1006], []])
    network.heal()
    await parties.advance(1_000)
    expect(closeCodes(acceptor)).toEqual([1006])
  })

  it('close: behind a blocked link -> ends here after the close timeout, there when the link is free again', async () => {
    const { parties, network, dialer, acceptor } = await opened()
    network.cut('a', 'b')
    dialer.channel.close(4000, 'bye')
    await parties.advance(2_000)
    expect([closeCodes(dialer), closeCodes(acceptor)]).toEqual([[1006], []])
    network.heal()
    await parties.advance(1_000)
    expect(acceptor.closes.length).toBe(1)
    expect(network.openChannels).toBe(0)
  })
})
