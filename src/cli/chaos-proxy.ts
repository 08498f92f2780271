// A TCP proxy that injects faults: it stands between one node and another, or between the clients and a node.
import { connect, createServer, type Server, type Socket } from 'node:net'
import { ChaosPipe, dropSocket, type PipeConditions } from './chaos-pipe.ts'

const HOST = '127.0.0.1'
/** Connections that wait behind a cut; beyond, the oldest is reset. Who dials gives up after seconds and tries again. */
const WAITING_MAX = 64

/** What a proxy does with its connections. Forward is from the side that dials to the side that listens. */
export interface LinkConditions {
  readonly holdsForward: boolean
  readonly holdsBackward: boolean
  /** New connections are reset at once. */
  readonly refuses: boolean
  readonly delayMs: number
  readonly bytesPerSecond: number | null
}

export const CLEAR: LinkConditions = {
  holdsForward: false,
  holdsBackward: false,
  refuses: false,
  delayMs: 0,
  bytesPerSecond: null,
}

interface Pair {
  readonly inbound: Socket
  readonly outbound: Socket
}

interface Joined extends Pair {
  readonly forward: ChaosPipe
  readonly backward: ChaosPipe
}

export class ChaosProxy {
  /** Where the dialling side connects to. */
  readonly port: number
  readonly #server: Server
  readonly #targetPort: number
  readonly #waiting = new Set<Socket>()
  readonly #dialling = new Set<Pair>()
  readonly #joined = new Set<Joined>()
  #conditions = CLEAR
  /** Bytes until the connection that carries the next one breaks; null: none does. */
  #bytesToBreak: number | null = null

  private constructor(server: Server, ports: { readonly own: number; readonly target: number }) {
    this.#server = server
    this.port = ports.own
    this.#targetPort = ports.target
    server.on('connection', (socket) => this.#accept(socket))
  }

  /** Listens on a free port of the loopback address, for connections to another port of it. */
  static open(targetPort: number): Promise<ChaosProxy> {
    // Half open: one side may end while the other still talks, and the proxy must not decide otherwise.
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true })
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, HOST, () => {
        const address = server.address()
        if (address === null || typeof address === 'string') reject(new Error('no port'))
        else resolve(new ChaosProxy(server, { own: address.port, target: targetPort }))
      })
    })
  }

  get conditions(): LinkConditions {
    return this.#conditions
  }

  /** Connections that lead to the target. */
  get joinedCount(): number {
    return this.#joined.size
  }

  /** Connections that wait behind a cut. */
  get waitingCount(): number {
    return this.#waiting.size
  }

  setConditions(conditions: LinkConditions): void {
    this.#conditions = conditions
    for (const { forward, backward } of this.#joined) {
      forward.setConditions(this.#pipeConditions(conditions.holdsForward))
      backward.setConditions(this.#pipeConditions(conditions.holdsBackward))
    }
    if (this.#isCut()) return
    for (const socket of this.#waiting) this.#dial(socket)
    this.#waiting.clear()
  }

  /** Resets all connections, also those that wait. @returns how many there were. */
  reset(): number {
    const count = this.#joined.size + this.#dialling.size + this.#waiting.size
    for (const { inbound, outbound } of this.#joined) {
      dropSocket(inbound)
      dropSocket(outbound)
    }
    for (const { inbound, outbound } of this.#dialling) {
      dropSocket(inbound)
      // A reset would wait for the connection to come about.
      outbound.destroy()
    }
    for (const socket of this.#waiting) dropSocket(socket)
    this.#joined.clear()
    this.#dialling.clear()
    this.#waiting.clear()
    return count
  }

  /** Ends one connection in the middle: the one that carries the byte behind so many more, in whatever direction. */
  breakAfter(bytes: number): void {
    this.#bytesToBreak = bytes
  }

  /** Takes back `breakAfter` where it has not come to it yet. */
  keepWhole(): void {
    this.#bytesToBreak = null
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.reset()
    await closed
  }

  #isCut(): boolean {
    return this.#conditions.holdsForward || this.#conditions.holdsBackward
  }

  #accept(inbound: Socket): void {
    // Reading has not begun, and what goes wrong before it has is for the one who dialled.
    inbound.on('error', () => {})
    if (this.#conditions.refuses) dropSocket(inbound)
    else if (!this.#isCut()) this.#dial(inbound)
    else {
      // A connection needs both directions to come about, so it waits whichever of them is cut.
      this.#waiting.add(inbound)
      inbound.once('close', () => this.#waiting.delete(inbound))
      if (this.#waiting.size > WAITING_MAX) dropSocket([...this.#waiting][0]!)
    }
  }

  #dial(inbound: Socket): void {
    const outbound = connect({
      port: this.#targetPort,
      host: HOST,
      allowHalfOpen: true,
      noDelay: true,
    })
    const pair = { inbound, outbound }
    this.#dialling.add(pair)
    const refused = (): void => {
      this.#dialling.delete(pair)
      dropSocket(inbound)
    }
    outbound.once('error', refused)
    outbound.once('connect', () => {
      this.#dialling.delete(pair)
      outbound.off('error', refused)
      this.#join(pair)
    })
  }

  #join({ inbound, outbound }: Pair): void {
    const passable = (bytes: number): number => this.#passable(bytes)
    const { holdsForward, holdsBackward } = this.#conditions
    const joined: Joined = {
      inbound,
      outbound,
      forward: new ChaosPipe({
        from: inbound,
        to: outbound,
        conditions: this.#pipeConditions(holdsForward),
        passable,
      }),
      backward: new ChaosPipe({
        from: outbound,
        to: inbound,
        conditions: this.#pipeConditions(holdsBackward),
        passable,
      }),
    }
    this.#joined.add(joined)
    const closed = (): void => {
      if (inbound.destroyed && outbound.destroyed) this.#joined.delete(joined)
    }
    inbound.once('close', closed)
    outbound.once('close', closed)
  }

  #pipeConditions(isHeld: boolean): PipeConditions {
    const { delayMs, bytesPerSecond } = this.#conditions
    return { isHeld, delayMs, bytesPerSecond }
  }

  #passable(bytes: number): number {
    if (this.#bytesToBreak === null) return bytes
    const passed = Math.min(bytes, this.#bytesToBreak)
    this.#bytesToBreak = passed < bytes ? null : this.#bytesToBreak - passed
    return passed
  }
}
