import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { concatBytes } from '../../../src/base/bytes.ts'
import { silentLog } from '../../../src/base/log.ts'
import type { VltavaError } from '../../../src/model/errors.ts'
import { OUTPUT_BUFFER_MAX_BYTES } from '../../../src/model/limits.ts'
import { WsListenerFactory } from '../../../src/net/node/ws-listener.ts'
import { WsTransport } from '../../../src/net/node/ws-transport.ts'
import { openConnection } from '../../../src/net/open-connection.ts'
import type { ConnectOptions } from '../../../src/net/transport.ts'
import { createNodeClock } from '../../../src/platform/node/node-clock.ts'
import { fetch } from '../../../src/protocol/fetch.ts'
import { encodeFrame } from '../../../src/protocol/frame.ts'
import { hello } from '../../../src/protocol/hello.ts'
import type { Wire } from '../../../src/schema/schema.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { NO_SESSION, NO_SESSION_ANSWER } from '../../protocol/no-session.ts'
import { incarnationOf, openOptions, peerCredentials, testNode } from '../test-node.ts'
import { clientFrame, RawSocket } from './raw-socket.ts'

const clock = createNodeClock()
const transport = new WsTransport(clock)
const CONNECT: ConnectOptions = { timeoutMs: 20_000, isPeer: false }

describe('ws transport: what may listen at the other end', () => {
  let server: Server
  let sockets: Socket[]
  let url: string

  const serve = async (onSocket: (socket: Socket) => void): Promise<void> => {
    sockets = []
    server = createServer((socket) => {
      sockets.push(socket)
      socket.on('error', () => {})
      onSocket(socket)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  /** Answers the request with this text. */
  const answering = (text: string) => (socket: Socket) => {
    socket.once('data', () => socket.write(text))
  }

  const failureOf = async (options: Partial<ConnectOptions> = {}): Promise<VltavaError> => {
    const outcome = await transport.connect(url, { ...CONNECT, ...options }).then(
      () => 'connected',
      (error: unknown) => error,
    )
    expect(outcome).toMatchObject({ name: 'VltavaError', code: 'CONNECTION_FAILED', definite: true })
    return outcome as VltavaError
  }

  /** What failed leaves no socket behind. */
  const allGone = async (): Promise<void> => {
    for (const socket of sockets) {
      if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve))
    }
  }

  afterEach(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })

  it.each<[string, string, string]>([
    [
      'HTTP 200',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi',
      'answered HTTP 200 instead of opening a WebSocket',
    ],
    ['HTTP 404', 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n', 'answered HTTP 404'],
    ['HTTP 400', 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n', 'answered HTTP 400'],
    ['HTTP 426', 'HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n', 'answered HTTP 426'],
    [
      'a redirect',
      'HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n',
      'answered HTTP 302',
    ],
    ['garbage', 'SSH-2.0-OpenSSH_9.2\r\n', 'does not speak HTTP'],
    ['a TLS record', '\x15\x03\x01\x00\x02\x02\x46', 'does not speak HTTP'],
    [
      'a handshake with the wrong key',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n',
      'Invalid Sec-WebSocket-Accept header',
    ],
  ])('%s -> CONNECTION_FAILED that says so', async (_, answer, message) => {
    await serve(answering(answer))
    expect((await failureOf()).message).toContain(message)
    await allGone()
  })

  it('a close before an answer -> CONNECTION_FAILED', async () => {
    await serve((socket) => socket.once('data', () => socket.destroy()))
    expect((await failureOf()).message).toContain(url)
  })

  it('silence -> CONNECTION_FAILED when the time is over, however slowly bytes drip in', async () => {
    const manual = new ManualClock()
    await serve((socket) => {
      socket.on('data', () => socket.write('HTTP/1.1 '))
    })
    const outcome = new WsTransport(manual)
      .connect(url, { ...CONNECT, timeoutMs: 700 })
      .catch((error: unknown) => error)
    manual.advance(699)
    for (const socket of sockets) socket.write('1')
    manual.advance(1)
    expect(await outcome).toMatchObject({
      code: 'CONNECTION_FAILED',
      message: expect.stringContaining('within 700 ms'),
    })
    await allGone()
  })

  it('a WebSocket server of something else -> refused for the lack of the subprotocol', async () => {
    await serve(() => {})
    server.close()
    const http = createHttpServer()
    const wss = new WebSocketServer({ server: http, handleProtocols: () => false })
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}`
    expect((await failureOf()).message).toContain('Server sent no subprotocol')
    wss.close()
    http.close()
  })

  it('given up while it waits -> CONNECTION_FAILED, the socket is gone', async () => {
    const giveUp = new AbortController()
    await serve((socket) => socket.once('data', () => giveUp.abort()))
    expect((await failureOf({ signal: giveUp.signal })).message).toContain('gave up')
    await allGone()
  })

  it('a name nobody knows -> CONNECTION_FAILED', async () => {
    await serve(() => {})
    url = 'ws://no-such-host.invalid:7101'
    expect((await failureOf()).message).toMatch(/host name is not known|EAI_AGAIN/)
  })
})

describe('ws transport: masks', () => {
  it.each([
    // 0.0.0.0 reaches this machine, but is no loopback address.
    { who: 'a client', host: '0.0.0.0', isPeer: false, isZero: false },
    { who: 'a client on loopback', host: '127.0.0.1', isPeer: false, isZero: true },
    { who: 'a client on loopback by name', host: 'localhost', isPeer: false, isZero: true },
    { who: 'a peer', host: '0.0.0.0', isPeer: true, isZero: true },
  ])('$who at $host -> one frame; a masking key of zeros: $isZero', async ({ host, isPeer, isZero }) => {
    let received = Buffer.alloc(0)
    const http = createHttpServer()
    const wss = new WebSocketServer({ noServer: true, handleProtocols: () => 'vltava.v1' })
    http.on('upgrade', (request, socket, head) => {
      wss.handleUpgrade(request, socket, head, () => {
        // Before ws, which takes the mask off in place.
        request.socket.prependListener('data', (chunk: Buffer) => {
          received = Buffer.concat([received, chunk])
        })
      })
    })
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
    const url = `ws://${host}:${(http.address() as AddressInfo).port}`
    const channel = await transport.connect(url, { ...CONNECT, isPeer })
    channel.start({ onMessage: () => {}, onClose: () => {} })
    channel.send([Uint8Array.of(1, 2), Uint8Array.of(3)])
    while (received.length < 9) await new Promise((resolve) => setImmediate(resolve))
    expect([...received.subarray(0, 2)]).toEqual([0x82, 0x83])
    const key = received.subarray(2, 6)
    expect(key.equals(new Uint8Array(4))).toBe(isZero)
    expect([...received.subarray(6)].map((byte, i) => byte ^ key[i]!)).toEqual([1, 2, 3])
    channel.abort()
    http.closeAllConnections()
    http.close()
  })
})

describe('connections over ws', () => {
  let node: ReturnType<typeof testNode>
  let close: () => Promise<void>
  let url: string

  beforeEach(async () => {
    node = testNode({ clock, nodeId: 1 })
    const listener = await new WsListenerFactory({ clock, log: silentLog }).listen({
      host: '127.0.0.1',
      port: 0,
      onChannel: node.onChannel,
    })
    url = `ws://127.0.0.1:${listener.port}`
    close = () => listener.close()
  })

  afterEach(() => close())

  it('a peer and its handshake, requests with large payloads in both directions, close', async () => {
    const payload = new Uint8Array(3_000_000).fill(7)
    node.router.handle(fetch, ({ body, connection }) => {
      expect(connection.identity).toEqual({ nodeId: 7, incarnationId: incarnationOf(7) })
      return {
        body: {
          ...NO_SESSION_ANSWER,
          partitions: [
            {
              error: null,
              highWatermark: body.maxBytes,
              logStartOffset: 0,
              batchesBytes: 1,
              diverging: null,
            },
          ],
        },
        payload: [payload],
      }
    })
    const { connection } = await openConnection(
      openOptions({ clock, transport, url }, { asPeer: peerCredentials(), timeoutMs: 20_000 }),
    )
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        connection.request(
          fetch,
          { ...NO_SESSION, maxWaitMs: 0, minBytes: 0, maxBytes: i + 1, partitions: [] },
          { timeoutMs: 20_000 },
        ),
      ),
    )
    expect(answers.map(({ body }) => body.partitions[0]!.highWatermark)).toEqual(
      Array.from({ length: 20 }, (_, i) => i + 1),
    )
    expect(answers.every((answer) => Buffer.compare(answer.payload, payload) === 0)).toBe(true)
    connection.close()
    expect((await connection.closed).code).toBe(1_000)
    expect((await node.connections[0]!.closed).code).toBe(1_000)
  })

  it('a node that stops -> requests under way fail with its close reason', async () => {
    node.router.handle(fetch, () => new Promise(() => {}))
    const { connection } = await openConnection(openOptions({ clock, transport, url }, { timeoutMs: 20_000 }))
    const answer = connection.request(
      fetch,
      { ...NO_SESSION, maxWaitMs: 0, minBytes: 0, maxBytes: 1, partitions: [] },
      { timeoutMs: 20_000 },
    )
    const failed = expect(answer).rejects.toThrow('code 4000: The node is stopping.')
    await close()
    await failed
  })

  it('SEC-08: a client that asks for much and never reads -> is cut off; others are served meanwhile', async () => {
    const payload = new Uint8Array(8 * 1024 * 1024)
    node.router.handle(fetch, () => ({ body: { ...NO_SESSION_ANSWER, partitions: [] }, payload: [payload] }))
    const frame = (apiKey: number, body: Wire): Buffer => {
      const parts = encodeFrame({ kind: 0, apiKey, apiVersion: 0, correlationId: 1, errorCode: 0, body })
      return clientFrame(0x82, concatBytes(parts))
    }
    const raw = await RawSocket.upgraded(Number(new URL(url).port))
    raw.socket.pause()
    raw.write(frame(hello.key, ['x', null, null]))
    const responses = OUTPUT_BUFFER_MAX_BYTES / payload.length + 4
    for (let i = 0; i < responses; i++) raw.write(frame(fetch.key, [0, 0, 1, []]))
    const { connection } = await openConnection(openOptions({ clock, transport, url }, { timeoutMs: 20_000 }))
    const body = { ...NO_SESSION, maxWaitMs: 0, minBytes: 0, maxBytes: 1, partitions: [] }
    const answer = await connection.request(fetch, body, { timeoutMs: 20_000 })
    expect(answer.payload.length).toBe(payload.length)
    const { code, reason } = await node.connections[0]!.closed
    expect([code, reason]).toEqual([4_006, expect.stringContaining('does not read')])
    raw.socket.resume()
    await raw.closed()
    connection.close()
    await connection.closed
  })
})
