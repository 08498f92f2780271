// Counts what a history tells, event by event, for the progress line and the summary.
import type { HistoryEvent, HistoryKey, HistoryOperation } from '../history/history.ts'

export class ChaosStatistics {
  /** Operations that ended, of whatever kind. */
  operations = 0
  /** Values that were sent and acknowledged; that may have been appended; that surely were not. */
  acknowledged = 0
  indefinite = 0
  failed = 0
  /** Records that were read, each as often as it was. */
  read = 0
  /** The longest time in which nothing was acknowledged. */
  worstGapMs = 0
  readonly #lastAcknowledgedMs = new Map<HistoryKey, number>()
  #gapSinceMs: number | null = null

  add({ type, operation, timeMs }: HistoryEvent): void {
    if (type === 'invoke') return
    this.operations++
    for (const [f, key] of stepsOf(operation)) {
      if (f === 'poll') {
        for (const seen of Object.values(key ?? {})) this.read += seen.length
      } else if (type === 'ok') {
        this.acknowledged++
        this.#lastAcknowledgedMs.set(key, timeMs)
        this.#endGap(timeMs)
      } else if (type === 'info') {
        this.indefinite++
      } else {
        this.failed++
      }
    }
  }

  /** When a send to this key was acknowledged last; null before the first time. */
  lastAcknowledgedMs(key: HistoryKey): number | null {
    return this.#lastAcknowledgedMs.get(key) ?? null
  }

  /** From here on a time without acknowledgements counts. */
  startGap(nowMs: number): void {
    this.#gapSinceMs = nowMs
  }

  /** Nobody sends any more. */
  stopGap(nowMs: number): void {
    this.#endGap(nowMs)
    this.#gapSinceMs = null
  }

  #endGap(nowMs: number): void {
    if (this.#gapSinceMs === null) return
    this.worstGapMs = Math.max(this.worstGapMs, nowMs - this.#gapSinceMs)
    this.#gapSinceMs = nowMs
  }
}

function stepsOf(
  operation: HistoryOperation,
): Extract<HistoryOperation, { readonly f: 'send' | 'poll' | 'txn' }>['steps'] {
  return 'steps' in operation ? operation.steps : []
}
