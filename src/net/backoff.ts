import type { Random } from '../base/random.ts'

export interface BackoffOptions {
  /** Failed attempts so far, from 1. */
  readonly attempt: number
  /** Milliseconds after the first failure; default 50 (Kafka's reconnect.backoff.ms). */
  readonly baseMs?: number
  /** Milliseconds at most; default 1,000 (Kafka's reconnect.backoff.max.ms). */
  readonly maxMs?: number
  readonly random: Random
}

/**
 * How long to wait before the next attempt, in milliseconds: base * 2^(attempt-1), at most max, of which the upper half
 * is drawn at random. Half of it stays, so that a node that refuses at once is not dialled in a tight loop; the drawn
 * half spreads the clients that all lost the same node at the same moment (Kafka's 20 % leave them in a clump).
 * @returns an integer from half the delay up to the delay.
 */
export function backoffMs(options: BackoffOptions): number {
  const { attempt, baseMs = 50, maxMs = 1_000, random } = options
  // 2^30 is beyond every maximum; without the bound the power overflows to Infinity, and 0 * Infinity is NaN.
  const exponent = Math.min(Math.max(0, attempt - 1), 30)
  const delayMs = Math.min(maxMs, baseMs * 2 ** exponent)
  const fixedMs = Math.floor(delayMs / 2)
  return fixedMs + random.below(Math.floor(delayMs - fixedMs) + 1)
}
