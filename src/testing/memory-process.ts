import { assert } from '../base/assert.ts'
import type { Process, ProcessIdentity } from '../base/process.ts'

/** The machine that in-memory processes share: it knows which of them run. */
export class MemoryMachine {
  #boots = 1
  #started = 0
  readonly #startTimes = new Map<number, string>()

  /** @param pid the process id to use, which must be free; one never used before by default. */
  start(pid?: number): ProcessIdentity {
    this.#started++
    const identity = {
      bootId: this.#bootId,
      pid: pid ?? 1000 + this.#started,
      startTime: String(this.#started),
    }
    assert(!this.#startTimes.has(identity.pid), `process ${identity.pid} runs already`)
    this.#startTimes.set(identity.pid, identity.startTime)
    return identity
  }

  stop(identity: ProcessIdentity): void {
    if (this.isRunning(identity)) this.#startTimes.delete(identity.pid)
  }

  isRunning(identity: ProcessIdentity): boolean {
    return identity.bootId === this.#bootId && this.#startTimes.get(identity.pid) === identity.startTime
  }

  /** Ends all processes; what starts afterwards has another boot id. */
  reboot(): void {
    this.#startTimes.clear()
    this.#boots++
  }

  get #bootId(): string {
    return `boot-${this.#boots}`
  }
}

/** What a process gave as the reason of its end. */
export interface ProcessFailure {
  readonly reason: string
  readonly error: unknown
}

export interface MemoryProcessOptions {
  /** Where it runs; a machine of its own by default. */
  readonly machine?: MemoryMachine
  /** Stops the node that runs in the process, as the end of a real one would. Called once. */
  readonly onFail?: (failure: ProcessFailure) => void
}

/** A process for tests: `fail` records the reason and ends it, and a test can end it from outside. */
export class MemoryProcess implements Process {
  readonly identity: ProcessIdentity
  /** Everything given to `fail`, the first of which ended the process. */
  readonly failures: ProcessFailure[] = []
  readonly #machine: MemoryMachine
  readonly #onFail: ((failure: ProcessFailure) => void) | undefined

  constructor(options: MemoryProcessOptions = {}) {
    this.#machine = options.machine ?? new MemoryMachine()
    this.#onFail = options.onFail
    this.identity = this.#machine.start()
  }

  isRunning(identity: ProcessIdentity): boolean {
    return this.#machine.isRunning(identity)
  }

  fail(reason: string, error: unknown): void {
    const failure = { reason, error }
    const wasRunning = this.isRunning(this.identity)
    this.failures.push(failure)
    this.kill()
    if (wasRunning) this.#onFail?.(failure)
  }

  /** Ends the process without its doing, as kill -9 would. */
  kill(): void {
    this.#machine.stop(this.identity)
  }
}
