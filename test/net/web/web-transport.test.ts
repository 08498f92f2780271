import { beforeEach, describe, expect, it } from 'vitest'
import { CLOSE_TIMEOUT_MS } from '../../../src/model/limits.ts'
import type { Channel } from '../../../src/net/transport.ts'
import { type BrowserWebSocket, WebTransport } from '../../../src/net/web/web-transport.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { ChannelProbe } from '../../contracts/transport-contract.ts'

const OPTIONS = { timeoutMs: 1_000, isPeer: false }

/** A browser's WebSocket whose network is the test. */
class FakeWebSocket implements BrowserWebSocket {
  readonly url: string
  readonly protocol: string
  binaryType = 'blob'
  bufferedAmount = 0
  readyState = 0
  onopen: BrowserWebSocket['onopen'] = null
  onmessage: BrowserWebSocket['onmessage'] = null
  onerror: BrowserWebSocket['onerror'] = null
  onclose: BrowserWebSocket['onclose'] = null
  readonly sent: Uint8Array[] = []
  readonly closes: unknown[][] = []

  constructor(url: string, protocol: string) {
    this.url = url
    this.protocol = protocol
    made.push(this)
  }

  send(data: Uint8Array): void {
    this.sent.push(data)
  }

  close(...args: unknown[]): void {
    this.closes.push(args)
    this.readyState = 2
  }

  open(): void {
    this.readyState = 1
    this.onopen?.(undefined as never)
  }

  deliver(...bytes: number[]): void {
    this.onmessage?.({ data: Uint8Array.from(bytes).buffer })
  }
}

let made: FakeWebSocket[] = []

describe('web transport', () => {
  let clock: ManualClock
  let transport: WebTransport

  beforeEach(() => {
    made = []
    clock = new ManualClock()
    transport = new WebTransport({ clock, WebSocket: FakeWebSocket })
  })

  const connect = async (): Promise<{ ws: FakeWebSocket; channel: Channel }> => {
    const connecting = transport.connect('wss://broker.example:7101', OPTIONS)
    const ws = made[0]!
    ws.open()
    return { ws, channel: await connecting }
  }

  it('connect -> the subprotocol and array buffers are asked for; no timer is left', async () => {
    const { ws, channel } = await connect()
    expect([ws.url, ws.protocol, ws.binaryType]).toEqual([
      'wss://broker.example:7101',
      'vltava.v1',
      'arraybuffer',
    ])
    expect([channel.remoteAddress, clock.pendingTimers]).toEqual(['broker.example:7101', 0])
  })

  it('connect: refused, or nothing in time -> CONNECTION_FAILED, the socket is closed', async () => {
    const refused = transport.connect('ws://a:1', OPTIONS)
    made[0]!.onclose?.({ code: 1006, reason: '' })
    await expect(refused).rejects.toThrow('the browser does not tell why')
    const slow = transport.connect('ws://a:1', OPTIONS)
    clock.advance(1_000)
    await expect(slow).rejects.toThrow('within 1000 ms')
    expect(made.map(({ closes }) => closes.length)).toEqual([1, 1])
  })

  it('messages and a close before start -> wait for it, in order', async () => {
    const { ws, channel } = await connect()
    ws.deliver(1)
    ws.deliver(2)
    const probe = new ChannelProbe(channel).start()
    ws.deliver(3)
    ws.onclose?.({ code: 4000, reason: 'bye' })
    expect([probe.messages, probe.closes]).toEqual([[], []])
    clock.runPending()
    expect(probe.messages.map(([byte]) => byte)).toEqual([1, 2, 3])
    expect(probe.closes).toEqual([{ code: 4000, reason: 'bye' }])
  })

  it('a buffer above the threshold -> is asked until it is empty', async () => {
    const { ws, channel } = await connect()
    const probe = new ChannelProbe(channel).start()
    clock.runPending()
    channel.send([Uint8Array.of(1)])
    clock.advance(1_000)
    expect(probe.drains).toEqual([])
    ws.bufferedAmount = 100_000
    channel.send([Uint8Array.of(1), Uint8Array.of(2)])
    expect(ws.sent.map((bytes) => [...bytes])).toEqual([[1], [1, 2]])
    clock.advance(1_000)
    expect(probe.drains).toEqual([])
    ws.bufferedAmount = 0
    clock.advance(10)
    expect([probe.drains, clock.pendingTimers]).toEqual([[0], 0])
  })

  it('close: the other side never answers -> gone after CLOSE_TIMEOUT_MS', async () => {
    const { ws, channel } = await connect()
    const probe = new ChannelProbe(channel).start()
    channel.close(4001, 'why')
    expect(ws.closes).toEqual([[4001, 'why']])
    clock.advance(CLOSE_TIMEOUT_MS)
    expect(probe.closes).toEqual([{ code: 1006, reason: '' }])
    ws.onclose?.({ code: 1000, reason: '' })
    expect([probe.closes.length, clock.pendingTimers]).toEqual([1, 0])
  })

  it('a text message -> closes with a code that a browser may send', async () => {
    const { ws, channel } = await connect()
    const probe = new ChannelProbe(channel).start()
    clock.runPending()
    ws.onmessage?.({ data: '{}' })
    ws.deliver(1)
    expect([probe.messages, ws.closes.map(([code]) => code)]).toEqual([[], [4001]])
  })
})
