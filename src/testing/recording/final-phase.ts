// The end of a run (JEP-2): all faults are over, and every reader reads everything once more from the beginning.
import type { Clock } from '../../base/clock.ts'
import type { HistoryKey } from '../../history/history.ts'
import { LargestOffsets } from '../../history/history-offsets.ts'
import type { Offset } from '../../model/ids.ts'
import type { RecordedConsumer } from './recorded-consumer.ts'
import type { RecordedProcessOptions } from './recorded-process.ts'

export interface DrainOptions extends Pick<RecordedProcessOptions, 'recorder'> {
  readonly clock: Clock
  /** What to read. Default: every key that the history names. */
  readonly keys?: readonly HistoryKey[]
  /** Milliseconds after which it is given up. Default 200,000. */
  readonly timeoutMs?: number
  /** Milliseconds after which a reader that is not done starts anew. Default 10,000. */
  readonly restartMs?: number
  /** Milliseconds of one poll. Default 1,000. */
  readonly pollMs?: number
  /**
   * Where logs end, exclusive: a reader gets there as well. Of use where logs are compacted: a record that no client has
   * seen yet may have taken the place of an earlier one. Default: what the history shows is enough.
   */
  readonly ends?: ReadonlyMap<HistoryKey, Offset>
  /** Whether the record at this offset, and so all before it, was deleted. Default: none ever is. */
  readonly isGone?: (key: HistoryKey, offset: number) => boolean
}

export interface Drained {
  /** Every key was read up to the largest offset that anything ever showed, and to the end that was named. */
  readonly isComplete: boolean
  /** The keys that were not. */
  readonly behind: ReadonlyMap<HistoryKey, { readonly position: number; readonly largestOffset: number }>
}

const NO_ENDS: ReadonlyMap<HistoryKey, Offset> = new Map()

/**
 * Assigns all keys from the beginning and polls until each has reached the largest offset that the history knows by
 * then, also by what others read meanwhile, and the end that is named for it. Each attempt begins with a crash of the consumer.
 */
export async function drain(consumer: RecordedConsumer, options: DrainOptions): Promise<Drained> {
  const { recorder, clock, timeoutMs = 200_000, restartMs = 10_000, pollMs = 1_000 } = options
  const { ends = NO_ENDS, isGone = () => false } = options
  const largest = new LargestOffsets()
  const deadlineMs = clock.monotonicMs() + timeoutMs
  for (;;) {
    const restartAtMs = Math.min(deadlineMs, clock.monotonicMs() + restartMs)
    largest.update(recorder.events)
    const keys = options.keys ?? [...largest.byKey.keys()]
    await consumer.crash()
    await consumer.assign(keys, { from: 'beginning' })
    for (;;) {
      largest.update(recorder.events)
      const behind = keysBehind(consumer, { keys, largest, ends, isGone })
      if (behind.size === 0) return { isComplete: true, behind }
      const leftMs = restartAtMs - clock.monotonicMs()
      if (leftMs <= 0) {
        if (restartAtMs < deadlineMs) break
        return { isComplete: false, behind }
      }
      await consumer.poll({ timeoutMs: Math.min(pollMs, leftMs) })
    }
  }
}

export interface FinalPhaseOptions extends DrainOptions, RecordedProcessOptions {
  /** Each of them reads everything. At least one. */
  readonly consumers: readonly RecordedConsumer[]
}

/**
 * Records that all faults are over, and lets every consumer read everything. Call it when the cluster is whole again and
 * no sends are under way. @returns what each of the consumers reached.
 */
export async function finalPhase(options: FinalPhaseOptions): Promise<readonly Drained[]> {
  const { consumers, recorder, nowMs, nextProcess } = options
  recorder.record({ process: nextProcess(), timeMs: nowMs(), operation: { f: 'final-phase' } })
  return Promise.all(consumers.map((consumer) => drain(consumer, options)))
}

function keysBehind(
  consumer: RecordedConsumer,
  of: {
    readonly keys: readonly HistoryKey[]
    readonly largest: LargestOffsets
    readonly ends: ReadonlyMap<HistoryKey, Offset>
    readonly isGone: (key: HistoryKey, offset: number) => boolean
  },
): Drained['behind'] {
  const { keys, largest, ends, isGone } = of
  const behind = new Map<HistoryKey, { readonly position: number; readonly largestOffset: number }>()
  for (const key of keys) {
    const largestOffset = Math.max(largest.byKey.get(key) ?? -1, (ends.get(key) ?? 0) - 1)
    const position = consumer.positions.get(key) ?? 0
    if (position <= largestOffset && !isGone(key, largestOffset)) behind.set(key, { position, largestOffset })
  }
  return behind
}
