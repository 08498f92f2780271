// The outgoing links to the other voters, and to whoever else is sent something, such as nodes that ask for the log. Raft
// tolerates loss, so a message that cannot go out soon is dropped.
import type { Clock, Timer } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { toVltavaError } from '../model/errors.ts'
import type { DirectoryId, IncarnationId, NodeId } from '../model/ids.ts'
import { backoffMs } from '../net/backoff.ts'
import type { Connection } from '../net/connection.ts'
import { raftMessage } from '../protocol/quorum.ts'
import { type Message, raftMessageSchema } from '../raft/messages.ts'
import type { ConnectPeer } from './controller-environment.ts'

/** Messages kept for a voter while no link to it is open: enough for a round of questions at start. */
const QUEUED_MAX = 32
/** Bytes a link may have waiting before messages are dropped; the leader then notices and sends again. */
const BUFFERED_MAX_BYTES = 16 * 1024 * 1024
/** Links at once, and addresses that others told. Voters, and nodes that ask for the log, are far fewer. */
const LINKS_MAX = 64
/** What a node says that the receiver may not have heard of. */
const INTRODUCTIONS: ReadonlySet<Message['type']> = new Set(['join', 'pre-vote', 'vote'])

interface Link {
  readonly nodeId: NodeId
  connection: Connection | null
  /** Since the last link that opened; a link that closed counts as one. */
  failedAttempts: number
  timer: Timer | null
  readonly queued: Message[]
}

export interface RaftPeersOptions {
  /** Whom to keep a link to from the start; see `follow`. */
  readonly peers: readonly NodeId[]
  /** Of this node, for what it sends. */
  readonly directoryId: DirectoryId
  readonly url: string | null
  /** Where the metadata say that a node is reached; null when they do not. */
  readonly urlOf: (nodeId: NodeId) => string | null
  readonly connectPeer: ConnectPeer
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly onLinkOpened: (nodeId: NodeId) => void
  readonly onLinkClosed: (nodeId: NodeId) => void
}

export class RaftPeers {
  readonly #options: RaftPeersOptions
  readonly #links = new Map<NodeId, Link>()
  /** To whom there always is a link, or an attempt to make one. */
  #followed: ReadonlySet<NodeId>
  /** What nodes said of themselves. */
  readonly #toldUrls = new Map<NodeId, string>()
  #started = false
  #stopped = false

  constructor(options: RaftPeersOptions) {
    this.#options = options
    this.#followed = new Set(options.peers)
  }

  start(): void {
    this.#started = true
    this.follow([...this.#followed])
  }

  /** Keeps a link to these from now on; others end by themselves when they close. */
  follow(nodeIds: readonly NodeId[]): void {
    this.#followed = new Set(nodeIds)
    if (!this.#started || this.#stopped) return
    for (const nodeId of this.#followed) if (!this.#links.has(nodeId)) this.#open(nodeId)
  }

  /** A node says where it is reached. */
  told(nodeId: NodeId, url: string): void {
    if (!this.#toldUrls.has(nodeId) && this.#toldUrls.size >= LINKS_MAX) return
    this.#toldUrls.set(nodeId, url)
  }

  /** Where a node is reached, by its own last word or the metadata; null when only its configured address may be known. */
  urlOf(nodeId: NodeId): string | null {
    return this.#toldUrls.get(nodeId) ?? this.#options.urlOf(nodeId)
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
    if (this.#stopped) return
    const link = this.#links.get(message.to) ?? this.#open(message.to)
    if (link === null) return
    if (link.connection !== null) {
      this.#transmit(link.connection, message)
      return
    }
    if (link.queued.length >= QUEUED_MAX) link.queued.shift()
    link.queued.push(message)
  }

  /** Whether this node's own link to that run of that node closed or was refused; false where there is no link. */
  isDown(nodeId: NodeId, incarnationId: IncarnationId): boolean {
    const link = this.#links.get(nodeId)
    if (link === undefined) return false
    if (link.connection === null) return link.failedAttempts > 0
    const incarnation = link.connection.identity?.incarnationId
    return incarnation !== undefined && incarnation !== incarnationId
  }

  #open(nodeId: NodeId): Link | null {
    if (this.#links.size >= LINKS_MAX) return null
    const link = newLink(nodeId)
    this.#links.set(nodeId, link)
    this.#connect(link)
    return link
  }

  #connect(link: Link): void {
    this.#options.connectPeer(link.nodeId, this.urlOf(link.nodeId)).then(
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
    link.timer = clock.setTimer(delayMs, () => {
      // Nobody waits for the others.
      if (this.#followed.has(link.nodeId) || link.queued.length > 0) this.#connect(link)
      else this.#links.delete(link.nodeId)
    })
  }

  #transmit(connection: Connection, message: Message): void {
    if (connection.bufferedBytes > BUFFERED_MAX_BYTES) return
    try {
      const { directoryId, url } = this.#options
      connection.notify(raftMessage, {
        message: raftMessageSchema.encode(message),
        directoryId,
        url: INTRODUCTIONS.has(message.type) ? url : null,
      })
    } catch (thrown) {
      const { code, message: reason } = toVltavaError(thrown)
      this.#options.log.warn('raft-message-not-sent', { nodeId: message.to, code, reason })
    }
  }
}

function newLink(nodeId: NodeId): Link {
  return { nodeId, connection: null, failedAttempts: 0, timer: null, queued: [] }
}
