// The outgoing links to the other voters. Raft tolerates loss, so a message that cannot go out soon is dropped.
import type { Clock, Timer } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { toVltavaError } from '../model/errors.ts'
import type { IncarnationId, NodeId } from '../model/ids.ts'
import { backoffMs } from '../net/backoff.ts'
import type { Connection } from '../net/connection.ts'
import { raftMessage } from '../protocol/quorum.ts'
import { type Message, raftMessageSchema } from '../raft/messages.ts'
import type { ConnectPeer } from './controller-environment.ts'

/** Messages kept for a voter while no link to it is open: enough for a round of questions at start. */
const QUEUED_MAX = 32
/** Bytes a link may have waiting before messages are dropped; the leader then notices and sends again. */
const BUFFERED_MAX_BYTES = 16 * 1024 * 1024

interface Link {
  readonly nodeId: NodeId
  connection: Connection | null
  /** Since the last link that opened; a link that closed counts as one. */
  failedAttempts: number
  timer: Timer | null
  readonly queued: Message[]
}

export interface RaftPeersOptions {
  readonly peers: readonly NodeId[]
  readonly connectPeer: ConnectPeer
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly onLinkOpened: (nodeId: NodeId) => void
  readonly onLinkClosed: (nodeId: NodeId) => void
}

export class RaftPeers {
  readonly #options: RaftPeersOptions
  readonly #links: ReadonlyMap<NodeId, Link>
  #stopped = false

  constructor(options: RaftPeersOptions) {
    this.#options = options
    this.#links = new Map(options.peers.map((nodeId) => [nodeId, newLink(nodeId)]))
  }

  start(): void {
    for (const link of this.#links.values()) this.#connect(link)
  }

  /** Ends the attempts to connect. The connections belong to whoever opened them and stay. */
  stop(): void {
    this.#stopped = true
    for (const link of this.#links.values()) {
      link.timer?.cancel()
      link.connection = null
    }
  }

  send(message: Message): void {
    const link = this.#links.get(message.to)
    if (link === undefined || this.#stopped) return
    if (link.connection !== null) {
      this.#transmit(link.connection, message)
      return
    }
    if (link.queued.length >= QUEUED_MAX) link.queued.shift()
    link.queued.push(message)
  }

  /** Whether this node's own link to that run of that node closed or was refused; false for nodes that do not vote. */
  isDown(nodeId: NodeId, incarnationId: IncarnationId): boolean {
    const link = this.#links.get(nodeId)
    if (link === undefined) return false
    if (link.connection === null) return link.failedAttempts > 0
    const incarnation = link.connection.identity?.incarnationId
    return incarnation !== undefined && incarnation !== incarnationId
  }

  #connect(link: Link): void {
    this.#options.connectPeer(link.nodeId).then(
      (connection) => this.#opened(link, connection),
      (thrown: unknown) => {
        const { code, message } = toVltavaError(thrown)
        const attempt = link.failedAttempts + 1
        this.#options.log.debug('voter-unreachable', { nodeId: link.nodeId, attempt, code, reason: message })
        this.#retry(link)
      },
    )
  }

  #opened(link: Link, connection: Connection): void {
    if (this.#stopped) return
    if (!connection.isOpen) {
      this.#retry(link)
      return
    }
    link.connection = connection
    link.failedAttempts = 0
    connection.onClose(() => {
      if (this.#stopped) return
      link.connection = null
      this.#options.onLinkClosed(link.nodeId)
      this.#retry(link)
    })
    for (const message of link.queued.splice(0)) this.#transmit(connection, message)
    this.#options.onLinkOpened(link.nodeId)
  }

  #retry(link: Link): void {
    if (this.#stopped) return
    link.failedAttempts++
    const { clock, random } = this.#options
    const delayMs = backoffMs({ attempt: link.failedAttempts, random })
    link.timer = clock.setTimer(delayMs, () => this.#connect(link))
  }

  #transmit(connection: Connection, message: Message): void {
    if (connection.bufferedBytes > BUFFERED_MAX_BYTES) return
    try {
      connection.notify(raftMessage, { message: raftMessageSchema.encode(message) })
    } catch (thrown) {
      const { code, message: reason } = toVltavaError(thrown)
      this.#options.log.warn('raft-message-not-sent', { nodeId: message.to, code, reason })
    }
  }
}

function newLink(nodeId: NodeId): Link {
  return { nodeId, connection: null, failedAttempts: 0, timer: null, queued: [] }
}
