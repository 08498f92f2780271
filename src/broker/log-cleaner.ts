// Compacts the logs of this broker, one at a time, the one with the largest dirty part first. Every replica does so by
// itself, below its own high watermark. It works in small pieces and lets everything else go before each of them.
import { AssertionError } from '../base/assert.ts'
import { Sleeper } from '../base/async/sleeper.ts'
import { VltavaError } from '../model/errors.ts'
import type { Offset, PartitionKey } from '../model/ids.ts'
import type { PartitionLog } from '../storage/partition-log.ts'
import type { BrokerEnvironment, CleanerSettings } from './broker-environment.ts'

/** A log that could not be compacted, because it is damaged or the disk is full, is left alone for so long. */
const FAILURE_PAUSE_MS = 10 * 60_000

/** What the cleaner needs to know of a partition that is hosted here. */
export interface CleanedPartition {
  readonly key: PartitionKey
  readonly log: PartitionLog
  readonly highWatermark: Offset
}

export interface LogCleanerOptions {
  readonly environment: BrokerEnvironment
  readonly settings: CleanerSettings
  /** The partitions that are hosted now. */
  readonly hosted: () => Iterable<CleanedPartition>
}

export class LogCleaner {
  readonly #options: LogCleanerOptions
  readonly #sleeper: Sleeper
  /** When the logs that failed may be tried again. */
  readonly #notBeforeMs = new Map<PartitionKey, number>()
  #running: Promise<void> | null = null
  /** By how much the work so far was faster than it may be. */
  #aheadMs = 0

  constructor(options: LogCleanerOptions) {
    this.#options = options
    this.#sleeper = new Sleeper(options.environment.clock)
  }

  /** Begins to look for work, once there is a log to compact; to be called when the hosted partitions have changed. */
  partitionsChanged(): void {
    if (this.#running !== null || this.#sleeper.isStopped) return
    // Most brokers have no compacted topic, and need not wake up for them.
    if (this.#compacted().length === 0) return
    this.#running = this.#run()
      .catch((error: unknown) => this.#options.environment.process.fail('the log cleaner stopped', error))
      .finally(() => {
        this.#running = null
      })
  }

  /** To be called when settings have changed: it looks again at once, and sleeps by the new ones. */
  settingsChanged(): void {
    this.#sleeper.wake()
  }

  /** Gives up what is under way; resolves when nothing is any more. */
  async stop(): Promise<void> {
    this.#sleeper.stop()
    await this.#running
  }

  #compacted(): CleanedPartition[] {
    return [...this.#options.hosted()].filter(({ log }) => log.compaction.isWanted)
  }

  async #run(): Promise<void> {
    const { settings } = this.#options
    while (!this.#sleeper.isStopped && this.#compacted().length > 0) {
      const next = await this.#dirtiest()
      if (next === null) await this.#sleeper.sleep(settings.backoffMs)
      else await this.#compact(next)
    }
  }

  /** The log that is due and has the largest dirty part. */
  async #dirtiest(): Promise<CleanedPartition | null> {
    const { clock } = this.#options.environment
    let dirtiest: { readonly partition: CleanedPartition; readonly dirtyRatio: number } | null = null
    for (const partition of this.#compacted()) {
      if (this.#sleeper.isStopped) return null
      if (clock.monotonicMs() < (this.#notBeforeMs.get(partition.key) ?? 0)) continue
      const { log, highWatermark } = partition
      try {
        const { isDue, dirtyRatio } = await log.compaction.plan({ highWatermark, nowMs: clock.wallMs() })
        if (isDue && dirtyRatio > (dirtiest?.dirtyRatio ?? -1)) dirtiest = { partition, dirtyRatio }
      } catch (error) {
        this.#failed(partition, error)
      }
    }
    return dirtiest?.partition ?? null
  }

  async #compact(partition: CleanedPartition): Promise<void> {
    const { environment, settings } = this.#options
    const { clock, log, random } = environment
    const { topicId, partition: index } = partition.log
    const startedMs = clock.monotonicMs()
    try {
      const outcome = await partition.log.compaction.run({
        highWatermark: partition.highWatermark,
        nowMs: () => clock.wallMs(),
        keyMapBytes: settings.dedupeBufferBytes,
        seed: [random.below(2 ** 32) | 0, random.below(2 ** 32) | 0],
        pause: (bytes) => this.#pause(bytes),
        isStopped: () => this.#sleeper.isStopped,
      })
      if (outcome === null) {
        // It was cut or closed under the compaction; whoever did it may not be done.
        await this.#sleeper.sleep(settings.backoffMs)
        return
      }
      const tookMs = Math.round(clock.monotonicMs() - startedMs)
      log.info('log-compacted', { topicId, partition: index, ...outcome, tookMs })
    } catch (error) {
      this.#failed(partition, error)
    }
  }

  #failed({ key, log: { topicId, partition } }: CleanedPartition, error: unknown): void {
    if (error instanceof AssertionError) throw error
    const { log, clock } = this.#options.environment
    this.#notBeforeMs.set(key, clock.monotonicMs() + FAILURE_PAUSE_MS)
    const fields = { topicId, partition, error, triedAgainAfterMs: FAILURE_PAUSE_MS }
    if (error instanceof VltavaError) log.warn('compaction-failed', fields)
    else log.error('compaction-failed', fields)
  }

  /** Lets what waits go first, and keeps to the bytes for each second. */
  async #pause(bytes: number): Promise<void> {
    const { environment, settings } = this.#options
    this.#aheadMs += (bytes / settings.ioMaxBytesPerSecond) * 1_000
    const pauseMs = Math.floor(this.#aheadMs)
    this.#aheadMs -= pauseMs
    if (pauseMs >= 1) await this.#sleeper.sleep(pauseMs)
    else await new Promise<void>((resolve) => environment.clock.afterPendingIo(resolve))
  }
}
