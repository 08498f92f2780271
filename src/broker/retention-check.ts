// Retention: now and then, active segments that are old make room for new ones, and what is too old or too much leaves the
// logs that this broker leads. Only a leader decides; followers let their logs start where the leader's does, so that one
// clock and not three says what is old, and a replica without a leader deletes nothing.
import { AssertionError } from '../base/assert.ts'
import type { Timer } from '../base/clock.ts'
import { ClockTrust } from '../log/clock-trust.ts'
import { isExpired, planRetention, type RetentionTime } from '../log/retention-plan.ts'
import { SegmentRetiredError } from '../storage/segment-retired-error.ts'
import type { BrokerEnvironment } from './broker-environment.ts'
import type { Partition } from './partition.ts'

export interface RetentionCheckOptions {
  readonly environment: BrokerEnvironment
  readonly hosted: () => Iterable<Partition>
  /** `log.retention.check.interval.ms` as it is now. */
  readonly intervalMs: () => number
}

export class RetentionCheck {
  readonly #options: RetentionCheckOptions
  readonly #trust = new ClockTrust()
  /** The latest time of a record that was ever seen in this run; segments that go take theirs along. */
  #newestRecordMs = -1
  #timer: Timer | null = null
  /** What the timer was set by. */
  #intervalMs = 0
  #round: Promise<void> = Promise.resolve()
  #isStopped = false

  constructor(options: RetentionCheckOptions) {
    this.#options = options
  }

  start(): void {
    const { environment, intervalMs } = this.#options
    this.#intervalMs = intervalMs()
    this.#timer = environment.clock.setTimer(this.#intervalMs, () => {
      this.#timer = null
      this.#round = this.#check()
        .catch((error: unknown) => environment.process.fail('the retention check stopped', error))
        .then(() => {
          if (!this.#isStopped) this.start()
        })
    })
  }

  /** To be called when the interval may be another one: a new one counts from now on, or from the end of the round under way. */
  settingsChanged(): void {
    if (this.#timer === null || this.#isStopped || this.#options.intervalMs() === this.#intervalMs) return
    this.#timer.cancel()
    this.start()
  }

  /** Resolves when no round is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer?.cancel()
    await this.#round
  }

  async #check(): Promise<void> {
    const partitions = [...this.#options.hosted()]
    for (const partition of partitions) {
      await this.#attempt(partition, async () => {
        const newestMs = await partition.log.retained.newestTimestampMs()
        this.#newestRecordMs = Math.max(this.#newestRecordMs, newestMs)
      })
    }
    const time = this.#time()
    for (const partition of partitions) {
      if (this.#isStopped) return
      await this.#attempt(partition, async () => {
        await partition.log.rollIfOld()
        await this.#retain(partition, time)
      })
    }
  }

  #time(): RetentionTime {
    const { clock, log } = this.#options.environment
    const now = { wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs() }
    const doubt = this.#trust.look({ ...now, newestRecordMs: this.#newestRecordMs })
    if (doubt !== null && this.#newestRecordMs >= 0) {
      // Ages count from when this process first saw the segments, until a record confirms the clock.
      log.warn('retention-clock-doubted', { reason: doubt, ...now, newestRecordMs: this.#newestRecordMs })
    }
    return { ...now, isTrusted: doubt === null }
  }

  async #retain(partition: Partition, time: RetentionTime): Promise<void> {
    const { log, leader } = partition
    const { cleanupDeletes, retentionMs, retentionBytes } = log.settings
    if (leader === null || !cleanupDeletes || (retentionMs === null && retentionBytes === null)) return
    const segments = await log.retained.list({
      sizes: retentionBytes !== null,
      goesOn: (segment) => isExpired(segment, { retentionMs, time }),
    })
    if (partition.leader !== leader) return
    const { highWatermark } = leader
    const { logStartOffset } = log
    const limits = { retentionMs, retentionBytes, time }
    const plan = planRetention({ segments, logStartOffset, highWatermark }, limits)
    if (plan === null) return
    const { topicId, partition: index } = partition.options
    this.#options.environment.log.info('log-retention', { topicId, partition: index, ...plan })
    await log.trimTo(plan.logStartOffset)
  }

  /** What fails in one log, a full disk or a damaged file, must not keep the others. */
  async #attempt(partition: Partition, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (error instanceof AssertionError) throw error
      // Others took segments away meanwhile, or closed the log. What is left is looked at in the next round.
      if (error instanceof SegmentRetiredError) return
      const { topicId, partition: index } = partition.options
      this.#options.environment.log.warn('retention-failed', { topicId, partition: index, error })
    }
  }
}
