import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import {
  FRAGMENTS_MAX,
  HELLO_TIMEOUT_MS,
  MESSAGE_MAX_BYTES,
  MESSAGE_UNAUTHENTICATED_MAX_BYTES,
} from '../../../src/model/limits.ts'
import { WsListenerFactory, type WsListenerOptions } from '../../../src/net/node/ws-listener.ts'
import { WS_OPTIONS } from '../../../src/net/node/ws-options.ts'
import { WsTransport } from '../../../src/net/node/ws-transport.ts'
import { openConnection } from '../../../src/net/open-connection.ts'
import type { HttpHandler, Listener, ListenOptions } from '../../../src/net/transport.ts'
import { createNodeClock } from '../../../src/platform/node/node-clock.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { RecordingLog } from '../../../src/testing/recording-log.ts'
import { ChannelProbe } from '../../contracts/transport-contract.ts'
import { openOptions, testNode } from '../test-node.ts'
import { clientFrame, handshake, RawSocket } from './raw-socket.ts'

const FINAL_BINARY = 0x82
const clock = createNodeClock()

describe('ws listener', () => {
  let log: RecordingLog
  let listener: Listener
  let accepted: ChannelProbe[]

  const listen = async (
    options: Partial<ListenOptions> = {},
    settings: Partial<WsListenerOptions> = {},
  ): Promise<void> => {
    await listener?.close()
    accepted = []
    listener = await new WsListenerFactory({ clock, log, ...settings }).listen({
      host: '127.0.0.1',
      port: 0,
      onChannel: (channel) => accepted.push(new ChannelProbe(channel).start()),
      ...options,
    })
  }

  /** A good client gets through: the listener has not suffered. */
  const stillServes = async (): Promise<void> => {
    const raw = await RawSocket.upgraded(listener.port)
    const count = accepted.length
    raw.write(clientFrame(FINAL_BINARY, Uint8Array.of(1, 2)))
    await accepted[count - 1]!.received(1)
    expect([...accepted[count - 1]!.messages[0]!]).toEqual([1, 2])
    raw.socket.destroy()
  }

  /** The first line of what a request is answered, once the socket is closed. */
  const statusOf = async (request: string): Promise<string> => {
    const raw = await RawSocket.open(listener.port)
    raw.write(request)
    await raw.until(() => raw.text.includes('\r\n\r\n'))
    const line = raw.text.slice(0, raw.text.indexOf('\r\n'))
    if (!line.includes('101')) await raw.closed()
    raw.socket.destroy()
    return line
  }

  beforeEach(async () => {
    log = new RecordingLog()
    await listen()
  })

  afterEach(() => listener.close())

  it('SEC-01: what ws is told, and the version that is installed', () => {
    expect(WS_OPTIONS).toEqual({
      perMessageDeflate: false,
      maxPayload: MESSAGE_MAX_BYTES,
      maxFragments: 64,
      maxBufferedChunks: 18_000,
      skipUTF8Validation: true,
      closeTimeout: 2_000,
    })
    const { version } = JSON.parse(readFileSync('node_modules/ws/package.json', 'utf8')) as {
      version: string
    }
    const [major, minor] = version.split('.').map(Number) as [number, number]
    expect(major * 1_000 + minor).toBeGreaterThanOrEqual(8_023)
  })

  it('SEC-01: before the hello a message may have 64 KiB -> the rest of a larger one is not even received', async () => {
    const node = testNode({ clock, nodeId: 1 })
    await listen({ onChannel: node.onChannel })
    const raw = await RawSocket.upgraded(listener.port)
    const huge = clientFrame(FINAL_BINARY, new Uint8Array(8 * 1024 * 1024))
    // All but its last byte, so that it never becomes a message.
    raw.write(huge.subarray(0, -1))
    expect(await raw.closeCode()).toBe(4_005)
    expect(raw.text).toContain(`at most ${MESSAGE_UNAUTHENTICATED_MAX_BYTES} are allowed here`)
    expect(node.connections.map(({ session }) => session)).toEqual(['new'])
    // Far less than what was sent was taken; the kernel's buffers hold the rest.
    await raw.closed()
    const { connection } = await openConnection(
      openOptions({ clock, transport: new WsTransport(clock), url: `ws://127.0.0.1:${listener.port}` }),
    )
    connection.close()
    await connection.closed
  })

  it('SEC-02: more than FRAGMENTS_MAX fragments of a byte -> closed', async () => {
    const raw = await RawSocket.upgraded(listener.port)
    raw.write(clientFrame(0x02, Uint8Array.of(0)))
    for (let i = 0; i < FRAGMENTS_MAX; i++) raw.write(clientFrame(0x00, Uint8Array.of(0)))
    expect(await raw.closeCode()).toBe(1_008)
    await raw.closed()
    expect(accepted[0]!.messages).toEqual([])
    await stillServes()
  })

  it('SEC-02: FRAGMENTS_MAX fragments -> one message', async () => {
    const raw = await RawSocket.upgraded(listener.port)
    raw.write(clientFrame(0x02, Uint8Array.of(0)))
    for (let i = 1; i < FRAGMENTS_MAX - 1; i++) raw.write(clientFrame(0x00, Uint8Array.of(i)))
    raw.write(clientFrame(0x80, Uint8Array.of(63)))
    await accepted[0]!.received(1)
    expect([...accepted[0]!.messages[0]!]).toEqual(Array.from({ length: FRAGMENTS_MAX }, (_, i) => i))
    raw.socket.destroy()
  })

  const unmasked = (first: number, payload: readonly number[]): Buffer =>
    Buffer.from([first, payload.length, ...payload])

  it.each<[string, Buffer, number]>([
    ['RSV1', clientFrame(0xc2, Uint8Array.of(1)), 1_002],
    ['RSV2', clientFrame(0xa2, Uint8Array.of(1)), 1_002],
    ['RSV3', clientFrame(0x92, Uint8Array.of(1)), 1_002],
    ['opcode 3', clientFrame(0x83), 1_002],
    ['opcode 7', clientFrame(0x87), 1_002],
    ['opcode 11', clientFrame(0x8b), 1_002],
    ['opcode 15', clientFrame(0x8f), 1_002],
    ['continuation without a start', clientFrame(0x80, Uint8Array.of(1)), 1_002],
    [
      'a new message inside of a fragmented one',
      Buffer.concat([clientFrame(0x02, Uint8Array.of(1)), clientFrame(FINAL_BINARY)]),
      1_002,
    ],
    ['a ping of 126 bytes', clientFrame(0x89, new Uint8Array(126)), 1_002],
    ['a fragmented ping', clientFrame(0x09, Uint8Array.of(1)), 1_002],
    ['an unmasked frame', unmasked(FINAL_BINARY, [1]), 1_002],
    ['a length with the top bit set', Buffer.from([0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0]), 1_009],
    ['a length of 2^53', Buffer.from([0x82, 0xff, 0, 0x20, 0, 0, 0, 0, 0, 0]), 1_009],
    ['a length of MESSAGE_MAX_BYTES + 1', Buffer.from([0x82, 0xff, 0, 0, 0, 0, 1, 0x80, 0, 1]), 1_009],
    ['a close frame with a body of one byte', clientFrame(0x88, Uint8Array.of(3)), 1_002],
    ['close code 1005', clientFrame(0x88, Uint8Array.of(0x03, 0xed)), 1_002],
    ['close code 1006', clientFrame(0x88, Uint8Array.of(0x03, 0xee)), 1_002],
    ['close code 999', clientFrame(0x88, Uint8Array.of(0x03, 0xe7)), 1_002],
    ['close code 5000', clientFrame(0x88, Uint8Array.of(0x13, 0x88)), 1_002],
    ['a text message', clientFrame(0x81, Buffer.from('{"type":"hello"}')), 1_003],
    ['a text message of bad UTF-8', clientFrame(0x81, Uint8Array.of(0xff, 0xfe)), 1_003],
    ['an empty text message', clientFrame(0x81), 1_003],
  ])(
    'SEC-03: %s -> closed with its code, nothing is delivered, others are served',
    async (_, bytes, code) => {
      const raw = await RawSocket.upgraded(listener.port)
      raw.write(bytes)
      expect(await raw.closeCode()).toBe(code)
      raw.write(clientFrame(FINAL_BINARY, Uint8Array.of(9)))
      raw.socket.end(clientFrame(0x88, Uint8Array.of(0x03, 0xe8)))
      await raw.closed()
      await accepted[0]!.closed()
      expect(accepted[0]!.messages).toEqual([])
      await stillServes()
    },
  )

  it('SEC-03: a message length in a longer form than needed -> is read as it is meant', async () => {
    const raw = await RawSocket.upgraded(listener.port)
    raw.write(Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 7, 8]))
    await accepted[0]!.received(1)
    expect([...accepted[0]!.messages[0]!]).toEqual([7, 8])
    raw.socket.destroy()
  })

  it.each<[string, string, RegExp]>([
    ['POST', handshake({}, 'POST / HTTP/1.1'), / 405 /],
    ['another upgrade', handshake({ Upgrade: 'h2c' }), / 400 /],
    ['no key', handshake({ 'Sec-WebSocket-Key': null }), / 400 /],
    ['a bad key', handshake({ 'Sec-WebSocket-Key': 'short' }), / 400 /],
    ['version 12', handshake({ 'Sec-WebSocket-Version': '12' }), / 400 /],
    ['no subprotocol', handshake({ 'Sec-WebSocket-Protocol': null }), / 400 /],
    ['another subprotocol', handshake({ 'Sec-WebSocket-Protocol': 'vltava.v2, mqtt' }), / 400 /],
    ['a subprotocol twice', handshake({ 'Sec-WebSocket-Protocol': 'vltava.v1, vltava.v1' }), / 400 /],
    [
      'a long subprotocol header',
      handshake({ 'Sec-WebSocket-Protocol': `vltava.v1,${' '.repeat(12_000)}` }),
      / 400 /,
    ],
    ['50 kB of spaces', handshake({ 'Sec-WebSocket-Protocol': ' '.repeat(50_000) }), / (400|431) /],
    ['a header of 20 kB', handshake({ 'X-Large': 'x'.repeat(20_000) }), / 431 /],
    ['an unknown path', handshake({}, 'GET /admin HTTP/1.1'), / 404 /],
    ['the path of the health check', handshake({}, 'GET /healthz HTTP/1.1'), / 404 /],
    ['an absolute URI', handshake({}, 'GET http://127.0.0.1/ HTTP/1.1'), / 404 /],
    ['no Host', handshake({ Host: null }), / 400 /],
    [
      'both ways to tell the length',
      handshake({ 'Content-Length': '5', 'Transfer-Encoding': 'chunked' }),
      / 400 /,
    ],
    ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n', / 400 /],
  ])('SEC-04: a handshake with %s -> is refused, others are served', async (_, request, status) => {
    expect(await statusOf(request)).toMatch(status)
    expect(accepted).toEqual([])
    await stillServes()
  })

  it('SEC-04: 2,000 headers -> do no harm; extensions named after properties -> are not negotiated', async () => {
    const many = Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`X${i}`, '']))
    expect(await statusOf(handshake(many))).toMatch(/ (101|400|431) /)
    for (const extension of ['constructor', '__proto__', 'permessage-deflate; client_max_window_bits']) {
      const raw = await RawSocket.open(listener.port)
      raw.write(handshake({ 'Sec-WebSocket-Extensions': extension }))
      await raw.until(() => raw.text.includes('\r\n\r\n'))
      expect(raw.text).toMatch(/ 101 /)
      expect(raw.text.toLowerCase()).not.toContain('sec-websocket-extensions')
      raw.socket.destroy()
    }
    await stillServes()
  })

  it('SEC-04: bytes pipelined behind the handshake -> are the first message', async () => {
    const raw = await RawSocket.open(listener.port)
    raw.write(Buffer.concat([Buffer.from(handshake()), clientFrame(FINAL_BINARY, Uint8Array.of(5))]))
    await raw.until(() => raw.text.includes('\r\n\r\n'))
    await accepted[0]!.received(1)
    expect([...accepted[0]!.messages[0]!]).toEqual([5])
    raw.socket.destroy()
  })

  it('the subprotocol among others -> is the one chosen', async () => {
    const raw = await RawSocket.open(listener.port)
    raw.write(handshake({ 'Sec-WebSocket-Protocol': 'mqtt, vltava.v1' }))
    await raw.until(() => raw.text.includes('\r\n\r\n'))
    expect(raw.text).toContain('Sec-WebSocket-Protocol: vltava.v1\r\n')
    raw.socket.destroy()
  })

  const allowedOrigins = ['https://console.example']

  it.each<[string, string, number]>([
    ['https://evil.example', '127.0.0.1:7101', 403],
    ['null', '127.0.0.1:7101', 403],
    ['file://', '127.0.0.1:7101', 403],
    ['https://console.example.evil', '127.0.0.1:7101', 403],
    ['https://evil.example/https://console.example', '127.0.0.1:7101', 403],
    ['https://console.example:8443', '127.0.0.1:7101', 403],
    ['http://console.example', '127.0.0.1:7101', 403],
    ['HTTPS://CONSOLE.EXAMPLE', '127.0.0.1:7101', 403],
    ['https://cοnsole.example', '127.0.0.1:7101', 403],
    ['http://127.0.0.1:7102', '127.0.0.1:7101', 403],
    // A name the attacker owns and points at this machine.
    ['http://rebound.evil.example:7101', 'rebound.evil.example:7101', 403],
    ['https://console.example', '127.0.0.1:7101', 101],
    ['http://127.0.0.1:7101', '127.0.0.1:7101', 101],
    ['http://localhost:7101', 'localhost:7101', 101],
    ['http://[::1]:7101', '[::1]:7101', 101],
  ])('SEC-05: a page of %s that asks %s -> %i', async (origin, host, status) => {
    await listen({ allowedOrigins })
    expect(await statusOf(handshake({ Origin: origin, Host: host }))).toContain(` ${status} `)
  })

  it('SEC-07: header bytes that drip, a request that stops half way -> closed in time, others are served', async () => {
    const raw = await RawSocket.open(listener.port)
    raw.write('GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ')
    const drip = setInterval(() => raw.write('x'), 200)
    await stillServes()
    await raw.closed()
    clearInterval(drip)
    expect(raw.text).toContain(' 408 ')
  }, 30_000)

  it('SEC-07: silence after the handshake -> closed by the hello timeout', async () => {
    const manual = new ManualClock()
    const node = testNode({ clock: manual, nodeId: 1 })
    await listen({ onChannel: node.onChannel })
    const raw = await RawSocket.upgraded(listener.port)
    manual.advance(HELLO_TIMEOUT_MS)
    expect(await raw.closeCode()).toBe(4_003)
    raw.socket.destroy()
    await node.connections[0]!.closed
  })

  it('SEC-07: an end that is dead -> aborted by the keepalive', async () => {
    const manual = new ManualClock()
    await listen({}, { clock: manual })
    const raw = await RawSocket.upgraded(listener.port)
    manual.advance(60_000)
    await accepted[0]!.closed()
    expect(accepted[0]!.closes[0]).toMatchObject({
      code: 4_007,
      reason: expect.stringContaining('no sign of life'),
    })
    await raw.closed()
    // It was pinged before, and told nothing afterwards.
    expect(raw.received[0]).toBe(0x89)
    expect(raw.text).not.toContain('sign of life')
  })

  it('SEC-09: pings -> are answered; a flood of them does not stop others', async () => {
    const raw = await RawSocket.upgraded(listener.port)
    const flood = Buffer.concat(Array.from({ length: 10_000 }, () => clientFrame(0x89, Uint8Array.of(1))))
    raw.write(flood)
    await stillServes()
    await raw.until(() => raw.received.length > 0)
    expect(raw.received[0]).toBe(0x8a)
    raw.socket.destroy()
    await accepted[0]!.closed()
  })

  it('SEC-09: a reset or a half-closed socket in each state -> ends, the listener stays', async () => {
    const handshakes = [null, handshake().slice(0, 60), handshake()]
    for (const head of handshakes) {
      for (const end of ['resetAndDestroy', 'end', 'destroy'] as const) {
        const raw = await RawSocket.open(listener.port)
        if (head !== null) raw.write(head)
        if (head === handshakes[2]) await raw.until(() => raw.text.includes('\r\n\r\n'))
        raw.socket[end]()
        await raw.closed()
      }
    }
    await stillServes()
    for (const probe of accepted.slice(0, -1)) await probe.closed()
  })

  it('SEC-39: more sockets than allowed -> are dropped, with one log line; those inside are served', async () => {
    await listen({}, { connectionsMax: 2 })
    const first = await RawSocket.upgraded(listener.port)
    const second = await RawSocket.upgraded(listener.port)
    for (let i = 0; i < 5; i++) {
      const refused = await RawSocket.open(listener.port)
      await refused.closed()
    }
    expect(log.named('connections-dropped').length).toBe(1)
    first.write(clientFrame(FINAL_BINARY, Uint8Array.of(3)))
    await accepted[0]!.received(1)
    second.socket.destroy()
    await accepted[1]!.closed()
    await stillServes()
    first.socket.destroy()
  })

  describe('http', () => {
    const handler: HttpHandler = ({ method, path }) => {
      if (path === '/healthz') return { status: 200, body: `${method} fine é\n`, contentType: 'text/plain' }
      if (path === '/readyz')
        return Promise.resolve({ status: 503, body: '{}', contentType: 'application/json' })
      if (path === '/throws') throw new Error('secret')
      if (path === '/rejects') return Promise.reject(new Error('secret'))
      return null
    }
    const get = async (path: string, init: RequestInit = {}) => {
      const response = await fetch(`http://127.0.0.1:${listener.port}${path}`, init)
      return { status: response.status, body: await response.text(), headers: response.headers }
    }

    beforeEach(() => listen({ httpHandler: handler }))

    it('paths of the handler -> its answers, also asynchronous ones; HEAD without body', async () => {
      const health = await get('/healthz?verbose=1')
      expect([health.status, health.body]).toEqual([200, 'GET fine é\n'])
      expect(health.headers.get('content-type')).toBe('text/plain')
      expect(health.headers.get('x-content-type-options')).toBe('nosniff')
      expect(await get('/readyz')).toMatchObject({ status: 503, body: '{}' })
      expect(await get('/healthz', { method: 'HEAD' })).toMatchObject({ status: 200, body: '' })
    })

    it('other paths and methods -> 404, 405, and 426 where the WebSocket is', async () => {
      expect((await get('/nothing')).status).toBe(404)
      expect((await get('/../../etc/passwd')).status).toBe(404)
      const root = await get('/')
      expect([root.status, root.body]).toEqual([426, expect.stringContaining('vltava.v1')])
      for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
        const refused = await get('/healthz', { method })
        expect([method, refused.status, refused.headers.get('allow')]).toEqual([method, 405, 'GET, HEAD'])
      }
      await listen()
      expect((await get('/healthz')).status).toBe(404)
    })

    it('SEC-37: a handler that fails -> 500 without the reason, which is logged', async () => {
      for (const path of ['/throws', '/rejects']) {
        const failed = await get(path)
        expect([failed.status, failed.body.includes('secret')]).toEqual([500, false])
      }
      expect(log.named('http-request-failed').map(({ fields }) => fields['path'])).toEqual([
        '/throws',
        '/rejects',
      ])
    })
  })

  describe('listen and close', () => {
    it('an address of another machine, a name nobody knows -> INVALID_ARGUMENT that says so', async () => {
      const factory = new WsListenerFactory({ clock, log })
      const onChannel = (): void => {}
      const foreign = factory.listen({ host: '192.0.2.1', port: 0, onChannel })
      await expect(foreign).rejects.toThrow('none of this machine')
      await expect(foreign).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    })

    it('close: a client that never answers the close frame -> is dropped after CLOSE_TIMEOUT_MS', async () => {
      const raw = await RawSocket.upgraded(listener.port)
      const idle = await RawSocket.open(listener.port)
      const half = await RawSocket.open(listener.port)
      half.write('GET /healthz HTTP/1.1\r\n')
      await listener.close()
      expect(accepted[0]!.closes.length).toBe(1)
      expect(raw.received[0]).toBe(0x88)
      await Promise.all([raw.closed(), idle.closed(), half.closed()])
    })

    it('a WebSocket of the ws library with defaults -> is served (other clients exist)', async () => {
      const ws = new WebSocket(`ws://127.0.0.1:${listener.port}`, 'vltava.v1')
      await new Promise((resolve) => ws.once('open', resolve))
      expect([ws.protocol, ws.extensions]).toEqual(['vltava.v1', ''])
      accepted[0]!.channel.send([new Uint8Array(10), new Uint8Array(100_000)])
      const data = await new Promise<Buffer>((resolve) =>
        ws.once('message', (bytes) => resolve(bytes as Buffer)),
      )
      expect(data.length).toBe(100_010)
      ws.close()
      await accepted[0]!.closed()
    })
  })
})
