import { beforeEach, describe, expect, it } from 'vitest'
import { concatBytes, equalBytes } from '../../src/base/bytes.ts'
import { seededRandom } from '../../src/base/random.ts'
import { ERRORS } from '../../src/model/error-codes.ts'
import { VltavaError } from '../../src/model/errors.ts'
import { HEADER_MAX_BYTES, HELLO_TIMEOUT_MS } from '../../src/model/limits.ts'
import { MemoryNetwork } from '../../src/net/memory-transport.ts'
import {
  type OpenedConnection,
  type OpenOptions,
  openConnection,
  type PeerCredentials,
} from '../../src/net/open-connection.ts'
import { type Prover, proofOf } from '../../src/net/peer-proof.ts'
import { Router } from '../../src/net/router.ts'
import type { Channel, Listener } from '../../src/net/transport.ts'
import type { RequestOf } from '../../src/protocol/api.ts'
import { APIS } from '../../src/protocol/api-table.ts'
import { metadataChanged } from '../../src/protocol/cluster-metadata.ts'
import { decodeRequestBody, decodeResponseBody, encodeBody, pack } from '../../src/protocol/codec.ts'
import { decodeFrame, encodeFrame } from '../../src/protocol/frame.ts'
import { authenticate, hello } from '../../src/protocol/hello.ts'
import { findController } from '../../src/protocol/quorum.ts'
import { highWatermarkNote } from '../../src/protocol/replica-fetch.ts'
import type { Wire } from '../../src/schema/schema.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { RecordingLog } from '../../src/testing/recording-log.ts'
import { FakeChannel } from './fake-channel.ts'
import { settle } from './settle.ts'
import {
  CLUSTER,
  incarnationOf,
  mac,
  OTHER_CLUSTER,
  OTHER_SECRET,
  openOptions,
  peerCredentials,
  SECRET,
  testNode,
} from './test-node.ts'

const URL_1 = 'ws://node-1:7101'

describe('handshake', () => {
  let clock: ManualClock
  let network: MemoryNetwork

  beforeEach(() => {
    clock = new ManualClock()
    network = new MemoryNetwork(clock)
  })

  const listen = (onChannel: (channel: Channel) => void): Promise<Listener> =>
    network.listen({ host: 'node-1', port: 7101, onChannel })

  const startNode = async (options: Partial<Parameters<typeof testNode>[0]> = {}) => {
    const node = testNode({ clock, nodeId: 1, ...options })
    await listen(node.onChannel)
    return node
  }

  /** Opens a connection to node 1, and lets time pass if that is needed to find out how it ends. */
  const open = async (changes: Partial<OpenOptions> = {}, waitMs = 0): Promise<OpenedConnection> => {
    const opening = openConnection(openOptions({ clock, transport: network, url: URL_1 }, changes))
    opening.catch(() => {})
    await settle(clock)
    if (waitMs > 0) {
      clock.advance(waitMs)
      await settle(clock)
    }
    return opening
  }

  const failure = async (changes: Partial<OpenOptions> = {}, waitMs = 0): Promise<VltavaError> => {
    try {
      await open(changes, waitMs)
    } catch (error) {
      expect(error).toBeInstanceOf(VltavaError)
      return error as VltavaError
    }
    expect.fail('the connection was made')
  }

  it('a client -> is admitted as a client, and learns who answered', async () => {
    const node = await startNode()
    const { connection, server } = await open()
    expect(server).toMatchObject({
      software: 'vltava test',
      clusterId: CLUSTER,
      nodeId: 1,
      incarnationId: incarnationOf(1),
      isBroker: true,
      isController: false,
      proof: null,
    })
    expect(server.apiVersions.length).toBe(APIS.length)
    expect(node.connections.map(({ session, identity }) => [session, identity])).toEqual([['client', null]])
    expect(connection.identity).toBeNull()
  })

  it('a peer -> both sides know the proven identity of the other', async () => {
    const node = await startNode()
    const { connection } = await open({ asPeer: peerCredentials() })
    expect(node.connections[0]!.session).toBe('peer')
    expect(node.connections[0]!.identity).toEqual({ nodeId: 7, incarnationId: incarnationOf(7) })
    expect(connection.identity).toEqual({ nodeId: 1, incarnationId: incarnationOf(1) })
    node.router.handle(findController, (call) => ({
      body: { controllerId: call.connection.identity!.nodeId, term: 1 },
    }))
    const answer = connection.request(findController, {}, { timeoutMs: 100 })
    await settle(clock)
    expect((await answer).body.controllerId).toBe(7)
  })

  it('notes a node sends right behind its answers, in the same read -> find the state they need', async () => {
    const node = testNode({ clock, nodeId: 1 })
    let sent = 0
    await listen((channel) => {
      const pushing = tapped(channel, {
        afterSend: () => {
          sent++
          const [accepted] = node.connections
          if (sent === 1) accepted!.notify(metadataChanged, { metadataOffset: 5, partitions: [] })
          if (sent === 3) accepted!.notify(highWatermarkNote, { partitions: [] })
        },
      })
      node.onChannel(pushing)
    })
    const router = new Router(new RecordingLog())
    const seen: unknown[] = []
    router.handle(metadataChanged, ({ body, connection }) => {
      seen.push(body.metadataOffset, connection.session)
      return null
    })
    router.handle(highWatermarkNote, ({ connection }) => {
      seen.push(connection.identity?.nodeId, connection.session)
      return null
    })
    await open({ router, asPeer: peerCredentials() })
    expect(seen).toEqual([5, 'client', 1, 'peer'])
    expect(router.refusedCalls).toBe(0)
  })

  it('SEC-33: another cluster -> INCONSISTENT_CLUSTER_ID naming both, for clients and for peers', async () => {
    const node = await startNode()
    for (const asPeer of [null, peerCredentials()]) {
      const error = await failure({ clusterId: OTHER_CLUSTER, asPeer })
      expect(error.code).toBe('INCONSISTENT_CLUSTER_ID')
      expect(error.message).toContain(CLUSTER)
      expect(error.message).toContain(OTHER_CLUSTER)
    }
    expect(node.connections.map(({ isOpen, session }) => [isOpen, session])).toEqual([
      [false, 'new'],
      [false, 'new'],
    ])
  })

  it('a side that does not know its cluster yet -> is let in', async () => {
    await startNode({ clusterId: null })
    for (const clusterId of [null, CLUSTER]) {
      const { connection, server } = await open({ clusterId, asPeer: peerCredentials() })
      expect([connection.isOpen, server.clusterId]).toEqual([true, null])
    }
    network = new MemoryNetwork(clock)
    await startNode()
    expect((await open({ clusterId: null, asPeer: peerCredentials() })).server.clusterId).toBe(CLUSTER)
  })

  it('another node than expected -> INVALID_REQUEST naming both', async () => {
    await startNode()
    const error = await failure({ asPeer: peerCredentials({ expectedNodeId: 3 }) })
    expect(error.code).toBe('INVALID_REQUEST')
    expect(error.message).toBe('The caller expected node 3 at this address, but this is node 1.')
  })

  it('SEC-33: a peer with the id of the node it dials -> refused, unless it is the same run of it', async () => {
    const node = await startNode()
    const twin = peerCredentials({ nodeId: 1, incarnationId: incarnationOf(2) })
    expect((await failure({ asPeer: twin })).code).toBe('INVALID_REQUEST')
    await open({ asPeer: peerCredentials({ nodeId: 1, incarnationId: incarnationOf(1) }) })
    expect(node.connections[1]!.identity?.nodeId).toBe(1)
  })

  it('SEC-32: a node without a secret -> takes no peers, but clients', async () => {
    const node = await startNode({ secret: null })
    expect((await failure({ asPeer: peerCredentials() })).code).toBe('AUTHENTICATION_FAILED')
    await open()
    expect(node.connections.map(({ identity }) => identity)).toEqual([null, null])
  })

  it('SEC-33: a peer with another secret -> AUTHENTICATION_FAILED, it proves nothing to either side', async () => {
    const node = await startNode()
    const error = await failure({ asPeer: peerCredentials({ secret: OTHER_SECRET }) })
    expect(error.code).toBe('AUTHENTICATION_FAILED')
    expect(error.message).toBe(`Node 1 at ${URL_1} does not have the cluster secret of node 7.`)
    expect(node.connections[0]!.identity).toBeNull()
    expect(node.connections[0]!.isOpen).toBe(false)
  })

  it('a secret that is too short -> INVALID_ARGUMENT on both sides', async () => {
    const secret = new Uint8Array(15)
    expect(() => testNode({ clock, nodeId: 1, secret })).toThrow('at least 16')
    await startNode()
    expect((await failure({ asPeer: peerCredentials({ secret }) })).code).toBe('INVALID_ARGUMENT')
  })

  describe('what the dialer meets', () => {
    it('nothing there -> CONNECTION_FAILED', async () => {
      expect((await failure()).code).toBe('CONNECTION_FAILED')
    })

    it('an end that never answers -> CONNECTION_FAILED when the time is over, the channel is closed', async () => {
      let code = 0
      await listen((channel) => {
        channel.start({ onMessage: () => {}, onClose: (reason) => (code = reason.code) })
      })
      const error = await failure({ timeoutMs: 700 }, 700)
      expect(error).toMatchObject({ code: 'CONNECTION_FAILED', definite: true })
      expect(error.message).toContain('did not answer the hello within 700 ms')
      expect(code).toBe(4_004)
    })

    it('an end that answers the hello and not the proof -> CONNECTION_FAILED when the time is over', async () => {
      const node = testNode({ clock, nodeId: 1 })
      await listen((channel) =>
        node.onChannel(tapped(channel, { passes: (message) => apiKeyOf(message) === hello.key })),
      )
      const error = await failure({ timeoutMs: 700, asPeer: peerCredentials() }, 700)
      expect(error.code).toBe('CONNECTION_FAILED')
      expect(node.connections[0]!.identity).toBeNull()
    })

    it.each<[string, (channel: Channel) => void]>([
      ['garbage', (channel) => channel.send([Uint8Array.of(1, 2, 3, 4, 5)])],
      ['a close', (channel) => channel.close(4_000, 'stopping')],
      ['an abort', (channel) => channel.abort()],
    ])('an end that answers with %s -> CONNECTION_FAILED', async (_, answer) => {
      await listen((channel) => channel.start({ onMessage: () => answer(channel), onClose: () => {} }))
      const error = await failure()
      expect(error).toMatchObject({ code: 'CONNECTION_FAILED', definite: true })
      expect(error.cause).toBeInstanceOf(VltavaError)
    })

    it('a caller that gives up -> CONNECTION_FAILED at once, the channel is gone', async () => {
      let closes = 0
      await listen((channel) => channel.start({ onMessage: () => {}, onClose: () => closes++ }))
      const giveUp = new AbortController()
      const opening = openConnection(
        openOptions({ clock, transport: network, url: URL_1 }, { signal: giveUp.signal }),
      )
      opening.catch(() => {})
      await settle(clock)
      giveUp.abort()
      await settle(clock)
      await expect(opening).rejects.toMatchObject({ code: 'CONNECTION_FAILED' })
      expect(closes).toBe(1)
    })

    it('SEC-27, SEC-33: the recorded answers of a node, replayed to a new hello -> AUTHENTICATION_FAILED', async () => {
      const node = testNode({ clock, nodeId: 1 })
      const recorded: Uint8Array[] = []
      const listener = await listen((channel) => {
        node.onChannel(tapped(channel, { afterSend: (message) => recorded.push(message) }))
      })
      const random = (): PeerCredentials['random'] => seededRandom(4)
      await open({ asPeer: peerCredentials({ random: random() }) })
      const closing = listener.close()
      await settle(clock)
      await closing
      await listen((channel) => {
        let next = 0
        channel.start({ onMessage: () => channel.send([recorded[next++]!]), onClose: () => {} })
      })
      // With the nonce of the recorded hello it would work: the nonce is what tells the difference.
      await open({ asPeer: peerCredentials({ random: random() }) })
      const error = await failure({ asPeer: peerCredentials({ random: seededRandom(5) }) })
      expect(error.code).toBe('AUTHENTICATION_FAILED')
    })

    it('SEC-33: an answer relayed from a node with another id -> refused', async () => {
      // Node 2 answers at the address of node 1, with a hello rewritten so that it feels meant.
      const node = testNode({ clock, nodeId: 2 })
      await listen((channel) => {
        node.onChannel(
          tapped(channel, {
            rewrite: (message) =>
              rewriteHello(message, (body) => ({ ...body, peer: { ...body.peer!, expectedNodeId: 2 } })),
          }),
        )
      })
      const error = await failure({ asPeer: peerCredentials({ expectedNodeId: 1 }) })
      expect(error.code).toBe('INVALID_REQUEST')
      expect(error.message).toContain('Expected node 1')
      expect(node.connections[0]!.identity).toBeNull()
    })

    it('SEC-33: the hello changed on the way (node id, run, cluster) -> AUTHENTICATION_FAILED', async () => {
      const changes: ((body: HelloRequest) => HelloRequest)[] = [
        (body) => ({ ...body, peer: { ...body.peer!, nodeId: 8 } }),
        (body) => ({ ...body, peer: { ...body.peer!, incarnationId: incarnationOf(9) } }),
        (body) => ({ ...body, clusterId: null }),
        (body) => ({ ...body, peer: { ...body.peer!, nonce: new Uint8Array(32) } }),
      ]
      for (const change of changes) {
        network = new MemoryNetwork(clock)
        const node = testNode({ clock, nodeId: 1 })
        await listen((channel) => {
          node.onChannel(tapped(channel, { rewrite: (message) => rewriteHello(message, change) }))
        })
        const error = await failure({ asPeer: peerCredentials() })
        expect(error.code).toBe('AUTHENTICATION_FAILED')
        expect(node.connections[0]!.identity).toBeNull()
      }
    })
  })

  describe('what the acceptor meets', () => {
    const NONCE = new Uint8Array(32).fill(9)

    /** A connection to a node whose other end is written by hand. */
    const connect = (options: Partial<Parameters<typeof testNode>[0]> = {}) => {
      const node = testNode({ clock, nodeId: 1, ...options })
      const channel = new FakeChannel()
      node.onChannel(channel)
      return { node, channel, connection: node.connections[0]! }
    }

    const sayHello = (
      channel: FakeChannel,
      claim: Partial<NonNullable<HelloRequest['peer']>> | null = {},
    ) => {
      const peer =
        claim === null
          ? null
          : { nodeId: 7, incarnationId: incarnationOf(7), expectedNodeId: 1, nonce: NONCE, ...claim }
      const body = encodeBody(hello.request, { software: 'x', clusterId: CLUSTER, peer })
      channel.deliver({ apiKey: hello.key, correlationId: 1, body })
      const [answer] = channel.takeFrames()
      return { errorCode: answer!.errorCode, body: answer!.body }
    }

    const helloAnswer = (body: unknown) => decodeResponseBody(hello, new Uint8Array(pack(body as Wire)))

    const prove = (channel: FakeChannel, proof: Uint8Array): number => {
      const body = encodeBody(authenticate.request, { mac: proof })
      channel.deliver({ apiKey: authenticate.key, correlationId: 2, body })
      return channel.takeFrames()[0]!.errorCode
    }

    /** The proof of node 7 with these changes of what was really said. */
    const proofFor = (
      serverNonce: Uint8Array,
      changes: { secret?: Uint8Array; acceptorId?: number; prover?: Prover } = {},
    ) => {
      const { secret = SECRET, acceptorId = 1, prover = 'dialer' } = changes
      return proofOf({
        mac,
        secret,
        prover,
        transcript: {
          dialer: { nodeId: 7, incarnationId: incarnationOf(7), clusterId: CLUSTER, nonce: NONCE },
          acceptor: {
            nodeId: acceptorId,
            incarnationId: incarnationOf(acceptorId),
            clusterId: CLUSTER,
            nonce: serverNonce,
          },
        },
      })
    }

    const refused = (setup: ReturnType<typeof connect>, proof: Uint8Array): void => {
      expect(prove(setup.channel, proof)).toBe(ERRORS.AUTHENTICATION_FAILED.code)
      expect([setup.connection.identity, setup.connection.isOpen]).toEqual([null, false])
      expect(setup.channel.endings.map(({ code }) => code)).toEqual([4_004])
    }

    it('the right proof -> the identity is the one claimed', () => {
      const { channel, connection } = connect()
      const { proof } = helloAnswer(sayHello(channel).body)
      expect(prove(channel, proofFor(proof!.nonce))).toBe(0)
      expect(connection.identity).toEqual({ nodeId: 7, incarnationId: incarnationOf(7) })
    })

    it('SEC-26, SEC-33: a wrong proof -> AUTHENTICATION_FAILED, closed, logged with the claimed id', () => {
      const setup = connect()
      const { proof } = helloAnswer(sayHello(setup.channel).body)
      refused(setup, proofFor(proof!.nonce, { secret: OTHER_SECRET }))
      expect(setup.node.log.named('peer-proof-wrong')[0]!.fields).toMatchObject({ claimedNodeId: 7 })
    })

    it('SEC-27: the proof of a recorded handshake, replayed with the same claim -> refused', () => {
      const node = testNode({ clock, nodeId: 1 })
      const dialOnce = () => {
        const channel = new FakeChannel()
        node.onChannel(channel)
        const { proof } = helloAnswer(sayHello(channel).body)
        return { node, channel, connection: node.connections.at(-1)!, nonce: proof!.nonce }
      }
      const first = dialOnce()
      const recorded = proofFor(first.nonce)
      expect(prove(first.channel, recorded)).toBe(0)
      const second = dialOnce()
      expect(second.nonce).not.toEqual(first.nonce)
      refused(second, recorded)
    })

    it('SEC-33: a proof made for another node, relayed to this one -> refused', () => {
      const setup = connect()
      const { proof } = helloAnswer(sayHello(setup.channel).body)
      refused(setup, proofFor(proof!.nonce, { acceptorId: 2 }))
    })

    it('SEC-33: the proof of the node itself, sent back to it -> refused', () => {
      const setup = connect()
      const { proof } = helloAnswer(sayHello(setup.channel).body)
      const own = proofFor(proof!.nonce, { prover: 'acceptor' })
      expect(equalBytes(proof!.mac, own)).toBe(true)
      refused(setup, own)
    })

    it('SEC-30: identity is bound to the connection -> no second hello, claim or proof changes it', () => {
      const good = () => {
        const setup = connect()
        const { proof } = helloAnswer(sayHello(setup.channel).body)
        expect(prove(setup.channel, proofFor(proof!.nonce))).toBe(0)
        return { ...setup, nonce: proof!.nonce }
      }
      const again = good()
      expect(sayHello(again.channel, { nodeId: 8 }).errorCode).toBe(ERRORS.INVALID_REQUEST.code)
      expect([again.connection.isOpen, again.connection.identity?.nodeId]).toEqual([false, 7])
      const twice = good()
      expect(prove(twice.channel, proofFor(twice.nonce))).toBe(ERRORS.INVALID_REQUEST.code)
      expect([twice.connection.isOpen, twice.connection.identity?.nodeId]).toEqual([false, 7])
    })

    it('SEC-32: a proof without a claim, or before the hello -> refused', () => {
      const client = connect()
      sayHello(client.channel, null)
      expect(prove(client.channel, proofFor(NONCE))).toBe(ERRORS.INVALID_REQUEST.code)
      expect([client.connection.session, client.connection.isOpen]).toEqual(['client', false])
      const early = connect()
      expect(prove(early.channel, proofFor(NONCE))).toBe(ERRORS.CLUSTER_AUTHORIZATION_FAILED.code)
      expect(early.connection.isOpen).toBe(false)
    })

    it('SEC-32: a claim that is not proved yet -> is served as a client only', () => {
      const { channel, connection } = connect()
      sayHello(channel)
      for (const api of APIS.filter(({ caller }) => caller === 'peer')) {
        channel.deliver({ kind: 0, apiKey: api.key, correlationId: 3 })
        expect(channel.takeFrames()[0]!.errorCode).toBe(ERRORS.CLUSTER_AUTHORIZATION_FAILED.code)
      }
      expect([connection.session, connection.identity]).toEqual(['client', null])
    })

    it('SEC-07: silence, or a claim without its proof -> closed after HELLO_TIMEOUT_MS; a client is not', () => {
      const silent = connect()
      const claiming = connect()
      sayHello(claiming.channel)
      const client = connect()
      sayHello(client.channel, null)
      clock.advance(HELLO_TIMEOUT_MS - 1)
      expect([silent, claiming, client].map(({ connection }) => connection.isOpen)).toEqual([
        true,
        true,
        true,
      ])
      clock.advance(1)
      expect([silent, claiming, client].map(({ connection }) => connection.isOpen)).toEqual([
        false,
        false,
        true,
      ])
      expect(silent.channel.endings.map(({ code }) => code)).toEqual([4_003])
      expect(claiming.channel.endings.map(({ code }) => code)).toEqual([4_003])
      for (const { channel } of [silent, claiming, client]) channel.gone()
      expect(clock.pendingTimers).toBe(0)
    })

    it('a hello that lies unread in the socket after a stall -> is in time', () => {
      const { channel, connection } = connect()
      clock.afterPendingIo(() => sayHello(channel, null))
      clock.advance(HELLO_TIMEOUT_MS * 2)
      expect(connection.isOpen).toBe(true)
    })
  })
})

type HelloRequest = RequestOf<typeof hello>

const apiKeyOf = (message: Uint8Array): number => decodeFrame(message, HEADER_MAX_BYTES).apiKey

/** The message with the body of the hello in it changed; other messages as they are. */
function rewriteHello(message: Uint8Array, change: (body: HelloRequest) => HelloRequest): Uint8Array {
  const frame = decodeFrame(message, HEADER_MAX_BYTES)
  if (frame.apiKey !== hello.key) return message
  const body = encodeBody(hello.request, change(decodeRequestBody(hello, frame.body)))
  return new Uint8Array(concatBytes(encodeFrame({ ...frame, body })))
}

/** A channel on which somebody sits. */
function tapped(
  channel: Channel,
  tap: {
    readonly passes?: (received: Uint8Array) => boolean
    readonly rewrite?: (received: Uint8Array) => Uint8Array
    readonly afterSend?: (sent: Uint8Array) => void
  },
): Channel {
  return {
    remoteAddress: channel.remoteAddress,
    get bufferedBytes() {
      return channel.bufferedBytes
    },
    start: (handlers) =>
      channel.start({
        ...handlers,
        onMessage: (bytes) => {
          if (tap.passes?.(bytes) !== false) handlers.onMessage(tap.rewrite?.(bytes) ?? bytes)
        },
      }),
    send: (parts) => {
      channel.send(parts)
      tap.afterSend?.(new Uint8Array(concatBytes(parts)))
    },
    limitMessages: (maxBytes) => channel.limitMessages(maxBytes),
    close: (code, reason) => channel.close(code, reason),
    abort: (reason) => channel.abort(reason),
  }
}
