// Reads every log from end to end now and then, slowly, so that damage is found while other replicas can still repair it and
// not only when somebody wants the records (STO-10).
import { Sleeper } from '../base/async/sleeper.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { PartitionLog } from './partition-log.ts'

/** A start has other things to do first. */
const FIRST_PASS_DELAY_MS = 60_000
/** A pass that takes longer than the interval is followed by the next one after a pause. */
const PAUSE_MIN_MS = 100

export interface LogScrubSettings {
  /** `log.scrub.interval.ms`: from the start of one pass over all logs to that of the next; 0 turns the scrub off. */
  readonly intervalMs: number
  /** `log.scrub.bytes.per.second`: what it reads at most. 1 or more. */
  readonly bytesPerSecond: number
}

export interface LogScrubOptions {
  readonly clock: Clock
  readonly log: Log
  readonly settings: LogScrubSettings
  /** The logs that are open. */
  readonly logs: () => Iterable<PartitionLog>
}

export class LogScrub {
  readonly #options: LogScrubOptions
  readonly #sleeper: Sleeper
  #passes = 0

  constructor(options: LogScrubOptions) {
    this.#options = options
    this.#sleeper = new Sleeper(options.clock)
  }

  /** Passes over all logs that came to their end. */
  get passes(): number {
    return this.#passes
  }

  /** Goes on until `stop`; resolves then. */
  async run(): Promise<void> {
    const { clock, settings } = this.#options
    if (settings.intervalMs === 0) return
    await this.#sleeper.sleep(Math.min(FIRST_PASS_DELAY_MS, settings.intervalMs))
    while (!this.#sleeper.isStopped) {
      const startMs = clock.monotonicMs()
      await this.#pass()
      const elapsedMs = clock.monotonicMs() - startMs
      await this.#sleeper.sleep(Math.max(PAUSE_MIN_MS, settings.intervalMs - elapsedMs))
    }
  }

  stop(): void {
    this.#sleeper.stop()
  }

  async #pass(): Promise<void> {
    const { log, logs } = this.#options
    let bytes = 0
    let damagedLogs = 0
    for (const one of [...logs()]) {
      if (this.#sleeper.isStopped) return
      try {
        await one.health.scrub(async (readBytes) => {
          bytes += readBytes
          await this.#pace(readBytes)
        })
      } catch (error) {
        log.warn('scrub-failed', { topicId: one.topicId, partition: one.partition, error })
      }
      if (one.health.damagedRanges.length > 0) damagedLogs++
    }
    if (this.#sleeper.isStopped) return
    this.#passes++
    log.info('scrub-passed', { bytes, damagedLogs })
  }

  /** What is read takes at least as long as the setting says. */
  async #pace(bytes: number): Promise<void> {
    const pauseMs = (1_000 * bytes) / this.#options.settings.bytesPerSecond
    if (pauseMs > 0) await this.#sleeper.sleep(pauseMs)
  }
}
