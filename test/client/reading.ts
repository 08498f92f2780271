import type { Consumer } from '../../src/client/consumer.ts'
import type { ConsumerRecord } from '../../src/client/records.ts'
import { toVltavaError, type VltavaError } from '../../src/model/errors.ts'
import { createNodeCpu } from '../../src/platform/node/node-cpu.ts'
import { BatchBuilder } from '../../src/record/batch-builder.ts'
import type { FakePartition } from './fake-cluster.ts'

const cpu = createNodeCpu(null)

/** Appends one batch with these values. */
export function append(partition: FakePartition, values: readonly string[], timestampMs = 1_000): void {
  const builder = new BatchBuilder({ cpu, maxBytes: 1_000_000 })
  for (const value of values) builder.tryAppend({ key: null, value: cpu.encodeUtf8(value), timestampMs })
  partition.append(builder.build())
}

/** Reads in the background, as a program does; what was read and how it ended can be looked at. */
export class Reading {
  readonly records: ConsumerRecord[] = []
  hasEnded = false
  error: VltavaError | null = null

  constructor(consumer: Consumer) {
    this.#run(consumer).then(
      () => {
        this.hasEnded = true
      },
      (error: unknown) => {
        this.hasEnded = true
        this.error = toVltavaError(error)
      },
    )
  }

  get values(): readonly string[] {
    return this.records.map(({ value }) => cpu.decodeUtf8(value!))
  }

  async #run(consumer: Consumer): Promise<void> {
    for await (const record of consumer) this.records.push(record)
  }
}
