import { LogScrub } from '../storage/log-scrub.ts'
import type { BrokerSettings } from './broker-environment.ts'
import { ReplicaRepairer, type ReplicaRepairerOptions } from './replica-repairer.ts'

/** Looks for damage in the logs of this broker, and repairs what is found. */
export class LogCare {
  readonly #repairer: ReplicaRepairer
  readonly #scrub: LogScrub

  constructor(options: ReplicaRepairerOptions & { readonly settings: BrokerSettings }) {
    const { environment, settings, hosted } = options
    this.#repairer = new ReplicaRepairer(options)
    this.#scrub = new LogScrub({
      ...environment,
      settings: settings.scrub,
      logs: () => Array.from(hosted(), ({ log }) => log),
    })
  }

  /** Goes on until `stop`. */
  async run(): Promise<void> {
    await Promise.all([this.#repairer.run(), this.#scrub.run()])
  }

  /** Damage was found, or may have become repairable. */
  wake(): void {
    this.#repairer.wake()
  }

  stop(): void {
    this.#repairer.stop()
    this.#scrub.stop()
  }
}
