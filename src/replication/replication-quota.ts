// A limit of bytes per second for what replicas that are being moved copy. Whoever has budget left may take a whole batch, however
// large it is, and goes into debt by that: everybody comes on, and over time no more than the rate is copied. Without clocks: the
// shell says what time it is.
import { assert } from '../base/assert.ts'

/** What may be saved up: an idle link must not allow for a flood later. */
const WINDOW_MS = 1_000

export class ReplicationQuota {
  /** null: no limit. */
  #bytesPerSecond: number | null = null
  /** Bytes that may be taken now; below 0: a debt. */
  #budget = 0
  #countedAtMs = 0

  /** Whether there is a limit. */
  get isOn(): boolean {
    return this.#bytesPerSecond !== null
  }

  /** As many bytes as one request for a partition should bring at most; Infinity without a limit. */
  get burstBytes(): number {
    return this.#bytesPerSecond === null ? Number.POSITIVE_INFINITY : this.#capacity
  }

  /**
   * From now on. A debt stays, and is paid at the new rate; without a limit it is forgotten.
   * @param bytesPerSecond 1 or more; null: no limit.
   */
  setRate(bytesPerSecond: number | null, nowMs: number): void {
    assert(bytesPerSecond === null || bytesPerSecond >= 1, 'a rate must be 1 byte per second or more')
    if (bytesPerSecond === this.#bytesPerSecond) return
    const wasOn = this.isOn
    this.#count(nowMs)
    this.#bytesPerSecond = bytesPerSecond
    if (bytesPerSecond === null) return
    this.#budget = wasOn ? Math.min(this.#budget, this.#capacity) : this.#capacity
    this.#countedAtMs = nowMs
  }

  /** So many bytes were copied. */
  charge(bytes: number, nowMs: number): void {
    if (!this.isOn) return
    this.#count(nowMs)
    this.#budget -= bytes
  }

  /** Milliseconds until something may be copied; 0 for now. */
  waitMs(nowMs: number): number {
    if (this.#bytesPerSecond === null) return 0
    this.#count(nowMs)
    return this.#budget >= 1 ? 0 : Math.ceil(((1 - this.#budget) * 1_000) / this.#bytesPerSecond)
  }

  get #capacity(): number {
    return ((this.#bytesPerSecond ?? 0) * WINDOW_MS) / 1_000
  }

  #count(nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - this.#countedAtMs)
    this.#countedAtMs = nowMs
    if (this.#bytesPerSecond === null) return
    this.#budget = Math.min(this.#capacity, this.#budget + (elapsedMs * this.#bytesPerSecond) / 1_000)
  }
}
