// One direction of one connection through a chaos proxy: what one socket says is passed on to the other, late, slowly,
// or not at all for a while.
import type { Socket } from 'node:net'

/** Bytes a pipe keeps before it stops reading: the sender then feels back pressure, as it would on a real slow link. */
const QUEUE_MAX_BYTES = 256 * 1024
/** A slow link passes its bytes on in pieces of this much time, so that they trickle instead of coming in bursts. */
const PIECE_MS = 20

export interface PipeConditions {
  /** Nothing passes, neither bytes nor the end of the connection; what is under way comes later, as after a cut. */
  readonly isHeld: boolean
  /** How much later everything arrives. */
  readonly delayMs: number
  /** null: as fast as the machine. */
  readonly bytesPerSecond: number | null
}

export interface PipeOptions {
  readonly from: Socket
  readonly to: Socket
  readonly conditions: PipeConditions
  /** Asked before bytes pass: how many of them still may; fewer than all breaks the connection behind them. */
  readonly passable: (bytes: number) => number
}

type Item =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array; readonly arrivedMs: number }
  | { readonly kind: 'end' | 'reset'; readonly arrivedMs: number }

export class ChaosPipe {
  readonly #options: PipeOptions
  readonly #queue: Item[] = []
  #conditions: PipeConditions
  #queuedBytes = 0
  #isBlocked = false
  /** The receiver was closed. */
  #isGone = false
  /** When a slow link is done with what it passed on last. */
  #freeAtMs = 0
  #timer: NodeJS.Timeout | null = null

  constructor(options: PipeOptions) {
    const { from, to, conditions } = options
    this.#options = options
    this.#conditions = conditions
    from.on('data', (bytes: Uint8Array) => this.#add({ kind: 'bytes', bytes, arrivedMs: performance.now() }))
    from.on('end', () => this.#add({ kind: 'end', arrivedMs: performance.now() }))
    from.on('error', () => this.#add({ kind: 'reset', arrivedMs: performance.now() }))
    to.on('drain', () => {
      this.#isBlocked = false
      this.#pump()
    })
    to.on('close', () => this.#drop())
    this.#readOrNot()
  }

  setConditions(conditions: PipeConditions): void {
    this.#conditions = conditions
    this.#readOrNot()
    this.#pump()
  }

  #add(item: Item): void {
    if (this.#isGone) return
    this.#queue.push(item)
    if (item.kind === 'bytes') this.#queuedBytes += item.bytes.length
    this.#readOrNot()
    this.#pump()
  }

  /** A socket that is not read fills the buffers of the kernel, and its end goes unnoticed: just what a cut looks like. */
  #readOrNot(): void {
    if (this.#conditions.isHeld || this.#queuedBytes >= QUEUE_MAX_BYTES) this.#options.from.pause()
    else this.#options.from.resume()
  }

  #pump(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    for (let item = this.#queue[0]; item !== undefined; item = this.#queue[0]) {
      if (this.#conditions.isHeld || this.#isBlocked) return
      const dueMs = Math.max(item.arrivedMs + this.#conditions.delayMs, this.#freeAtMs)
      const waitMs = dueMs - performance.now()
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#pump(), Math.ceil(waitMs))
        return
      }
      this.#queue.shift()
      this.#pass(item)
    }
  }

  #pass(item: Item): void {
    const { to } = this.#options
    if (item.kind === 'bytes') this.#passBytes(item)
    else if (item.kind === 'end') to.end()
    else dropSocket(to)
  }

  #passBytes({ bytes, arrivedMs }: Extract<Item, { kind: 'bytes' }>): void {
    const { from, to, passable } = this.#options
    const { bytesPerSecond } = this.#conditions
    let piece = bytes
    if (bytesPerSecond !== null) {
      piece = bytes.subarray(0, Math.max(1, Math.floor((bytesPerSecond * PIECE_MS) / 1_000)))
      this.#freeAtMs = performance.now() + (piece.length / bytesPerSecond) * 1_000
      if (piece.length < bytes.length) {
        this.#queue.unshift({ kind: 'bytes', bytes: bytes.subarray(piece.length), arrivedMs })
      }
    }
    this.#queuedBytes -= piece.length
    const passed = passable(piece.length)
    // An orderly end: with a reset the receiver might never see the bytes before the break.
    if (passed < piece.length) {
      to.end(piece.subarray(0, passed), () => dropSocket(from))
      return
    }
    this.#isBlocked = !to.write(piece)
    this.#readOrNot()
  }

  /** The sender learns by the other direction that the receiver is gone; until then it talks to nobody. */
  #drop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#isGone = true
    this.#queue.length = 0
    this.#queuedBytes = 0
    this.#readOrNot()
  }
}

/**
 * Resets a connection. One that is being ended is closed instead: libuv refuses to reset a socket while it shuts down,
 * and Node then never closes it, so that it would keep the process from ending.
 */
export function dropSocket(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}
