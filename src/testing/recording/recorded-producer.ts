import type { Client } from '../../client/client.ts'
import type { Producer } from '../../client/producer.ts'
import type { ProducerOptions } from '../../client/producer-options.ts'
import type { Receipt } from '../../client/records.ts'
import type { HistoryKey, SendStep } from '../../history/history.ts'
import { parseHistoryKey } from '../../history/history-key.ts'
import {
  type Ended,
  failureOf,
  type Outcome,
  RecordedProcess,
  type RecordedProcessOptions,
} from './recorded-process.ts'
import { textCodec, type ValueCodec } from './value-codec.ts'

export interface RecordedProducerOptions extends RecordedProcessOptions {
  readonly client: Client
  /** Options of the producer. Default: its own defaults. With `acks: 0` every send ends as `info`. */
  readonly producer?: ProducerOptions
  /** What stands in a record for a value. Default: the value as text. */
  readonly codec?: ValueCodec
  /** The key of the record that carries a value. Default: records have none. */
  readonly recordKeyOf?: (value: string) => string | null
}

export interface SendOutcome extends Outcome {
  /** One for each value; null where it is not known. */
  readonly offsets: readonly (number | null)[]
}

/** A producer of the product whose sends are recorded. One send at a time; each may carry several values. */
export class RecordedProducer {
  readonly #options: RecordedProducerOptions
  readonly #process: RecordedProcess
  #producer: Producer | null = null

  constructor(options: RecordedProducerOptions) {
    this.#options = options
    this.#process = new RecordedProcess(options)
  }

  /** The number of the process under which the next send is recorded. */
  get process(): number {
    return this.#process.id
  }

  /**
   * Sends the values, in this order, to one partition. Never rejects for what a cluster does.
   * @param values each different from all others that were ever sent to the key.
   * @throws VltavaError INVALID_ARGUMENT for a key that is not `topic/partition`; nothing is recorded then.
   */
  async send(key: HistoryKey, values: string | readonly string[]): Promise<SendOutcome> {
    const { topic, partition } = parseHistoryKey(key)
    const { codec = textCodec, recordKeyOf = () => null } = this.#options
    const sent = typeof values === 'string' ? [values] : values
    const steps: readonly SendStep[] = sent.map((value) => ['send', key, value])
    let offsets: readonly (number | null)[] = sent.map(() => null)
    const outcome = await this.#process.run({ f: 'send', steps }, async () => {
      const producer = this.#open()
      const results = await Promise.allSettled(
        sent.map((value) =>
          producer.send({ topic, partition, key: recordKeyOf(value), value: codec.encode(value) }),
        ),
      )
      offsets = results.map(offsetOf)
      return { ...outcomeOf(results), operation: { f: 'send', steps: withOffsets(steps, offsets) } }
    })
    if (outcome.type === 'info') await this.close()
    return { ...outcome, offsets }
  }

  /** Throws the producer away, as a client that crashed; the next send makes a new one, under another process. */
  async crash(): Promise<void> {
    await this.#process.run({ f: 'crash' }, () => Promise.resolve({ type: 'info', error: null }))
    await this.close()
  }

  /** Closes the producer; nothing is recorded. A later send makes a new one. */
  async close(): Promise<void> {
    const producer = this.#producer
    this.#producer = null
    // Nothing is under way between two operations, so there is nothing to flush.
    await producer?.close({ timeoutMs: 0 })
  }

  #open(): Producer {
    this.#producer ??= this.#options.client.producer(this.#options.producer ?? {})
    return this.#producer
  }
}

function offsetOf(result: PromiseSettledResult<Receipt>): number | null {
  return result.status === 'fulfilled' && result.value.offset >= 0 ? result.value.offset : null
}

function withOffsets(steps: readonly SendStep[], offsets: readonly (number | null)[]): readonly SendStep[] {
  return steps.map(([f, key, value], i) => {
    const offset = offsets[i] ?? null
    return offset === null ? [f, key, value] : [f, key, value, offset]
  })
}

/** `ok` if all were acknowledged, `fail` if all were surely refused; anything between is for reads to tell. */
function outcomeOf(results: readonly PromiseSettledResult<Receipt>[]): Ended {
  const failures = results
    .filter((result) => result.status === 'rejected')
    .map(({ reason }) => failureOf(reason))
  const indefinite = failures.find(({ type }) => type === 'info')
  if (indefinite !== undefined) return indefinite
  if (failures.length > 0)
    return { ...failures[0]!, type: failures.length === results.length ? 'fail' : 'info' }
  return { type: results.every((result) => offsetOf(result) !== null) ? 'ok' : 'info', error: null }
}
