import type { Clock, Timer } from '../base/clock.ts'
import { VltavaError } from '../model/errors.ts'
import type { ParkedFetch, ParkedFetches } from './delayed-requests.ts'

/** One look at the partitions of a fetch. */
export interface ReadAttempt<Answer> {
  /** Whether to answer now: enough bytes, an error, or anything else the reader must hear of at once. */
  readonly satisfied: boolean
  readonly answer: Answer
}

export interface ParkedReadOptions<Answer> {
  readonly clock: Clock
  /** Who reads; a parked read ends when it is gone, instead of reading on for nobody. */
  readonly reader: { onClose(callback: () => void): () => void }
  readonly maxWaitMs: number
  /** Looks at the partitions; a promise where a log had to go to its files. */
  readonly attempt: () => ReadAttempt<Answer> | Promise<ReadAttempt<Answer>>
  /** Where the read waits to be woken. */
  readonly parkOn: readonly ParkedFetches[]
  readonly onPark?: () => void
  readonly onUnpark?: () => void
  /** Called right before an answer is given. */
  readonly onAnswer?: (answer: Answer) => void
}

/**
 * Answers a fetch at once if there is something to say, and parks it otherwise until a partition wakes it or the
 * time is up. Never fails by itself: an attempt that throws is the answer of the fetch.
 */
export function readOrPark<Answer>(options: ParkedReadOptions<Answer>): Answer | Promise<Answer> {
  const answerOrPark = (attempt: ReadAttempt<Answer>): Answer | Promise<Answer> => {
    // Without a partition nothing could ever wake it.
    if (!attempt.satisfied && options.parkOn.length > 0) return new ParkedRead(options).answer
    options.onAnswer?.(attempt.answer)
    return attempt.answer
  }
  const first = options.attempt()
  return first instanceof Promise ? first.then(answerOrPark) : answerOrPark(first)
}

class ParkedRead<Answer> implements ParkedFetch {
  readonly answer: Promise<Answer>
  readonly #options: ParkedReadOptions<Answer>
  readonly #timer: Timer
  #resolve!: (answer: Answer) => void
  #reject!: (error: unknown) => void
  #looking = false
  #wokenMeanwhile = false
  #due = false
  #settled = false
  #forgetReader: () => void = () => {}

  constructor(options: ParkedReadOptions<Answer>) {
    this.#options = options
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#timer = options.clock.setTimer(options.maxWaitMs, () => {
      this.#due = true
      this.wake()
    })
    for (const parked of options.parkOn) parked.add(this)
    options.onPark?.()
    this.#forgetReader = options.reader.onClose(() => {
      this.#fail(new VltavaError('CONNECTION_LOST', 'The reader has gone.'))
    })
    if (this.#settled) {
      this.#forgetReader()
      return
    }
    // Between the first look and the parking nothing is lost when both happen in one turn; after a read from files
    // the partition may have moved, so look again.
    this.wake()
  }

  wake(): void {
    if (this.#settled) return
    if (this.#looking) {
      this.#wokenMeanwhile = true
      return
    }
    this.#looking = true
    try {
      const attempt = this.#options.attempt()
      if (attempt instanceof Promise)
        attempt.then(
          (done) => this.#looked(done),
          (error: unknown) => this.#fail(error),
        )
      else this.#looked(attempt)
    } catch (error) {
      this.#fail(error)
    }
  }

  #looked(attempt: ReadAttempt<Answer>): void {
    this.#looking = false
    if (this.#settled) return
    if (attempt.satisfied || this.#due) {
      this.#unpark()
      this.#options.onAnswer?.(attempt.answer)
      this.#resolve(attempt.answer)
    } else if (this.#wokenMeanwhile) {
      this.#wokenMeanwhile = false
      this.wake()
    }
  }

  #fail(error: unknown): void {
    this.#looking = false
    if (this.#settled) return
    this.#unpark()
    this.#reject(error)
  }

  #unpark(): void {
    this.#settled = true
    this.#timer.cancel()
    this.#forgetReader()
    for (const parked of this.#options.parkOn) parked.remove(this)
    this.#options.onUnpark?.()
  }
}
