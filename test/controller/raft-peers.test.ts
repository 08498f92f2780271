import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/base/random.ts'
import { RaftPeers } from '../../src/controller/raft-peers.ts'
import { VltavaError } from '../../src/model/errors.ts'
import type { NodeId } from '../../src/model/ids.ts'
import type { Connection } from '../../src/net/connection.ts'
import type { CloseReason } from '../../src/net/transport.ts'
import { type Message, raftMessageSchema } from '../../src/raft/messages.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { RecordingLog } from '../../src/testing/recording-log.ts'
import { incarnation } from '../metadata/cluster-fixture.ts'

/** As much of a connection as a link needs. */
class FakeConnection {
  isOpen = true
  bufferedBytes = 0
  refusal: Error | null = null
  readonly identity: { readonly nodeId: NodeId; readonly incarnationId: string }
  readonly sent: Message[] = []
  readonly #hooks: ((reason: CloseReason) => void)[] = []

  constructor(nodeId: NodeId, run = 1) {
    this.identity = { nodeId, incarnationId: incarnation(nodeId, run) }
  }

  notify(_api: unknown, body: { readonly message: unknown }): boolean {
    if (this.refusal !== null) throw this.refusal
    this.sent.push(raftMessageSchema.decode(body.message, 'message'))
    return true
  }

  onClose(hook: (reason: CloseReason) => void): void {
    this.#hooks.push(hook)
  }

  close(): void {
    this.isOpen = false
    for (const hook of this.#hooks) hook({ code: 1006, reason: '' })
  }
}

function heartbeat(to: NodeId, commitIndex: number): Message {
  return { type: 'heartbeat', from: 1, to, term: 1, commitIndex, round: 0, toDirectoryId: null }
}

function peersOf(peers: readonly NodeId[], knownUrls: ReadonlyMap<NodeId, string> = new Map()) {
  const clock = new ManualClock()
  const log = new RecordingLog()
  const attempts: NodeId[] = []
  const urls: (string | null)[] = []
  const closed: NodeId[] = []
  const reachable = new Map<NodeId, FakeConnection>()
  const links = new RaftPeers({
    peers,
    directoryId: 'directory-1',
    url: 'ws://node-1:1',
    urlOf: (nodeId) => knownUrls.get(nodeId) ?? null,
    connectPeer: async (nodeId, url) => {
      attempts.push(nodeId)
      urls.push(url ?? null)
      const connection = reachable.get(nodeId)
      if (connection === undefined) throw new VltavaError('CONNECTION_FAILED')
      return connection as unknown as Connection
    },
    clock,
    random: seededRandom(1),
    log,
    onLinkOpened: () => {},
    onLinkClosed: (nodeId) => closed.push(nodeId),
  })
  const pass = async (ms: number): Promise<void> => {
    for (let passedMs = 0; passedMs < ms; passedMs += 10) {
      clock.advance(10)
      await setImmediate()
    }
  }
  return { links, clock, log, attempts, urls, closed, reachable, pass }
}

describe('the links to the other voters', () => {
  it('one link to each, kept open; messages go to whom they are addressed', async () => {
    const { links, attempts, reachable } = peersOf([2, 3])
    const two = new FakeConnection(2)
    const three = new FakeConnection(3)
    reachable.set(2, two).set(3, three)
    links.start()
    await setImmediate()
    links.send(heartbeat(2, 7))
    links.send(heartbeat(9, 7))
    // Node 9 is none of those that a link is kept to, but it is sent something.
    expect(attempts).toEqual([2, 3, 9])
    expect(two.sent).toEqual([heartbeat(2, 7)])
    expect(three.sent).toEqual([])
  })

  it('a node that is sent something once -> its link ends with the connection; a voter keeps it', async () => {
    const { links, attempts, reachable, pass } = peersOf([2])
    const nine = new FakeConnection(9)
    reachable.set(2, new FakeConnection(2)).set(9, nine)
    links.start()
    links.send(heartbeat(9, 7))
    await setImmediate()
    expect(nine.sent).toEqual([heartbeat(9, 7)])
    nine.close()
    await pass(5_000)
    expect(attempts).toEqual([2, 9])
    reachable.set(9, new FakeConnection(9))
    links.follow([2, 9])
    await pass(100)
    expect(attempts).toEqual([2, 9, 9])
  })

  it('a node says where it is reached -> that is where it is called, before what the metadata say', async () => {
    const { links, urls } = peersOf([], new Map([[9, 'ws://by-metadata:1']]))
    links.start()
    expect(links.urlOf(9)).toBe('ws://by-metadata:1')
    links.send(heartbeat(9, 1))
    links.told(8, 'ws://by-itself:1')
    links.send(heartbeat(8, 1))
    expect(urls).toEqual(['ws://by-metadata:1', 'ws://by-itself:1'])
  })

  it('more nodes than there may be links to -> those beyond get nothing', async () => {
    const { links, attempts } = peersOf([])
    links.start()
    for (let nodeId = 1; nodeId <= 100; nodeId++) links.send(heartbeat(nodeId, 1))
    expect(attempts).toHaveLength(64)
  })

  it('a voter that is not reachable is tried again, ever less often', async () => {
    const { links, attempts, reachable, pass } = peersOf([2])
    links.start()
    await pass(10_000)
    expect(attempts.length).toBeGreaterThan(10)
    expect(attempts.length).toBeLessThan(25)
    expect(links.isDown(2, incarnation(2))).toBe(true)
    reachable.set(2, new FakeConnection(2))
    await pass(1_000)
    expect(links.isDown(2, incarnation(2))).toBe(false)
  })

  it('a link that closes is reported and made again', async () => {
    const { links, closed, reachable, pass } = peersOf([2])
    const first = new FakeConnection(2)
    reachable.set(2, first)
    links.start()
    await setImmediate()
    const second = new FakeConnection(2)
    reachable.set(2, second)
    first.close()
    expect(closed).toEqual([2])
    expect(links.isDown(2, incarnation(2))).toBe(true)
    await pass(100)
    links.send(heartbeat(2, 1))
    expect(second.sent.length).toBe(1)
  })

  it('messages for a voter without a link wait, the oldest are dropped', async () => {
    const { links, reachable, pass } = peersOf([2])
    links.start()
    for (let i = 1; i <= 40; i++) links.send(heartbeat(2, i))
    const two = new FakeConnection(2)
    reachable.set(2, two)
    await pass(200)
    expect(two.sent.length).toBe(32)
    expect(two.sent[0]).toEqual(heartbeat(2, 9))
    expect(two.sent.at(-1)).toEqual(heartbeat(2, 40))
  })

  it('a link that does not drain gets no more until it does', async () => {
    const { links, reachable } = peersOf([2])
    const two = new FakeConnection(2)
    reachable.set(2, two)
    links.start()
    await setImmediate()
    two.bufferedBytes = 17 * 1024 * 1024
    links.send(heartbeat(2, 1))
    expect(two.sent).toEqual([])
    two.bufferedBytes = 0
    links.send(heartbeat(2, 2))
    expect(two.sent).toEqual([heartbeat(2, 2)])
  })

  it('a message the connection refuses is logged and dropped', async () => {
    const { links, log, reachable } = peersOf([2])
    const two = new FakeConnection(2)
    two.refusal = new VltavaError('UNSUPPORTED_VERSION')
    reachable.set(2, two)
    links.start()
    await setImmediate()
    links.send(heartbeat(2, 1))
    expect(log.named('raft-message-not-sent')).toMatchObject([{ fields: { code: 'UNSUPPORTED_VERSION' } }])
  })

  it('a link to another run of the node does not count for the run that is asked for', async () => {
    const { links, reachable } = peersOf([2])
    expect(links.isDown(2, incarnation(2))).toBe(false)
    expect(links.isDown(9, incarnation(9))).toBe(false)
    reachable.set(2, new FakeConnection(2, 2))
    links.start()
    await setImmediate()
    expect(links.isDown(2, incarnation(2, 1))).toBe(true)
    expect(links.isDown(2, incarnation(2, 2))).toBe(false)
  })

  it('a connection that is closed when it arrives counts as a failed attempt', async () => {
    const { links, attempts, reachable, pass } = peersOf([2])
    const dead = new FakeConnection(2)
    dead.isOpen = false
    reachable.set(2, dead)
    links.start()
    await pass(100)
    expect(attempts.length).toBeGreaterThan(1)
    expect(links.isDown(2, incarnation(2))).toBe(true)
  })

  it('stopped, it neither connects nor sends nor reports', async () => {
    const { links, clock, closed, reachable, attempts, pass } = peersOf([2, 3])
    const two = new FakeConnection(2)
    reachable.set(2, two)
    links.start()
    await setImmediate()
    links.stop()
    links.send(heartbeat(2, 1))
    two.close()
    const before = attempts.length
    await pass(5_000)
    expect(two.sent).toEqual([])
    expect(closed).toEqual([])
    expect(attempts.length).toBe(before)
    expect(clock.pendingTimers).toBe(0)
  })
})
