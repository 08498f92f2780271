import { beforeEach, describe, expect, it } from 'vitest'
import { CLOSE_TIMEOUT_MS } from '../../src/model/limits.ts'
import { MemoryNetwork } from '../../src/net/memory-transport.ts'
import type { Channel, Transport } from '../../src/net/transport.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { ChannelProbe } from '../contracts/transport-contract.ts'
import { settle } from './settle.ts'

const OPTIONS = { timeoutMs: 1_000, isPeer: true }

describe('memory transport', () => {
  let clock: ManualClock
  let network: MemoryNetwork

  beforeEach(() => {
    clock = new ManualClock()
    network = new MemoryNetwork(clock)
  })

  const listen = async (name: string, host: string) => {
    const accepted: ChannelProbe[] = []
    const listener = await network.endpoint(name).listen({
      host,
      port: 7101,
      onChannel: (channel) => accepted.push(new ChannelProbe(channel).start()),
    })
    return { accepted, listener }
  }

  const connect = async (transport: Transport, host: string): Promise<Channel> => {
    const connecting = transport.connect(`ws://${host}:7101`, OPTIONS)
    await settle(clock)
    return connecting
  }

  it('a message -> stays on the way until the clock lets pending I/O happen', async () => {
    const { accepted } = await listen('b', 'host-b')
    const dialer = new ChannelProbe(await connect(network.endpoint('a'), 'host-b')).start()
    dialer.channel.send([Uint8Array.of(1), Uint8Array.of(2)])
    dialer.channel.send([])
    await new Promise((resolve) => setImmediate(resolve))
    expect([accepted[0]!.messages.length, dialer.channel.bufferedBytes]).toEqual([0, 2])
    clock.runPending()
    expect(accepted[0]!.messages.map((message) => [...message])).toEqual([[1, 2], []])
    expect([dialer.channel.bufferedBytes, dialer.drains]).toEqual([0, [0, 0]])
  })

  it('names -> are what the other end is called', async () => {
    const { accepted } = await listen('b', 'host-b')
    const dialer = await connect(network.endpoint('a'), 'host-b')
    expect([dialer.remoteAddress, accepted[0]!.channel.remoteAddress]).toEqual(['host-b:7101', 'a'])
  })

  it('disconnect: two parties -> all their channels end as after an abort, no others', async () => {
    const b = await listen('b', 'host-b')
    const c = await listen('c', 'host-c')
    const ab = new ChannelProbe(await connect(network.endpoint('a'), 'host-b')).start()
    const cb = new ChannelProbe(await connect(network.endpoint('c'), 'host-b')).start()
    const bc = new ChannelProbe(await connect(network.endpoint('b'), 'host-c')).start()
    network.disconnect('b', 'c')
    await settle(clock)
    expect([ab, cb, bc].map(({ closes }) => closes.map(({ code }) => code))).toEqual([[], [1006], [1006]])
    expect(b.accepted.map(({ closes }) => closes.length)).toEqual([0, 1])
    expect(c.accepted.map(({ closes }) => closes.length)).toEqual([1])
    const again = new ChannelProbe(await connect(network.endpoint('c'), 'host-b')).start()
    again.channel.send([Uint8Array.of(1)])
    await settle(clock)
    expect(b.accepted[2]!.messages.length).toBe(1)
  })

  it('two listeners on free ports -> different ports; one that was closed -> refuses', async () => {
    const onChannel = (): void => {}
    const first = await network.listen({ host: 'h', port: 0, onChannel })
    const second = await network.listen({ host: 'h', port: 0, onChannel })
    expect(first.port).not.toBe(second.port)
    await first.close()
    const refused = network.connect(`ws://h:${first.port}`, OPTIONS)
    refused.catch(() => {})
    await settle(clock)
    await expect(refused).rejects.toThrow('connection refused')
  })

  it('close: the other end was never started -> ends after CLOSE_TIMEOUT_MS all the same', async () => {
    const { accepted, listener } = await listen('b', 'host-b')
    await connect(network.endpoint('a'), 'host-b')
    let isClosed = false
    const closing = listener.close().then(() => {
      isClosed = true
    })
    await settle(clock)
    expect([isClosed, accepted[0]!.closes.length]).toEqual([false, 0])
    clock.advance(CLOSE_TIMEOUT_MS)
    await closing
    expect(accepted[0]!.closes.map(({ code }) => code)).toEqual([1006])
    expect(clock.pendingTimers).toBe(0)
  })

  it('ends that answer each other for ever -> let pending I/O of others come in between', async () => {
    const { accepted } = await listen('b', 'host-b')
    const dialer = new ChannelProbe(await connect(network.endpoint('a'), 'host-b')).start()
    for (const probe of [dialer, accepted[0]!]) probe.onMessage = (bytes) => probe.channel.send([bytes])
    dialer.channel.send([Uint8Array.of(1)])
    let turns = 0
    const other = (): void => {
      turns++
      clock.afterPendingIo(other)
    }
    other()
    await settle(clock)
    expect(turns).toBeGreaterThan(10)
    expect(Math.abs(turns - dialer.messages.length - accepted[0]!.messages.length)).toBeLessThanOrEqual(2)
  })
})
