import { LogScrub } from '../storage/log-scrub.ts'
import type { BrokerSettings } from './broker-environment.ts'
import { LogCleaner } from './log-cleaner.ts'
import { ReplicaRepairer, type ReplicaRepairerOptions } from './replica-repairer.ts'
import { RetentionCheck } from './retention-check.ts'

/** What is done for the logs of this broker beside serving them: damage is found and repaired, and old records go. */
export class LogCare {
  readonly #repairer: ReplicaRepairer
  readonly #scrub: LogScrub
  readonly #retention: RetentionCheck
  readonly #cleaner: LogCleaner

  constructor(options: ReplicaRepairerOptions & { readonly settings: BrokerSettings }) {
    const { environment, settings, hosted } = options
    this.#repairer = new ReplicaRepairer(options)
    this.#scrub = new LogScrub({
      ...environment,
      settings: settings.scrub,
      logs: () => Array.from(hosted(), ({ log }) => log),
    })
    this.#retention = new RetentionCheck({
      environment,
      hosted,
      intervalMs: () => settings.retentionCheckIntervalMs,
    })
    this.#cleaner = new LogCleaner({ environment, settings: settings.cleaner, hosted })
  }

  /** Goes on until `stop`. */
  async run(): Promise<void> {
    this.#retention.start()
    await Promise.all([this.#repairer.run(), this.#scrub.run()])
  }

  /** Damage was found, or may have become repairable. */
  wake(): void {
    this.#repairer.wake()
  }

  /** To be called when the hosted partitions have changed. */
  partitionsChanged(): void {
    this.#cleaner.partitionsChanged()
  }

  /** Settings have changed: what waits by them waits anew. */
  settingsChanged(): void {
    this.#retention.settingsChanged()
    this.#cleaner.settingsChanged()
  }

  /** Resolves when nothing works on the logs any more. */
  async stop(): Promise<void> {
    this.#repairer.stop()
    this.#scrub.stop()
    await this.#retention.stop()
    await this.#cleaner.stop()
  }
}
