// What net/transport.ts promises, run against every transport.
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { equalBytes } from '../../src/base/bytes.ts'
import { MESSAGE_MAX_BYTES } from '../../src/model/limits.ts'
import { CLOSE_CODES } from '../../src/net/close-codes.ts'
import type {
  Channel,
  CloseReason,
  ConnectOptions,
  Listener,
  ListenerFactory,
  Transport,
} from '../../src/net/transport.ts'
import { DRAIN_THRESHOLD_BYTES } from '../../src/net/transport.ts'

export interface TransportUnderTest {
  readonly name: string
  readonly create: () => { readonly transport: Transport; readonly listeners: ListenerFactory }
  /** What the other end sees of an abort; a browser can do no better than a close frame without a code. */
  readonly abortCode: number
}

/** One end of a channel with all that happened to it. */
export class ChannelProbe {
  readonly channel: Channel
  readonly messages: Uint8Array[] = []
  readonly drains: number[] = []
  readonly closes: CloseReason[] = []
  readonly #waits = new Set<{ readonly isMet: () => boolean; readonly resolve: () => void }>()
  onMessage: (bytes: Uint8Array) => void = () => {}

  constructor(channel: Channel) {
    this.channel = channel
  }

  start(): this {
    this.channel.start({
      onMessage: (bytes) => {
        this.messages.push(bytes)
        this.onMessage(bytes)
        this.#check()
      },
      onDrain: () => {
        this.drains.push(this.channel.bufferedBytes)
        this.#check()
      },
      onClose: (reason) => {
        this.closes.push(reason)
        this.#check()
      },
    })
    return this
  }

  received(count: number): Promise<void> {
    return this.until(() => this.messages.length >= count)
  }

  closed(): Promise<void> {
    return this.until(() => this.closes.length > 0)
  }

  until(isMet: () => boolean): Promise<void> {
    if (isMet()) return Promise.resolve()
    return new Promise((resolve) => this.#waits.add({ isMet, resolve }))
  }

  #check(): void {
    for (const wait of [...this.#waits]) {
      if (!wait.isMet()) continue
      this.#waits.delete(wait)
      wait.resolve()
    }
  }
}

const HOST = '127.0.0.1'
const CONNECT: ConnectOptions = { timeoutMs: 10_000, isPeer: false }

export function describeTransportContract(subject: TransportUnderTest): void {
  describe(`transport contract: ${subject.name}`, () => {
    let transport: Transport
    let listeners: ListenerFactory
    let listener: Listener
    let accepted: ChannelProbe[]
    let onAccepted: (probe: ChannelProbe) => void

    beforeEach(async () => {
      ;({ transport, listeners } = subject.create())
      accepted = []
      onAccepted = () => {}
      listener = await listeners.listen({
        host: HOST,
        port: 0,
        onChannel(channel) {
          const probe = new ChannelProbe(channel)
          accepted.push(probe)
          onAccepted(probe)
          probe.start()
        },
      })
    })

    afterEach(() => listener.close())

    const url = (): string => `ws://${HOST}:${listener.port}`

    /** Both ends of a new channel, started. The accepting end is known once a first message has come through. */
    const open = async (
      options: ConnectOptions = CONNECT,
    ): Promise<{ dialer: ChannelProbe; acceptor: ChannelProbe }> => {
      const before = accepted.length
      const dialer = new ChannelProbe(await transport.connect(url(), options)).start()
      dialer.channel.send([Uint8Array.of(0)])
      const arrived = new Promise<ChannelProbe>((resolve) => {
        const known = accepted[before]
        if (known !== undefined) resolve(known)
        else onAccepted = resolve
      })
      const acceptor = await arrived
      await acceptor.received(1)
      acceptor.messages.length = 0
      return { dialer, acceptor }
    }

    for (const isPeer of [false, true]) {
      it(`messages: sent in both directions (isPeer ${isPeer}) -> arrive whole and in order`, async () => {
        const { dialer, acceptor } = await open({ ...CONNECT, isPeer })
        const sizes = [0, 1, 125, 126, 4_096, 4_097, 65_535, 65_536, 1_048_576]
        for (const [from, to] of [
          [dialer, acceptor],
          [acceptor, dialer],
        ] as const) {
          for (const size of sizes) from.channel.send([patterned(size)])
          await to.received(sizes.length)
          expect(to.messages.map((message) => message.length)).toEqual(sizes)
          expect(to.messages.every((message) => equalBytes(message, patterned(message.length)))).toBe(true)
        }
      })

      it(`parts: of any sizes (isPeer ${isPeer}) -> one message that joins them`, async () => {
        const { dialer, acceptor } = await open({ ...CONNECT, isPeer })
        const cases = [[], [0], [3, 4], [40, 5_000], [5_000, 40], [0, 70_000, 0, 1], [70_000, 70_000, 3]]
        for (const [from, to] of [
          [dialer, acceptor],
          [acceptor, dialer],
        ] as const) {
          for (const sizes of cases) from.channel.send(split(sizes))
          await to.received(cases.length)
          for (const [i, sizes] of cases.entries()) {
            const length = sizes.reduce((sum, size) => sum + size, 0)
            expect(equalBytes(to.messages[i]!, patterned(length)), `case ${i}`).toBe(true)
          }
        }
      })
    }

    it('large messages: several MiB each way at once -> all arrive whole', async () => {
      const { dialer, acceptor } = await open()
      const big = patterned(6 * 1024 * 1024 + 7)
      for (let i = 0; i < 3; i++) {
        dialer.channel.send([big.subarray(0, 40), big.subarray(40)])
        acceptor.channel.send([big.subarray(0, 40), big.subarray(40)])
      }
      await Promise.all([dialer.received(3), acceptor.received(3)])
      for (const message of [...dialer.messages, ...acceptor.messages]) {
        expect(equalBytes(message, big)).toBe(true)
      }
    })

    it('limit: a message of exactly MESSAGE_MAX_BYTES -> arrives', async () => {
      const { dialer, acceptor } = await open()
      dialer.channel.send([new Uint8Array(MESSAGE_MAX_BYTES)])
      await acceptor.received(1)
      expect(acceptor.messages[0]!.length).toBe(MESSAGE_MAX_BYTES)
    })

    it('turns: a message -> is never delivered in the turn of its sender', async () => {
      const { dialer, acceptor } = await open()
      dialer.channel.send([Uint8Array.of(1)])
      expect(acceptor.messages).toEqual([])
      await acceptor.received(1)
    })

    it('ownership: what was received -> shares no memory with what was sent', async () => {
      const { dialer, acceptor } = await open()
      const sent = patterned(100)
      dialer.channel.send([sent])
      await acceptor.received(1)
      sent.fill(0)
      expect(equalBytes(acceptor.messages[0]!, patterned(100))).toBe(true)
    })

    it('start: messages that came earlier -> wait for it', async () => {
      onAccepted = (probe) => {
        for (let i = 0; i < 3; i++) probe.channel.send([Uint8Array.of(i)])
      }
      const channel = await transport.connect(url(), CONNECT)
      // A round trip on a second channel: by now the messages of the first are there as well.
      await open()
      const dialer = new ChannelProbe(channel).start()
      await dialer.received(3)
      expect(dialer.messages.map((message) => message[0])).toEqual([0, 1, 2])
    })

    it('back pressure: more than the other end takes at once -> bufferedBytes tells, onDrain follows at 0', async () => {
      const { dialer, acceptor } = await open()
      expect(dialer.channel.bufferedBytes).toBe(0)
      const big = new Uint8Array(8 * 1024 * 1024)
      dialer.channel.send([big])
      expect(dialer.channel.bufferedBytes).toBeGreaterThan(DRAIN_THRESHOLD_BYTES)
      await Promise.all([acceptor.received(1), dialer.until(() => dialer.drains.length > 0)])
      expect(dialer.drains[0]).toBe(0)
      expect(dialer.channel.bufferedBytes).toBe(0)
    })

    it('close: after messages -> they arrive first, then code and reason, on both sides', async () => {
      const { dialer, acceptor } = await open()
      for (let i = 0; i < 5; i++) dialer.channel.send([patterned(100_000)])
      dialer.channel.close(CLOSE_CODES.HELLO_TIMEOUT.code, 'too late')
      expect(dialer.closes).toEqual([])
      await Promise.all([dialer.closed(), acceptor.closed()])
      expect(acceptor.messages.length).toBe(5)
      expect(acceptor.closes).toEqual([{ code: 4003, reason: 'too late' }])
      expect(dialer.closes.map(({ code }) => code)).toEqual([4003])
    })

    it('close: by the accepting end -> reaches the dialer with code and reason', async () => {
      const { dialer, acceptor } = await open()
      acceptor.channel.close(CLOSE_CODES.SHUTTING_DOWN.code, 'bye')
      await Promise.all([dialer.closed(), acceptor.closed()])
      expect(dialer.closes).toEqual([{ code: 4000, reason: 'bye' }])
    })

    it('close: a long reason with other characters -> is cut and made ASCII', async () => {
      const { dialer, acceptor } = await open()
      dialer.channel.close(1000, `${'é'.repeat(10)}${'x'.repeat(200)}`)
      await acceptor.closed()
      expect(acceptor.closes).toEqual([{ code: 1000, reason: `${'?'.repeat(10)}${'x'.repeat(113)}` }])
    })

    it('close: what still comes in afterwards -> is not delivered here', async () => {
      const { dialer, acceptor } = await open()
      acceptor.onMessage = () => {
        for (let i = 0; i < 10; i++) acceptor.channel.send([patterned(1_000)])
      }
      dialer.channel.send([Uint8Array.of(1)])
      dialer.channel.close(1000, '')
      await Promise.all([dialer.closed(), acceptor.closed()])
      expect(dialer.messages).toEqual([])
    })

    it('close: send and close afterwards -> do nothing; onClose comes once', async () => {
      const { dialer, acceptor } = await open()
      dialer.channel.close(1000, 'first')
      dialer.channel.send([Uint8Array.of(1)])
      dialer.channel.close(4001, 'second')
      await Promise.all([dialer.closed(), acceptor.closed()])
      dialer.channel.send([Uint8Array.of(2)])
      dialer.channel.abort()
      await open()
      expect(acceptor.messages).toEqual([])
      expect(acceptor.closes).toEqual([{ code: 1000, reason: 'first' }])
      expect(dialer.closes.length).toBe(1)
    })

    it('close: by both ends at once -> both end', async () => {
      const { dialer, acceptor } = await open()
      dialer.channel.close(1000, 'a')
      acceptor.channel.close(4000, 'b')
      await Promise.all([dialer.closed(), acceptor.closed()])
      expect([dialer.closes.length, acceptor.closes.length]).toEqual([1, 1])
    })

    it('abort: by the dialer -> the other end sees an abnormal end, this one its own reason', async () => {
      const { dialer, acceptor } = await open()
      dialer.channel.abort({ code: 4006, reason: 'why' })
      expect(dialer.closes).toEqual([])
      await Promise.all([dialer.closed(), acceptor.closed()])
      expect(dialer.closes.map(({ code, reason }) => ({ code, reason }))).toEqual([
        { code: 4006, reason: 'why' },
      ])
      expect(acceptor.closes.map(({ code }) => code)).toEqual([subject.abortCode])
    })

    it('abort: by the accepting end while much is on its way -> both end', async () => {
      const { dialer, acceptor } = await open()
      dialer.channel.send([new Uint8Array(4 * 1024 * 1024)])
      acceptor.channel.send([new Uint8Array(4 * 1024 * 1024)])
      acceptor.channel.abort()
      await Promise.all([dialer.closed(), acceptor.closed()])
      expect(dialer.closes.map(({ code }) => code)).toEqual([1006])
      expect(acceptor.closes.map(({ code }) => code)).toEqual([1006])
    })

    it('abort: inside of onMessage -> nothing more is delivered', async () => {
      const { dialer, acceptor } = await open()
      acceptor.onMessage = () => acceptor.channel.abort()
      for (let i = 0; i < 5; i++) dialer.channel.send([Uint8Array.of(i)])
      await Promise.all([dialer.closed(), acceptor.closed()])
      expect(acceptor.messages.length).toBe(1)
    })

    it('limitMessages: a larger message -> is not delivered; MESSAGE_TOO_LARGE', async () => {
      const { dialer, acceptor } = await open()
      acceptor.channel.limitMessages(1_000)
      dialer.channel.send([new Uint8Array(1_000)])
      dialer.channel.send([new Uint8Array(1_001)])
      dialer.channel.send([new Uint8Array(1)])
      await dialer.closed()
      expect(acceptor.messages.map(({ length }) => length)).toEqual([1_000])
      expect(dialer.closes[0]!.code).toBe(4005)
    })

    it('limitMessages: raised again -> larger messages arrive', async () => {
      const { dialer, acceptor } = await open()
      acceptor.channel.limitMessages(1_000)
      acceptor.channel.limitMessages(MESSAGE_MAX_BYTES)
      dialer.channel.send([new Uint8Array(2_000_000)])
      await acceptor.received(1)
    })

    it('connect: where nothing listens -> CONNECTION_FAILED', async () => {
      const address = url()
      await listener.close()
      await expect(transport.connect(address, CONNECT)).rejects.toMatchObject({
        code: 'CONNECTION_FAILED',
        definite: true,
      })
    })

    it('connect: an address that is none -> INVALID_ARGUMENT that says what one looks like', async () => {
      for (const bad of ['', 'localhost:7101', 'http://127.0.0.1:1', 'ws://u:p@127.0.0.1:1', 'ws://a b']) {
        const attempt = transport.connect(bad, CONNECT)
        await expect(attempt, bad).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
        await expect(attempt, bad).rejects.toThrow('ws://host:port')
      }
    })

    it('connect: given up before or while it runs -> CONNECTION_FAILED at once', async () => {
      const early = new AbortController()
      early.abort()
      const before = transport.connect(url(), { ...CONNECT, signal: early.signal })
      await expect(before).rejects.toMatchObject({ code: 'CONNECTION_FAILED' })
      const late = new AbortController()
      const during = transport.connect(url(), { ...CONNECT, signal: late.signal })
      late.abort()
      await expect(during).rejects.toMatchObject({ code: 'CONNECTION_FAILED' })
      // Aborting later has no effect on a channel that was made.
      const after = new AbortController()
      const { dialer, acceptor } = await open({ ...CONNECT, signal: after.signal })
      after.abort()
      dialer.channel.send([Uint8Array.of(1)])
      await acceptor.received(1)
    })

    it('listen: on a port in use -> INVALID_ARGUMENT that names port and host', async () => {
      const again = listeners.listen({ host: HOST, port: listener.port, onChannel: () => {} })
      await expect(again).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
      await expect(again).rejects.toThrow(`port ${listener.port} on ${HOST} is in use`)
    })

    it('listener close: with open channels -> they end with SHUTTING_DOWN, the port is free again', async () => {
      const first = await open()
      const second = await open()
      const { port } = listener
      await listener.close()
      await listener.close()
      for (const probe of [first.acceptor, second.acceptor]) expect(probe.closes.length).toBe(1)
      await Promise.all([first.dialer.closed(), second.dialer.closed()])
      expect(first.dialer.closes[0]!.code).toBe(CLOSE_CODES.SHUTTING_DOWN.code)
      listener = await listeners.listen({ host: HOST, port, onChannel: () => {} })
      expect(listener.port).toBe(port)
    })
  })
}

export function patterned(length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >>> 8)) & 0xff
  return bytes
}

/** A pattern cut into parts of these sizes. */
function split(sizes: readonly number[]): Uint8Array[] {
  const whole = patterned(sizes.reduce((sum, size) => sum + size, 0))
  let position = 0
  return sizes.map((size) => {
    position += size
    return whole.subarray(position - size, position)
  })
}
