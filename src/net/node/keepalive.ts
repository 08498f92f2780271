import { setTimerAfterIo } from '../../base/async/timer-after-io.ts'
import type { Clock, Timer } from '../../base/clock.ts'
import {
  KEEPALIVE_INTERVAL_MS,
  KEEPALIVE_TIMEOUT_MS,
  UNFINISHED_MESSAGE_PROGRESS_BYTES,
} from '../../model/limits.ts'

export interface KeepaliveOptions {
  readonly clock: Clock
  /** All bytes the socket has received so far. */
  readonly bytesRead: () => number
  readonly ping: () => void
  /** The other end is dead; called once. */
  readonly onDead: (why: string) => void
}

/**
 * Finds out whether the other end of a socket still lives. Every KEEPALIVE_INTERVAL_MS without a message it pings; an
 * end that gives no sign of life for KEEPALIVE_TIMEOUT_MS is dead (a host that lost power sends no FIN). While a
 * message is half received only its progress counts as life, because one that is fed byte by byte, with a pong now and
 * then, would hold its memory for ever (SEC-02, SEC-07).
 */
export class Keepalive {
  readonly #options: KeepaliveOptions
  #timer: Timer
  #aliveAtMs: number
  #bytesAtTick = 0
  #messages = 0
  #controls = 0
  #controlBytes = 0
  /** Bytes of the message that is half received, as far as can be seen from outside of ws. */
  #unfinishedBytes = 0

  constructor(options: KeepaliveOptions) {
    this.#options = options
    this.#aliveAtMs = options.clock.monotonicMs()
    this.#bytesAtTick = options.bytesRead()
    this.#timer = this.#nextTick()
  }

  /** A whole message came. */
  messageReceived(): void {
    this.#messages++
  }

  /** A ping or pong of so many bytes, its frame included, came. */
  controlReceived(bytes: number): void {
    this.#controls++
    this.#controlBytes += bytes
  }

  stop(): void {
    this.#timer.cancel()
  }

  #nextTick(): Timer {
    return setTimerAfterIo(this.#options.clock, KEEPALIVE_INTERVAL_MS, () => this.#tick())
  }

  #tick(): void {
    const { clock, bytesRead, ping, onDead } = this.#options
    const nowMs = clock.monotonicMs()
    const bytes = bytesRead()
    if (this.#showsLife(bytes - this.#bytesAtTick - this.#controlBytes)) this.#aliveAtMs = nowMs
    const isQuiet = this.#messages === 0
    this.#bytesAtTick = bytes
    this.#messages = 0
    this.#controls = 0
    this.#controlBytes = 0
    if (nowMs - this.#aliveAtMs >= KEEPALIVE_TIMEOUT_MS) {
      const silence = `${Math.round(nowMs - this.#aliveAtMs)} ms`
      onDead(
        this.#unfinishedBytes > 0
          ? `a message has made no progress for ${silence}`
          : `no sign of life for ${silence}`,
      )
      return
    }
    if (isQuiet) ping()
    this.#timer = this.#nextTick()
  }

  /** @param dataBytes what came since the last tick, without pings and pongs. */
  #showsLife(dataBytes: number): boolean {
    if (this.#messages > 0) {
      // What follows the last message in the same read is not known; at most one read of 64 KiB.
      this.#unfinishedBytes = 0
      return true
    }
    this.#unfinishedBytes += dataBytes
    if (this.#unfinishedBytes > 0) return dataBytes >= UNFINISHED_MESSAGE_PROGRESS_BYTES
    return this.#controls > 0
  }
}
