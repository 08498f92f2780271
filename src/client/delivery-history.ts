// What happened to one record batch on its way, and what can be said of it when it is given up: whether it surely was
// not appended (definite) or may have been (CHK-0).
import { VltavaError } from '../model/errors.ts'

/** Which records an error is about. */
export interface DeliveryTarget {
  readonly topic: string
  readonly partition: number
}

export class DeliveryHistory {
  #attempts = 0
  #isUnderWay = false
  #maybeAppended = false
  #lastError: VltavaError | null = null
  readonly #unreachable = new Set<string>()

  /** How often the batch was handed to a connection. */
  get attempts(): number {
    return this.#attempts
  }

  /** Whether surely no broker appended the batch. */
  get isDefinite(): boolean {
    return !this.#maybeAppended && !this.#isUnderWay
  }

  attemptStarted(): void {
    this.#attempts++
    this.#isUnderWay = true
  }

  /** The attempt under way was answered, or its connection gave up on it. */
  attemptFailed(error: VltavaError): void {
    this.#isUnderWay = false
    this.#lastError = error
    if (!error.definite) this.#maybeAppended = true
  }

  /** Something kept the batch from being sent at all. @param broker names the broker that could not be reached. */
  couldNotSend(error: VltavaError, broker?: string): void {
    this.#lastError = error
    if (broker !== undefined) this.#unreachable.add(broker)
  }

  /** A replica that could not be reached either. @param broker names it. */
  notReachable(broker: string): void {
    this.#unreachable.add(broker)
  }

  /** The error of a batch whose time is up. */
  timeoutError(target: DeliveryTarget, deliveryTimeoutMs: number): VltavaError {
    const attempts = this.#attempts === 1 ? '1 attempt' : `${this.#attempts} attempts`
    const last = this.#lastError
    const parts = [
      `${where(target)}: not acknowledged within ${deliveryTimeoutMs} ms (deliveryTimeoutMs), after ${attempts}`,
      last === null ? 'no broker answered' : `the last error was ${last.code}: ${withoutStop(last.message)}`,
    ]
    if (this.#unreachable.size > 0) parts.push(`not reachable: ${[...this.#unreachable].join(', ')}`)
    parts.push(this.#outcome())
    return new VltavaError('DELIVERY_TIMEOUT', `${parts.join('; ')}.`, this.#options(last))
  }

  /** The error of a batch that is given up because of `error`. */
  finalError(target: DeliveryTarget, error: VltavaError): VltavaError {
    const outcome = this.isDefinite ? '' : ` (${this.#outcome()})`
    return new VltavaError(error.code, `${where(target)}: ${withoutStop(error.message)}${outcome}.`, {
      ...this.#options(error),
      retriable: error.retriable,
    })
  }

  #options(cause: VltavaError | null): { readonly definite: boolean; readonly cause?: unknown } {
    return cause === null ? { definite: this.isDefinite } : { definite: this.isDefinite, cause }
  }

  #outcome(): string {
    if (!this.isDefinite) return 'the outcome is unknown: it was sent and may still appear'
    if (this.#attempts === 0) return 'the outcome is definite: never sent'
    return 'the outcome is definite: every attempt was refused'
  }
}

function where(target: DeliveryTarget): string {
  return `Topic "${target.topic}" partition ${target.partition}`
}

function withoutStop(message: string): string {
  return message.endsWith('.') ? message.slice(0, -1) : message
}
