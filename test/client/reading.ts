import type { Consumer } from '../../src/client/consumer.ts'
import type { ConsumerRecord } from '../../src/client/records.ts'
import { toVltavaError, type VltavaError } from '../../src/model/errors.ts'
import { createNodeCpu } from '../../src/platform/node/node-cpu.ts'
import type { RequestOf } from '../../src/protocol/api.ts'
import { fetch } from '../../src/protocol/fetch.ts'
import { BatchBuilder } from '../../src/record/batch-builder.ts'
import type { FakeCluster, FakePartition, FakeTopic } from './fake-cluster.ts'
import { type Harness, makeHarness } from './harness.ts'

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

/** A harness with the topic "orders", whose partitions have these leaders. */
export async function withTopic(
  partitions: readonly (number | null)[],
): Promise<Harness & { readonly topic: FakeTopic; readonly cluster: FakeCluster }> {
  const harness = await makeHarness()
  return { ...harness, topic: harness.cluster.addTopic('orders', partitions) }
}

/** What one broker was asked to fetch. */
export const fetchBodies = (harness: Harness, id = 1): readonly RequestOf<typeof fetch>[] =>
  harness.cluster
    .broker(id)
    .callsOf(fetch)
    .map(({ body }) => body as RequestOf<typeof fetch>)
